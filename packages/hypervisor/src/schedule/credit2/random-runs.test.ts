import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { coreFaults } from '../../check/core-invariants.ts';
import { credit2Faults } from '../../check/credit2-invariants.ts';
import type { Step } from '../../guest/workload/step.ts';
import { credit2Pool, us } from '../../testing/credit-setup.ts';
import { TestMachine, type TestVcpu } from '../../testing/test-machine.ts';
import type { TopologyShape } from '../../topology/topology.ts';
import { runState, type SchedPool } from '../core.ts';
import type { Credit2 } from '../credit2.ts';
import type { SchedulerOptions } from '../scheduler-options.ts';
import { none } from './state.ts';

interface RandomDomain {
  readonly weight: number;
  readonly cap: number;
  readonly vcpus: readonly TestVcpu[];
  readonly soft: number | undefined;
}

/** A random small machine, and what is done to it from outside. */
interface RandomRun {
  readonly shape: TopologyShape;
  readonly options: SchedulerOptions;
  readonly domains: readonly RandomDomain[];
  readonly deeds: readonly Deed[];
}

const deedKinds = [
  'pause',
  'unpause',
  'down',
  'up',
  'hard',
  'soft',
  'weight',
  'cap',
  'pcpu',
  'ratelimit',
  'end',
] as const;

interface Deed {
  readonly what: (typeof deedKinds)[number];
  readonly afterUs: number;
  readonly a: number;
  readonly b: number;
}

const length = fc.integer({ min: 1, max: 12_000 }).map(us);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constant('run' as const), length),
  fc.tuple(fc.constant('block' as const), length),
  fc.constant(['yield'] as const),
);
const vcpu: fc.Arbitrary<TestVcpu> = fc.oneof(
  fc.constant<TestVcpu>({ program: [['hog']] }),
  fc.record({
    program: fc.tuple(fc.array(step, { maxLength: 3 }), length).map(([s, ns]): Step[] => [...s, ['run', ns]]),
  }),
);

