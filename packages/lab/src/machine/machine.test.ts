import { describe, expect, test } from 'vitest';
import { DOM0_INITRAMFS_MARKER } from '../image/dom0-files.ts';
import { chooseAccelerator, judgeProbe } from './kvm-probe.ts';
import type { QemuMachine } from './qemu-argv.ts';
import { qemuArgv } from './qemu-argv.ts';
import { machineFiles, savedStateKey } from './saved-state.ts';
import { DEFAULT_SHAPE, machineShape, parseMemoryMiB } from './shape.ts';
import { DEFAULT_XEN_OPTIONS, xenOptions } from './xen-options.ts';

const machine: QemuMachine = {
  ...machineFiles('/s/a,b'),
  accelerator: 'tcg',
  shape: DEFAULT_SHAPE,
  xen: DEFAULT_XEN_OPTIONS,
  image: { xen: '/c/xen.elf', kernel: '/c/vmlinux', initrd: '/c/initrd.gz' },
  sshPort: 2222,
  link: { kind: 'switch', socketPath: '/s/switch.sock' },
  linkMac: '52:54:00:10:09:01',
  restore: true,
};
const valueOf = (argv: readonly string[], option: string): readonly string[] =>
  argv.filter((_, index) => argv[index - 1] === option);

describe('qemuArgv', () => {
  test('a machine has its memory and pCPUs spread over its nodes', () => {
    const argv = qemuArgv(machine);
    expect(valueOf(argv, '-smp')).toEqual(['8,sockets=2,cores=4,threads=1']);
    expect(valueOf(argv, '-m')).toEqual(['4096M']);
    expect(valueOf(argv, '-numa')).toEqual(['node,nodeid=0,cpus=0-3,memdev=m0', 'node,nodeid=1,cpus=4-7,memdev=m1']);
    expect(valueOf(qemuArgv({ ...machine, shape: machineShape({ cpus: 2 }) }), '-numa')).toEqual([
      'node,nodeid=0,cpus=0,memdev=m0',
      'node,nodeid=1,cpus=1,memdev=m1',
    ]);
  });

  test('nothing leads out of the machine: restricted user network, loopback port, unix sockets', () => {
    const netdevs = valueOf(qemuArgv(machine), '-netdev');
    expect(netdevs).toEqual([
      'user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:2222-:22',
      'stream,id=n1,server=off,addr.type=unix,addr.path=/s/switch.sock',
    ]);
    const alone = valueOf(qemuArgv({ ...machine, link: { kind: 'alone' }, sshPort: undefined }), '-netdev');
    expect(alone).toEqual(['user,id=n0,restrict=on', 'hubport,id=n1,hubid=1']);
  });

  test('commas in paths stay part of them, white space in boot modules is refused', () => {
    expect(valueOf(qemuArgv(machine), '-drive')[0]).toContain('file=/s/a,,b/disk.qcow2,');
    expect(valueOf(qemuArgv(machine), '-pidfile')).toEqual(['/s/a,b/qemu.pid']);
    expect(() => qemuArgv({ ...machine, image: { ...machine.image, kernel: '/my cache/vmlinux' } })).toThrow(
      'white space',
    );
  });

  test('the machine that saves and the one that restores have the same devices', () => {
    const devices = (argv: readonly string[]): readonly string[] =>
      valueOf(argv, '-device').map((device) => device.replace(/,mac=.*/, ''));
    const saving = qemuArgv({ ...machine, link: { kind: 'alone' }, sshPort: undefined, restore: false });
    expect(devices(saving)).toEqual(devices(qemuArgv(machine)));
    expect(valueOf(saving, '-loadvm')).toEqual([]);
    expect(valueOf(qemuArgv(machine), '-loadvm')).toEqual(['booted']);
  });
});

describe('machineShape', () => {
  test('what is not said has a default', () => {
    expect(machineShape()).toEqual({ cpus: 8, nodes: 2, memoryMiB: 4096 });
    expect(machineShape({ nodes: undefined, cpus: 4 })).toEqual({ cpus: 4, nodes: 2, memoryMiB: 4096 });
  });

  test.each([
    [{ nodes: 0 }],
    [{ nodes: 9, cpus: 9 }],
    [{ cpus: 7 }],
    [{ cpus: 65 }],
    [{ cpus: Number.NaN }],
    [{ memoryMiB: 1024 }],
    [{ memoryMiB: 4097 }],
    [{ memoryMiB: 2048.5 }],
  ])('%j is refused', (wanted) => {
    expect(() => machineShape(wanted)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }));
  });

  test.each([
    ['4G', 4096],
    ['4GiB', 4096],
    ['4 gb', 4096],
    ['2048', 2048],
    ['2048M', 2048],
    ['', undefined],
    ['4T', undefined],
    ['-4G', undefined],
    ['4G;', undefined],
  ])('parseMemoryMiB(%j) is %s', (text, expected) => {
    expect(parseMemoryMiB(text)).toBe(expected);
  });
});

