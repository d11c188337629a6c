import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { coreFaults } from '../check/core-invariants.ts';
import { TestMachine, type TestVcpu } from '../testing/test-machine.ts';
import { errno, pauseFlag, runState, type SchedPool } from './core.ts';
import { pcpusOf } from './pcpu-mask.ts';
import type { SchedulerName } from './scheduler.ts';

const hog: TestVcpu = { program: [['hog']] };
const hogs = (count: number): readonly TestVcpu[] => Array.from({ length: count }, () => hog);
const ms = (value: number): number => value * 1_000_000;

/** A pool of all pCPUs, each with one vCPU of domain 0. */
function setUp(
  pcpus: number,
  vcpu: TestVcpu = hog,
): { readonly machine: TestMachine; readonly pool: SchedPool; readonly units: readonly number[] } {
  const machine = new TestMachine(pcpus);
  const pool = machine.pool('null', [...Array.from({ length: pcpus }).keys()]);
  const units = machine.domain(
    0,
    pool,
    Array.from({ length: pcpus }, () => vcpu),
  );
  machine.start(units);
  return { machine, pool, units };
}

describe('the event loop', () => {
  test('lets happen what is due before a time, and stands there', () => {
    const { core } = new TestMachine(1);
    const happened: number[] = [];
    for (const at of [10, 20, 30])
      core.timers.arm(
        core.newActionTimer(() => happened.push(core.now)),
        at,
      );
    core.run(20);
    expect([happened, core.now]).toEqual([[10], 20]);
    core.run(31);
    expect([happened, core.now, core.events]).toEqual([[10, 20, 30], 31, 3]);
    core.run(10);
    expect(core.now).toBe(31);
    // What is overdue happens now.
    core.timers.arm(
      core.newActionTimer(() => happened.push(core.now)),
      5,
    );
    core.run(40);
    expect(happened.at(-1)).toBe(31);
  });

  test('makes one decision a pCPU however often it is asked for, the lowest first', () => {
    const { machine } = setUp(3);
    const { core } = machine;
    machine.trace.length = 0;
    for (const pcpu of [2, 0, 2, 1, 0]) core.raise(pcpu);
    core.drain();
    expect(machine.trace.map((line) => line.split(' ')[1])).toEqual(['0', '1', '2']);
    core.raiseAll(machine.mask(1, 2));
    core.drain();
    expect(machine.trace.map((line) => line.split(' ')[1])).toEqual(['0', '1', '2', '1', '2']);
  });

  test('makes no decision on a pCPU of no pool', () => {
    const machine = new TestMachine(2);
    machine.pool('null', [0]);
    machine.trace.length = 0;
    machine.core.raise(1);
    machine.core.drain();
    expect(machine.trace).toEqual([]);
  });

  test('runs actions as on pCPU 0, the end of a block as on the pCPU of its vCPU', () => {
    const { machine, pool, units } = setUp(2, { program: [['run', 10], ['block', 10], ['hog']], repeat: false });
    const seen: number[] = [];
    const { core } = machine;
    const wake = pool.scheduler.wake.bind(pool.scheduler);
    pool.scheduler.wake = (unit) => {
      seen.push(core.currentPcpu);
      wake(unit);
    };
    core.timers.arm(
      core.newActionTimer(() => core.wake(units[1]!)),
      30,
    );
    machine.runTo(40);
    expect(seen).toEqual([0, 1, 0]);
  });

  test('gives the number of a timer that is no longer needed to the next one', () => {
    const { core } = new TestMachine(1);
    const first = core.newActionTimer(() => expect.unreachable());
    core.timers.arm(first, 10);
    core.freeTimer(first);
    expect(core.newActionTimer(() => undefined)).toBe(first);
    core.run(20);
    expect(core.events).toBe(0);
  });
});

