/** What clients give to create: whole records sent back, members that are not theirs, values that make no sense. */
import { mibBytes, ref } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import { beforeEach, describe, expect, test } from 'vitest';
import { ModelPool } from '../testing/model-pool.ts';
import { newDevice, newDisk, newInterface } from '../testing/new-objects.ts';

type Fields = Readonly<Record<string, WireValue>>;

let pool: ModelPool;
let running = '';
let halted = '';
let sr = '';
let network = '';

beforeEach(async () => {
  pool = await ModelPool.open();
  const { db } = pool;
  [sr = ''] = db.refs('SR');
  [network = ''] = db.refs('network');
  const [guest = ''] = [...db.all('VM')].find(([, { is_default_template }]) => is_default_template) ?? [];
  for (const name of ['running', 'halted']) {
    const vm = await pool.call('VM.clone', guest, name);
    await pool.call('VM.provision', vm);
    if (name === 'running') running = vm;
    else halted = vm;
  }
  await pool.call('VM.start', running, true, false);
});

const recordOf = (className: string, ref: string): Fields => pool.db.getAny(className, ref);

describe('VM.create', () => {
  test('of the record of a running VM makes another one, halted, and leaves the first as it was', async () => {
    const before = recordOf('VM', running);
    const copy = await pool.call('VM.create', await pool.call<Fields>('VM.get_record', running));
    expect(copy).not.toBe(running);
    expect(recordOf('VM', copy)).toMatchObject({ power_state: 'Halted', domid: -1, VBDs: [], current_operations: {} });
    expect(recordOf('VM', copy)['allowed_operations']).toContain('start');
    expect(await pool.call('VM.get_by_uuid', before['uuid'] ?? '')).toBe(running);
    await pool.call('VM.destroy', copy);
    expect(await pool.call('VM.get_by_uuid', before['uuid'] ?? '')).toBe(running);
    expect(recordOf('VM', running)).toEqual(before);
  });

  test('of the record of a suspended VM does not take its memory', async () => {
    await pool.call('VM.unpause', running);
    await pool.call('VM.suspend', running);
    const copy = await pool.call('VM.create', await pool.call<Fields>('VM.get_record', running));
    expect(recordOf('VM', copy)).toMatchObject({ power_state: 'Halted', suspend_VDI: 'OpaqueRef:NULL' });
  });

  test('ignores what only the server says', async () => {
    const given = {
      ...recordOf('VM', halted),
      current_operations: { x: 'start' },
      is_control_domain: true,
      is_default_template: true,
      domid: 3,
    };
    const vm = await pool.call('VM.create', given);
    expect(recordOf('VM', vm)).toMatchObject({
      current_operations: {},
      is_control_domain: false,
      is_default_template: false,
      domid: -1,
    });
    await pool.call('VM.start', vm, true, false);
  });

  test.each<[Fields, string]>([
    [{ affinity: 'OpaqueRef:x' }, 'HANDLE_INVALID host OpaqueRef:x'],
    [{ suspend_SR: 'OpaqueRef:x' }, 'HANDLE_INVALID SR OpaqueRef:x'],
    [{ memory_static_max: -1 }, 'MEMORY_CONSTRAINT_VIOLATION static_min <= dynamic_min <= dynamic_max <= static_max'],
    [
      { memory_static_min: 1024 * 1024 * mibBytes },
      'MEMORY_CONSTRAINT_VIOLATION static_min <= dynamic_min <= dynamic_max <= static_max',
    ],
    [{ VCPUs_max: 1e9 }, 'INVALID_VALUE VCPUs_max 1000000000, with 1 at startup'],
    [{ VCPUs_at_startup: 0 }, 'INVALID_VALUE VCPUs_max 1, with 0 at startup'],
  ])('with %j is refused', async (changes, refusal) => {
    const vms = pool.db.count('VM');
    const record = { ...recordOf('VM', halted), VCPUs_max: 1, VCPUs_at_startup: 1 };
    expect(await pool.refusal('VM.create', { ...record, ...changes })).toBe(refusal);
    expect(pool.db.count('VM')).toBe(vms);
  });
});

describe.each<[string, () => Fields]>([
  ['VM', () => recordOf('VM', halted)],
  ['VDI', () => newDisk(sr, mibBytes)],
  ['VBD', () => newDevice(halted, 'OpaqueRef:NULL', '3', { type: 'CD', mode: 'RO', empty: true })],
  ['VIF', () => newInterface(halted, network, '0')],
  ['network', () => ({ other_config: {} })],
])('%s.create', (className, good) => {
  test('gives an object a uuid of its own', async () => {
    const given = '../../../../etc/cron.d/x';
    const ref = await pool.call(`${className}.create`, { ...good(), uuid: given });
    expect(recordOf(className, ref)['uuid']).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  });

  test('needs every member that the data model requires', async () => {
    const { other_config: _, ...rest } = good();
    expect(await pool.refusal(`${className}.create`, rest)).toBe('FIELD_TYPE_ERROR other_config');
  });
});

test('VDI.create ignores what only the server says, and makes its file beside the others', async () => {
  const given = {
    uuid: '../../x',
    location: '../../x',
    is_a_snapshot: true,
    missing: true,
    storage_lock: true,
    snapshot_of: 'OpaqueRef:x',
    parent: 'OpaqueRef:x',
    current_operations: { x: 'destroy' },
  };
  const vdi = await pool.call('VDI.create', newDisk(sr, mibBytes, given));
  const { uuid } = pool.db.get('VDI', ref<'VDI'>(vdi));
  expect(recordOf('VDI', vdi)).toMatchObject({
    location: `${uuid}.raw`,
    is_a_snapshot: false,
    missing: false,
    storage_lock: false,
    snapshot_of: 'OpaqueRef:NULL',
    parent: 'OpaqueRef:NULL',
    current_operations: {},
  });
  await pool.call('VDI.destroy', vdi);
});

test('no interface and no network has a packet size that Linux does not take', async () => {
  const other = await pool.call('network.create', { other_config: {}, MTU: 9000 });
  for (const MTU of [-5, 0, 67, 65_518]) {
    const refusal = `INVALID_VALUE MTU ${MTU}`;
    expect(await pool.refusal('network.create', { other_config: {}, MTU })).toBe(refusal);
    expect(await pool.refusal('network.set_MTU', other, MTU)).toBe(refusal);
    if (MTU !== 0) expect(await pool.refusal('VIF.create', newInterface(halted, network, '0', { MTU }))).toBe(refusal);
  }
  expect(await pool.refusal('network.set_MTU', 'OpaqueRef:x', 1500)).toBe('HANDLE_INVALID network OpaqueRef:x');
  await pool.call('network.set_MTU', other, 1500);
  const vif = await pool.call('VIF.create', newInterface(halted, other, '0'));
  expect([recordOf('network', other)['MTU'], recordOf('VIF', vif)['MTU']]).toEqual([1500, 1500]);
});
