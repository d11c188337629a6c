import { describe, expect, test } from 'vitest';
import { coreFaults } from '../../check/core-invariants.ts';
import { credit2Faults } from '../../check/credit2-invariants.ts';
import {
  credit2Pool,
  hog,
  hogs,
  ms,
  setUpCredit2 as setUp,
  shares,
  us,
  waker,
  type Credit2Setup as Setup,
  type Given,
} from '../../testing/credit-setup.ts';
import { TestMachine, type TestVcpu } from '../../testing/test-machine.ts';
import type { TopologyShape } from '../../topology/topology.ts';
import { errno, pauseFlag, runState } from '../core.ts';
import type { SchedulerOptions } from '../scheduler-options.ts';
import { balance, balanceRules } from './balance.ts';
import { burn } from './credit.ts';
import { unitOfLoad } from './load.ts';
import { tickle } from './tickle.ts';
import { addToRow, rowOf, unitFlag } from './state.ts';
import * as pcpuMask from '../pcpu-mask.ts';

/** What runs on pCPU 0 and from when, in ms: domain numbers, -1 for idle. */
function switchesOf({ machine, units }: Setup, untilMs: number): readonly (readonly [number, number])[] {
  machine.runTo(ms(untilMs));
  const switches: [number, number][] = [];
  for (const line of machine.trace) {
    const [nowNs, pcpu, unit] = line.split(' ').map(Number);
    if (pcpu !== 0) continue;
    const domain = units.findIndex((own) => own.includes(unit!));
    if (switches.at(-1)?.[0] === nowNs! / ms(1)) switches.pop();
    if (switches.at(-1)?.[1] !== domain) switches.push([nowNs! / ms(1), domain]);
  }
  return switches;
}

const faultsOf = ({ machine: { core }, credit2 }: Pick<Setup, 'machine' | 'credit2'>): readonly string[] => [
  ...coreFaults(core),
  ...credit2Faults(core, credit2.state, { areCoresWhole: true, areCapsOld: true }),
];

/**
 * Two of these differ a little from the table in hypervisor/schedulers.md, section 7: K4, three on two pCPUs, is
 * 68.75/65.625/65.625 % there (22 and 21 of 32 ms), and K8, more vCPUs than weight, 36.2/72.5/291.3 %. The recorded
 * decisions of K4's setting (credit2-004) have 65.6/69.0/65.5 %, which is what the model gives: the decisions are what
 * binds, and they are equal one by one.
 */