describe('run states', () => {
  type Act = 'pause' | 'unpause' | 'down' | 'up' | 'kick' | 'park' | 'unpark';
  const { running, blocked, offline } = runState;

  test.each<[string, readonly Act[], number]>([
    ['paused', ['pause'], offline],
    ['paused twice, unpaused once', ['pause', 'pause', 'unpause'], offline],
    ['unpaused', ['pause', 'pause', 'unpause', 'unpause'], running],
    ['down', ['down'], offline],
    ['down twice is down once', ['down', 'down', 'up'], running],
    ['up is up', ['up'], running],
    ['down and paused', ['down', 'pause', 'up'], offline],
    ['parked', ['park'], offline],
    ['no longer parked', ['park', 'unpark'], running],
    ['parked and paused', ['park', 'pause', 'unpark'], offline],
  ])('of a vCPU that ran: %s', (_, acts, state) => {
    expect(stateAfter(hog, acts)).toBe(state);
  });

  test.each<[string, readonly Act[], number]>([
    ['nothing happens', [], blocked],
    ['an event', ['kick'], running],
    ['paused it is still blocked', ['pause'], blocked],
    ['paused, and unpaused', ['pause', 'unpause'], blocked],
    ['an event while it is paused', ['pause', 'kick'], offline],
    ['an event while it was paused', ['pause', 'kick', 'unpause'], running],
    ['an event while it was down', ['down', 'kick', 'up'], running],
  ])('of a vCPU that blocked: %s', (_, acts, state) => {
    expect(stateAfter({ program: [['run', 5], ['wait'], ['hog']], repeat: false }, acts)).toBe(state);
  });

  function stateAfter(vcpu: TestVcpu, acts: readonly Act[]): number | undefined {
    const { machine, units } = setUp(1, vcpu);
    const { core, programs } = machine;
    const unit = units[0]!;
    machine.runTo(10);
    for (const act of acts) {
      if (act === 'pause') core.pauseUnits(units);
      else if (act === 'unpause') core.unpauseUnits(units);
      else if (act === 'down') core.setDown(unit);
      else if (act === 'up') core.setUp(unit);
      else if (act === 'kick') programs.kick(unit);
      else if (act === 'park') core.park(unit);
      else core.unpark(unit);
      core.drain();
      machine.runTo(core.now + 10);
      expect(coreFaults(core)).toEqual([]);
    }
    return core.state[unit];
  }

  test('are counted in time, the present one until now', () => {
    const { machine, units } = setUp(1, {
      program: [
        ['run', 30],
        ['block', 20],
      ],
    });
    const { core } = machine;
    machine.runTo(40);
    core.pauseUnits(units);
    machine.runTo(70);
    core.unpauseUnits(units);
    core.drain();
    machine.runTo(75);
    const times = Object.values(runState).map((state) => core.timeIn(units[0]!, state));
    expect(times).toEqual([35, 0, 20, 20]);
  });

  test('of vCPUs that share a pCPU are runnable while another one runs', () => {
    const machine = new TestMachine(1, { xenVersion: '4.2' });
    const units = machine.domain(0, machine.pool('sedf', [0]), hogs(2));
    machine.start(units);
    machine.runTo(ms(10));
    for (const unit of units) {
      expect(machine.core.timeIn(unit, runState.running)).toBe(ms(5));
      expect(machine.core.timeIn(unit, runState.runnable)).toBe(ms(5));
    }
  });

  test('a wake counts until the vCPU runs, pauses with it', () => {
    const { machine, units } = setUp(1, { program: [['run', 5], ['wait'], ['hog']], repeat: false });
    const { core, programs } = machine;
    machine.runTo(10);
    core.pauseUnits(units);
    programs.kick(units[0]!);
    machine.runTo(25);
    core.unpauseUnits(units);
    core.drain();
    const unit = units[0]!;
    // The start is one too.
    expect([core.wakes[unit], core.latencySumNs[unit], core.latencyMaxNs[unit]]).toEqual([2, 15, 15]);
    expect(core.dispatches[unit]).toBe(2);
  });

  test('a pause that nobody made cannot be ended', () => {
    const { machine, units } = setUp(1);
    expect(() => machine.core.unpauseUnits(units)).toThrow('is paused');
  });
});

describe('affinity', () => {
  test('that has nothing of the pool is refused, and changes nothing', () => {
    const machine = new TestMachine(3);
    const pool = machine.pool('null', [0, 1]);
    const unit = machine.domain(0, pool, [hog])[0]!;
    const before = [...machine.core.hard[unit]!];
    expect(machine.core.setAffinity(unit, machine.mask(2), machine.mask(1))).toBe(errno.invalid);
    expect([...machine.core.hard[unit]!]).toEqual(before);
    expect([...machine.core.soft[unit]!]).toEqual(before);
    // A soft one may be anything.
    expect(machine.core.setAffinity(unit, undefined, machine.mask(2))).toBe(0);
  });

  test('moves a vCPU that runs once it has left its pCPU, another one at once', () => {
    const machine = new TestMachine(3);
    const pool = machine.pool('null', [0, 1, 2]);
    const [runs, sleeps] = machine.domain(0, pool, [hog, hog]);
    const { core } = machine;
    machine.start([runs!]);
    expect(core.setAffinity(sleeps!, machine.mask(2), undefined)).toBe(0);
    expect(core.pcpu[sleeps!]).toBe(2);
    expect(core.setAffinity(runs!, machine.mask(1), undefined)).toBe(0);
    expect([core.pcpu[runs!], core.flags[runs!]]).toEqual([0, pauseFlag.migrating]);
    core.drain();
    expect([core.pcpu[runs!], core.flags[runs!], core.current[1]]).toEqual([1, 0, runs]);
    expect(core.migrations[runs!]).toBe(1);
  });

  test('is a copy of the mask that is given', () => {
    const { machine, units } = setUp(2);
    const mask = machine.mask(0);
    machine.core.setAffinity(units[0]!, mask, mask);
    mask.fill(0);
    expect(pcpusOf(machine.core.hard[units[0]!]!)).toEqual([0]);
    expect(pcpusOf(machine.core.soft[units[0]!]!)).toEqual([0]);
  });

  test.each<[readonly number[], readonly number[], number]>([
    [[0, 1], [0], 1],
    [[0, 1], [1, 2], 1],
    [[0, 1], [0, 1, 2], 0],
    [[0, 1], [2], 0],
    [[0, 1], [], 0],
  ])('hard %j and soft %j: soft has an effect: %i', (hard, soft, effective) => {
    const { machine, units } = setUp(3);
    machine.core.setAffinity(units[0]!, machine.mask(...hard), undefined);
    machine.core.setAffinity(units[0]!, undefined, machine.mask(...soft));
    expect(machine.core.softEffective[units[0]!]).toBe(effective);
  });
});

