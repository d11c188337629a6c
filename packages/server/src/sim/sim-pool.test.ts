import { createHash } from 'node:crypto';
import { setImmediate as nextMacrotask } from 'node:timers/promises';
import type { Ref } from '@xenolith/base';
import { classTables, MemoryStore, silentLog, type RecordOf, type Store } from '@xenolith/xapi';
import { afterEach, describe, expect, test } from 'vitest';
import type { ClockMode } from './sim-clock.ts';
import { contentFrom, inventoryOf } from './inventory.ts';
import { SimPool } from './sim-pool.ts';
import type { StoreContent } from './sim-store.ts';

const open: SimPool[] = [];

interface Wanted {
  readonly seed?: number;
  readonly clock?: ClockMode;
  readonly hosts?: number;
  readonly vms?: number;
  readonly content?: StoreContent;
  readonly disk?: Store;
}

async function openPool(wanted: Wanted = {}): Promise<SimPool> {
  const usual = { hosts: 2, vms: 6, seed: 7, clock: { kind: 'auto' } as const };
  const pool = await SimPool.open({ ...usual, password: 'p', log: silentLog, version: '0.1.0', ...wanted });
  open.push(pool);
  return pool;
}

afterEach(async () => {
  for (const pool of open.splice(0)) await pool.close();
});

/** What get_all_records of every class gives, as text. */
async function records(pool: SimPool): Promise<string> {
  const all: unknown[] = [];
  for (const name of Object.keys(classTables)) {
    const answer = await pool.call(`${name}.get_all_records`).catch((error: unknown) => String(error));
    all.push([name, answer]);
  }
  return JSON.stringify(all);
}

const vmsOf = (pool: SimPool): readonly (readonly [Ref<'VM'>, RecordOf<'VM'>])[] =>
  [...pool.xapi.db.all('VM')].filter(([, vm]) => !vm.is_a_template && !vm.is_control_domain);

function vmIn(pool: SimPool, state: RecordOf<'VM'>['power_state']): Ref<'VM'> {
  const found = vmsOf(pool).find(([, vm]) => vm.power_state === state);
  if (found === undefined) throw new Error(`no VM is ${state}`);
  return found[0];
}

/** Some of everything, one call after the other. */
async function busy(pool: SimPool): Promise<void> {
  await pool.call('VM.clean_reboot', vmIn(pool, 'Running'));
  await pool.call('VM.start', vmIn(pool, 'Halted'), false, false);
  const copy = (await pool.call('VM.clone', vmIn(pool, 'Suspended'), 'copy').catch(() => undefined)) ?? '';
  await pool.call('VM.suspend', vmIn(pool, 'Running'));
  await pool.call('VM.destroy', copy as string).catch(() => undefined);
  await pool.call('VM.clean_shutdown', vmIn(pool, 'Running'));
}

describe('the seed', () => {
  test('two pools of one seed have the same records to the byte, after the same calls too', async () => {
    const [one, two] = [await openPool(), await openPool()];
    expect(await records(one)).toBe(await records(two));
    await busy(one);
    await busy(two);
    expect(one.clock.now()).toBe(two.clock.now());
    expect(await records(one)).toBe(await records(two));
  });

  test('another seed has other references', async () => {
    const [one, two] = [await openPool(), await openPool({ seed: 8 })];
    const refs = new Set(vmsOf(one).map(([ref]) => ref));
    expect(vmsOf(two).filter(([ref]) => refs.has(ref))).toEqual([]);
    expect(vmsOf(two)).toHaveLength(6);
  });

  test('a reset brings the beginning back, and answers what was waiting', async () => {
    const pool = await openPool();
    const before = createHash('sha256')
      .update(await records(pool))
      .digest('hex');
    await busy(pool);
    pool.faults.add({ method: 'VM.start', error: ['HOST_OFFLINE', 'x'] });
    const session = pool.xapi.sessions.open('root', 'test', { superuser: true, role: 'pool-admin' });
    const origin = { address: '127.0.0.1' };
    const first = await pool.request({ method: 'event.from', params: [session, ['vm'], '', 0], origin });
    if (!first.ok) throw new Error(first.error.join(' '));
    const { token } = first.value as { readonly token: string };
    const waiting = pool.request({ method: 'event.from', params: [session, ['vm'], token, 3600], origin });
    await nextMacrotask();
    await pool.reset();
    expect(await waiting).toEqual({ ok: false, error: ['SESSION_INVALID', session] });
    expect(pool.faults.list()).toEqual([]);
    expect(pool.calls.list()).toEqual([]);
    expect(
      createHash('sha256')
        .update(await records(pool))
        .digest('hex'),
    ).toBe(before);
    // A token of the old life must not look like one of the new.
    const again = pool.xapi.sessions.open('root', 'test', { superuser: true, role: 'pool-admin' });
    expect(await pool.request({ method: 'event.from', params: [again, ['vm'], token, 0], origin })).toEqual({
      ok: false,
      error: ['EVENTS_LOST'],
    });
  });
});