describe('shares, those of the upstream code', () => {
  const eight: Partial<TopologyShape> = { socketsPerNode: 2, coresPerSocket: 4 };
  test.each<[string, number, readonly Given[], Partial<TopologyShape>, readonly number[], number]>([
    ['weights 1:2', 1, [{ vcpus: [hog] }, { weight: 512, vcpus: [hog] }], {}, [33.333, 66.667], 3],
    ['half a pCPU at most', 1, [{ cap: 50, vcpus: [hog] }], {}, [50], 3],
    [
      'weights 1:2:4:8',
      1,
      [256, 512, 1024, 2048].map((weight) => ({ weight, vcpus: [hog] })),
      {},
      [6.667, 13.333, 26.667, 53.333],
      3,
    ],
    // Of 29 ms the one that is resisted least has 20.
    ['three on two pCPUs', 2, [1, 2, 3].map(() => ({ vcpus: [hog] })), {}, [1900 / 29, 2000 / 29, 1900 / 29], 2],
    ['a capped one and a free one', 1, [{ cap: 40, vcpus: [hog] }, { vcpus: [hog] }], {}, [40, 60], 2],
    ['a cap of two pCPUs', 4, [{ cap: 200, vcpus: hogs(4) }, { vcpus: hogs(4) }], {}, [200, 200], 0],
    ['a cap alone', 4, [{ cap: 150, vcpus: hogs(4) }], {}, [150], 3],
    [
      'more vCPUs count more than weight',
      4,
      [{ vcpus: hogs(1) }, { vcpus: hogs(2) }, { weight: 512, vcpus: hogs(4) }],
      {},
      [400 / 11, 800 / 11, 3200 / 11],
      1,
    ],
    ['two sockets', 4, [1, 2, 3, 4].map(() => ({ vcpus: hogs(4) })), eight, [200, 200, 200, 200], 0],
    [
      'two sockets of eight',
      8,
      Array.from({ length: 8 }, () => ({ vcpus: hogs(4) })),
      { socketsPerNode: 2, coresPerSocket: 8 },
      Array.from({ length: 8 }, () => 200),
      3,
    ],
    [
      'domains that prefer a node each',
      4,
      Array.from({ length: 6 }, (_, domain) => ({
        soft: domain % 2 === 0 ? [0, 1, 2, 3] : [4, 5, 6, 7],
        vcpus: hogs(4),
      })),
      { nodes: 2, coresPerSocket: 4 },
      Array.from({ length: 6 }, () => 133.33),
      2,
    ],
  ])('%s', (_name, pcpus, domains, shape, expected, digits) => {
    const actual = shares(setUp(pcpus, domains, {}, shape));
    expect(actual.map((share) => share.toFixed(digits))).toEqual(expected.map((share) => share.toFixed(digits)));
  });

  test.each<[string, readonly Given[], number | undefined, number, number]>([
    [
      'who sleeps long enough waits for nobody',
      [{ vcpus: [hog] }, { vcpus: [waker(100, 10_000)] }],
      undefined,
      0,
      0.99,
    ],
    [
      'the rate limit makes a waker wait for the end of the slice',
      [{ vcpus: [hog] }, { vcpus: [waker(100, 333)] }],
      1000,
      9667,
      0.99,
    ],
    ['without it nobody waits', [{ vcpus: [hog] }, { vcpus: [waker(100, 333)] }], 0, 0, 23.095],
    ['nor does one that uses its share', [{ vcpus: hogs(3) }, { vcpus: [waker(2000, 4000)] }], undefined, 0, 25],
  ])('%s', (_name, domains, ratelimitUs, latencyUs, share) => {
    const setup = setUp(1, domains, ratelimitUs === undefined ? {} : { ratelimitUs });
    expect(shares(setup)[1]).toBeCloseTo(share, 2);
    const { core } = setup.machine;
    const unit = setup.units[1]![0]!;
    const meanUs = core.latencySumNs[unit]! / core.wakes[unit]! / 1000;
    // The beginning, with full credit, is like no time after it.
    expect(Math.abs(meanUs - latencyUs)).toBeLessThan(latencyUs === 0 ? 25 : 10);
  });
});

describe('who runs when', () => {
  test.each<[string, readonly Given[], number, readonly (readonly [number, number])[]]>([
    [
      'two equal ones: 10 ms each, then 1 ms each',
      [{ vcpus: [hog] }, { vcpus: [hog] }],
      23,
      [
        [0, 0],
        [10, 1],
        [20.5, 0],
        [21.5, 1],
        [22.5, 0],
      ],
    ],
    [
      'weights 1:2: 1 ms and 2 ms',
      [{ vcpus: [hog] }, { weight: 512, vcpus: [hog] }],
      37,
      [
        [0, 0],
        [10, 1],
        [30.5, 0],
        [31.5, 1],
        [33.5, 0],
        [34.5, 1],
        [36.5, 0],
      ],
    ],
    [
      'a cap of 50 %: 5 ms, and parked for 5 ms',
      [{ cap: 50, vcpus: [hog] }],
      21,
      [
        [0, 0],
        [5, -1],
        [10, 0],
        [15, -1],
        [20, 0],
      ],
    ],
  ])('%s', (_name, domains, untilMs, expected) => {
    expect(switchesOf(setUp(1, domains), untilMs)).toEqual(expected);
  });

  test('a slice of 2 ms that the rate limit cut short is extended once', () => {
    const { machine, units } = setUp(1, [{ vcpus: [hog] }, { weight: 512, vcpus: [hog] }]);
    machine.runTo(ms(34));
    const [heavy] = units[1]!;
    expect(machine.trace.filter((line) => line.startsWith('315') || line.startsWith('330'))).toEqual([
      `${ms(31.5)} 0 ${heavy!} ${ms(1.5)}`,
      `${ms(33)} 0 ${heavy!} ${ms(0.5)}`,
    ]);
  });

  test('one that yields lets the next run at once, and has the pCPU back after it', () => {
    const yielding: TestVcpu = { program: [['run', us(100)], ['yield']] };
    const setup = setUp(1, [{ vcpus: [yielding] }, { vcpus: [waker(300, 50)] }]);
    expect(switchesOf(setup, 0.9)).toEqual([
      [0, 0],
      [0.1, 1],
      [0.4, 0],
      [0.5, 1],
      [0.8, 0],
    ]);
  });

  test('who runs where it would rather not goes to an idle pCPU that it prefers', () => {
    const { machine, units, pool } = setUp(2, [{ vcpus: [hog] }]);
    const { core } = machine;
    const unit = units[0]![0]!;
    const before = core.pcpu[unit]!;
    machine.runTo(ms(5));
    expect(core.pcpu[unit]).toBe(before);
    core.setAffinity(unit, undefined, machine.mask(1 - before));
    core.drain();
    expect(core.current[1 - before]).toBe(unit);
    expect(pcpuMask.count(pool.valid)).toBe(2);
  });
});