const randomRun: fc.Arbitrary<RandomRun> = fc.record({
  shape: fc.record({
    nodes: fc.integer({ min: 1, max: 2 }),
    socketsPerNode: fc.constant(1),
    coresPerSocket: fc.integer({ min: 1, max: 3 }),
    threadsPerCore: fc.integer({ min: 1, max: 2 }),
  }),
  options: fc.record({
    ratelimitUs: fc.constantFrom(0, 100, 1000, 20_000),
    runqueue: fc.constantFrom('cpu', 'core', 'socket', 'node', 'all'),
    migrateResistUs: fc.constantFrom(0, 500),
    capPeriodMs: fc.constantFrom(2, 10),
    smtPowerSavings: fc.boolean(),
  }),
  domains: fc.array(
    fc.record({
      weight: fc.constantFrom(1, 256, 777, 65_535),
      cap: fc.constantFrom(0, 0, 10, 55, 100),
      vcpus: fc.array(vcpu, { minLength: 1, maxLength: 4 }),
      soft: fc.option(fc.nat(12), { nil: undefined }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  deeds: fc.array(
    fc.record({ what: fc.constantFrom(...deedKinds), afterUs: fc.nat(20_000), a: fc.nat(100), b: fc.nat(100) }),
    { maxLength: 12 },
  ),
});

interface Running {
  readonly machine: TestMachine;
  readonly pool: SchedPool;
  readonly credit2: Credit2;
  areCoresWhole: boolean;
  areCapsOld: boolean;
}

/** Does a run, and calls `check` after each instant and each deed. */
function doRun({ shape, options, domains, deeds }: RandomRun, check: (running: Running) => void): Running {
  const machine = new TestMachine(shape.coresPerSocket, options, shape);
  const { core } = machine;
  const { pool, credit2 } = credit2Pool(machine, [...core.current.keys()], options);
  const running: Running = { machine, pool, credit2, areCoresWhole: true, areCapsOld: true };
  const see = (): void => check(running);
  for (const [domain, { weight, cap, vcpus, soft }] of domains.entries()) {
    const units = machine.domain(domain, pool, vcpus);
    if (soft !== undefined)
      for (const unit of units) core.setAffinity(unit, undefined, machine.mask(soft % core.pcpuCount));
    expect(credit2.setDomain(domain, options.xenVersion === '4.2' ? { weight } : { weight, cap })).toBe(0);
    machine.start(units);
    see();
  }
  for (const deed of deeds) {
    machine.runTo(core.now + us(deed.afterUs), see);
    doDeed(running, deed);
    core.drain();
    see();
  }
  machine.runTo(core.now + us(30_000), see);
  return running;
}

function doDeed(running: Running, { what, a, b }: Deed): void {
  const { machine, pool, credit2 } = running;
  const { core } = machine;
  core.currentPcpu = 0;
  const pcpu = a % core.pcpuCount;
  if (what === 'pcpu') {
    if (core.poolOf[pcpu] === undefined) {
      core.addPcpu(pcpu, pool);
      if (core.topology.shape.threadsPerCore > 1) running.areCoresWhole = false;
      return;
    }
    // A leaving pCPU goes on taking units that wait in a run queue it shares: only an empty one can be left for sure.
    const { state } = credit2;
    const queue = state.queueOfPcpu[pcpu]!;
    if (core.poolOf.filter((own) => own === pool).length > 1 && state.load[queue] === 0) core.removePcpu(pcpu, pool);
    return;
  }
  if (what === 'ratelimit') {
    expect(credit2.setPool({ ratelimitUs: [0, 100, 1000, 5000][a % 4]! })).toBe(0);
    return;
  }
  const here = core.domains.flatMap((entry, domain) => (entry === undefined ? [] : [domain]));
  const domain = here[a % Math.max(here.length, 1)];
  if (domain === undefined) return;
  const { units } = core.domainEntry(domain);
  const unit = units[b % units.length]!;
  const mask = machine.mask(pcpu, b % core.pcpuCount);
  if (what === 'pause') core.pauseUnits([unit]);
  else if (what === 'unpause' && core.pauseCount[unit]! > 0) core.unpauseUnits([unit]);
  else if (what === 'down') core.setDown(unit);
  else if (what === 'up') core.setUp(unit);
  else if (what === 'hard') core.setAffinity(unit, mask, undefined);
  else if (what === 'soft') core.setAffinity(unit, undefined, mask);
  else if (what === 'weight') credit2.setDomain(domain, { weight: 1 + ((a * 661) % 65_535) });
  else if (what === 'cap') {
    running.areCapsOld = false;
    credit2.setDomain(domain, { cap: b });
  }
  if (what === 'end') core.removeDomain(domain);
}

/**
 * What upstream leaves between events: a unit asked to move while it runs goes on until its pCPU's next decision, and
 * parking and unparking set a flag and no run state.
 */
const isUpstreams = (fault: string): boolean =>
  /: runs with flags 4 |: is still on its way|: is in state [13], not [13]$/.test(fault);

describe('whatever happens', () => {
  test('run queues, masks, loads and budgets agree at every instant', () => {
    fc.assert(
      fc.property(randomRun, (run) => {
        doRun(run, ({ machine: { core }, credit2, ...since }) => {
          const faults = [
            ...coreFaults(core).filter((fault) => !isUpstreams(fault)),
            ...credit2Faults(core, credit2.state, since),
          ];
          if (faults.length > 0) throw new Error(`${core.now}: ${faults.join('; ')}`);
        });
      }),
      { numRuns: 150 },
    );
  });

  test('in Xen 4.2 too every unit is in one place, though not one that its affinity has', () => {
    fc.assert(
      fc.property(randomRun, (run) => {
        doRun({ ...run, options: { ...run.options, xenVersion: '4.2' } }, ({ machine: { core } }) => {
          const faults = coreFaults(core).filter((fault) => !isUpstreams(fault) && !fault.endsWith('hard affinity'));
          if (faults.length > 0) throw new Error(`${core.now}: ${faults.join('; ')}`);
        });
      }),
      { numRuns: 60 },
    );
  });

  test('no time is lost or given twice', () => {
    fc.assert(
      fc.property(randomRun, (run) => {
        const { machine } = doRun({ ...run, deeds: run.deeds.filter(({ what }) => what !== 'end') }, () => {});
        const { core } = machine;
        let totalNs = 0;
        for (let unit = 0; unit < core.unitCount; unit++) totalNs += core.timeIn(unit, runState.running);
        expect(totalNs).toBe(core.now * core.pcpuCount);
      }),
      { numRuns: 25 },
    );
  });

  test('a capped domain never runs for more than its budgets and what the last of its slices was over', () => {
    fc.assert(
      fc.property(randomRun, fc.constantFrom(10, 55, 100), (run, cap) => {
        const [first] = run.domains;
        const domains = [{ ...first!, cap }, ...run.domains.slice(1)];
        const { machine, credit2 } = doRun({ ...run, domains, deeds: [] }, () => {});
        const { core } = machine;
        const { units } = core.domainEntry(0);
        const ranNs = units.reduce((sum, unit) => sum + core.timeIn(unit, runState.running), 0);
        const periods = Math.floor(core.now / credit2.state.capPeriodNs) + 1;
        const overNs = units.length * Math.max(500_000, us(run.options.ratelimitUs ?? 0));
        expect(ranNs).toBeLessThanOrEqual(periods * credit2.state.domainTotalNs[0]! + overNs);
      }),
      { numRuns: 40 },
    );
  });
});

describe('capture and restore', () => {
  /** Arrays that nothing changes after the beginning, or that are the core's. */
  const fixed = new Set(['coreThreads', 'valid']);

  test('a restored state makes the same decisions', () => {
    fc.assert(
      fc.property(randomRun, fc.integer({ min: 1, max: 30 }), (run, every) => {
        const plain = doRun(run, () => {}).machine.trace;
        let instant = 0;
        const restored = doRun(run, ({ credit2 }) => {
          if (++instant % every !== 0) return;
          const snapshot = credit2.capture();
          for (const [field, value] of Object.entries(credit2.state)) {
            if (ArrayBuffer.isView(value) && !fixed.has(field)) (value as Int32Array).fill(77);
          }
          credit2.state.queueCount = none;
          credit2.state.setRatelimit(77);
          credit2.restore(snapshot);
        }).machine.trace;
        expect(restored).toEqual(plain);
      }),
      { numRuns: 40 },
    );
  });
});
