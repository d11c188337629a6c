/**
 * A control plane that stops for good before or after any of its steps outside of its process: each commit to the store
 * and each thing asked of a host. Opened again over what is left, it agrees with the host after the first picture.
 */
import { domId, type Ref } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import type { Database } from '@xenolith/xapi';
import { describe, expect, test } from 'vitest';
import { modelAddress, ModelPool } from '../testing/model-pool.ts';

type State = 'Halted' | 'Running' | 'Paused' | 'Suspended' | 'destroyed';

/** Brings a new VM into a state. */
async function vmIn(pool: ModelPool, state: State): Promise<Ref<'VM'>> {
  const vm = await pool.newVm();
  if (state !== 'Halted') await pool.call('VM.start', vm, state === 'Paused', false);
  // Its guest is up.
  await pool.clock.advanceAsync(10_000);
  if (state === 'Suspended') await pool.call('VM.suspend', vm);
  return vm;
}

const stateOf = (pool: ModelPool, vm: Ref<'VM'>): State => pool.db.find('VM', vm)?.power_state ?? 'destroyed';

/** Steps that no operation here takes; more would mean that an enumeration does not end. */
const stepsMax = 100;

/**
 * Runs an operation once for each of its steps, with the process stopped there, and once to its end.
 * @param look is given the pool as the process left it, and as it is when it has been opened again
 */
async function stopAtEachStep(
  from: State,
  begin: (pool: ModelPool, vm: Ref<'VM'>) => Promise<unknown>,
  look: (pool: ModelPool, vm: Ref<'VM'>, step: number) => Promise<void>,
): Promise<number> {
  for (let step = 0; step < stepsMax; step++) {
    const pool = await ModelPool.open();
    const vm = await vmIn(pool, from);
    pool.fuse.light(step);
    await begin(pool, vm);
    const isOver = !pool.fuse.isBurnt;
    await look(pool, vm, step);
    if (isOver) return step;
  }
  throw new Error('more steps than any operation takes');
}

const operations: readonly (readonly [string, State, readonly WireValue[] | 'host', readonly State[]])[] = [
  ['VM.start', 'Halted', [false, false], ['Halted', 'Running']],
  ['VM.start_on', 'Halted', 'host', ['Halted', 'Running']],
  ['VM.suspend', 'Running', [], ['Running', 'Suspended']],
  ['VM.resume', 'Suspended', [false, false], ['Suspended', 'Running']],
  ['VM.resume_on', 'Suspended', 'host', ['Suspended', 'Running']],
  ['VM.hard_reboot', 'Running', [], ['Running', 'Halted']],
  ['VM.clean_reboot', 'Running', [], ['Running']],
  ['VM.clean_shutdown', 'Running', [], ['Running', 'Halted']],
  ['VM.hard_shutdown', 'Running', [], ['Running', 'Halted']],
  ['VM.hard_shutdown', 'Suspended', [], ['Suspended', 'Halted']],
  ['VM.pause', 'Running', [], ['Running', 'Paused']],
  ['VM.unpause', 'Paused', [], ['Running', 'Paused']],
  ['VM.destroy', 'Halted', [], ['Halted', 'destroyed']],
  ['VM.destroy', 'Suspended', [], ['Suspended', 'destroyed']],
];