describe('the clock', () => {
  test('auto: a shutdown takes its model time, and nobody waits for it', async () => {
    const pool = await openPool();
    const before = pool.clock.now();
    await pool.call('VM.clean_shutdown', vmIn(pool, 'Running'));
    expect(pool.clock.now() - before).toBeGreaterThanOrEqual(1000);
    const after = pool.clock.now();
    await nextMacrotask();
    expect(pool.clock.now()).toBe(after);
  });

  test('auto: an asynchronous task comes to its end without anybody asking', async () => {
    const pool = await openPool();
    const vm = vmIn(pool, 'Running');
    const task = (await pool.call('Async.VM.clean_shutdown', vm)) as Ref<'task'>;
    for (let turn = 0; turn < 1000 && pool.xapi.db.get('task', task).status === 'pending'; turn++)
      await nextMacrotask();
    expect(pool.xapi.db.get('task', task).status).toBe('success');
  });

  test('paused: nothing goes on until time is made to', async () => {
    const pool = await openPool({ clock: { kind: 'paused' } });
    const vm = vmIn(pool, 'Running');
    const before = pool.clock.now();
    let done = false;
    const call = pool.call('VM.clean_shutdown', vm).finally(() => {
      done = true;
    });
    for (let turn = 0; turn < 100; turn++) await nextMacrotask();
    expect([done, pool.clock.now()]).toEqual([false, before]);
    await pool.clock.advance(100);
    expect([done, pool.clock.now()]).toEqual([false, before + 100]);
    const dueMs = pool.clock.nextDueMs();
    expect(await pool.clock.step()).toBe(dueMs);
    await pool.clock.advance(60_000);
    await call;
    expect(pool.xapi.db.get('VM', vm).power_state).toBe('Halted');
  });

  test('run: it goes as fast as it is told', async () => {
    const pool = await openPool({ clock: { kind: 'run', speed: 1000 } });
    await pool.call('VM.clean_shutdown', vmIn(pool, 'Running'));
    expect(pool.clock.mode).toEqual({ kind: 'run', speed: 1000 });
  });
});

