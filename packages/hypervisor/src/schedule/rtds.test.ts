import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { coreFaults } from '../check/core-invariants.ts';
import { rtdsFaults } from '../check/rtds-invariants.ts';
import { act, randomAction, randomVcpu } from '../testing/random-scheduling.ts';
import { TestMachine, type TestVcpu } from '../testing/test-machine.ts';
import { errno, runState, type SchedPool } from './core.ts';
import type { RtdsParameters } from './rtds/rtds-parameters.ts';
import { Rtds } from './rtds.ts';
import type { XenVersion } from './scheduler.ts';

const ms = (value: number): number => value * 1_000_000;
const hog: TestVcpu = { program: [['hog']] };

/** Budget and period in ms, and whether there is extra time. */
type Given = readonly [budgetMs: number, periodMs: number, extratime: boolean];

const parametersOf = ([budgetMs, periodMs, extratime]: Given): RtdsParameters => ({
  budgetUs: budgetMs * 1000,
  periodUs: periodMs * 1000,
  extratime,
});

interface Setup {
  readonly machine: TestMachine;
  readonly pool: SchedPool;
  readonly policy: Rtds;
  readonly units: readonly number[];
}

/** A domain of one vCPU for each of `given`; without parameters it has the defaults. */
function setUp(
  pcpus: number,
  given: readonly (Given | undefined)[],
  xenVersion: XenVersion = '4.23',
  vcpus: readonly TestVcpu[] = [],
): Setup {
  const machine = new TestMachine(pcpus, { xenVersion });
  const pool = machine.pool(
    'rtds',
    Array.from({ length: pcpus }, (_, pcpu) => pcpu),
  );
  const policy = pool.scheduler;
  if (!(policy instanceof Rtds)) throw new Error('another policy');
  const units = given.flatMap((one, domain) => {
    const own = machine.domain(domain, pool, [vcpus[domain] ?? hog]);
    if (one !== undefined) expect(policy.setUnit(own[0]!, parametersOf(one))).toBe(0);
    machine.start(own);
    return own;
  });
  return { machine, pool, policy, units };
}

function expectSound({ machine: { core }, policy }: Setup, areParametersOld = true): void {
  expect([...coreFaults(core), ...rtdsFaults(core, policy, areParametersOld)]).toEqual([]);
}

/** What runs on pCPU 0 and from when, in ms: domain numbers, -1 for idle. */
function switchesOf({ machine, units }: Setup, untilMs: number): readonly (readonly [number, number])[] {
  machine.runTo(ms(untilMs));
  const switches: [number, number][] = [];
  for (const line of machine.trace) {
    const [nowNs, pcpu, unit] = line.split(' ').map(Number);
    if (pcpu !== 0) continue;
    const domain = units.indexOf(unit!);
    if (switches.at(-1)?.[0] === nowNs! / ms(1)) switches.pop();
    if (switches.at(-1)?.[1] !== domain) switches.push([nowNs! / ms(1), domain]);
  }
  return switches;
}

/** Shares of a pCPU in percent over 10 s, after 2 s. */
function shares({ machine, units }: Setup): readonly number[] {
  const running = (): readonly number[] => units.map((unit) => machine.core.timeIn(unit, runState.running));
  machine.runTo(ms(2000));
  const before = running();
  machine.runTo(ms(12_000));
  return running().map((ns, index) => (ns - before[index]!) / ms(100));
}

