/** Snapshots by a schedule, by the clock of the pool. */
import { mibBytes, type Ref } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import { HostError } from '@xenolith/xapi';
import { beforeEach, describe, expect, test } from 'vitest';
import { ModelPool } from '../testing/model-pool.ts';
import { newDevice, newDisk } from '../testing/new-objects.ts';

type Vm = Ref<'VM'>;

const hourMs = 3_600_000;

let pool: ModelPool;
let vm: Vm;

beforeEach(async () => {
  pool = await ModelPool.open();
  vm = await pool.newVm();
  const [sr = ''] = pool.db.refs('SR');
  const disk = await pool.call('VDI.create', newDisk(sr, mibBytes));
  await pool.call('VBD.create', newDevice(vm, disk, '0'));
});

/** A schedule, with the VM in it. */
async function newSchedule(fields: Readonly<Record<string, WireValue>> = {}): Promise<Ref<'VMSS'>> {
  const vmss = await pool.call<Ref<'VMSS'>>('VMSS.create', {
    name_label: 'nightly',
    type: 'snapshot',
    frequency: 'hourly',
    ...fields,
  });
  await pool.call('VM.set_snapshot_schedule', vm, vmss);
  return vmss;
}

const record = (vmss: Ref<'VMSS'>) => pool.db.get('VMSS', vmss);
const snapshots = (): readonly string[] => pool.vm(vm).snapshots.map((each) => pool.vm(each).name_label);
const messages = (): readonly string[] => [...pool.db.all('message')].map(([, { name, body }]) => `${name} ${body}`);

/** Time passes in steps that let the work of each quarter end. */
async function pass(hours: number): Promise<void> {
  for (let quarter = 0; quarter < hours * 4; quarter++) {
    await pool.clock.advanceAsync(hourMs / 4);
    await pool.settle();
  }
}

test('takes snapshots when they are due, and keeps the newest', async () => {
  const vmss = await newSchedule({ schedule: { min: '15' }, retained_snapshots: 1 });
  const byHand = await pool.call<Vm>('VM.snapshot', vm, 'by hand');
  await pass(1.25);
  expect(snapshots()).toEqual(['by hand', 'nightly 2026-01-01T01:15']);
  expect(record(vmss).last_run_time).toBe('20260101T01:15:00Z');
  expect(pool.vm(byHand).is_vmss_snapshot).toBe(false);
  const files = pool.machine().files.paths.filter((path) => path.endsWith('.raw'));
  expect([pool.db.count('VDI'), files.length]).toEqual([3, 3]);
  expect(messages()).toHaveLength(2);
  expect(messages()[0]).toBe('VMSS_SNAPSHOT_SUCCEEDED a snapshot of web was taken');
  expect(pool.disagreements()).toEqual([]);
});

test('a checkpoint is one where a guest runs', async () => {
  await pool.call('VM.start', vm, false, false);
  await pool.clock.advanceAsync(10_000);
  const vmss = await newSchedule({ type: 'checkpoint' });
  await pool.call('VMSS.snapshot_now', vmss);
  await pool.call('VM.hard_shutdown', vm);
  await pool.call('VMSS.snapshot_now', vmss);
  const taken = pool.vm(vm).snapshots.map((each) => pool.vm(each));
  expect(taken.map(({ power_state, is_vmss_snapshot }) => [power_state, is_vmss_snapshot])).toEqual([
    ['Suspended', true],
    ['Halted', true],
  ]);
});

test('goes on after a restart, and makes up for nothing', async () => {
  await newSchedule({ frequency: 'daily', schedule: { hour: '0', min: '30' } });
  await pool.reopen();
  await pass(0.25);
  expect(snapshots()).toEqual([]);
  await pass(0.25);
  expect(snapshots()).toHaveLength(1);
});

test('does nothing when it is switched off', async () => {
  const vmss = await newSchedule({ schedule: { min: '15' } });
  await pool.call('VMSS.set_enabled', vmss, false);
  await pass(0.5);
  expect(snapshots()).toEqual([]);
});

test('says in a message what could not be done, and the next one can', async () => {
  const vmss = await newSchedule();
  pool.machine().failNext('files', new HostError('no-space', 'full'));
  await pool.call('VMSS.snapshot_now', vmss);
  expect(messages()).toEqual([
    expect.stringMatching(/^VMSS_SNAPSHOT_FAILED no snapshot of web was taken: .*OUT_OF_SPACE/),
  ]);
  await pool.call('VM.add_to_blocked_operations', vm, 'snapshot', 'no');
  await pool.call('VMSS.snapshot_now', vmss);
  await pool.call('VM.remove_from_blocked_operations', vm, 'snapshot');
  await pool.call('VMSS.snapshot_now', vmss);
  expect(snapshots()).toHaveLength(1);
  expect(messages()[1]).toContain('OPERATION_BLOCKED');
});

