import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { XlDisk, XlDomainConfig, XlVif } from './config.ts';
import { formatXlConfig, formatXlDisk, formatXlVif } from './format-config.ts';
import { XlConfigError } from './xl-config-error.ts';

const smallest: XlDomainConfig = {
  type: 'pv',
  name: 'web',
  uuid: '930c6acf-e7a8-4cb5-a9af-617328058e48',
  kernel: '/boot/vmlinuz',
  memoryMib: 128,
  vcpus: 1,
};
const disk: XlDisk = { path: '/srv/d1.img', vdev: 'xvda', format: 'raw' };
const vif: XlVif = { mac: '00:16:3e:00:00:11', bridge: 'xenbr0' };

function errorOf(run: () => unknown): XlConfigError {
  try {
    run();
  } catch (error) {
    if (error instanceof XlConfigError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** Reads a string as libxlu does: xlu__cfgl_dequote knows more escapes, but the writer must not need them. */
function dequote(quoted: string): string {
  expect(quoted).toMatch(/^"(?:[^"\\\n]|\\["\\])*"$/);
  return quoted.slice(1, -1).replaceAll(/\\(.)/g, '$1');
}

describe('formatXlConfig', () => {
  test('the least that a domain needs', () => {
    expect(formatXlConfig(smallest)).toBe(
      [
        'type = "pv"',
        'name = "web"',
        'uuid = "930c6acf-e7a8-4cb5-a9af-617328058e48"',
        'kernel = "/boot/vmlinuz"',
        'memory = 128',
        'vcpus = 1',
        '',
      ].join('\n'),
    );
  });

  test('everything', () => {
    const config: XlDomainConfig = {
      ...smallest,
      type: 'pvh',
      ramdisk: '/boot/initrd',
      cmdline: 'console=hvc0 init="a b"',
      bootloader: 'pygrub',
      bootloaderArgs: ['--kernel', '/vmlinuz'],
      maxmemMib: 256,
      maxvcpus: 4,
      cpus: ['0-3', '4,^5'],
      cpusSoft: 'node:1',
      pool: 'Pool-node1',
      cpuWeight: 512,
      cap: 0,
      disks: [disk, { vdev: 'xvdd', format: 'raw', cdrom: true }],
      vifs: [vif],
      onPoweroff: 'destroy',
      onReboot: 'restart',
      onCrash: 'preserve',
      onWatchdog: 'soft-reset',
    };
    expect(formatXlConfig(config).split('\n')).toEqual([
      'type = "pvh"',
      'name = "web"',
      'uuid = "930c6acf-e7a8-4cb5-a9af-617328058e48"',
      'kernel = "/boot/vmlinuz"',
      'ramdisk = "/boot/initrd"',
      'extra = "console=hvc0 init=\\"a b\\""',
      'bootloader = "pygrub"',
      'bootloader_args = ["--kernel", "/vmlinuz"]',
      'memory = 128',
      'maxmem = 256',
      'vcpus = 1',
      'maxvcpus = 4',
      'cpus = ["0-3", "4,^5"]',
      'cpus_soft = "node:1"',
      'pool = "Pool-node1"',
      'cpu_weight = 512',
      'cap = 0',
      'disk = ["format=raw,vdev=xvda,access=rw,target=/srv/d1.img", "format=empty,vdev=xvdd,access=ro,devtype=cdrom"]',
      'vif = ["mac=00:16:3e:00:00:11,bridge=xenbr0"]',
      'on_poweroff = "destroy"',
      'on_reboot = "restart"',
      'on_crash = "preserve"',
      'on_watchdog = "soft-reset"',
      '',
    ]);
  });

  test('no devices is an empty list', () => {
    expect(formatXlConfig({ ...smallest, disks: [], vifs: [] })).toContain('disk = []\nvif = []\n');
  });

  test.each<[Partial<XlDomainConfig>, string]>([
    [{ uuid: 'x' }, 'uuid'],
    [{ name: '' }, 'name'],
    [{ name: '12' }, 'name'],
    [{ name: 'a/b' }, 'name'],
    [{ name: 'a\nmemory = 9999' }, 'name'],
    [{ kernel: '' }, 'kernel'],
    [{ kernel: undefined }, 'kernel'],
    [{ kernel: '/a\0b' }, 'kernel'],
    [{ cmdline: 'a\rb' }, 'cmdline'],
    [{ cmdline: 'x'.repeat(4097) }, 'cmdline'],
    [{ cmdline: '\ud800' }, 'cmdline'],
    [{ memoryMib: 0 }, 'memoryMib'],
    [{ memoryMib: 1.5 }, 'memoryMib'],
    [{ memoryMib: NaN }, 'memoryMib'],
    [{ maxmemMib: 127 }, 'maxmemMib'],
    [{ vcpus: 0 }, 'vcpus'],
    [{ vcpus: 2, maxvcpus: 1 }, 'maxvcpus'],
    [{ cpus: '' }, 'cpus'],
    [{ cpus: ['0', '1"'] }, 'cpus'],
    [{ cpusSoft: '0 ; 1' }, 'cpusSoft'],
    [{ cpuWeight: 0 }, 'cpuWeight'],
    [{ cap: -1 }, 'cap'],
    [{ pool: 'a\u007f' }, 'pool'],
    [{ bootloaderArgs: ['a', 'b\n'] }, 'bootloaderArgs[1]'],
    [{ disks: [disk, disk] }, 'disks'],
    [{ disks: [{ ...disk, path: '/a\n' }] }, 'disks[0]'],
  ])('%j is refused', (part, field) => {
    expect(errorOf(() => formatXlConfig({ ...smallest, ...part })).field).toBe(field);
  });

  test('any text comes back, or is refused', () => {
    const text = fc.string({
      unit: fc.oneof(
        fc.constantFrom(...Array.from('"\'\\#;=[],\n\0n0x')),
        fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
      ),
    });
    fc.assert(
      fc.property(text, text, (cmdline, kernel) => {
        let written: string;
        try {
          written = formatXlConfig({ ...smallest, cmdline, kernel });
        } catch (error) {
          if (!(error instanceof XlConfigError)) throw error;
          return;
        }
        const lines = written.split('\n');
        expect(lines).toHaveLength(8);
        expect(dequote((lines[3] ?? '').slice('kernel = '.length))).toBe(kernel);
        expect(dequote((lines[4] ?? '').slice('extra = '.length))).toBe(cmdline);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('formatXlDisk', () => {
  test.each<[Partial<XlDisk>, string]>([
    [{}, 'format=raw,vdev=xvda,access=rw,target=/srv/d1.img'],
    [{ readonly: true, format: 'vhd' }, 'format=vhd,vdev=xvda,access=ro,target=/srv/d1.img'],
    [
      { backendtype: 'qdisk', format: 'qcow2' },
      'format=qcow2,vdev=xvda,access=rw,backendtype=qdisk,target=/srv/d1.img',
    ],
    [{ script: 'block-nbd', path: 'host:10809' }, 'format=raw,vdev=xvda,access=rw,script=block-nbd,target=host:10809'],
    [{ discard: true }, 'format=raw,vdev=xvda,access=rw,discard,target=/srv/d1.img'],
    [{ discard: false }, 'format=raw,vdev=xvda,access=rw,no-discard,target=/srv/d1.img'],
    [{ path: '/srv/a,vdev=b, target=c' }, 'format=raw,vdev=xvda,access=rw,target=/srv/a,vdev=b, target=c'],
    [{ path: undefined, cdrom: true, vdev: 'hdc' }, 'format=empty,vdev=hdc,access=ro,devtype=cdrom'],
  ])('%j', (part, spec) => {
    expect(formatXlDisk({ ...disk, ...part }, 0)).toBe(spec);
  });

  test.each<[Partial<XlDisk>, string]>([
    [{ vdev: 'xvda,access=rw' }, 'disks[3].vdev'],
    [{ vdev: '' }, 'disks[3].vdev'],
    [{ path: undefined }, 'disks[3].path'],
    [{ path: 'relative' }, 'disks[3].path'],
    [{ path: '/a,' }, 'disks[3].path'],
    [{ script: 'a,b' }, 'disks[3].script'],
    [{ script: 'a;b' }, 'disks[3].script'],
  ])('%j is refused', (part, field) => {
    expect(errorOf(() => formatXlDisk({ ...disk, ...part }, 3)).field).toBe(field);
  });
});

describe('formatXlVif', () => {
  test('everything', () => {
    const all: XlVif = {
      ...vif,
      script: '/etc/xen/scripts/vif-route',
      vifname: 'vif-web.0',
      ip: '10.0.0.1 fe80::1',
      rate: '10Mb/s@20ms',
    };
    expect(formatXlVif(all, 0)).toBe(
      'mac=00:16:3e:00:00:11,bridge=xenbr0,script=/etc/xen/scripts/vif-route,vifname=vif-web.0,ip=10.0.0.1 fe80::1,rate=10Mb/s@20ms',
    );
  });

  test.each<[Partial<XlVif>, string]>([
    [{ mac: 'x' }, 'vifs[1].mac'],
    [{ bridge: 'a,script=b' }, 'vifs[1].bridge'],
    [{ bridge: 'longer-than-15-xx' }, 'vifs[1].bridge'],
    [{ script: 'a b' }, 'vifs[1].script'],
    [{ vifname: '' }, 'vifs[1].vifname'],
    [{ ip: '10.0.0.1,model=e1000' }, 'vifs[1].ip'],
    [{ rate: 'fast' }, 'vifs[1].rate'],
  ])('%j is refused', (part, field) => {
    expect(errorOf(() => formatXlVif({ ...vif, ...part }, 1)).field).toBe(field);
  });
});
