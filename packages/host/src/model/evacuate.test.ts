/** A host is emptied, over modelled hosts that share a directory. */
import type { Ref } from '@xenolith/base';
import { HostError } from '@xenolith/xapi';
import { beforeEach, expect, test } from 'vitest';
import { ModelPool } from '../testing/model-pool.ts';

let pool: ModelPool;
let sr: Ref<'SR'>;

const from = (): Ref<'host'> => pool.host(1);
const places = (vms: readonly Ref<'VM'>[]): readonly string[] =>
  vms.map((vm) => {
    const { power_state, resident_on } = pool.vm(vm);
    return `${power_state} ${pool.db.find('host', resident_on)?.hostname ?? 'nowhere'}`;
  });

/** VMs that run on the first host. */
async function running(sizesMib: readonly number[]): Promise<readonly Ref<'VM'>[]> {
  const vms: Ref<'VM'>[] = [];
  for (const [n, sizeMib] of sizesMib.entries()) {
    const vm = await pool.newVm(`vm${n}`);
    await pool.call('VM.set_memory', vm, String(sizeMib * 2 ** 20));
    await pool.call('VM.start_on', vm, from(), false, false);
    vms.push(vm);
  }
  await pool.pass(10_000);
  return vms;
}

beforeEach(async () => {
  pool = await ModelPool.open(3);
  const location = '/shared/pool';
  sr = await pool.call<Ref<'SR'>>('SR.create', from(), { location }, 0, 'shared', '', 'file', 'user', true, {});
  for (const number of [2, 3]) {
    const there = { host: pool.host(number), SR: sr, device_config: { location }, other_config: {} };
    await pool.call('PBD.plug', await pool.call('PBD.create', there));
  }
});

test('every VM goes to a host that has room for it, and its task tells how far that is', async () => {
  const vms = await running([1700, 1000, 64]);
  // Hosts have less than 3 GiB for VMs: the first does not fit beside this one.
  const other = await pool.newVm('there already');
  await pool.call('VM.set_memory', other, String(1500 * 2 ** 20));
  await pool.call('VM.start_on', other, pool.host(2), false, false);
  await pool.call('host.disable', from());
  const progress: number[] = [];
  let task: Ref<'task'> | undefined;
  pool.db.changed.listen(() => {
    for (const [ref, { name_label, progress: told }] of pool.db.all('task')) {
      if (name_label !== 'Async.host.evacuate') continue;
      task = ref;
      if (progress.at(-1) !== told) progress.push(told);
    }
  });
  expect(await pool.call('host.get_vms_which_prevent_evacuation', from())).toEqual({});
  await pool.call('Async.host.evacuate', from());
  await pool.pass(60_000);
  expect(pool.db.get('task', task!)).toMatchObject({ status: 'success', progress: 1 });
  expect(progress).toEqual([0, 1 / 3, 2 / 3, 1]);
  expect(places(vms)).toEqual(['Running xen3', 'Running xen2', 'Running xen2']);
  expect(pool.db.get('host', from()).allowed_operations).toContain('shutdown');
  expect(pool.disagreements()).toEqual([]);
  await pool.call('host.shutdown', from());
});

test('a VM that cannot move keeps all of them where they are, with its reason', async () => {
  const [first, paused] = await running([64, 64]);
  await pool.call('VM.pause', paused!);
  const reason = ['VM_BAD_POWER_STATE', paused!, 'running', 'paused'];
  expect(await pool.call('host.get_vms_which_prevent_evacuation', from())).toEqual({ [paused!]: reason });
  expect(await pool.refusal('host.evacuate', from())).toBe(`CANNOT_EVACUATE_HOST ${reason.join(',')}`);
  expect(places([first!, paused!])).toEqual(['Running xen1', 'Paused xen1']);
});

test('without a repository for the memory there is no way out', async () => {
  const [vm] = await running([64]);
  for (const pbd of pool.db.refs('PBD')) await pool.call('PBD.unplug', pbd);
  expect(await pool.refusal('host.assert_can_evacuate', from())).toMatch(
    new RegExp(`^CANNOT_EVACUATE_HOST VM_MIGRATE_FAILED,${vm},.*there is no repository for its memory on xen\\d`),
  );
});

test('it ends at a VM that does not go on, whose reason it tells; those before it have gone', async () => {
  const vms = await running([64, 64, 64]);
  pool.machine(2).failNext('restore', new HostError('command-failed', 'no'));
  expect(await pool.refusal('host.evacuate', from())).toMatch(/^VM_MIGRATE_FAILED .*it goes on where it was$/);
  expect(places(vms)).toEqual(['Running xen1', 'Running xen1', 'Running xen1']);
  await pool.call('host.evacuate', from());
  for (const place of places(vms)) expect(place).not.toContain('xen1');
  expect(pool.db.get('host', from()).current_operations).toEqual({});
  expect(pool.disagreements()).toEqual([]);
});

test('cancelled, it stops between two VMs', async () => {
  const vms = await running([64, 64]);
  const cancel = pool.db.changed.listen(() => {
    const task = [...pool.db.all('task')].find(([, { name_label }]) => name_label === 'Async.host.evacuate');
    if (task?.[1].progress === 0.5 && task[1].status === 'pending') pool.xapi.tasks.cancel(task[0]);
  });
  const started = await pool.begin('Async.host.evacuate', from());
  await pool.pass(60_000);
  cancel.dispose();
  const task = started.ok ? (started.value as Ref<'task'>) : undefined;
  expect(pool.db.get('task', task!)).toMatchObject({ status: 'cancelled', error_info: ['TASK_CANCELLED', task] });
  expect(places(vms).filter((place) => place.endsWith('xen1'))).toHaveLength(1);
  expect(pool.disagreements()).toEqual([]);
});
