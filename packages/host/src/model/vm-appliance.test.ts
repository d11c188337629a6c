/** VMs that start and stop together, over a modelled host: in order, with delays, by the clock of the pool. */
import { mibBytes, type Ref } from '@xenolith/base';
import { HostError } from '@xenolith/xapi';
import { beforeEach, describe, expect, test } from 'vitest';
import { ModelPool } from '../testing/model-pool.ts';

type Vm = Ref<'VM'>;

let pool: ModelPool;
let appliance: Ref<'VM_appliance'>;
let vms: readonly Vm[];

/** Three VMs: the first two have one turn, the third the next one. */
beforeEach(async () => {
  pool = await ModelPool.open();
  appliance = await pool.call('VM_appliance.create', { name_label: 'shop', name_description: 'all of it' });
  vms = [await pool.newVm('database'), await pool.newVm('cache'), await pool.newVm('web')];
  for (const [index, vm] of vms.entries()) {
    await pool.call('VM.set_memory_limits', vm, 64 * mibBytes, 256 * mibBytes, 256 * mibBytes, 256 * mibBytes);
    await pool.call('VM.set_appliance', vm, appliance);
    await pool.call('VM.set_order', vm, index === 2 ? 1 : 0);
  }
});

const record = () => pool.db.get('VM_appliance', appliance);
const states = (): readonly string[] => vms.map((vm) => pool.vm(vm).power_state);
const vm = (index: number): Vm => vms[index] ?? ('' as Vm);

/** When each VM became so, in seconds from the beginning; at once counts as 0. */
async function timesOf(state: string, method: string, ...args: readonly boolean[]): Promise<readonly number[]> {
  const begun = pool.clock.now();
  const times = new Map<Vm, number>();
  const listening = pool.db.changed.listen(() => {
    for (const each of vms)
      if (pool.db.find('VM', each)?.power_state === state && !times.has(each)) times.set(each, pool.clock.now());
  });
  await pool.call(method, appliance, ...args);
  listening.dispose();
  return vms.map((each) => Math.floor(((times.get(each) ?? Number.NaN) - begun) / 1000));
}

describe('the order', () => {
  test('of a start: turn by turn, with the longest delay of a turn before the next', async () => {
    await pool.call('VM.set_start_delay', vm(0), 20);
    await pool.call('VM.set_start_delay', vm(1), 30);
    await pool.call('VM.set_start_delay', vm(2), 500);
    expect(await timesOf('Running', 'VM_appliance.start', false)).toEqual([0, 0, 30]);
    expect(pool.clock.now() - Date.UTC(2026, 0, 1)).toBeLessThan(100_000);
  });

  test.each([
    ['VM_appliance.hard_shutdown', 10],
    ['VM_appliance.shutdown', 10],
    ['VM_appliance.clean_shutdown', 10],
  ])('of %s: the other way round', async (method, delay) => {
    await pool.call('VM.set_shutdown_delay', vm(2), delay);
    await pool.call('VM_appliance.start', appliance, false);
    await pool.clock.advanceAsync(10_000);
    const [database = 0, cache = 0, web = 0] = await timesOf('Halted', method);
    expect([database - web >= delay, cache - web >= delay]).toEqual([true, true]);
    expect(states()).toEqual(['Halted', 'Halted', 'Halted']);
    expect(pool.disagreements()).toEqual([]);
  });

  test('a start may leave all of them paused', async () => {
    await pool.call('VM_appliance.start', appliance, true);
    expect(states()).toEqual(['Paused', 'Paused', 'Paused']);
  });
});

describe('what it accepts', () => {
  const start = ['start'];
  const stop = ['clean_shutdown', 'hard_shutdown', 'shutdown'];

  test('follows its VMs', async () => {
    expect(record().allowed_operations).toEqual(start);
    await pool.call('VM.start', vm(0), false, false);
    expect(record().allowed_operations).toEqual([...start, ...stop]);
    for (const index of [1, 2]) await pool.call('VM.start', vm(index), false, false);
    expect(record().allowed_operations).toEqual(stop);
    expect(await pool.refusal('VM_appliance.start', appliance, false)).toBe(
      'OPERATION_NOT_ALLOWED no VM of the appliance is halted',
    );
    await pool.reopen();
    expect(record().allowed_operations).toEqual(stop);
    await pool.call('VM_appliance.hard_shutdown', appliance);
    expect(await pool.refusal('VM_appliance.shutdown', appliance)).toBe(
      'OPERATION_NOT_ALLOWED no VM of the appliance is running, paused or suspended',
    );
    for (const each of vms) await pool.call('VM.destroy', each);
    expect(record()).toMatchObject({ VMs: [], allowed_operations: [] });
    expect(await pool.refusal('VM_appliance.start', appliance, false)).toBe(
      'OPERATION_NOT_ALLOWED the appliance has no VMs',
    );
  });

  test('is one thing at a time, and each VM has a task of its own under it', async () => {
    await pool.call('VM.set_start_delay', vm(0), 100);
    const answer = await pool.begin('Async.VM_appliance.start', appliance, false);
    await pool.clock.advanceAsync(5000);
    const task = answer.ok ? answer.value : '';
    expect(record()).toMatchObject({ current_operations: { [String(task)]: 'start' }, allowed_operations: [] });
    expect(await pool.begin('VM_appliance.shutdown', appliance)).toEqual({
      ok: false,
      error: ['OTHER_OPERATION_IN_PROGRESS', 'VM_appliance', appliance, 'start', task],
    });
    await pool.clock.advanceAsync(100_000);
    const made = [...pool.db.all('task')].map(([, { name_label, status, subtask_of }]) => [
      name_label,
      status,
      subtask_of === task,
    ]);
    expect(made.filter(([label]) => label === 'Async.VM.start')).toEqual(
      vms.map(() => ['Async.VM.start', 'success', true]),
    );
  });
});