describe('pools', () => {
  test('new vCPUs go round the pCPUs of their pool, or those they are to begin on', () => {
    const machine = new TestMachine(4);
    const pool = machine.pool('null', [1, 2, 3]);
    const { core } = machine;
    core.addDomain(0, pool);
    expect([0, 1, 2, 3].map(() => core.pcpu[core.addVcpu(0)])).toEqual([1, 2, 3, 1]);
    core.addDomain(1, pool);
    expect([0, 1, 2].map(() => core.pcpu[core.addVcpu(1, machine.mask(2, 3))])).toEqual([2, 3, 2]);
  });

  test('a pCPU that leaves breaks hard affinities that have nothing else, and decides no more', () => {
    const machine = new TestMachine(3);
    const pool = machine.pool('credit', [0, 1, 2]);
    const units = machine.domain(0, pool, [hog, { ...hog, hard: [1] }, { ...hog, hard: [1, 2] }]);
    machine.start(units);
    const { core } = machine;
    machine.runTo(ms(5));
    expect(core.removePcpu(1, pool)).toBe(1);
    expect(pcpusOf(pool.valid)).toEqual([0, 2]);
    expect(core.hard[units[1]!]![0]).toBe(0xffff_ffff);
    expect(pcpusOf(core.hard[units[2]!]!)).toEqual([1, 2]);
    const { length } = machine.trace;
    machine.runTo(ms(500));
    expect(machine.trace.slice(length).filter((line) => line.split(' ')[1] === '1')).toEqual([]);
    expect(core.current[1]).toBe(1);
    expect(coreFaults(core)).toEqual([]);
    core.addPcpu(1, pool);
    core.drain();
    machine.runTo(ms(1000));
    expect(core.current[1]).not.toBe(1);
    expect(coreFaults(core)).toEqual([]);
  });

  test('a pCPU cannot join twice, nor leave where it is not', () => {
    const machine = new TestMachine(2);
    const pool = machine.pool('null', [0]);
    expect(() => machine.core.addPcpu(0, pool)).toThrow('is free');
    expect(() => machine.core.removePcpu(1, pool)).toThrow('is in the pool');
  });

  test('a domain that moves keeps what its vCPUs were doing, but not its affinity', () => {
    const machine = new TestMachine(4);
    const [from, to] = [machine.pool('null', [0, 1]), machine.pool('credit', [2, 3])];
    const units = machine.domain(0, from, [
      { program: [['run', ms(10)]], repeat: false, hard: [1] },
      { program: [['run', ms(1)], ['block', ms(30)], ['hog']], repeat: false },
    ]);
    machine.start(units);
    const { core } = machine;
    machine.runTo(ms(4));
    core.moveDomain(0, to);
    expect(units.map((unit) => core.pcpu[unit])).toEqual([2, 3]);
    expect(core.hard[units[0]!]![0]).toBe(0xffff_ffff);
    expect([core.current[0], core.current[1], core.current[2]]).toEqual([0, 1, units[0]]);
    expect(coreFaults(core)).toEqual([]);
    machine.runTo(ms(50));
    expect(core.timeIn(units[0]!, runState.running)).toBe(ms(10));
    expect(core.timeIn(units[1]!, runState.running)).toBe(ms(20));
    expect(core.pauseCount[core.addVcpu(0)]).toBe(0);
  });

  test('a domain that moves stays paused if it was', () => {
    const machine = new TestMachine(2);
    const [from, to] = [machine.pool('null', [0]), machine.pool('null', [1])];
    const units = machine.domain(0, from, [hog]);
    machine.start(units);
    const { core } = machine;
    core.pauseUnits(units);
    core.moveDomain(0, to);
    expect([core.state[units[0]!], core.pauseCount[units[0]!]]).toEqual([runState.offline, 1]);
    core.unpauseUnits(units);
    core.drain();
    expect(core.current[1]).toBe(units[0]);
  });

  test('a domain that ends leaves nothing, and its units begin anew in the next one', () => {
    const { machine, pool, units } = setUp(2, {
      program: [
        ['run', 30],
        ['block', 20],
      ],
    });
    const { core } = machine;
    machine.runTo(45);
    core.removeDomain(0);
    expect([core.timers.size, core.domains[0]]).toEqual([0, undefined]);
    expect([...core.current]).toEqual([0, 1]);
    machine.runTo(100);
    const next = machine.domain(0, pool, hogs(2));
    expect(new Set(next)).toEqual(new Set(units));
    machine.start(next);
    machine.runTo(150);
    for (const unit of next) {
      expect(core.timeIn(unit, runState.running)).toBe(50);
      expect([core.dispatches[unit], core.migrations[unit], core.wakes[unit], core.pauseCount[unit]]).toEqual([
        1, 0, 1, 0,
      ]);
    }
    expect(coreFaults(core)).toEqual([]);
  });
});