describe('which pCPUs share a run queue', () => {
  test.each<[NonNullable<SchedulerOptions['runqueue']>, number, readonly (readonly number[])[]]>([
    ['cpu', 16, [[0], [1], [2], [3], [4], [5], [6], [7]]],
    [
      'core',
      16,
      [
        [0, 1],
        [2, 3],
        [4, 5],
        [6, 7],
      ],
    ],
    [
      'socket',
      16,
      [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
      ],
    ],
    [
      'node',
      16,
      [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
      ],
    ],
    ['all', 16, [[0, 1, 2, 3, 4, 5, 6, 7]]],
    [
      'all',
      4,
      [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
      ],
    ],
    // Three run queues of two: evenly, and threads of a core together.
    [
      'all',
      3,
      [
        [0, 1],
        [2, 3],
        [4, 5],
        [6, 7],
      ],
    ],
    [
      'all',
      1,
      [
        [0, 1],
        [2, 3],
        [4, 5],
        [6, 7],
      ],
    ],
  ])('%s, at most %i', (runqueue, maxCpusPerRunqueue, expected) => {
    const { credit2 } = setUp(
      2,
      [],
      { runqueue, maxCpusPerRunqueue },
      { nodes: 2, threadsPerCore: 2, coresPerSocket: 2 },
    );
    const { state } = credit2;
    const queues = [...state.queues.subarray(0, state.queueCount)];
    expect(queues.map((queue) => pcpuMask.pcpusOf(rowOf(state.active, queue * state.words, state.words)))).toEqual(
      expected,
    );
  });

  test('a run queue that goes leaves its number to the next', () => {
    const { machine, pool, credit2 } = setUp(4, [{ vcpus: hogs(1) }], { runqueue: 'cpu' });
    const { core } = machine;
    core.removePcpu(1, pool);
    expect([...credit2.state.queues.subarray(0, credit2.state.queueCount)]).toEqual([0, 2, 3]);
    core.removePcpu(2, pool);
    core.addPcpu(2, pool);
    core.drain();
    expect(credit2.state.queueOfPcpu[2]).toBe(1);
    expect(faultsOf({ machine, credit2 })).toEqual([]);
  });
});

