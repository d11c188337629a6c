import { beforeEach, describe, expect, test } from 'vitest';
import type { Ref } from '@xenolith/base';
import type { RecordOf } from '../datamodel/types.ts';
import { OpenPool } from '../testing/open-pool.ts';
import type { Xapi } from '../xapi.ts';
import { diskName, domainConfig, domainTypeOf } from './domain-config.ts';

let xapi: Xapi;
let host: Ref<'host'>;
let vm: Ref<'VM'>;
const mib = 2 ** 20;

beforeEach(async () => {
  ({ xapi } = await OpenPool.start());
  const { db } = xapi;
  host = db.create('host', {});
  vm = db.create('VM', {
    name_label: 'web',
    domain_type: 'pvh',
    PV_kernel: '/boot/vmlinuz',
    PV_ramdisk: '/boot/initrd',
    PV_args: 'console=hvc0',
    VCPUs_max: 4,
    VCPUs_at_startup: 2,
    memory_static_max: 256 * mib,
    memory_dynamic_max: 128 * mib,
    actions_after_shutdown: 'destroy',
    actions_after_reboot: 'restart',
    actions_after_crash: 'coredump_and_restart',
  });
});

const config = (changes: Partial<RecordOf<'VM'>> = {}): ReturnType<typeof domainConfig> => {
  xapi.db.update('VM', vm, changes);
  return domainConfig(xapi, vm, host);
};
const refused = (changes: Partial<RecordOf<'VM'>>): unknown => {
  try {
    return config(changes);
  } catch (error) {
    return (error as { readonly code?: string }).code;
  }
};

test('a plain VM, field by field', () => {
  expect(config()).toEqual({
    uuid: xapi.db.get('VM', vm).uuid,
    nameLabel: 'web',
    type: 'pvh',
    kernel: '/boot/vmlinuz',
    ramdisk: '/boot/initrd',
    cmdline: 'console=hvc0',
    vcpusMax: 4,
    vcpusAtStartup: 2,
    memoryMaxBytes: 256 * mib,
    memoryTargetBytes: 128 * mib,
    disks: [],
    vifs: [],
    onPoweroff: 'destroy',
    onReboot: 'restart',
    onCrash: 'restart',
  });
});

test.each<[Partial<RecordOf<'VM'>>, object]>([
  [{ PV_kernel: '', PV_bootloader: 'pygrub' }, { bootloader: 'pygrub' }],
  [{ PV_bootloader: 'pygrub' }, { kernel: '/boot/vmlinuz' }],
  [{ VCPUs_params: { weight: '512', cap: '50', mask: '0-1,^1' } }, { weight: 512, cap: 50, cpus: [0] }],
  [{ VCPUs_params: { mask: '5,0-2,^1' } }, { cpus: [0, 2, 5] }],
])('%j gives %j', (changes, expected) => {
  const made = config(changes);
  expect(made).toMatchObject(expected);
  expect('kernel' in made).toBe(!('bootloader' in made));
});

test('a mask that only takes away leaves all others, and one of all says nothing', () => {
  const { cpus = [] } = config({ VCPUs_params: { mask: '^1' } });
  expect([cpus.slice(0, 3), cpus.length]).toEqual([[0, 2, 3], 4095]);
  expect(config({ VCPUs_params: { weight: '', mask: 'all' } })).not.toHaveProperty('cpus');
});

test.each([
  [{ PV_kernel: '' }, 'BOOTLOADER_FAILED'],
  [{ domain_type: 'hvm' }, 'VALUE_NOT_SUPPORTED'],
  [{ domain_type: 'pv_in_pvh' }, 'VALUE_NOT_SUPPORTED'],
  [{ VCPUs_params: { weight: '0' } }, 'INVALID_VALUE'],
  [{ VCPUs_params: { weight: '65536' } }, 'INVALID_VALUE'],
  [{ VCPUs_params: { weight: '1.5' } }, 'INVALID_VALUE'],
  [{ VCPUs_params: { cap: '-1' } }, 'INVALID_VALUE'],
  [{ VCPUs_params: { mask: '0; reboot' } }, 'INVALID_VALUE'],
  [{ VCPUs_params: { mask: '' } }, 'INVALID_VALUE'],
] as const)('%j is refused with %s', (changes, code) => {
  expect(refused(changes)).toBe(code);
});

test.each([
  ['pv', '', 'pv'],
  ['pvh', '', 'pvh'],
  ['unspecified', '', 'pv'],
  ['unspecified', 'BIOS order', undefined],
  ['hvm', '', undefined],
] as const)('domain_type %s with boot policy %j is %s', (domain_type, HVM_boot_policy, expected) => {
  const record = { ...xapi.db.get('VM', vm), domain_type, HVM_boot_policy };
  if (expected === undefined) expect(() => domainTypeOf(record)).toThrow('VALUE_NOT_SUPPORTED');
  else expect(domainTypeOf(record)).toBe(expected);
});

test.each([
  ['0', 'xvda'],
  ['25', 'xvdz'],
  ['hda', 'xvda'],
  ['sdb', 'xvdb'],
  ['xvdc', 'xvdc'],
])('userdevice %s is %s', (userdevice, name) => {
  expect(diskName(userdevice)).toBe(name);
});

test.each(['26', '100', '-1', '', 'autodetect', 'xvdaa', 'xvd;', '0x1', ' 0'])(
  'userdevice %j is none',
  (userdevice) => {
    expect(() => diskName(userdevice)).toThrow('INVALID_DEVICE');
  },
);

describe('devices', () => {
  test('disks in the order of their names, CDs and read-only ones as such, empty drives left out', () => {
    const { db } = xapi;
    const SR = db.create('SR', { type: 'file' });
    db.create('PBD', { host, SR, device_config: { location: '/srv' }, currently_attached: true });
    const disk = (userdevice: string, fields: Partial<RecordOf<'VBD'>>): void => {
      const VDI = db.create('VDI', { SR, location: `${userdevice}.raw` });
      db.create('VBD', { VM: vm, VDI, userdevice, mode: 'RW', type: 'Disk', empty: false, ...fields });
    };
    disk('1', { mode: 'RO' });
    disk('3', { type: 'CD', mode: 'RO' });
    disk('0', {});
    disk('2', { empty: true });
    expect(config().disks).toEqual([
      { device: 'xvda', path: '/srv/0.raw', format: 'raw', readOnly: false },
      { device: 'xvdb', path: '/srv/1.raw', format: 'raw', readOnly: true },
      { device: 'xvdd', path: '/srv/3.raw', format: 'raw', readOnly: true, cdrom: true },
    ]);
  });

  test('a disk of a repository that the host does not reach is refused', () => {
    const { db } = xapi;
    const VDI = db.create('VDI', { SR: db.create('SR', { type: 'file' }), location: 'a.raw' });
    db.create('VBD', { VM: vm, VDI, userdevice: '0', mode: 'RW', type: 'Disk', empty: false });
    expect(refused({})).toBe('SR_NOT_ATTACHED');
  });

  test('interfaces by number', () => {
    const { db } = xapi;
    const network = db.create('network', { bridge: 'xenbr0' });
    for (const device of ['10', '2', '0'])
      db.create('VIF', { VM: vm, network, device, MAC: `02:00:00:00:00:${device}`, MTU: 1500 });
    expect(config().vifs.map(({ index, bridge, mtu }) => [index, bridge, mtu])).toEqual([
      [0, 'xenbr0', 1500],
      [2, 'xenbr0', 1500],
      [10, 'xenbr0', 1500],
    ]);
  });
});
