import { LabError } from '../lab-error.ts';
import type { Accelerator, MachineShape } from './shape.ts';
import type { XenOptions } from './xen-options.ts';

/** The name of the saved state inside a host's disk. */
export const SAVED_STATE_NAME = 'booted';
/** The management network card's id, for `set_link`. */
export const MANAGEMENT_NIC = 'nic0';

/** Counts up when the emulated machine changes in a way its shape does not show: an older saved state then no longer fits. */
export const MACHINE_VERSION = 1;

/** Where a host's second network card leads: nowhere, or to the switch that joins the hosts of a lab. */
export type HostLink = { readonly kind: 'alone' } | { readonly kind: 'switch'; readonly socketPath: string };

/** All that decides how QEMU is started for a lab host. */
export type QemuMachine = {
  readonly accelerator: Accelerator;
  readonly shape: MachineShape;
  readonly xen: XenOptions;
  readonly image: { readonly xen: string; readonly kernel: string; readonly initrd: string };
  readonly diskPath: string;
  readonly consoleSocketPath: string;
  readonly consoleLogPath: string;
  readonly agentSocketPath: string;
  readonly qmpSocketPath: string;
  readonly pidPath: string;
  /** The port on 127.0.0.1 that leads to dom0's ssh; none while the saved state is made. */
  readonly sshPort?: number | undefined;
  readonly link: HostLink;
  readonly linkMac: string;
  /** Continue from the saved state instead of booting. */
  readonly restore: boolean;
};

/** QEMU splits options at commas; two commas stand for one. */
function value(text: string): string {
  return text.replaceAll(',', ',,');
}

/** In a list of boot modules a space ends the file's name, and nothing can quote it. */
function modulePath(path: string): string {
  if (/\s/.test(path))
    throw new LabError('BAD_OPTION', `the cache directory's path must not contain white space: ${path}`);
  return value(path);
}

function memoryArgv(shape: MachineShape): readonly string[] {
  const perNodeMiB = shape.memoryMiB / shape.nodes;
  const cpusPerNode = shape.cpus / shape.nodes;
  const nodes = Array.from({ length: shape.nodes }, (_, node) => {
    const first = node * cpusPerNode;
    const last = first + cpusPerNode - 1;
    return [
      '-object',
      `memory-backend-ram,id=m${node},size=${perNodeMiB}M`,
      '-numa',
      `node,nodeid=${node},cpus=${first === last ? first : `${first}-${last}`},memdev=m${node}`,
    ];
  });
  return [
    '-m',
    `${shape.memoryMiB}M`,
    '-smp',
    `${shape.cpus},sockets=${shape.nodes},cores=${cpusPerNode},threads=1`,
    ...nodes.flat(),
  ];
}

function networkArgv(machine: QemuMachine): readonly string[] {
  const forward = machine.sshPort === undefined ? '' : `,hostfwd=tcp:127.0.0.1:${machine.sshPort}-:22`;
  const link =
    machine.link.kind === 'alone'
      ? 'hubport,id=n1,hubid=1'
      : `stream,id=n1,server=off,addr.type=unix,addr.path=${value(machine.link.socketPath)}`;
  return [
    // restrict=on: the guest reaches nothing through it, not even this machine; only the forwarded port leads in.
    '-netdev',
    `user,id=n0,restrict=on${forward}`,
    '-device',
    `virtio-net-pci,id=${MANAGEMENT_NIC},netdev=n0,romfile=`,
    '-netdev',
    link,
    '-device',
    `virtio-net-pci,id=nic1,netdev=n1,romfile=,mac=${machine.linkMac}`,
  ];
}

/** `shift=3`: an instruction takes 8 ns of the machine's time, about as long as it takes here to run it. */
const acceleratorArgv: Readonly<Record<Accelerator, readonly string[]>> = {
  tcg: ['-accel', 'tcg,thread=multi', '-cpu', 'qemu64,+svm,+npt'],
  icount: ['-accel', 'tcg,thread=single', '-icount', 'shift=3', '-cpu', 'qemu64,+svm,+npt'],
  kvm: ['-accel', 'kvm', '-cpu', 'host'],
};

/**
 * The command line of a lab host, without the program's name. The devices and their order must be the same when a state is saved and when it is
 * restored; the network's far ends, the paths and the forwarded port may differ.
 * - `+npt`: Debian's Xen has no shadow paging, so PVH needs nested paging.
 * - `dom0_max_vcpus=1`: with a vCPU for each pCPU dom0 does not come up under emulation in minutes.
 * - `bootscrub=0`: otherwise Xen touches all memory, and a 4 GiB host takes 4 GiB here.
 */
export function qemuArgv(machine: QemuMachine): readonly string[] {
  const { image } = machine;
  const socket = (id: string, path: string): string => `socket,id=${id},path=${value(path)},server=on,wait=off`;
  return [
    ...acceleratorArgv[machine.accelerator],
    ...memoryArgv(machine.shape),
    '-display',
    'none',
    '-vga',
    'none',
    '-nodefaults',
    '-no-user-config',
    '-no-reboot',
    '-chardev',
    `${socket('console', machine.consoleSocketPath)},logfile=${value(machine.consoleLogPath)}`,
    '-serial',
    'chardev:console',
    '-chardev',
    socket('agent', machine.agentSocketPath),
    '-serial',
    'chardev:agent',
    '-qmp',
    `unix:${value(machine.qmpSocketPath)},server=on,wait=off`,
    '-drive',
    `file=${value(machine.diskPath)},if=virtio,format=qcow2,cache=unsafe,discard=unmap`,
    ...networkArgv(machine),
    '-kernel',
    image.xen,
    '-append',
    `dom0_mem=${machine.xen.dom0Mem} loglvl=info com1=115200,8n1 console=com1 bootscrub=0 dom0_max_vcpus=1`,
    '-initrd',
    `${modulePath(image.kernel)} console=hvc0 panic=-1,${modulePath(image.initrd)}`,
    ...(machine.restore ? ['-loadvm', SAVED_STATE_NAME] : []),
    '-pidfile',
    machine.pidPath,
    '-daemonize',
  ];
}