describe('parameters', () => {
  test.each<[number, number | undefined, number | undefined, number, number, number]>([
    [256, 1, 0, 0, 1, 0],
    [256, 65_535, 0, 0, 65_535, 0],
    // Weight 0 is that there is.
    [256, 0, 30, 0, 256, 30],
    [256, undefined, 100, 0, 256, 100],
    [256, 512, undefined, 0, 512, 0],
    [256, 65_536, 0, errno.invalid, 256, 0],
    [256, -1, 0, errno.invalid, 256, 0],
    [256, 1.5, 0, errno.invalid, 256, 0],
    [256, 256, 65_536, errno.invalid, 256, 0],
    [256, 256, -1, errno.invalid, 256, 0],
    // More than the two vCPUs can use: the weight is changed all the same, as upstream.
    [256, 512, 201, errno.invalid, 512, 0],
    [256, 512, 200, 0, 512, 200],
  ])('weight %i to weight %s and cap %s gives %i', (weight, newWeight, newCap, rc, thenWeight, thenCap) => {
    const { credit2 } = setUp(1, [{ weight, vcpus: hogs(2) }]);
    const parameters = {
      ...(newWeight === undefined ? {} : { weight: newWeight }),
      ...(newCap === undefined ? {} : { cap: newCap }),
    };
    expect(credit2.setDomain(0, parameters)).toBe(rc);
    expect(credit2.domainParameters(0)).toEqual({ weight: thenWeight, cap: thenCap });
  });

  test.each<[number, number]>([
    [0, 0],
    [100, 0],
    [500_000, 0],
    [99, errno.invalid],
    [500_001, errno.invalid],
    [-1, errno.invalid],
    [100.5, errno.invalid],
  ])('a rate limit of %d µs gives %i', (ratelimitUs, rc) => {
    const { credit2 } = setUp(1, []);
    expect(credit2.setPool({ ratelimitUs })).toBe(rc);
    expect(credit2.setPool({})).toBe(0);
    expect(credit2.poolParameters()).toEqual({ ratelimitUs: rc === 0 ? ratelimitUs : 1000 });
  });

  test('at boot, what is out of range is taken for the default', () => {
    const { credit2 } = setUp(1, [], { ratelimitUs: 50, capPeriodMs: 0 });
    expect(credit2.poolParameters()).toEqual({ ratelimitUs: 1000 });
    expect(credit2.state.capPeriodNs).toBe(ms(10));
  });

  test('a rate limit that is raised protects those who run already', () => {
    const setup = setUp(1, [{ vcpus: [hog] }, { vcpus: [waker(100, 1900)] }]);
    setup.machine.runTo(ms(100));
    expect(setup.credit2.setPool({ ratelimitUs: 20_000 })).toBe(0);
    const { core } = setup.machine;
    const unit = setup.units[1]![0]!;
    const before = core.latencySumNs[unit]!;
    setup.machine.runTo(ms(200));
    expect(core.latencySumNs[unit]! - before).toBeGreaterThan(ms(50));
    expect(faultsOf(setup)).toEqual([]);
  });

  test('a weight and a cap that are changed while it runs count from then on', () => {
    const setup = setUp(1, [{ vcpus: [hog] }, { vcpus: [hog] }]);
    const { machine, credit2, units } = setup;
    const ran = (): number => machine.core.timeIn(units[1]![0]!, runState.running);
    const over = (fromMs: number, toMs: number): number => {
      machine.runTo(ms(fromMs));
      const before = ran();
      machine.runTo(ms(toMs));
      return (ran() - before) / ms(toMs - fromMs);
    };
    expect(over(500, 1500)).toBeCloseTo(0.5, 2);
    credit2.setDomain(1, { weight: 768 });
    expect(over(2000, 4000)).toBeCloseTo(0.75, 2);
    credit2.setDomain(1, { cap: 20 });
    expect(over(4500, 6500)).toBeCloseTo(0.2, 3);
    credit2.setDomain(1, { cap: 0 });
    expect(over(7000, 9000)).toBeCloseTo(0.75, 2);
    expect(faultsOf(setup)).toEqual([]);
  });

  test('what ran before there was a cap is not taken from its budget', () => {
    const setup = setUp(1, [{ vcpus: [hog] }]);
    setup.machine.runTo(ms(5));
    expect(setup.credit2.setDomain(0, { cap: 50 })).toBe(0);
    setup.machine.core.drain();
    expect(switchesOf(setup, 21)).toEqual([
      [0, 0],
      [10, -1],
      [15, 0],
      [20, -1],
    ]);
  });

  test('removing a cap brings back those it parked, at once', () => {
    const { machine, credit2, units } = setUp(1, [{ cap: 10, vcpus: [hog] }]);
    const unit = units[0]![0]!;
    machine.runTo(ms(5));
    expect(machine.core.flags[unit]).toBe(pauseFlag.parked);
    credit2.setDomain(0, { cap: 0 });
    machine.core.drain();
    expect(machine.core.current[0]).toBe(unit);
    machine.runTo(ms(50));
    expect(machine.core.timeIn(unit, runState.running)).toBe(ms(46));
  });
});

