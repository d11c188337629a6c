/** What VMs and their devices accept, as clients see it: over a modelled host. */
import { mibBytes, ref } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import { beforeEach, describe, expect, test } from 'vitest';
import { ModelPool } from '../testing/model-pool.ts';
import { newDevice, newDisk } from '../testing/new-objects.ts';

type Fields = Readonly<Record<string, WireValue>>;

let pool: ModelPool;
let guest = '';
let controlDomain = '';
let sr = '';
let vm = '';
let disk = '';
let vbd = '';

beforeEach(async () => {
  pool = await ModelPool.open();
  const { db } = pool;
  [sr = ''] = db.refs('SR');
  [guest = ''] = [...db.all('VM')].find(([, { is_default_template }]) => is_default_template) ?? [];
  [controlDomain = ''] = [...db.all('VM')].find(([, { is_control_domain }]) => is_control_domain) ?? [];
  vm = await pool.call('VM.clone', guest, 'vm');
  await pool.call('VM.provision', vm);
  disk = await pool.call('VDI.create', newDisk(sr, mibBytes));
  vbd = await pool.call('VBD.create', newDevice(vm, disk, '0'));
});

const recordOf = (className: string, ref: string): Fields => pool.db.getAny(className, ref);

describe('templates', () => {
  test('are not made of what runs', async () => {
    await pool.call('VM.start', vm, false, false);
    const refusal = `VM_BAD_POWER_STATE ${vm} halted running`;
    for (const method of ['VM.set_is_a_template', 'VM.set_is_default_template']) {
      expect(await pool.refusal(method, vm, true)).toBe(refusal);
      expect(await pool.refusal(method, controlDomain, true)).toMatch(/VM_BAD_POWER_STATE/);
    }
    expect(recordOf('VM', vm)).toMatchObject({ is_a_template: false, is_default_template: false });
    await pool.call('VM.hard_shutdown', vm);
    await pool.call('VM.set_is_default_template', vm, true);
    await pool.call('VM.set_is_default_template', vm, true);
    expect(recordOf('VM', vm)).toMatchObject({ is_a_template: true, is_default_template: true });
  });

  test('what a VM says that it accepts is what its calls accept', async () => {
    const template = await pool.call('VM.clone', guest, 'template');
    const calls: Readonly<Record<string, (self: string) => Promise<string>>> = {
      provision: (self) => pool.refusal('VM.provision', self),
      make_into_template: (self) => pool.refusal('VM.set_is_a_template', self, true),
      get_boot_record: (self) => pool.refusal('VM.get_boot_record', self),
    };
    await pool.call('VM.start', vm, true, false);
    for (const self of [guest, template, vm]) {
      for (const [operation, act] of Object.entries(calls)) {
        const listed = (recordOf('VM', self)['allowed_operations'] as readonly string[]).includes(operation);
        const said = await pool.refusal('VM.assert_operation_valid', self, operation);
        expect([operation, said === 'no refusal']).toEqual([operation, listed]);
        expect([operation, await act(self)]).toEqual([operation, said]);
      }
    }
    await pool.call('VM.hard_shutdown', vm);
    expect(await pool.refusal('VM.get_boot_record', vm)).toMatch(/^VM_BAD_POWER_STATE/);
    expect(await pool.refusal('VM.provision', vm)).toBe('PROVISION_ONLY_ALLOWED_ON_TEMPLATE');
  });
});

test('a default template says what a VM of it may be given, and a VM which template it is of', async () => {
  const template = recordOf('VM', guest);
  expect(template).toMatchObject({
    reference_label: 'Xenolith guest (PV)',
    other_config: { default_template: 'true', linux_template: 'true', 'install-methods': '' },
  });
  const limits = [...(template['recommendations'] as string).matchAll(/<restriction ([^>]*)\/>/g)].map(
    ([, text]) => text,
  );
  expect(limits).toEqual([
    'field="memory-static-max" max="1649267441664"',
    'field="vcpus-max" max="512"',
    'field="has-vendor-device" value="false"',
    'max="26" property="number-of-vbds"',
    'max="16" property="number-of-vifs"',
  ]);
  const { mac_seed, ...config } = recordOf('VM', vm)['other_config'] as Readonly<Record<string, string>>;
  expect(config).toEqual({
    linux_template: 'true',
    'install-methods': '',
    base_template_name: 'Xenolith guest (PV)',
  });
  expect(mac_seed).toMatch(/^[0-9a-f-]{36}$/);
  expect(recordOf('VM', vm)['reference_label']).toBe('Xenolith guest (PV)');
});

