import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { coreFaults } from '../../check/core-invariants.ts';
import { sedfFaults } from '../../check/sedf-invariants.ts';
import type { Step } from '../../guest/workload/step.ts';
import { TestMachine, type TestVcpu } from '../../testing/test-machine.ts';
import { errno, runState, type SchedPool } from '../core.ts';
import type { SedfParameters } from './sedf-parameters.ts';
import { sedfStatus } from './sedf-units.ts';
import { Sedf } from './sedf.ts';

const ms = (value: number): number => value * 1_000_000;
const hog: TestVcpu = { program: [['hog']] };

interface Given {
  readonly period?: number;
  readonly slice?: number;
  readonly extra?: boolean;
  readonly weight?: number;
  readonly vcpu?: TestVcpu;
}

const parametersOf = ({ period = 0, slice = 0, extra = false, weight = 0 }: Given): SedfParameters => ({
  periodNs: ms(period),
  sliceNs: ms(slice),
  latencyNs: 0,
  extratime: extra,
  weight,
});

function sedfPool(machine: TestMachine, pcpus: readonly number[]): { pool: SchedPool; sedf: Sedf } {
  const pool = machine.pool('sedf', pcpus);
  if (!(pool.scheduler instanceof Sedf)) throw new Error('another policy');
  return { pool, sedf: pool.scheduler };
}

interface Setup {
  readonly machine: TestMachine;
  readonly sedf: Sedf;
  readonly units: readonly number[];
}

/** One pCPU, and a domain of one vCPU for each of `given`: times in ms. Without parameters it is best effort. */
function setUp(given: readonly Given[]): Setup {
  const machine = new TestMachine(1, { xenVersion: '4.2' });
  const { pool, sedf } = sedfPool(machine, [0]);
  const units = given.flatMap((one, domain) => {
    const own = machine.domain(domain, pool, [one.vcpu ?? hog]);
    if (one.period !== undefined || one.weight !== undefined) expect(sedf.setDomain(domain, parametersOf(one))).toBe(0);
    return own;
  });
  machine.start(units);
  return { machine, sedf, units };
}

/** Shares of the pCPU in percent over 10 s, after 2 s. */
function shares({ machine, units }: Setup): readonly number[] {
  const running = (): readonly number[] => units.map((unit) => machine.core.timeIn(unit, runState.running));
  machine.runTo(ms(2_000));
  const before = running();
  machine.runTo(ms(12_000));
  return running().map((ns, index) => (ns - before[index]!) / ms(100));
}

/** What runs on the one pCPU and from when, in ms: domain numbers, -1 for idle. */
function switchesOf({ machine, units }: Setup, untilMs: number): readonly (readonly [number, number])[] {
  machine.runTo(ms(untilMs));
  const switches: [number, number][] = [];
  for (const line of machine.trace) {
    const [nowNs, , unit] = line.split(' ').map(Number);
    const domain = units.indexOf(unit!);
    if (switches.at(-1)?.[0] === nowNs! / ms(1)) switches.pop();
    if (switches.at(-1)?.[1] !== domain) switches.push([nowNs! / ms(1), domain]);
  }
  return switches;
}