test('one that fails keeps none of the others from their turn', async () => {
  pool.machine().failNext('create', new HostError('command-failed', 'no kernel'));
  const refusal = await pool.refusal('VM_appliance.start', appliance, false);
  expect(refusal).toBe(`OPERATION_PARTIALLY_FAILED VM_appliance.start ${vm(0)}`);
  expect(states()).toEqual(['Halted', 'Running', 'Running']);
  expect(record().current_operations).toEqual({});
});

test('cancelled between two turns, the rest is not started', async () => {
  await pool.call('VM.set_start_delay', vm(0), 100);
  const answer = await pool.begin('Async.VM_appliance.start', appliance, false);
  const task = answer.ok ? (answer.value as string) : '';
  await pool.clock.advanceAsync(5000);
  await pool.call('task.cancel', task);
  expect(await pool.call('task.get_status', task)).toBe('cancelled');
  expect(states()).toEqual(['Running', 'Running', 'Halted']);
});

describe('membership', () => {
  test('is for VMs, in one appliance at a time', async () => {
    const other = await pool.call('VM_appliance.create', {});
    await pool.call('VM.set_appliance', vm(2), other);
    expect([record().VMs, pool.db.getAny('VM_appliance', other)['VMs']]).toEqual([[vm(0), vm(1)], [vm(2)]]);
    expect(pool.db.getAny('VM_appliance', other)['allowed_operations']).toEqual(['start']);
    await pool.call('VM.set_is_a_template', vm(0), true);
    expect(await pool.refusal('VM.set_appliance', vm(0), other)).toMatch(/^OPERATION_NOT_ALLOWED /);
    expect(await pool.refusal('VM.set_appliance', vm(1), 'OpaqueRef:x')).toBe(
      'HANDLE_INVALID VM_appliance OpaqueRef:x',
    );
    await pool.call('VM.set_appliance', vm(2), 'OpaqueRef:NULL');
    expect(pool.db.getAny('VM_appliance', other)).toMatchObject({ VMs: [], allowed_operations: [] });
  });

  test('ends with the appliance, not with the VMs; a snapshot has none', async () => {
    const snapshot = await pool.call<Vm>('VM.snapshot', vm(0), 'x');
    expect(pool.vm(snapshot).appliance).toBe('OpaqueRef:NULL');
    await pool.call('VM_appliance.destroy', appliance);
    expect(vms.map((each) => pool.vm(each).appliance)).toEqual(vms.map(() => 'OpaqueRef:NULL'));
    expect(await pool.refusal('VM_appliance.destroy', appliance)).toBe(`HANDLE_INVALID VM_appliance ${appliance}`);
  });
});

describe('settings', () => {
  test.each(['set_order', 'set_start_delay', 'set_shutdown_delay'])('%s takes no less than 0', async (setter) => {
    expect(await pool.refusal(`VM.${setter}`, vm(0), -1)).toBe(`INVALID_VALUE ${setter.slice(4)} -1`);
    await pool.call(`VM.${setter}`, vm(0), 7);
    expect(pool.db.getAny('VM', vm(0))[setter.slice(4)]).toBe(7);
  });

  test('strings of the firmware are set once, and are what SMBIOS can have', async () => {
    const set = (value: Readonly<Record<string, string>>): Promise<string> =>
      pool.refusal('VM.set_bios_strings', vm(0), value);
    expect(await set({ colour: 'red' })).toBe('INVALID_VALUE colour unknown key');
    expect(await set({ 'bios-vendor': 'ä' })).toBe('INVALID_VALUE bios-vendor ä');
    expect(await set({ 'bios-vendor': '' })).toBe('INVALID_VALUE bios-vendor ');
    expect(await set({ 'bios-vendor': 'x'.repeat(513) })).toMatch(/^INVALID_VALUE bios-vendor x/);
    expect(await set({ 'bios-vendor': 'Xen & Co' })).toBe('no refusal');
    expect(pool.vm(vm(0)).bios_strings).toEqual({ 'bios-vendor': 'Xen & Co' });
    expect(await set({ 'bios-vendor': 'Other' })).toBe('VM_BIOS_STRINGS_ALREADY_SET');
    expect(await pool.refusal('VM.copy_bios_strings', vm(0), pool.host())).toBe('VM_BIOS_STRINGS_ALREADY_SET');
    await pool.call('VM.copy_bios_strings', vm(1), pool.host());
    expect(pool.vm(vm(1)).bios_strings).toEqual(pool.db.get('host', pool.host()).bios_strings);
  });

  test('a VM without disks is agile; one with a disk of a host is not', async () => {
    await pool.call('VM.assert_agile', vm(0));
    const [sr = ''] = pool.db.refs('SR');
    const disk = { SR: sr, virtual_size: mibBytes, type: 'user', sharable: false, read_only: false, other_config: {} };
    const device = { userdevice: '0', bootable: false, mode: 'RW', type: 'Disk', empty: false, other_config: {} };
    const qos = { qos_algorithm_type: '', qos_algorithm_params: {} };
    await pool.call('VBD.create', { VM: vm(0), VDI: await pool.call('VDI.create', disk), ...device, ...qos });
    expect(await pool.refusal('VM.assert_agile', vm(0))).toBe(`HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED ${sr}`);
    expect(await pool.refusal('VM.retrieve_wlb_recommendations', vm(0))).toBe('WLB_NOT_INITIALIZED');
  });
});