test('only a machine that counts its instructions runs on one thread, as QEMU wants it', () => {
  const of = (accelerator: QemuMachine['accelerator']): readonly (readonly string[])[] => {
    const argv = qemuArgv({ ...machine, accelerator });
    return [valueOf(argv, '-accel'), valueOf(argv, '-icount')];
  };
  expect(of('tcg')).toEqual([['tcg,thread=multi'], []]);
  expect(of('icount')).toEqual([['tcg,thread=single'], ['shift=3']]);
  expect(of('kvm')).toEqual([['kvm'], []]);
});

describe('options of Xen', () => {
  const commandLine = (dom0Mem: string): string | undefined =>
    valueOf(qemuArgv({ ...machine, xen: { dom0Mem } }), '-append')[0];

  test('dom0_mem is what was asked for, to the letter', async () => {
    expect(valueOf(qemuArgv(machine), '-append')[0]).toMatch(/^dom0_mem=1024M,max:1024M loglvl=info /);
    expect(commandLine((await xenOptions({ dom0Mem: 'min:512M,max:50%' }, 4096)).dom0Mem)).toMatch(
      /^dom0_mem=min:512M,max:50% loglvl=info com1=115200,8n1 console=com1 bootscrub=0 dom0_max_vcpus=1$/,
    );
    expect(await xenOptions(undefined, 4096)).toEqual(DEFAULT_XEN_OPTIONS);
    expect(await xenOptions({ dom0Mem: undefined }, 4096)).toEqual(DEFAULT_XEN_OPTIONS);
  });

  test.each(['', '2X', '2G max:2G', '2G,', '2G loglvl=none', '100%', '5G', '-5G', '0', 'min:2G,max:1G'])(
    '%j is refused',
    async (dom0Mem) => {
      await expect(xenOptions({ dom0Mem }, 4096)).rejects.toMatchObject({ code: 'BAD_OPTION' });
    },
  );
});

test('a saved state is for one image, shape, command line of Xen, accelerator and QEMU', () => {
  const parts = {
    image: 'i',
    shape: DEFAULT_SHAPE,
    xen: DEFAULT_XEN_OPTIONS,
    accelerator: 'tcg',
    qemu: 'QEMU 7.2',
  } as const;
  const keys = [
    parts,
    { ...parts, image: 'j' },
    { ...parts, shape: machineShape({ memoryMiB: 8192 }) },
    { ...parts, xen: { dom0Mem: '1G' } },
    { ...parts, accelerator: 'kvm' as const },
    { ...parts, qemu: 'QEMU 8.0' },
  ].map(savedStateKey);
  expect(new Set(keys).size).toBe(6);
  expect(keys[0]).toMatch(/^tcg-8c2n4096m-[0-9a-f]{12}$/);
});

describe('KVM', () => {
  const paging = '(XEN) HVM: Hardware Assisted Paging (HAP) detected\n';

  test.each([
    ['', false],
    [paging, false],
    [DOM0_INITRAMFS_MARKER, false],
    [paging + DOM0_INITRAMFS_MARKER, true],
  ])('a console that says %j: works is %s', (output, works) => {
    expect(judgeProbe(output).works).toBe(works);
  });

  test('is taken only where the probe says so, and refused where it was insisted on', async () => {
    const probe = (works: boolean) => (): Promise<{ works: boolean; reason: string }> =>
      Promise.resolve({ works, reason: 'why' });
    expect(await chooseAccelerator('auto', probe(true))).toEqual({ accelerator: 'kvm', reason: 'why' });
    expect(await chooseAccelerator('auto', probe(false))).toEqual({ accelerator: 'tcg', reason: 'why' });
    for (const wanted of ['tcg', 'icount'] as const) {
      expect((await chooseAccelerator(wanted, () => Promise.reject(new Error('asked')))).accelerator).toBe(wanted);
    }
    await expect(chooseAccelerator('kvm', probe(false))).rejects.toMatchObject({ code: 'BAD_OPTION' });
  });
});