describe('the kind of virtualisation', () => {
  const kind = (): readonly WireValue[] => [
    recordOf('VM', vm)['domain_type'] ?? '',
    recordOf('VM', vm)['HVM_boot_policy'] ?? '',
  ];

  test('and the boot policy are kept in step', async () => {
    await pool.call('VM.set_domain_type', vm, 'hvm');
    expect(kind()).toEqual(['hvm', 'BIOS order']);
    await pool.call('VM.set_HVM_boot_policy', vm, '');
    expect(kind()).toEqual(['pv', '']);
    await pool.call('VM.set_HVM_boot_policy', vm, 'BIOS order');
    expect(kind()).toEqual(['hvm', 'BIOS order']);
    await pool.call('VM.set_domain_type', vm, 'pvh');
    await pool.call('VM.set_HVM_boot_policy', vm, '');
    expect(kind()).toEqual(['pvh', '']);
  });

  test('follows from the boot policy when a VM is made without it', async () => {
    const { domain_type: _, ...record } = recordOf('VM', vm);
    for (const [HVM_boot_policy, domain_type] of [
      ['', 'pv'],
      ['BIOS order', 'hvm'],
    ] as const) {
      const made = await pool.call('VM.create', { ...record, HVM_boot_policy });
      expect(recordOf('VM', made)).toMatchObject({ HVM_boot_policy, domain_type });
    }
  });

  test('does not change under a VM that runs', async () => {
    await pool.call('VM.start', vm, true, false);
    const refusal = `VM_BAD_POWER_STATE ${vm} halted paused`;
    expect(await pool.refusal('VM.set_domain_type', vm, 'hvm')).toBe(refusal);
    expect(await pool.refusal('VM.set_HVM_boot_policy', vm, 'BIOS order')).toBe(refusal);
  });
});

describe('a disk of a VM', () => {
  test('is given a place that is one, and is free', async () => {
    const other = await pool.call('VDI.create', newDisk(sr, mibBytes));
    await pool.call('VBD.create', newDevice(vm, other, '1'));
    for (const [place, refusal] of [
      ['str', 'INVALID_DEVICE str'],
      ['26', 'INVALID_DEVICE 26'],
      ['00', 'INVALID_DEVICE 00'],
      ['1', 'DEVICE_ALREADY_EXISTS 1'],
      ['xvdb', 'DEVICE_ALREADY_EXISTS xvdb'],
    ] as const) {
      expect(await pool.refusal('VBD.set_userdevice', vbd, place)).toBe(refusal);
    }
    for (const [asked, place] of [
      ['0', '0'],
      ['xvda', 'xvda'],
      ['3', '3'],
      ['autodetect', '0'],
    ] as const) {
      await pool.call('VBD.set_userdevice', vbd, asked);
      expect(recordOf('VBD', vbd)['userdevice']).toBe(place);
    }
  });

  test('stays where and what it is while the VM has it', async () => {
    await pool.call('VM.start', vm, true, false);
    expect(await pool.refusal('VBD.set_userdevice', vbd, '5')).toBe(`DEVICE_ALREADY_ATTACHED ${vbd}`);
    expect(await pool.refusal('VBD.set_type', vbd, 'CD')).toBe(`DEVICE_ALREADY_ATTACHED ${vbd}`);
  });

  test('becomes a CD only when it is not written to', async () => {
    expect(await pool.refusal('VBD.set_type', vbd, 'CD')).toBe('VBD_CDS_MUST_BE_READONLY');
    await pool.call('VBD.set_mode', vbd, 'RO');
    await pool.call('VBD.set_type', vbd, 'CD');
    expect(recordOf('VBD', vbd)).toMatchObject({ type: 'CD', mode: 'RO' });
    const drive = newDevice(vm, 'OpaqueRef:NULL', '3', { type: 'CD', mode: 'RO', empty: true });
    const empty = await pool.call('VBD.create', drive);
    expect(await pool.refusal('VBD.set_type', empty, 'Disk')).toMatch(/^INVALID_VALUE empty/);
  });

  test('that was made read-only meanwhile is not written to', async () => {
    await pool.call('VDI.set_read_only', disk, true);
    expect(await pool.refusal('VM.start', vm, false, false)).toBe(`VDI_READONLY ${disk}`);
    await pool.call('VBD.set_mode', vbd, 'RO');
    await pool.call('VM.start', vm, false, false);
  });
});