describe('what a schedule may be', () => {
  test('when it is made', async () => {
    const create = (fields: Readonly<Record<string, WireValue>>): Promise<string> =>
      pool.refusal('VMSS.create', { type: 'snapshot', frequency: 'daily', ...fields });
    expect(await create({ schedule: { min: '5' } })).toBe('INVALID_VALUE schedule:min 5');
    expect(await create({ schedule: { days: 'Monday' } })).toBe('INVALID_VALUE schedule:days Monday');
    expect(await create({ retained_snapshots: 11 })).toBe('INVALID_VALUE retained_snapshots 11');
    expect(await create({ type: 'snapshot_with_quiesce' })).toMatch(/^VALUE_NOT_SUPPORTED type snapshot_with_quiesce /);
    expect(await pool.refusal('VMSS.create', {})).toMatch(/^FIELD_TYPE_ERROR /);
    expect(pool.db.count('VMSS')).toBe(0);
    const vmss = await newSchedule({ frequency: 'weekly', schedule: { hour: '3' } });
    expect(record(vmss)).toMatchObject({
      schedule: { hour: '3', min: '0', days: 'Monday' },
      retained_snapshots: 7,
      enabled: true,
      last_run_time: '19700101T00:00:00Z',
    });
  });

  test('when it is changed', async () => {
    const vmss = await newSchedule();
    await pool.call('VMSS.set_frequency', vmss, 'daily');
    expect(record(vmss).schedule).toEqual({ hour: '0', min: '0' });
    expect(await pool.refusal('VMSS.add_to_schedule', vmss, 'hour', '3')).toBe(
      `MAP_DUPLICATE_KEY VMSS schedule ${vmss} hour`,
    );
    await pool.call('VMSS.remove_from_schedule', vmss, 'hour');
    expect(await pool.refusal('VMSS.add_to_schedule', vmss, 'hour', '33')).toBe('INVALID_VALUE schedule:hour 33');
    await pool.call('VMSS.add_to_schedule', vmss, 'hour', '3');
    expect(record(vmss).schedule).toEqual({ hour: '3', min: '0' });
    expect(await pool.refusal('VMSS.set_schedule', vmss, { day: 'x' })).toBe('INVALID_VALUE schedule:day x');
    expect(await pool.refusal('VMSS.set_retained_snapshots', vmss, 0)).toBe('INVALID_VALUE retained_snapshots 0');
    expect(await pool.refusal('VMSS.set_type', vmss, 'snapshot_with_quiesce')).toMatch(/^VALUE_NOT_SUPPORTED /);
    await pool.call('VMSS.set_type', vmss, 'checkpoint');
    expect(record(vmss).type).toBe('checkpoint');
  });

  test('it does not go while it has VMs, and takes its messages with it', async () => {
    const vmss = await newSchedule();
    await pool.call('VMSS.snapshot_now', vmss);
    expect(await pool.refusal('VMSS.destroy', vmss)).toBe('VMSS_HAS_VM');
    await pool.call('VM.set_snapshot_schedule', vm, 'OpaqueRef:NULL');
    await pool.call('VMSS.destroy', vmss);
    expect([pool.db.count('VMSS'), pool.db.count('message')]).toEqual([0, 0]);
    expect(await pool.refusal('VMSS.snapshot_now', vmss)).toBe(`HANDLE_INVALID VMSS ${vmss}`);
  });

  test('it is for VMs, no templates', async () => {
    const vmss = await newSchedule();
    const [template = ''] = [...pool.db.all('VM')].find(([, each]) => each.is_default_template) ?? [];
    expect(await pool.refusal('VM.set_snapshot_schedule', template, vmss)).toBe(
      `INVALID_VALUE snapshot_schedule ${vmss}`,
    );
  });

  test('one run at a time', async () => {
    const vmss = await newSchedule();
    const first = pool.begin('VMSS.snapshot_now', vmss);
    expect(await pool.begin('VMSS.snapshot_now', vmss)).toMatchObject({
      ok: false,
      error: ['OTHER_OPERATION_IN_PROGRESS', 'VMSS', vmss, 'snapshot_now', 'OpaqueRef:NULL'],
    });
    expect((await first).ok).toBe(true);
    expect(snapshots()).toHaveLength(1);
  });
});