describe('pCPUs, domains and pools that come and go', () => {
  test('a pCPU that leaves hands on what it runs, and takes part again when it is back', () => {
    const setup = setUp(2, [{ vcpus: hogs(2) }], { runqueue: 'cpu' });
    const { machine, pool, units } = setup;
    const { core } = machine;
    machine.runTo(ms(100));
    core.removePcpu(1, pool);
    expect(units[0]!.map((unit) => core.pcpu[unit])).toEqual([0, 0]);
    expect(faultsOf(setup)).toEqual([]);
    machine.runTo(ms(200));
    core.addPcpu(1, pool);
    core.drain();
    machine.runTo(ms(3000));
    expect(units[0]!.map((unit) => core.pcpu[unit]!).toSorted((a, c) => a - c)).toEqual([0, 1]);
    expect(faultsOf(setup)).toEqual([]);
  });

  test('a domain that ends leaves nothing: its load, its weight, its timer', () => {
    const setup = setUp(1, [{ vcpus: [hog] }, { weight: 4096, cap: 50, vcpus: hogs(2) }]);
    const { machine, credit2 } = setup;
    machine.runTo(ms(33));
    machine.core.removeDomain(1);
    expect(credit2.state.maxWeight[0]).toBe(256);
    expect(credit2.state.load[0]).toBe(1);
    expect(faultsOf(setup)).toEqual([]);
    const { size } = machine.core.timers;
    machine.runTo(ms(100));
    expect(machine.core.timers.size).toBe(size);
    expect(machine.core.current[0]).toBe(setup.units[0]![0]);
  });

  test.each([0, 30])('a domain of cap %i moves to another pool, where it has default parameters', (cap) => {
    const machine = new TestMachine(4);
    const one = credit2Pool(machine, [0, 1]);
    const two = credit2Pool(machine, [2, 3]);
    const units = machine.domain(0, one.pool, hogs(2));
    expect(one.credit2.setDomain(0, { weight: 777, cap })).toBe(0);
    machine.start(units);
    machine.runTo(ms(28));
    machine.core.moveDomain(0, two.pool);
    expect(two.credit2.domainParameters(0)).toEqual({ weight: 256, cap: 0 });
    machine.runTo(ms(50));
    expect(units.map((unit) => machine.core.current.indexOf(unit)).toSorted((a, c) => a - c)).toEqual([2, 3]);
    expect(faultsOf({ machine, ...one })).toEqual([]);
    expect(faultsOf({ machine, ...two })).toEqual([]);
  });

  test('more units than there was room for', () => {
    const setup = setUp(
      2,
      Array.from({ length: 20 }, () => ({ cap: 5, vcpus: hogs(3) })),
    );
    setup.machine.runTo(ms(200));
    expect(faultsOf(setup).filter((fault) => !fault.includes('is in state'))).toEqual([]);
    expect(setup.machine.core.unitCapacity).toBeGreaterThan(20);
  });
});