test('a reset of a VM that has a domain does not outlast the next look at its host, which follows', async () => {
  await pool.call('VM.start', vm, true, false);
  await pool.settle();
  const before = recordOf('VM', vm);
  await pool.call('VM.power_state_reset', vm);
  await pool.settle();
  for (const field of ['power_state', 'domid', 'resident_on']) expect(recordOf('VM', vm)[field]).toBe(before[field]);
  await pool.call('VM.hard_shutdown', vm);

  await pool.call('VM.start', vm, false, false);
  pool.machine().setReachable(false);
  await pool.settle();
  await pool.call('VM.power_state_reset', vm);
  await pool.settle();
  expect(recordOf('VM', vm)['power_state']).toBe('Halted');
});

describe('setters that are calls of their own and do no more than write', () => {
  test.each<[string, () => string, WireValue, string, WireValue]>([
    ['VM.set_NVRAM', () => vm, { a: 'b' }, 'NVRAM', { a: 'b' }],
    ['VM.set_ha_always_run', () => vm, true, 'ha_always_run', true],
    ['VM.set_ha_restart_priority', () => vm, 'restart', 'ha_restart_priority', 'restart'],
    ['VDI.set_is_a_snapshot', () => disk, true, 'is_a_snapshot', true],
    ['VDI.set_snapshot_time', () => disk, '2026-01-02T03:04:05Z', 'snapshot_time', '20260102T03:04:05Z'],
    ['VDI.set_metadata_of_pool', () => disk, 'OpaqueRef:NULL', 'metadata_of_pool', 'OpaqueRef:NULL'],
  ])('%s', async (method, self, value, field, written) => {
    await pool.call(method, self(), value);
    expect(recordOf(method.split('.')[0] ?? '', self())[field]).toEqual(written);
    expect(await pool.refusal(method, 'OpaqueRef:x', value)).toMatch(/^HANDLE_INVALID/);
  });

  test('check what they are given', async () => {
    await pool.call('VM.add_to_NVRAM', vm, 'a', 'b');
    expect(await pool.refusal('VM.add_to_NVRAM', vm, 'a', 'c')).toBe(`MAP_DUPLICATE_KEY VM NVRAM ${vm} a`);
    await pool.call('VM.remove_from_NVRAM', vm, 'a');
    expect(recordOf('VM', vm)['NVRAM']).toEqual({});
    expect(await pool.refusal('VM.set_ha_restart_priority', vm, 'x')).toBe('INVALID_VALUE ha_restart_priority x');
    expect(await pool.refusal('VDI.set_snapshot_of', disk, 'OpaqueRef:x')).toBe('HANDLE_INVALID VDI OpaqueRef:x');
    const other = await pool.call('VDI.create', newDisk(sr, mibBytes));
    await pool.call('VDI.set_snapshot_of', disk, other);
    expect(recordOf('VDI', other)['snapshots']).toEqual([disk]);
  });
});

test('a reset is accepted by what runs on a host, whatever else is under way, and by nothing else', async () => {
  expect(await pool.refusal('VM.power_state_reset', controlDomain)).toMatch(/^OPERATION_NOT_ALLOWED/);
  expect(await pool.refusal('VM.power_state_reset', guest)).toMatch(/^VM_IS_TEMPLATE/);
  pool.db.update('VM', ref<'VM'>(vm), { current_operations: { x: 'start' } });
  await pool.call('VM.power_state_reset', vm);
  expect(recordOf('VM', vm)).toMatchObject({ current_operations: {}, power_state: 'Halted' });
});

test('consoles are where the server listens, whenever the VM was started', async () => {
  await pool.call('VM.start', vm, false, false);
  const [console = ''] = recordOf('VM', vm)['consoles'] as readonly string[];
  for (const address of ['xen.example:8443', '[::1]:443']) {
    pool.xapi.listensAt(address);
    const { uuid, location } = pool.db.get('console', ref<'console'>(console));
    expect(location).toBe(`https://${address}/console?uuid=${uuid}`);
  }
});