describe('traces of RTDS', () => {
  test('without extra time each has its budget; new parameters count from the next period on', () => {
    const setup = setUp(1, [
      [4, 10, false],
      [5, 10, false],
    ]);
    // The second one has its 4 ms of the defaults in the first period.
    expect(switchesOf(setup, 38)).toEqual([
      [0, 0],
      [4, 1],
      [8, -1],
      [10, 0],
      [14, 1],
      [19, -1],
      [20, 1],
      [25, 0],
      [29, -1],
      [30, 0],
      [34, 1],
    ]);
    expectSound(setup);
  });

  test.each<[string, readonly (Given | undefined)[], readonly number[]]>([
    [
      'budgets without extra time, the rest idle',
      [
        [4, 10, false],
        [5, 10, false],
      ],
      [40, 50],
    ],
    [
      'extra time is not in proportion to budgets',
      [
        [2, 10, true],
        [4, 10, true],
      ],
      [40, 60],
    ],
    ['the defaults', [undefined, undefined], [50, 50]],
    [
      'harmonic periods fill the pCPU',
      [
        [1, 5, false],
        [4, 10, false],
        [8, 20, false],
      ],
      [20, 40, 40],
    ],
  ])('%s', (_, given, expected) => {
    const setup = setUp(1, given);
    for (const [index, share] of shares(setup).entries()) expect(share).toBeCloseTo(expected[index]!, 1);
    expectSound(setup);
  });

  test('the vCPU with the earlier deadline takes the pCPU from the other when it wakes', () => {
    const waker: TestVcpu = {
      program: [
        ['run', ms(1)],
        ['block', ms(6)],
      ],
    };
    const setup = setUp(
      1,
      [
        [10, 50, false],
        [2, 5, false],
      ],
      '4.23',
      [hog, waker],
    );
    setup.machine.runTo(ms(20));
    // The waker's own period begins at 10 ms: before, both have the deadline of the defaults, and the hog came first.
    const from = setup.machine.core.timeIn(setup.units[1]!, runState.runnable);
    setup.machine.runTo(ms(200));
    expect(setup.machine.core.timeIn(setup.units[1]!, runState.runnable)).toBe(from);
    expectSound(setup);
  });

  test('a vCPU that slept through many periods begins a new one in step with its old ones', () => {
    const sleeper: TestVcpu = {
      program: [
        ['run', ms(1)],
        ['block', ms(30_004)],
      ],
    };
    const setup = setUp(1, [[4, 10, false]], '4.23', [sleeper]);
    setup.machine.runTo(ms(30_005.5));
    expect(setup.policy.servers.deadlineNs[setup.units[0]!]).toBe(ms(30_010));
    expect(setup.policy.servers.leftNs[setup.units[0]!]).toBe(ms(4));
  });

  test('a wake goes to an idle pCPU, its own first; then to the one with the latest deadline, if later', () => {
    const waker: TestVcpu = {
      program: [
        ['run', ms(1)],
        ['block', ms(3.5)],
      ],
    };
    const setup = setUp(
      2,
      [
        [3, 30, true],
        [3, 20, true],
        [2, 7, false],
      ],
      '4.23',
      [hog, hog, waker],
    );
    const { machine, units } = setup;
    machine.runTo(ms(500));
    const { core } = machine;
    const runsAt = machine.trace.filter((line) => line.split(' ')[2] === String(units[2]));
    // Both are in their extra time almost always, and lower in it however near their deadlines are.
    expect(core.latencyMaxNs[units[2]!]).toBeLessThan(ms(8));
    expect(runsAt.length).toBeGreaterThan(80);
    expectSound(setup);
  });

  test('soft affinity is as if it were not there; hard affinity is kept', () => {
    const setup = setUp(2, [undefined, undefined, undefined]);
    const { machine, units } = setup;
    const { core } = machine;
    const other = setUp(2, [undefined, undefined, undefined]);
    machine.runTo(ms(3));
    other.machine.runTo(ms(3));
    core.setAffinity(units[0]!, undefined, machine.mask(1));
    other.machine.core.setAffinity(units[0]!, undefined, machine.mask(0));
    core.drain();
    other.machine.core.drain();
    machine.runTo(ms(300));
    other.machine.runTo(ms(300));
    expect(machine.trace).toEqual(other.machine.trace);
    core.setAffinity(units[0]!, machine.mask(1), undefined);
    core.drain();
    const from = machine.trace.length;
    machine.runTo(ms(600));
    expect(machine.trace.slice(from).filter((line) => line.includes(` 0 ${units[0]!} `))).toEqual([]);
    expectSound(setup);
  });
});