describe('credit', () => {
  test('what division leaves over is not lost: running in parts costs what running at once does', () => {
    const { machine, credit2, units } = setUp(1, [
      { weight: 300, vcpus: [hog] },
      { weight: 700, vcpus: [hog] },
    ]);
    const { state } = credit2;
    const { core } = machine;
    const unit = units[0]![0]!;
    const costOf = (stepsNs: readonly number[]): number => {
      const before = state.credit[unit]!;
      state.startNs[unit] = 0;
      state.residual[unit] = 0;
      core.now = 0;
      for (const ns of stepsNs) {
        core.now += ns;
        burn(state, 0, unit);
      }
      return before - state.credit[unit]!;
    };
    expect(costOf([1000])).toBe(2333);
    expect(costOf([100, 1, 399, 500])).toBe(2333);
    expect(costOf([1, 1, 1])).toBe(7);
  });

  test.each([
    ['a whole multiple', 100, 30_000],
    ['a multiple with a part', 300, 10_000],
    ['that of the heaviest', 3000, 1000],
  ])('what was left over is paid by the first running after the weight became lighter by %s', (_, weight, cost) => {
    const { machine, credit2, units } = setUp(1, [
      { weight: 2999, vcpus: [hog] },
      { weight: 3000, vcpus: [hog] },
    ]);
    const { state } = credit2;
    const unit = units[0]![0]!;
    state.residual[unit] = 2998;
    credit2.setDomain(0, { weight });
    const before = state.credit[unit]!;
    state.startNs[unit] = 0;
    machine.core.now = 1000;
    burn(state, 0, unit);
    expect(before - state.credit[unit]!).toBe(cost + Math.floor(2998 / weight));
    expect(state.residual[unit]).toBe(2998 % weight);
  });
});

describe('which busy pCPU a unit is for', () => {
  test.each<[string, readonly [number, number, number], readonly number[], readonly number[], number]>([
    ['its own, if it deserves that and likes it, though another has less credit', [5, 1, 4], [0, 1, 2], [0, 1, 2], 0],
    ['the one with least credit, if its own has more than it', [11, 3, 1], [0, 1, 2], [0, 1, 2], 2],
    ['the first of equals', [11, 3, 3], [0, 1, 2], [0, 1, 2], 1],
    ['one that it likes before its own', [1, 5, 11], [1, 2], [0, 1, 2], 1],
    ['one that the other does not like before one with less credit', [11, 1, 8], [0, 1, 2], [0, 1], 2],
    ['none within the resistance to migration', [11, 9.5, 9.6], [0, 1, 2], [0, 1, 2], -1],
  ])('%s', (_name, creditsMs, soft, softOfOthers, expected) => {
    const { machine, credit2, units } = setUp(3, [{ vcpus: hogs(4) }], { ratelimitUs: 0 });
    const { core } = machine;
    const { state } = credit2;
    const waiting = units[0]!.find((unit) => core.isRunning[unit] === 0)!;
    for (const unit of units[0]!) state.soft.set(machine.mask(...softOfOthers), unit);
    state.soft.set(machine.mask(...soft), waiting);
    for (const [pcpu, unit] of core.current.entries()) state.credit[unit] = ms(creditsMs[pcpu]!);
    state.credit[waiting] = ms(10);
    core.pcpu[waiting] = 0;
    state.tickledPcpu[waiting] = -1;
    tickle(state, waiting);
    expect(state.tickledPcpu[waiting]).toBe(expected);
  });
});

describe('balancing', () => {
  /** Three pCPUs with a run queue each, two units on the first. */
  function loaded(loads: readonly number[]): Setup {
    const setup = setUp(3, [{ vcpus: hogs(4) }], { runqueue: 'cpu' });
    const { state } = setup.credit2;
    state.unitLoad.fill(unitOfLoad / 16);
    for (const [queue, load] of loads.entries()) state.balancedLoad[queue] = load * unitOfLoad;
    return setup;
  }

  test.each<[string, readonly number[], boolean]>([
    ['half a load apart, with room for all', [0.5, 0, 0.5], false],
    ['a load apart', [1, 0, 0.5], true],
    ['a tenth apart, and full', [1.1, 1, 1.1], false],
    ['an eighth apart, and full', [1.125, 1, 1.1], true],
    // The last run queue is weighed, not the one that is furthest.
    ['far from one that is full, while the last has room', [0.6, 1.2, 0.5], false],
    ['the same, and the last is full', [0.6, 1.2, 1], true],
  ])('%s: %j moves %s', (_name, loads, moves) => {
    const { credit2, units } = loaded(loads);
    const { state } = credit2;
    balance(state, balanceRules, 0);
    const moved = units[0]!.filter((unit) => (state.flags[unit]! & unitFlag.migrateRequest) !== 0);
    const queued = units[0]!.filter(
      (unit) => state.queue[unit] !== state.queueOfPcpu[0] && state.tickledPcpu[unit]! >= 0,
    );
    expect(moved.length + queued.length > 0).toBe(moves);
  });
});