describe('stopped at each step', () => {
  test.each(operations)('%s of a VM that is %s', async (method, from, args, allowed) => {
    const outcomes = new Set<State>();
    const steps = await stopAtEachStep(
      from,
      (pool, vm) => pool.answer(method, vm, ...(args === 'host' ? [pool.host(), false, false] : args)),
      async (pool, vm, step) => {
        await pool.reopen();
        // Guests that were asked for something still answer.
        if (method.includes('clean')) await pool.clock.advanceAsync(100_000);
        expect(pool.disagreements(), `step ${step}`).toEqual([]);
        outcomes.add(stateOf(pool, vm));
        await useUp(pool, vm, step);
      },
    );
    expect(steps).toBeGreaterThan(0);
    expect([...outcomes].sort()).toEqual([...allowed].sort());
  });

  /** Whatever the VM has become, its life can go on to its end, and nothing is left. */
  async function useUp(pool: ModelPool, vm: Ref<'VM'>, step: number): Promise<void> {
    const state = stateOf(pool, vm);
    if (state === 'Suspended') await pool.call('VM.resume', vm, false, false);
    if (state === 'Halted') await pool.call('VM.start', vm, false, false);
    if (state !== 'destroyed') {
      await pool.call('VM.hard_shutdown', vm);
      await pool.call('VM.destroy', vm);
    }
    await pool.settle();
    expect(pool.disagreements(), `after step ${step}`).toEqual([]);
    expect(pool.guests(), `after step ${step}`).toEqual([]);
    expect(pool.machine().hypervisor.domains(), `after step ${step}`).toHaveLength(1);
  }

  test('VM.resume, and the resumed domain is gone before anybody looks: its image is not gone on from twice', async () => {
    const outcomes = new Set<string>();
    await stopAtEachStep(
      'Suspended',
      (pool, vm) => pool.answer('VM.resume', vm, false, false),
      async (pool, vm, step) => {
        const resumed = pool
          .machine()
          .hypervisor.domains()
          .find(({ domid }) => domid !== domId(0));
        if (resumed !== undefined) pool.machine().destroy(resumed.domid);
        await pool.reopen();
        expect(pool.disagreements(), `step ${step}`).toEqual([]);
        expect(stateOf(pool, vm), `step ${step}`).toBe(resumed === undefined ? 'Suspended' : 'Halted');
        outcomes.add(stateOf(pool, vm));
      },
    );
    expect([...outcomes].sort()).toEqual(['Halted', 'Suspended']);
  });

  test('VM.suspend and VM.resume, and the host is reset before anybody looks', async () => {
    for (const [from, method, args] of [
      ['Running', 'VM.suspend', []],
      ['Suspended', 'VM.resume', [false, false]],
    ] as const) {
      await stopAtEachStep(
        from,
        (pool, vm) => pool.answer(method, vm, ...args),
        async (pool, vm, step) => {
          const isSaved = pool.machine().files.paths.some((path) => path.endsWith('.save'));
          pool.machine().reset();
          await pool.reopen();
          expect(pool.disagreements(), `${method}, step ${step}`).toEqual([]);
          expect(stateOf(pool, vm), `${method}, step ${step}`).toBe(isSaved ? 'Suspended' : 'Halted');
        },
      );
    }
  });
});

describe('host.add', () => {
  const classes = [
    'host',
    'host_metrics',
    'host_cpu',
    'SR',
    'PBD',
    'VM',
    'VM_metrics',
    'network',
    'PIF',
    'SM',
  ] as const;
  const counts = (db: Database): readonly number[] => classes.map((name) => db.count(name));

  test('stopped at each step, it has made everything or nothing', async () => {
    const whole = counts((await ModelPool.open(1)).db);
    const none = counts((await ModelPool.open(0)).db);
    const outcomes = new Set<number>();
    for (let step = 0; ; step++) {
      const pool = await ModelPool.open(0);
      pool.fuse.light(step);
      await pool.answer('host.add', modelAddress(1), {});
      const isOver = !pool.fuse.isBurnt;
      await pool.reopen();
      const hosts = pool.db.count('host');
      outcomes.add(hosts);
      expect(counts(pool.db), `step ${step}`).toEqual(hosts === 0 ? none : whole);
      if (hosts === 0) await pool.call('host.add', modelAddress(1), {});
      expect(counts(pool.db), `step ${step}`).toEqual(whole);
      await pool.call('VM.start', await pool.newVm(), false, false);
      expect(pool.disagreements(), `step ${step}`).toEqual([]);
      if (isOver) break;
    }
    expect(outcomes).toEqual(new Set([0, 1]));
  });
});