describe('snapshots', () => {
  test('records, domains, time and chance come back', async () => {
    const pool = await openPool();
    await pool.snapshot('before');
    const at = pool.clock.now();
    const states = vmsOf(pool).map(([ref, vm]) => [ref, vm.power_state, vm.resident_on]);
    const first = await pool.call('VM.clone', vmIn(pool, 'Halted'), 'one');
    await busy(pool);
    await pool.restore('before');
    expect(pool.clock.now()).toBe(at);
    expect(vmsOf(pool).map(([ref, vm]) => [ref, vm.power_state, vm.resident_on])).toEqual(states);
    // References go on from where they were, so the same call makes the same object.
    expect(await pool.call('VM.clone', vmIn(pool, 'Halted'), 'one')).toBe(first);
    await pool.call('VM.clean_shutdown', vmIn(pool, 'Running'));
    await pool.call('VM.resume', vmIn(pool, 'Suspended'), false, false);
    expect(pool.snapshots).toEqual(['before']);
    await expect(pool.restore('after')).rejects.toThrow('there is no snapshot after');
    await expect(pool.snapshot('../x')).rejects.toThrow('a snapshot has a name');
  });

  test('a pool on disk goes on where it was', async () => {
    const disk = new MemoryStore();
    const one = await openPool({ disk });
    await busy(one);
    const at = one.clock.now();
    const states = vmsOf(one).map(([ref, vm]) => [ref, vm.power_state]);
    open.splice(0);
    await one.close();
    const two = await openPool({ disk });
    expect(vmsOf(two).map(([ref, vm]) => [ref, vm.power_state])).toEqual(states);
    expect(two.clock.now()).toBe(at);
    await two.reset();
    const fresh = await openPool();
    expect(await records(two)).toBe(await records(fresh));
  });

  test('an inventory becomes a pool with the same objects, whose VMs live', async () => {
    const one = await openPool();
    const inventory = inventoryOf(await one.content());
    const odd = structuredClone(inventory) as unknown as Record<string, Record<string, Record<string, object>>>;
    const sr = { uuid: '0d1e0c9a-0000-4000-8000-000000000001', name_label: 'SAN', type: 'lvmohba', future_field: 'x' };
    Object.assign(odd['classes']?.['SR'] ?? {}, { 'OpaqueRef:san': sr });
    const two = await openPool({ content: contentFrom(odd as unknown as typeof inventory, 3) });
    const state = (pool: SimPool): unknown => vmsOf(pool).map(([ref, vm]) => [ref, vm.uuid, vm.power_state, vm.VBDs]);
    expect(state(two)).toEqual(state(one));
    expect(two.xapi.db.get('SR', 'OpaqueRef:san' as Ref<'SR'>)).toMatchObject({ name_label: 'SAN', type: 'lvmohba' });
    await two.call('VM.clean_reboot', vmIn(two, 'Running'));
    await two.call('VM.start', vmIn(two, 'Halted'), false, false);
    await two.reset();
    expect(state(two)).toEqual(state(one));
  });
});