describe('parameters under RTDS', () => {
  const most = 0xffff_ffff;
  const unchanged: RtdsParameters = { periodUs: 10_000, budgetUs: 4000, extratime: true };

  test.each<[string, number, number, number, number]>([
    ['the least', 10, 10, 0, 0],
    ['a period below 10 µs', 9, 9, errno.invalid, 0],
    ['a budget below 10 µs', 100, 9, errno.invalid, 0],
    ['a budget over the period', 100, 101, errno.invalid, 0],
    ['a budget of the whole period', 100, 100, 0, 0],
    ['the most', most, most, 0, 0],
    ['what is no 32-bit number', most + 1, 10, errno.invalid, errno.invalid],
    ['no period', 0, 10, errno.invalid, errno.invalid],
    ['no budget', 10, 0, errno.invalid, errno.invalid],
    ['parts of a microsecond', 100.5, 10, errno.invalid, errno.invalid],
  ])('%s', (_, periodUs, budgetUs, rc, domainRcBefore) => {
    for (const xenVersion of ['4.17', '4.23'] as const) {
      const given = { periodUs, budgetUs };
      const { policy, units } = setUp(1, [undefined], xenVersion);
      const unit = units[0]!;
      expect(policy.setUnit(unit, { ...given, extratime: false })).toBe(rc);
      expect(policy.unitParameters(unit)).toEqual(rc === 0 ? { ...given, extratime: false } : unchanged);
      expect(policy.setUnit(unit, unchanged)).toBe(0);
      // The call for a whole domain looked at nothing but 0 before 4.23, and leaves extra time alone.
      const domainRc = xenVersion === '4.23' ? rc : domainRcBefore;
      expect(policy.setDomain(0, given)).toBe(domainRc);
      expect(policy.unitParameters(unit)).toEqual(domainRc === 0 ? { ...given, extratime: true } : unchanged);
      expect(policy.domainParameters()).toEqual({ periodUs: 10_000, budgetUs: 4000 });
    }
  });

  /** A vCPU that has used up its budget of 2 ms in each 10, at 15 ms, beside an idle pCPU. */
  const depleted = (xenVersion: XenVersion): Setup => {
    const setup = setUp(1, [[2, 10, false]], xenVersion);
    setup.machine.runTo(ms(15));
    expect(setup.machine.core.current[0]).toBe(0);
    expect(setup.policy.setUnit(setup.units[0]!, parametersOf([2, 10, true]))).toBe(0);
    setup.machine.core.drain();
    return setup;
  };

  test('extra time for a depleted vCPU refills it at once, but no pCPU is told before something else happens', () => {
    const setup = depleted('4.23');
    const { machine, policy, units } = setup;
    expect(machine.core.current[0]).toBe(0);
    expect(policy.runQueue.isOn(units[0]!)).toBe(true);
    expect(policy.servers.level[units[0]!]).toBe(1);
    expect(policy.servers.leftNs[units[0]!]).toBe(ms(2));
    expect(switchesOf(setup, 40)).toEqual([
      [0, 0],
      [4, -1],
      [10, 0],
      [12, -1],
    ]);
    machine.core.raise(0);
    machine.core.drain();
    expect(machine.core.current[0]).toBe(units[0]);
    expectSound(setup, false);
  });

  test('before 4.23 it stays depleted until its next period, and runs then', () => {
    const setup = depleted('4.17');
    expect(setup.policy.runQueue.isOn(setup.units[0]!)).toBe(false);
    expect(setup.policy.servers.leftNs[setup.units[0]!]).toBe(0);
    expect(switchesOf(setup, 40)).toEqual([
      [0, 0],
      [4, -1],
      [10, 0],
      [12, -1],
      [20, 0],
    ]);
  });

  test.each([
    ['4.17', 0],
    ['4.23', 0xffff_ffff],
  ] as const)('in %s the level after 2^32-1 is %i', (xenVersion, expected) => {
    const { machine, policy, units } = setUp(1, [[2, 1000, true]], xenVersion);
    machine.runTo(ms(11));
    policy.servers.level[units[0]!] = 0xffff_ffff;
    machine.runTo(ms(13));
    expect(policy.servers.level[units[0]!]).toBe(expected);
  });

  test('levels are compared as signed 32-bit numbers', () => {
    const { policy, units } = setUp(1, [undefined, undefined]);
    const [a, b] = [units[0]!, units[1]!];
    policy.servers.level[a] = 0;
    policy.servers.level[b] = 0x7fff_ffff;
    expect(policy.servers.comparePriority(a, b)).toBeGreaterThan(0);
    policy.servers.level[b] = 0x8000_0001;
    expect(policy.servers.comparePriority(a, b)).toBeLessThan(0);
  });

  test('new parameters count while the vCPU runs', () => {
    const setup = setUp(1, [[4, 10, false]]);
    const { machine, policy, units } = setup;
    machine.runTo(ms(1001));
    expect(policy.setDomain(0, { periodUs: 20_000, budgetUs: 2000 })).toBe(0);
    machine.runTo(ms(1010));
    const before = machine.core.timeIn(units[0]!, runState.running);
    machine.runTo(ms(2010));
    expect(machine.core.timeIn(units[0]!, runState.running) - before).toBe(ms(100));
    expectSound(setup);
  });
});

