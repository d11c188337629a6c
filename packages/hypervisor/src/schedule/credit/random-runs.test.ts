import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { coreFaults } from '../../check/core-invariants.ts';
import { creditFaults } from '../../check/credit-invariants.ts';
import type { Step } from '../../guest/workload/step.ts';
import { ms, setUp, us, type Given, type Setup } from '../../testing/credit-setup.ts';
import type { TestVcpu } from '../../testing/test-machine.ts';
import type { TopologyShape } from '../../topology/topology.ts';
import { pauseFlag, runState } from '../core.ts';
import type { XenVersion } from '../scheduler.ts';
import type { SchedulerOptions } from '../scheduler-options.ts';
import { priority, type CreditState } from './state.ts';

const versions: readonly XenVersion[] = ['4.2', '4.17', '4.23'];

/** A random small machine, and what is done to it from outside. */
interface RandomRun {
  readonly version: XenVersion;
  readonly shape: Partial<TopologyShape> & { readonly coresPerSocket: number };
  readonly options: SchedulerOptions;
  readonly domains: readonly Given[];
  readonly deeds: readonly Deed[];
}

interface Deed {
  readonly what: (typeof deedKinds)[number];
  readonly afterUs: number;
  readonly a: number;
  readonly b: number;
}

const deedKinds = ['pause', 'down', 'hard', 'soft', 'weight', 'cap', 'pcpu', 'slice', 'end'] as const;

const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  fc.integer({ min: 10, max: 25_000 }).map((length): Step => ['run', us(length)]),
  fc.integer({ min: 10, max: 25_000 }).map((length): Step => ['block', us(length)]),
  fc
    .tuple(fc.integer({ min: 50, max: 500 }), fc.integer({ min: 500, max: 9000 }))
    .map(([lo, hi]): Step => ['run', us(lo), us(hi)]),
  fc.constant<Step>(['yield']),
  fc.constant<Step>(['hog']),
);

const vcpuArbitrary: fc.Arbitrary<TestVcpu> = fc.record({
  program: fc
    .array(stepArbitrary, { minLength: 1, maxLength: 4 })
    .map((steps): readonly Step[] => [['run', us(100)], ...steps]),
  seed: fc.integer({ min: 1, max: 1_000_000 }),
});