const lengthNs = fc.integer({ min: 1, max: 9000 }).map((us) => us * 1000);
const vcpu = fc.record({
  program: fc.tuple(lengthNs, lengthNs).map(([run, block]): TestVcpu['program'] => [
    ['run', run],
    ['block', block],
  ]),
});
const action = fc.record({
  what: fc.constantFrom('pause', 'unpause', 'down', 'up', 'affinity', 'move', 'end', 'begin', 'remove', 'add'),
  afterNs: lengthNs,
  unit: fc.nat(20),
  pcpu: fc.nat(3),
  vcpus: fc.array(vcpu, { minLength: 1, maxLength: 3 }),
});

describe.each<[SchedulerName, SchedulerName]>([
  ['credit', 'sedf'],
  ['null', 'credit'],
])('domains in pools of %s and %s', (...names) => {
  test('every vCPU is in one place, whatever happens', () => {
    fc.assert(
      fc.property(fc.array(action, { minLength: 1, maxLength: 20 }), (actions) => {
        const machine = new TestMachine(4);
        const { core } = machine;
        const pools = [machine.pool(names[0], [0, 1]), machine.pool(names[1], [2, 3])];
        const bornNs = new Map<number, number>();
        const begin = (pool: SchedPool, vcpus: readonly TestVcpu[]): void => {
          const units = machine.domain(core.domains.length, pool, vcpus);
          for (const unit of units) bornNs.set(unit, core.now);
          machine.start(units);
        };
        const check = (): void => {
          const faults = coreFaults(core);
          if (faults.length > 0) expect(faults).toEqual([]);
          for (const unit of core.domains.flatMap((entry) => entry?.units ?? [])) {
            let sumNs = 0;
            for (const state of Object.values(runState)) sumNs += core.timeIn(unit, state);
            if (sumNs !== core.now - bornNs.get(unit)!) expect(sumNs).toBe(core.now - bornNs.get(unit)!);
          }
        };
        begin(pools[0]!, [hog, hog, hog]);
        for (const { what, afterNs, unit: index, pcpu, vcpus } of actions) {
          machine.runTo(core.now + afterNs, check);
          const units = core.domains.flatMap((entry) => entry?.units ?? []);
          const unit = units[index % units.length];
          const pool = pools[pcpu % 2]!;
          if (what === 'begin') begin(pool, vcpus);
          else if (what === 'add') {
            if (core.poolOf[pcpu] === undefined) core.addPcpu(pcpu, pool);
          } else if (what === 'remove') {
            const own = pools.find((one) => one === core.poolOf[pcpu]);
            if (own !== undefined && pcpusOf(own.valid).length > 1) core.removePcpu(pcpu, own);
          } else if (unit !== undefined) {
            if (what === 'pause') core.pauseUnits([unit]);
            else if (what === 'unpause') {
              if (core.pauseCount[unit]! > 0) core.unpauseUnits([unit]);
            } else if (what === 'down') core.setDown(unit);
            else if (what === 'up') core.setUp(unit);
            else if (what === 'affinity') core.setAffinity(unit, machine.mask(pcpu), undefined);
            else if (what === 'move') core.moveDomain(core.domain[unit]!, pool);
            else core.removeDomain(core.domain[unit]!);
          }
          core.drain();
          check();
        }
        machine.runTo(core.now + ms(60), check);
      }),
      { numRuns: 60 },
    );
  });
});