describe('shares under SEDF, those of Xen 4.2', () => {
  test.each<[string, readonly Given[], readonly number[], number]>([
    ['two best-effort vCPUs have a half each', [{}, {}], [50, 50], 2],
    [
      'real time without extra time leaves the rest idle',
      [
        { period: 10, slice: 3 },
        { period: 20, slice: 10 },
      ],
      [30, 50],
      1,
    ],
    [
      'a real-time vCPU with extra time starves one of best effort',
      [{ period: 10, slice: 3 }, { period: 20, slice: 8, extra: true }, {}],
      [30, 69.425, 0.575],
      3,
    ],
    [
      'extra time goes by weight',
      [
        { weight: 1, extra: true },
        { weight: 3, extra: true },
      ],
      [25, 75],
      1,
    ],
    ['real time by weight leaves 5 ms of each 100', [{ weight: 1 }, { weight: 3 }], [23.75, 71.25], 1],
    [
      'too much is promised',
      [
        { period: 10, slice: 6 },
        { period: 10, slice: 6 },
      ],
      [60.02, 39.98],
      1,
    ],
    [
      'a waker has its slice beside a hog with extra time',
      [
        { period: 20, slice: 10, extra: true },
        {
          period: 10,
          slice: 2,
          vcpu: {
            program: [
              ['run', ms(1)],
              ['block', ms(7)],
            ],
          },
        },
      ],
      [90, 10],
      0,
    ],
  ])('%s', (_, given, expected, digits) => {
    const measured = shares(setUp(given));
    for (const [index, share] of expected.entries()) expect(measured[index]).toBeCloseTo(share, digits);
  });

  test('deadlines are missed where more is promised than there is, and told', () => {
    const setup = setUp([
      { period: 10, slice: 6 },
      { period: 10, slice: 6 },
    ]);
    shares(setup);
    expect(setup.sedf.deadlineMisses / 12).toBeCloseTo(33, 0);
    const fits = setUp([
      { period: 10, slice: 3 },
      { period: 20, slice: 10 },
    ]);
    shares(fits);
    expect(fits.sedf.deadlineMisses).toBe(0);
  });
});

describe('traces of SEDF, those of Xen 4.2', () => {
  test('the first period of a real-time vCPU has not begun when it is woken', () => {
    const setup = setUp([
      { period: 10, slice: 3 },
      { period: 20, slice: 10 },
    ]);
    expect(switchesOf(setup, 50)).toEqual([
      [0, -1],
      [3, 0],
      [6, -1],
      [10, 1],
      [13, 0],
      [16, 1],
      [23, 0],
      [26, -1],
      [30, 1],
      [33, 0],
      [36, 1],
      [43, 0],
      [46, -1],
    ]);
  });

  test('extra time by weight goes round in quanta of 0.5 ms', () => {
    const setup = setUp([
      { weight: 1, extra: true },
      { weight: 3, extra: true },
    ]);
    expect(switchesOf(setup, 8.5)).toEqual([
      [0, 0],
      [0.5, 1],
      [2.5, 0],
      [3, 1],
      [4.5, 0],
      [5, 1],
      [6.5, 0],
      [7, 1],
    ]);
  });
});

describe('the penalty queue of SEDF', () => {
  const blocker: TestVcpu = {
    program: [
      ['run', ms(2)],
      ['block', ms(1)],
    ],
  };

  test('who blocks and wakes in its period gets one quantum before the others, and its next period', () => {
    const setup = setUp([{ period: 20, slice: 10, vcpu: blocker }, {}]);
    expect(switchesOf(setup, 51)).toEqual([
      [0, 1],
      [10, 0],
      [12, 1],
      [13, 0],
      [13.5, 1],
      [30, 0],
      [31.5, 1],
      [32.5, 0],
      [33, 1],
      [50, 0],
    ]);
  });

  test('what a vCPU is owed outlasts its sleep', () => {
    const setup = setUp([{ period: 20, slice: 10, vcpu: blocker }, {}, { period: 100, slice: 10 }]);
    const { machine, units } = setup;
    const owed = units[0]!;
    machine.runTo(ms(15));
    machine.core.pauseUnits([owed]);
    machine.core.drain();
    machine.runTo(ms(16));
    expect(setup.sedf.queues.penalty.isOn(owed)).toBe(false);
    machine.core.unpauseUnits([owed]);
    machine.core.drain();
    expect(switchesOf(setup, 30)).toEqual([
      [0, 1],
      [10, 0],
      [12, 2],
      [22, 0],
      [22.5, 1],
    ]);
    expect(setup.sedf.units.status[owed]! & sedfStatus.wantsPenalty).toBe(0);
  });
});