const runArbitrary: fc.Arbitrary<RandomRun> = fc.record({
  version: fc.constantFrom(...versions),
  shape: fc.record({
    nodes: fc.integer({ min: 1, max: 2 }),
    coresPerSocket: fc.integer({ min: 1, max: 2 }),
    threadsPerCore: fc.integer({ min: 1, max: 2 }),
  }),
  options: fc.record({
    tsliceMs: fc.constantFrom(1, 2, 5, 30),
    ratelimitUs: fc.constantFrom(0, 100, 1000),
    migrationDelayUs: fc.constantFrom(0, 1000),
    smtPowerSavings: fc.boolean(),
    tickleOneIdleCpu: fc.boolean(),
  }),
  domains: fc.array(
    fc.record({
      weight: fc.constantFrom(1, 256, 3000, 65535),
      cap: fc.constantFrom(0, 0, 20, 150),
      vcpus: fc.array(vcpuArbitrary, { minLength: 1, maxLength: 4 }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  deeds: fc.array(
    fc.record({
      what: fc.constantFrom(...deedKinds),
      afterUs: fc.integer({ min: 0, max: 40_000 }),
      a: fc.nat(100),
      b: fc.nat(100),
    }),
    { maxLength: 12 },
  ),
});

/** Does a run, and calls `check` after each instant and each deed. */
function doRun({ version, shape, options, domains, deeds }: RandomRun, check: (setup: Setup) => void): Setup {
  const setup = setUp(shape.coresPerSocket, domains, { ...options, xenVersion: version }, shape);
  const { machine } = setup;
  const see = (): void => check(setup);
  see();
  for (const deed of deeds) {
    machine.runTo(machine.core.now + us(deed.afterUs), see);
    machine.core.currentPcpu = 0;
    doDeed(setup, deed);
    machine.core.drain();
    see();
  }
  machine.runTo(machine.core.now + ms(70), see);
  return setup;
}

function doDeed({ machine: { core }, machine, credit, pool }: Setup, { what, a, b }: Deed): void {
  const pcpus = core.pcpuCount;
  const here = core.domains.flatMap((entry, domain) => (entry === undefined ? [] : [domain]));
  const domain = here[a % Math.max(1, here.length)];
  const pcpu = a % pcpus;
  if (what === 'pcpu') {
    if (core.poolOf[pcpu] === undefined) core.addPcpu(pcpu, pool);
    else if (machine.core.poolOf.filter((own) => own !== undefined).length > 1) core.removePcpu(pcpu, pool);
    return;
  }
  if (what === 'slice') {
    credit.setPool({ tsliceMs: [1, 3, 10, 30][a % 4]!, ratelimitUs: [0, 100, 500, 1000][b % 4]! });
    return;
  }
  if (domain === undefined) return;
  const { units } = core.domainEntry(domain);
  const unit = units[b % units.length]!;
  const mask = machine.mask(pcpu, b % pcpus);
  if (what === 'pause') {
    if (core.pauseCount[unit] === 0) core.pauseUnits([unit]);
    else core.unpauseUnits([unit]);
  } else if (what === 'down') {
    if ((core.flags[unit]! & pauseFlag.down) === 0) core.setDown(unit);
    else core.setUp(unit);
  } else if (what === 'hard') core.setAffinity(unit, mask, undefined);
  else if (what === 'soft') core.setAffinity(unit, undefined, mask);
  else if (what === 'weight') credit.setDomain(domain, { weight: 1 + ((a * 661) % 65535) });
  else if (what === 'cap') credit.setDomain(domain, { cap: b });
  else core.removeDomain(domain);
}

describe('whatever happens', () => {
  test('queues, counts and lists agree at every instant', () => {
    fc.assert(
      fc.property(runArbitrary, (run) => {
        doRun(run, ({ machine, credit }) => {
          const faults = [...coreFaults(machine.core), ...creditFaults(machine.core, credit)];
          if (faults.length > 0) throw new Error(`${machine.core.now}: ${faults.join('; ')}`);
        });
      }),
      { numRuns: 120 },
    );
  });

  test('an accounting leaves each active unit with no more and no less than a slice of credit, and its priority', () => {
    fc.assert(
      fc.property(runArbitrary, (run) => {
        const { credit } = doRun(run, () => {});
        const { state } = credit;
        credit.fire(1, 0);
        const most = state.parameters.creditsPerSlice;
        for (let unit = state.pcpuCount; unit < state.core.unitCount; unit++) {
          if (state.isActive[unit] === 0) continue;
          const owned = state.creditOf[unit]!;
          expect(Math.abs(owned)).toBeLessThanOrEqual(most);
          const expected = owned < 0 ? [priority.over] : [priority.under, priority.boost];
          expect(expected).toContain(state.priorityOf[unit]);
        }
      }),
      { numRuns: 40 },
    );
  });

  test('no time is given twice: what units ran is at most what the pCPUs had', () => {
    fc.assert(
      fc.property(runArbitrary, (run) => {
        const ranNs = new Map<number, number>();
        const { machine } = doRun({ ...run, deeds: run.deeds.filter(({ what }) => what !== 'end') }, () => {});
        const { core } = machine;
        for (let unit = 0; unit < core.unitCount; unit++) ranNs.set(unit, core.timeIn(unit, runState.running));
        const total = [...ranNs.values()].reduce((sum, ns) => sum + ns, 0);
        expect(total).toBe(core.now * core.pcpuCount);
      }),
      { numRuns: 20 },
    );
  });
});

describe('capture and restore', () => {
  /** Numbers that the machine or the command line gave, and that nothing changes. */
  const fixed = new Set(['pcpuCount', 'balanceRatelimitNs', 'socketOf', 'nodeOf', 'valid']);

  /** Writes nonsense over all that may change in a state. */
  function scramble(state: CreditState): void {
    for (const [field, value] of Object.entries(state)) {
      if (fixed.has(field)) continue;
      if (ArrayBuffer.isView(value)) (value as Int32Array).fill(77);
      else if (typeof value === 'number') Object.assign(state, { [field]: 77 });
      else if (field === 'parameters') Object.assign(state, { parameters: undefined });
    }
  }

  test('a restored state makes the same decisions', () => {
    fc.assert(
      fc.property(runArbitrary, fc.integer({ min: 1, max: 30 }), (run, every) => {
        const plain = doRun(run, () => {}).machine.trace;
        let instant = 0;
        const restored = doRun(run, ({ machine, credit }) => {
          if (++instant % every !== 0) return;
          const snapshot = credit.capture();
          scramble(credit.state);
          credit.restore(snapshot);
          expect(creditFaults(machine.core, credit)).toEqual([]);
        }).machine.trace;
        expect(restored).toEqual(plain);
      }),
      { numRuns: 40 },
    );
  });
});
