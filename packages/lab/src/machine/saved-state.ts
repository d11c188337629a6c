import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeOnce } from '../cache.ts';
import { IMAGE_FILES } from '../image/build.ts';
import { DOM0_READY_MARKER } from '../image/dom0-files.ts';
import { LabError } from '../lab-error.ts';
import type { Progress } from '../progress.ts';
import { runProgram } from '../program.ts';
import { openLineSocket } from './line-socket.ts';
import { readPid, signalOwn, waitForEnd } from './process.ts';
import type { HostLink, QemuMachine } from './qemu-argv.ts';
import { MACHINE_VERSION, qemuArgv, SAVED_STATE_NAME } from './qemu-argv.ts';
import { monitorCommand, openQmp } from './qmp.ts';
import type { Accelerator, MachineShape } from './shape.ts';
import { DEFAULT_XEN_OPTIONS, type XenOptions } from './xen-options.ts';

/** About 11 s on an idle machine; a loaded one may take a dozen times as long. */
export const BOOT_TIMEOUT_MS = 240_000;
const SAVE_TIMEOUT_MS = 120_000;
const QEMU_START_TIMEOUT_MS = 60_000;
const IMAGE_TIMEOUT_MS = 60_000;
const END_TIMEOUT_MS = 10_000;
const QEMU = 'qemu-system-x86_64';
/** The card's address in the saved state; each host gets its own after the restore. */
const SAVED_MAC = '52:54:00:10:09:00';
const CONSOLE_CHARS_SHOWN = 1_500;

/** The files of a QEMU process, all in one directory. */
export function machineFiles(
  directory: string,
): Pick<
  QemuMachine,
  'diskPath' | 'consoleSocketPath' | 'consoleLogPath' | 'agentSocketPath' | 'qmpSocketPath' | 'pidPath'
> {
  return {
    diskPath: join(directory, 'disk.qcow2'),
    consoleSocketPath: join(directory, 'console.sock'),
    consoleLogPath: join(directory, 'console.log'),
    agentSocketPath: join(directory, 'agent.sock'),
    qmpSocketPath: join(directory, 'qmp.sock'),
    pidPath: join(directory, 'qemu.pid'),
  };
}

/** The paths of an image's parts as QEMU wants them. */
export function imageParts(imageDirectory: string): QemuMachine['image'] {
  return {
    xen: join(imageDirectory, IMAGE_FILES.xen),
    kernel: join(imageDirectory, IMAGE_FILES.kernel),
    initrd: join(imageDirectory, IMAGE_FILES.initrd),
  };
}

/**
 * Starts QEMU in the background. It returns once the machine runs (a saved state is then loaded) and outlives this process.
 * Throws LabError PROGRAM_FAILED with QEMU's own words.
 */
export async function startQemu(machine: QemuMachine, signal?: AbortSignal): Promise<number> {
  await runProgram([QEMU, ...qemuArgv(machine)], { timeoutMs: QEMU_START_TIMEOUT_MS, signal });
  const pid = await readPid(machine.pidPath);
  if (pid === undefined) throw new LabError('BOOT_FAILED', `QEMU wrote no pid to ${machine.pidPath}`);
  return pid;
}

/** The first line of `qemu-system-x86_64 --version`: a saved state is only given back to the QEMU that made it. */
export async function qemuVersion(): Promise<string> {
  const { stdout } = await runProgram([QEMU, '--version'], { timeoutMs: QEMU_START_TIMEOUT_MS });
  return stdout.toString().split('\n')[0] ?? '';
}