describe('parameters under SEDF', () => {
  const base: SedfParameters = { periodNs: ms(10), sliceNs: ms(3), latencyNs: 7, extratime: false, weight: 0 };

  test.each<[string, Partial<SedfParameters>, number]>([
    ['neither period nor weight', { periodNs: 0 }, errno.invalid],
    ['a period below 10 µs', { periodNs: 9_999, sliceNs: 5_000 }, errno.invalid],
    ['the shortest period and slice', { periodNs: 10_000, sliceNs: 5_000 }, 0],
    ['the longest period', { periodNs: ms(10_000) }, 0],
    ['a period above 10 s', { periodNs: ms(10_000) + 1 }, errno.invalid],
    ['a slice below 5 µs', { sliceNs: 4_999 }, errno.invalid],
    ['a slice of the whole period', { sliceNs: ms(10) }, 0],
    ['a slice longer than the period', { sliceNs: ms(10) + 1 }, errno.invalid],
    ['a period nobody looks at, with a weight', { periodNs: 1, weight: 3 }, 0],
  ])('%s', (_, changes, rc) => {
    const { sedf } = setUp([{}]);
    const before = sedf.domainParameters(0);
    expect(before).toEqual({ periodNs: ms(100), sliceNs: 0, latencyNs: 0, extratime: true, weight: 0 });
    expect(sedf.setDomain(0, { ...base, ...changes })).toBe(rc);
    if (rc !== 0) expect(sedf.domainParameters(0)).toEqual(before);
    else expect(sedf.domainParameters(0)?.latencyNs).toBe(7);
  });

  test('slices by weight share what real-time vCPUs of the same pCPU leave', () => {
    const { sedf } = setUp([{ period: 10_000, slice: 3_000 }, { weight: 1 }, { weight: 4 }]);
    // 100 ms less 5 less 30.
    expect([1, 2].map((domain) => sedf.domainParameters(domain)?.sliceNs)).toEqual([ms(13), ms(52)]);
    expect(sedf.setDomain(0, { ...base, sliceNs: ms(9.5) })).toBe(0);
    expect([1, 2].map((domain) => sedf.domainParameters(domain)?.sliceNs)).toEqual([0, 0]);
  });

  test('a projected slice is exact where its product passes 2^53', () => {
    const { sedf } = setUp([{}, { weight: 1 }]);
    const [periodNs, sliceNs] = [9_999_999_967, 9_000_000_001];
    expect(sedf.setDomain(0, { ...base, periodNs, sliceNs })).toBe(0);
    const projected = Number((100_000_000n * BigInt(sliceNs)) / BigInt(periodNs));
    expect(sedf.domainParameters(1)?.sliceNs).toBe(ms(95) - projected);
  });

  test('a weight is a 16-bit number with a sign', () => {
    const { sedf } = setUp([{ weight: 0x1_0003 }]);
    expect(sedf.domainParameters(0)?.weight).toBe(3);
    expect(sedf.setDomain(0, { ...base, weight: 0xffff })).toBe(0);
    expect(sedf.domainParameters(0)?.weight).toBe(-1);
  });

  test('parameters take effect while the vCPU runs', () => {
    const setup = setUp([{ period: 10, slice: 8 }, {}]);
    const { machine, sedf, units } = setup;
    machine.runTo(ms(1000));
    expect(sedf.setDomain(0, parametersOf({ period: 10, slice: 2 }))).toBe(0);
    const before = machine.core.timeIn(units[0]!, runState.running);
    machine.runTo(ms(2000));
    expect((machine.core.timeIn(units[0]!, runState.running) - before) / ms(1000)).toBeCloseTo(0.2, 2);
    // Extra time only, and none of it: the vCPU of no slice gets nothing any more.
    expect(sedf.setDomain(0, parametersOf({ weight: 1, extra: true }))).toBe(0);
    machine.runTo(ms(3000));
    const late = machine.core.timeIn(units[0]!, runState.running);
    machine.runTo(ms(4000));
    expect((machine.core.timeIn(units[0]!, runState.running) - late) / ms(1000)).toBeCloseTo(0.5, 2);
  });
});