describe('Xen 4.2', () => {
  const old: SchedulerOptions = { xenVersion: '4.2' };

  test('slices of 2 ms at most, 0.5 ms at least, with no thought of who makes room', () => {
    expect(switchesOf(setUp(1, [{ vcpus: [hog] }, { vcpus: [hog] }], old), 11)).toEqual([
      [0, 0],
      [2, 1],
      [4.5, 0],
      [6.5, 1],
      [8.5, 0],
      [10.5, 1],
    ]);
  });

  test('weights count, and a pCPU that idles looks again each 2 ms', () => {
    expect(shares(setUp(1, [{ vcpus: [hog] }, { weight: 512, vcpus: [hog] }], old)).map(Math.round)).toEqual([33, 67]);
    const { machine } = setUp(1, [], old);
    machine.runTo(ms(5));
    expect(machine.trace).toEqual(['0 0 0 2000000', '2000000 0 0 2000000', '4000000 0 0 2000000']);
  });

  test('run queues of sockets even out', () => {
    const setup = setUp(2, [{ vcpus: hogs(4) }, { vcpus: hogs(4) }], old, { socketsPerNode: 2 });
    expect(shares(setup).map(Math.round)).toEqual([200, 200]);
    expect(setup.credit2.state.load.subarray(0, 2)).toEqual(Int32Array.of(4, 4));
    expect(coreFaults(setup.machine.core)).toEqual([]);
  });

  test('there is neither cap nor rate limit', () => {
    const { credit2 } = setUp(1, [{ vcpus: [hog] }], old);
    expect(credit2.setDomain(0, { weight: 300, cap: 10 })).toBe(errno.invalid);
    expect(credit2.setDomain(0, { weight: 300 })).toBe(0);
    expect(credit2.domainParameters(0)).toEqual({ weight: 300, cap: 0 });
    expect(credit2.setPool({ ratelimitUs: 1000 })).toBe(0);
    expect(credit2.poolParameters()).toEqual({ ratelimitUs: 0 });
  });

  test('a domain that begins late has the average that nanoseconds taken for ticks give', () => {
    const machine = new TestMachine(1, old);
    const { pool, credit2 } = credit2Pool(machine, [0], old);
    machine.runTo(ms(100));
    const units = machine.domain(0, pool, [hog]);
    machine.start(units);
    // 97656 ticks, less 100 000 000, of a window of 262144, with the half that a new unit has.
    const expected = Math.floor(((262_144 + 100_000_000 - 97_656) * 131_072) / 262_144);
    expect(credit2.state.unitLoad[units[0]!]).toBe(expected);
  });
});

test('the checker sees faults', () => {
  const setup = setUp(2, [{ vcpus: hogs(4) }]);
  const { state } = setup.credit2;
  setup.machine.runTo(ms(20));
  expect(faultsOf(setup)).toEqual([]);
  const sound = state.capture();
  const faulty: readonly (() => void)[] = [
    () => (state.load[0] = 7),
    () => (state.maxWeight[0] = 7),
    () => (state.cpus[0] = 7),
    () => (state.credit[setup.units[0]![0]!] = -ms(11)),
    () => (state.credit[state.nextQueued[0]!] = -ms(9)),
    () => (state.nextQueued[0] = 0),
    () => (state.budgetNs[setup.units[0]![0]!] = 5),
    () => (state.entryNs[0] = 5),
    () => addToRow(state.tickled, 0, 1),
    () => addToRow(state.idle, 0, 1),
    () => addToRow(state.smtIdle, 0, 1),
    () => state.preemptable.fill(3),
    () => state.hard.fill(1),
  ];
  for (const spoil of faulty) {
    spoil();
    expect(faultsOf(setup), String(spoil)).not.toEqual([]);
    state.restore(sound);
    expect(faultsOf(setup)).toEqual([]);
  }
});