describe('pCPUs and domains under RTDS', () => {
  test('a pCPU that leaves gives its vCPUs to the others, and has some again when it comes back', () => {
    const setup = setUp(2, [undefined, undefined]);
    const { machine, pool, units } = setup;
    const { core } = machine;
    core.setAffinity(units[1]!, machine.mask(1), undefined);
    core.drain();
    machine.runTo(ms(5));
    expect(core.removePcpu(1, pool)).toBe(1);
    expectSound(setup);
    machine.runTo(ms(105));
    expect(units.map((unit) => core.pcpu[unit])).toEqual([0, 0]);
    core.addPcpu(1, pool);
    core.drain();
    machine.runTo(ms(205));
    expect(new Set([core.current[0], core.current[1]])).toEqual(new Set(units));
    expectSound(setup);
  });

  test('a domain that moves has the defaults where it comes, and one that ends leaves nothing', () => {
    const setup = setUp(3, [[1, 100, false], undefined]);
    const { machine, pool, policy, units } = setup;
    const { core } = machine;
    core.removePcpu(2, pool);
    const other = machine.pool('rtds', [2]);
    machine.runTo(ms(7));
    core.moveDomain(0, other);
    machine.runTo(ms(9));
    expect((other.scheduler as Rtds).unitParameters(units[0]!)).toEqual({
      periodUs: 10_000,
      budgetUs: 4000,
      extratime: true,
    });
    expect(core.current[2]).toBe(units[0]);
    core.removeDomain(1);
    expect([policy.runQueue.first(0), policy.replenishments.first(0), policy.timerDeadlineNs()]).toEqual([
      -1,
      -1,
      undefined,
    ]);
    core.moveDomain(0, pool);
    machine.runTo(ms(100));
    expectSound(setup);
    expect(core.current[2]).toBe(2);
  });

  test('its state comes back as it was captured, and what follows is the same', () => {
    const made = (): Setup => {
      const program: TestVcpu['program'] = [
        ['run', ms(1), ms(3)],
        ['block', ms(1), ms(9)],
      ];
      const vcpus = [3, 4, 5].map((seed) => ({ program, seed }));
      return setUp(1, [[2, 7, true], [3, 11, false], undefined], '4.23', vcpus);
    };
    const [plain, restored] = [made(), made()];
    const early = restored.policy.capture();
    plain.machine.runTo(ms(500));
    restored.machine.runTo(ms(123));
    const state = restored.policy.capture();
    restored.policy.restore(early);
    expect(restored.policy.capture()).not.toEqual(state);
    restored.policy.restore(state);
    expect(restored.policy.capture()).toEqual(state);
    restored.machine.runTo(ms(500));
    expect(restored.machine.trace).toEqual(plain.machine.trace);
  });
});

const parameters = fc
  .record({
    periodUs: fc.integer({ min: 1000, max: 20_000 }),
    share: fc.integer({ min: 5, max: 100 }),
    extratime: fc.boolean(),
  })
  .map(({ periodUs, share, extratime }) => ({
    periodUs,
    budgetUs: Math.max(10, Math.floor((periodUs * share) / 100)),
    extratime,
  }));

test('whatever happens, everybody is in the queues that budget and run state say', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.tuple(randomVcpu(3), parameters), { minLength: 1, maxLength: 3 }), {
        minLength: 1,
        maxLength: 3,
      }),
      fc.array(fc.tuple(randomAction(3), parameters), { maxLength: 12 }),
      (domains, actions) => {
        const setup = setUp(3, []);
        const { machine, pool, policy } = setup;
        let areParametersOld = true;
        const check = (): void => expectSound(setup, areParametersOld);
        const units = domains.flatMap((vcpus, domain) => {
          const own = machine.domain(
            domain,
            pool,
            vcpus.map(([vcpu]) => vcpu),
          );
          for (const [index, unit] of own.entries()) expect(policy.setUnit(unit, vcpus[index]![1])).toBe(0);
          return own;
        });
        // The first period has the budget of the defaults.
        machine.runTo(ms(10));
        machine.start(units);
        check();
        for (const [action, next] of actions) {
          machine.runTo(machine.core.now + action.afterNs, check);
          act(machine, pool, units, action);
          if (action.what === 'parameters') {
            areParametersOld = false;
            expect(policy.setUnit(units[action.unit % units.length]!, next)).toBe(0);
          }
          check();
        }
        machine.runTo(machine.core.now + ms(30), check);
      },
    ),
    { numRuns: 60 },
  );
});

test('without affinity no pCPU idles while a vCPU with budget waits', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(randomVcpu(2), parameters), { minLength: 1, maxLength: 5 }), (vcpus) => {
      const setup = setUp(2, []);
      const { machine, pool, policy } = setup;
      const units = machine.domain(
        0,
        pool,
        vcpus.map(([{ program }]) => ({ program })),
      );
      for (const [index, unit] of units.entries()) expect(policy.setUnit(unit, vcpus[index]![1])).toBe(0);
      machine.start(units);
      const { core } = machine;
      const idled: number[] = [];
      machine.runTo(ms(60), () => {
        if (policy.runQueue.first(0) >= 0 && (core.isIdle(core.current[0]!) || core.isIdle(core.current[1]!)))
          idled.push(core.now);
      });
      expect(idled).toEqual([]);
    }),
    { numRuns: 50 },
  );
});