describe('faults', () => {
  test('a call fails as it is told, so often and on that object alone', async () => {
    const pool = await openPool();
    const halted = vmsOf(pool).filter(([, vm]) => vm.power_state === 'Halted');
    const [vm = '' as Ref<'VM'>] = halted.map(([ref]) => ref);
    const { name_label } = pool.xapi.db.get('VM', vm);
    const fault = pool.faults.add({ method: 'VM.start', object: name_label, count: 2, error: ['HOST_OFFLINE', 'h'] });
    await expect(pool.call('VM.start', vm, false, false)).rejects.toThrow('HOST_OFFLINE h');
    // The task of an asynchronous call has the failure, as of any other.
    const task = (await pool.call('Async.VM.start', vm, false, false)) as Ref<'task'>;
    expect(pool.xapi.db.get('task', task)).toMatchObject({ status: 'failure', error_info: ['HOST_OFFLINE', 'h'] });
    await pool.call('VM.start', vm, false, false);
    expect(pool.faults.list()).toEqual([{ ...fault, hits: 2 }]);
    pool.faults.remove(fault.id);
    expect(pool.faults.list()).toEqual([]);
  });

  test('a delay is model time; chance is the same for a seed', async () => {
    const outcomes = async (): Promise<string> => {
      const pool = await openPool();
      pool.faults.add({ method: 'VM.get_uuid', probability: 0.5, error: ['TOO_BUSY'] });
      const vm = vmIn(pool, 'Running');
      const got: string[] = [];
      for (let i = 0; i < 20; i++)
        got.push(
          await pool.call('VM.get_uuid', vm).then(
            () => '.',
            () => 'x',
          ),
        );
      return got.join('');
    };
    const text = await outcomes();
    expect(text).toMatch(/\.x|x\./);
    expect(await outcomes()).toBe(text);
    const pool = await openPool();
    pool.faults.add({ method: 'pool.*', delayS: 3 });
    const before = pool.clock.now();
    await pool.call('pool.get_all');
    expect(pool.clock.now() - before).toBe(3000);
  });

  test('an operation fails on a host, and the call says so as for a real one', async () => {
    const pool = await openPool();
    const vm = vmIn(pool, 'Halted');
    pool.faults.add({ operation: 'create', count: 1, error: ['xl: libxl says no'] });
    await expect(pool.call('VM.start', vm, false, false)).rejects.toThrow('libxl says no');
    expect(pool.xapi.db.get('VM', vm).power_state).toBe('Halted');
    await pool.call('VM.start', vm, false, false);
  });

  test.each([
    [{}, 'a fault needs either "method" or "operation"'],
    [{ method: 'VM.start' }, 'a fault of calls needs an "error", a "delayS" or both'],
    [{ method: 'VM start', delayS: 1 }, '"VM start" is no pattern of methods'],
    [{ method: 'VM.start', error: ['NO_SUCH'] }, 'XenAPI has no error code NO_SUCH'],
    [{ method: 'VM.start', error: 'TOO_BUSY' }, '"error" is a list of texts'],
    [{ method: 'VM.start', delayS: -1 }, '"delayS" is a number from 0 to 86400'],
    [{ method: 'VM.start', delayS: 1, probability: 2 }, '"probability" is a number from 0 to 1'],
    [{ method: 'VM.start', delayS: 1, count: 1.5 }, '"count" is a whole number'],
    [{ method: 'VM.start', delayS: 1, cuont: 1 }, 'there is no "cuont" here'],
    [{ operation: 'explode' }, '"operation" is one of create'],
    [[], 'expected a JSON object'],
  ])('%j is refused', async (rule, words) => {
    const pool = await openPool({ hosts: 1, vms: 0 });
    expect(() => pool.faults.add(rule as object)).toThrow(words);
  });
});