describe('SEDF and the core of Xen 4.2', () => {
  test('a vCPU stays where it is while its affinity lets it, else it goes to the lowest pCPU', () => {
    const machine = new TestMachine(4, { xenVersion: '4.2' });
    const { pool } = sedfPool(machine, [0, 1, 2, 3]);
    const [first, second] = machine.domain(0, pool, [hog, hog]);
    machine.start([first!, second!]);
    const { core } = machine;
    expect(core.pcpu[second!]).toBe(1);
    expect(core.setAffinity(second!, machine.mask(0, 1), undefined)).toBe(0);
    core.drain();
    expect(core.pcpu[second!]).toBe(1);
    expect(core.setAffinity(second!, machine.mask(2, 3), undefined)).toBe(0);
    core.drain();
    expect(core.pcpu[second!]).toBe(2);
    expect(coreFaults(core)).toEqual([]);
  });

  test('a vCPU paused and unpaused at once loses its place until it is woken again', () => {
    const { machine, sedf, units } = setUp([{}]);
    const unit = units[0]!;
    machine.runTo(ms(1));
    machine.core.pauseUnits([unit]);
    machine.core.unpauseUnits([unit]);
    machine.core.drain();
    machine.runTo(ms(50));
    expect(sedf.units.status[unit]! & sedfStatus.asleep).not.toBe(0);
    expect(machine.core.state[unit]).toBe(runState.runnable);
    machine.core.wake(unit);
    machine.core.drain();
    expect(machine.core.state[unit]).toBe(runState.running);
  });

  test('a pCPU that leaves gives its vCPUs away, and comes back empty', () => {
    const machine = new TestMachine(2, { xenVersion: '4.2' });
    const { pool, sedf } = sedfPool(machine, [0, 1]);
    const units = machine.domain(0, pool, [hog, { ...hog, hard: [1] }]);
    machine.start(units);
    const { core } = machine;
    machine.runTo(ms(5));
    expect(core.removePcpu(1, pool)).toBe(1);
    expect(units.map((unit) => core.pcpu[unit])).toEqual([0, 0]);
    machine.runTo(ms(10));
    expect(core.current[1]).toBe(1);
    core.addPcpu(1, pool);
    core.drain();
    machine.runTo(ms(20));
    expect(core.current[1]).toBe(1);
    expect([...coreFaults(core), ...sedfFaults(core, sedf, true)]).toEqual([]);
  });
});

describe('the state of SEDF', () => {
  test('comes back as it was captured, and what follows is the same', () => {
    const program: readonly Step[] = [
      ['run', ms(0.3), ms(2)],
      ['block', ms(0.2), ms(4)],
    ];
    const given: readonly Given[] = [
      { period: 10, slice: 3, extra: true, vcpu: { program, repeat: true, seed: 5 } },
      { period: 20, slice: 5, extra: true, vcpu: { program, repeat: true, seed: 9 } },
      {},
    ];
    const [plain, restored] = [setUp(given), setUp(given)];
    plain.machine.runTo(ms(500));
    restored.machine.runTo(ms(123));
    const state = restored.sedf.capture();
    for (const array of Object.values(restored.sedf.units)) (array as Uint8Array).fill(3);
    for (const array of restored.sedf.queues.arrays()) array.fill(-1);
    restored.sedf.deadlineMisses = 99;
    restored.sedf.restore(state);
    expect(restored.sedf.capture()).toEqual(state);
    restored.machine.runTo(ms(500));
    expect(restored.machine.trace).toEqual(plain.machine.trace);
    expect(restored.sedf.deadlineMisses).toBe(plain.sedf.deadlineMisses);
  });
});