/** A short name for everything a saved state depends on. */
export function savedStateKey(parts: {
  /** The text of the image's manifest, which no two builds share. */
  readonly image: string;
  readonly shape: MachineShape;
  readonly xen: XenOptions;
  readonly accelerator: Accelerator;
  readonly qemu: string;
}): string {
  const { cpus, nodes, memoryMiB } = parts.shape;
  // Names of before there were options stay as they are: what a user's cache has is still found.
  const options = parts.xen.dom0Mem === DEFAULT_XEN_OPTIONS.dom0Mem ? [] : [parts.xen.dom0Mem];
  const machine = [MACHINE_VERSION, parts.image, cpus, nodes, memoryMiB, parts.accelerator, parts.qemu];
  const text = JSON.stringify([...machine, ...options]);
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 12);
  return `${parts.accelerator}-${cpus}c${nodes}n${memoryMiB}m-${hash}`;
}

async function bootAndSave(machine: QemuMachine, progress: Progress, signal: AbortSignal | undefined): Promise<void> {
  await startQemu(machine, signal);
  try {
    progress('first boot of this machine shape', 0.2);
    const agent = await openLineSocket(machine.agentSocketPath, QEMU_START_TIMEOUT_MS, signal);
    try {
      await agent.waitFor((line) => line === DOM0_READY_MARKER, BOOT_TIMEOUT_MS, 'the first boot of dom0');
    } finally {
      agent.close();
    }
    progress('saving the booted state', 0.9);
    const qmp = await openQmp(machine.qmpSocketPath, signal);
    try {
      await qmp.execute('stop');
      await monitorCommand(qmp, `savevm ${SAVED_STATE_NAME}`, SAVE_TIMEOUT_MS);
      await qmp.execute('quit');
    } finally {
      qmp.close();
    }
  } catch (error) {
    if (error instanceof LabError && error.code === 'INTERRUPTED') throw error;
    const log = await readFile(machine.consoleLogPath, 'utf8').catch(() => '');
    throw new LabError(
      'BOOT_FAILED',
      `${error instanceof Error ? error.message : String(error)}\ndom0's console ends with:\n${log.slice(-CONSOLE_CHARS_SHOWN)}`,
      {
        cause: error,
      },
    );
  } finally {
    const pid = await readPid(machine.pidPath);
    if (pid !== undefined) {
      await signalOwn(pid, machine.pidPath, 'SIGKILL');
      await waitForEnd(pid, machine.pidPath, END_TIMEOUT_MS);
    }
  }
}

/**
 * Boots a machine shape for the first time and saves its state, unless that is in the cache; gives the path of the disk that holds it. Copy the disk, never
 * run on it. Throws LabError BOOT_FAILED with the end of dom0's console, TIMED_OUT, INTERRUPTED.
 */
export async function ensureSavedState(options: {
  readonly cacheDirectory: string;
  readonly imageDirectory: string;
  readonly shape: MachineShape;
  readonly xen: XenOptions;
  readonly accelerator: Accelerator;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}): Promise<string> {
  const { cacheDirectory, imageDirectory, shape, xen, accelerator, signal } = options;
  const image = await readFile(join(imageDirectory, IMAGE_FILES.manifest), 'utf8');
  const key = savedStateKey({ image, shape, xen, accelerator, qemu: await qemuVersion() });
  const target = join(cacheDirectory, `state-${key}`);
  await makeOnce(cacheDirectory, target, options, async (work) => {
    const directory = join(work, 'state');
    await mkdir(directory);
    const files = machineFiles(directory);
    await runProgram(
      [
        'qemu-img',
        'create',
        '-q',
        '-f',
        'qcow2',
        '-F',
        'qcow2',
        '-b',
        join(imageDirectory, IMAGE_FILES.disk),
        files.diskPath,
      ],
      { timeoutMs: IMAGE_TIMEOUT_MS, signal },
    );
    const link: HostLink = { kind: 'alone' };
    const machine = {
      ...files,
      image: imageParts(imageDirectory),
      shape,
      xen,
      accelerator,
      link,
      linkMac: SAVED_MAC,
      restore: false,
    };
    await bootAndSave(machine, options.progress, signal);
    for (const path of [files.consoleSocketPath, files.agentSocketPath, files.qmpSocketPath, files.pidPath])
      await rm(path, { force: true });
    await rename(directory, target);
  });
  return join(target, 'disk.qcow2');
}