describe('scenarios', () => {
  test('a host dies and returns: its VMs are halted', async () => {
    const pool = await openPool();
    const live = (): boolean[] => [...pool.xapi.db.all('host_metrics')].map(([, metrics]) => metrics.live);
    const running = vmsOf(pool).filter(([, vm]) => pool.xapi.db.find('host', vm.resident_on)?.hostname === 'host1');
    expect(running).not.toEqual([]);
    pool.scenarios.begin({ kind: 'host-dies', host: 'host1', durationS: 60 });
    expect(live()).toEqual([false, true]);
    expect(pool.scenarios.list()).toMatchObject([{ kind: 'host-dies', host: 'host1' }]);
    await pool.clock.advance(61_000);
    expect(live()).toEqual([true, true]);
    expect(pool.scenarios.list()).toEqual([]);
    expect(running.map(([ref]) => pool.xapi.db.get('VM', ref).power_state)).toEqual(running.map(() => 'Halted'));
  });

  test('a split heals: its VMs ran on', async () => {
    const pool = await openPool();
    const states = (): unknown => vmsOf(pool).map(([ref, vm]) => [ref, vm.power_state, vm.domid]);
    const before = states();
    const { id } = pool.scenarios.begin({ kind: 'network-split', host: 'host2' });
    const stranded = vmsOf(pool).find(([, vm]) => pool.xapi.db.find('host', vm.resident_on)?.hostname === 'host2');
    await expect(pool.call('VM.pause', stranded?.[0] ?? '')).rejects.toThrow('HOST_OFFLINE');
    expect(() => pool.scenarios.begin({ kind: 'host-dies', host: 'host2' })).toThrow('host2 has scenario');
    pool.scenarios.end(id);
    await pool.clock.advance(5000);
    expect(states()).toEqual(before);
  });

  test('a repository is full, then slow', async () => {
    const pool = await openPool({ hosts: 1, vms: 1 });
    const [sr = '' as Ref<'SR'>] = pool.xapi.db.refs('SR');
    const vm = vmIn(pool, vmsOf(pool)[0]?.[1].power_state ?? 'Running');
    if (pool.xapi.db.get('VM', vm).power_state !== 'Running') await pool.call('VM.start', vm, false, false);
    const full = pool.scenarios.begin({ kind: 'sr-full', host: 'host1' });
    await expect(pool.call('VM.suspend', vm)).rejects.toThrow('OUT_OF_SPACE');
    pool.scenarios.end(full.id);
    pool.scenarios.begin({ kind: 'slow-disk', host: 'host1', delayS: 7 });
    const before = pool.clock.now();
    await pool.call('SR.scan', sr);
    expect(pool.clock.now() - before).toBeGreaterThanOrEqual(7000);
  });

  test('events are lost once', async () => {
    const pool = await openPool();
    const { token } = (await pool.call('event.from', ['*'], '', 0)) as { readonly token: string };
    pool.scenarios.begin({ kind: 'events-lost' });
    await expect(pool.call('event.from', ['*'], token, 0)).rejects.toThrow('EVENTS_LOST');
    const next = (await pool.call('event.from', ['*'], '', 0)) as { readonly token: string };
    await pool.call('VM.set_name_description', vmIn(pool, 'Running'), 'x');
    const { events } = (await pool.call('event.from', ['vm'], next.token, 1)) as {
      readonly events: readonly unknown[];
    };
    expect(events).not.toEqual([]);
  });

  test.each([
    [{ kind: 'fire' }, '"kind" is one of host-dies'],
    [{ kind: 'host-dies' }, '"host" is missing'],
    [{ kind: 'host-dies', host: 'nobody' }, 'there is no host nobody'],
    [{ kind: 'host-dies', host: 'host1', delayS: 3 }, 'host-dies has no "delayS"'],
    [{ kind: 'events-lost', host: 'host1' }, 'events-lost has no "host"'],
    [{ kind: 'slow-disk', host: 'host1', durationS: 0 }, '"durationS" is a number'],
  ])('%j is refused', async (request, words) => {
    const pool = await openPool({ hosts: 1, vms: 0 });
    expect(() => pool.scenarios.begin(request as never)).toThrow(words);
  });
});

describe('the log of calls', () => {
  test('who called what with which outcome, without secrets', async () => {
    const pool = await openPool();
    const vm = vmIn(pool, 'Running');
    await pool.call('VM.clean_shutdown', vm);
    await expect(pool.call('VM.pause', vm)).rejects.toThrow('VM_BAD_POWER_STATE');
    await pool.call('secret.create', { value: 'hush', other_config: {} });
    const origin = { address: '192.0.2.1' };
    await pool.request({ method: 'session.login_with_password', params: ['root', 'hush', '2.0', 'me'], origin });
    expect(pool.calls.list({ method: 'VM.*' })).toMatchObject([
      { method: 'VM.clean_shutdown', args: [vm], user: 'root', outcome: 'success' },
      { method: 'VM.pause', outcome: 'failure', error: ['VM_BAD_POWER_STATE', vm, 'running', 'halted'] },
    ]);
    expect(pool.calls.list({ method: 'VM.clean_shutdown' })[0]?.durationMs).toBeGreaterThanOrEqual(1000);
    const [login] = pool.calls.list({ method: 'session.*' });
    expect(login).toMatchObject({ args: ['root', '(secret)', '2.0', 'me'], address: '192.0.2.1', outcome: 'failure' });
    expect(JSON.stringify(pool.calls.list())).not.toContain('hush');
    const last = pool.calls.list().at(-1)?.number ?? 0;
    expect(pool.calls.list({ after: last - 1 })).toHaveLength(1);
  });
});

test('hosts of other kinds are not reached from a simulation', async () => {
  const pool = await openPool({ hosts: 1, vms: 0 });
  await expect(pool.call('host.add', 'ssh://root@192.0.2.1', {})).rejects.toThrow('modelled hosts only');
});