const lengthNs = fc.integer({ min: 1, max: 8000 }).map((us) => us * 1000);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constant('run' as const), lengthNs),
  fc.tuple(fc.constant('block' as const), lengthNs),
  fc.constant(['yield'] as const),
);
/** Something that takes time is in each, so that programs do not go round at one instant. */
const vcpu = fc.record({
  program: fc.tuple(fc.array(step, { maxLength: 4 }), lengthNs).map(([steps, ns]): Step[] => [...steps, ['run', ns]]),
  hard: fc.option(fc.uniqueArray(fc.nat(2), { minLength: 1 }), { nil: undefined }),
});
const parameters = fc.oneof(
  fc.record({ period: fc.integer({ min: 1, max: 30 }), share: fc.integer({ min: 10, max: 100 }), extra: fc.boolean() }),
  fc.record({ weight: fc.integer({ min: 1, max: 10 }), extra: fc.boolean() }),
);
const given = ({ extra, ...rest }: { extra: boolean; period?: number; share?: number; weight?: number }): Given => ({
  extra,
  ...('weight' in rest
    ? { weight: rest.weight! }
    : { period: rest.period!, slice: Math.max(1, Math.floor((rest.period! * rest.share!) / 100)) }),
});
const domain = fc.record({
  vcpus: fc.array(vcpu, { minLength: 1, maxLength: 3 }),
  parameters: fc.option(parameters, { nil: undefined }),
});
const action = fc.record({
  what: fc.constantFrom('pause', 'unpause', 'down', 'up', 'affinity', 'remove', 'add', 'parameters' as const),
  afterNs: lengthNs,
  unit: fc.nat(8),
  pcpu: fc.nat(2),
  parameters,
});

test('units are on the queues they should be on, whatever happens', () => {
  fc.assert(
    fc.property(
      fc.array(domain, { minLength: 1, maxLength: 3 }),
      fc.array(action, { maxLength: 12 }),
      (domains, actions) => {
        const machine = new TestMachine(3, { xenVersion: '4.2' });
        const { pool, sedf } = sedfPool(machine, [0, 1, 2]);
        const { core } = machine;
        let areParametersOld = true;
        const check = (): void => {
          const faults = [...coreFaults(core), ...sedfFaults(core, sedf, areParametersOld)];
          if (faults.length > 0) expect(faults).toEqual([]);
        };
        const units = domains.flatMap(({ vcpus, parameters: own }, number) => {
          const added = machine.domain(number, pool, vcpus);
          if (own !== undefined) expect(sedf.setDomain(number, parametersOf(given(own)))).toBe(0);
          return added;
        });
        machine.start(units);
        check();
        for (const { what, afterNs, unit: index, pcpu, parameters: next } of actions) {
          machine.runTo(core.now + afterNs, check);
          const unit = units[index % units.length]!;
          if (what === 'pause') core.pauseUnits([unit]);
          else if (what === 'unpause') {
            if (core.pauseCount[unit]! > 0) core.unpauseUnits([unit]);
          } else if (what === 'down') core.setDown(unit);
          else if (what === 'up') core.setUp(unit);
          else if (what === 'affinity') core.setAffinity(unit, machine.mask(pcpu), undefined);
          else if (what === 'remove') {
            if (core.poolOf[pcpu] !== undefined && core.poolOf.filter(Boolean).length > 1) core.removePcpu(pcpu, pool);
          } else if (what === 'add') {
            if (core.poolOf[pcpu] === undefined) core.addPcpu(pcpu, pool);
          } else {
            areParametersOld = false;
            expect(sedf.setDomain(core.domain[unit]!, parametersOf(given(next)))).toBe(0);
          }
          core.drain();
          check();
        }
        machine.runTo(core.now + ms(60), check);
      },
    ),
    { numRuns: 60 },
  );
});
