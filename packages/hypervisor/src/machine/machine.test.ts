import { AssertionError, present } from '@xenolith/base';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Workload } from '../guest/workload/workloads.ts';
import { buildTopology } from '../topology/topology.ts';
import type { MachineFigures } from './figures.ts';
import { Machine } from './machine.ts';

const ms = 1_000_000;
const topology = buildTopology({ nodes: 2, socketsPerNode: 1, coresPerSocket: 2, threadsPerCore: 1 });
const hog: Workload = { kind: 'hog' };

const workloads: readonly Workload[] = [
  hog,
  { kind: 'idle' },
  { kind: 'interactive', workNs: [ms, 4 * ms], sleepNs: [0, 9 * ms] },
  { kind: 'periodic', periodNs: 10 * ms, workNs: 3 * ms },
  { kind: 'server', serviceNs: [100_000, ms], meanGapNs: 4 * ms },
];

function machineOf(seed: number, kinds: readonly (readonly number[])[]): Machine {
  const machine = new Machine({ topology, seed });
  machine.addCpupool({ name: 'a', scheduler: 'credit', pcpus: [0, 1] });
  machine.addCpupool({ name: 'b', scheduler: 'rtds', pcpus: [3, 2] });
  for (const [index, own] of kinds.entries()) {
    const vcpus = own.map((kind) => ({ workload: present(workloads[kind], 'a workload') }));
    machine.addDomain({ name: `d${index}`, cpupool: index % 2 === 0 ? 'a' : 'b', vcpus });
  }
  return machine;
}

const domains = fc.array(fc.array(fc.nat(workloads.length - 1), { minLength: 1, maxLength: 3 }), { maxLength: 6 });

test('all time is accounted for, from any beginning of the measuring', () => {
  fc.assert(
    fc.property(
      fc.nat(),
      domains,
      fc.nat(200 * ms),
      fc.integer({ min: 1, max: 500 * ms }),
      (seed, kinds, before, during) => {
        const machine = machineOf(seed, kinds);
        machine.run(before);
        machine.measure();
        machine.run(during);
        const figures = machine.figures();
        for (const { vcpus } of figures.domains) {
          for (const each of vcpus) expect(each.runNs + each.runnableNs + each.blockedNs + each.offlineNs).toBe(during);
        }
        const ran = figures.domains.reduce((sum, { runNs }) => sum + runNs, 0);
        const idle = figures.pcpus.reduce((sum, { idleNs }) => sum + idleNs, 0);
        expect(ran + idle).toBe(4 * during);
      },
    ),
    { numRuns: 40 },
  );
});

test('wake latencies are those that the core counts', () => {
  fc.assert(
    fc.property(fc.nat(), domains, (seed, kinds) => {
      const machine = machineOf(seed, kinds);
      machine.run(300 * ms);
      const { core } = machine;
      const units = kinds.flatMap((_, domain) => core.domainEntry(domain).units);
      const counted = units.map((unit) => [core.wakes[unit], core.latencySumNs[unit], core.latencyMaxNs[unit]]);
      const measured = machine
        .figures()
        .domains.flatMap(({ vcpus }) => vcpus)
        .map(({ wakeNs }) => [wakeNs.count, Math.round(wakeNs.meanNs * wakeNs.count), wakeNs.maxNs]);
      expect(measured).toEqual(counted);
    }),
    { numRuns: 20 },
  );
});

test('when the measuring begins, there is nothing yet', () => {
  const machine = machineOf(1, [[2, 4], [3], [0]]);
  machine.run(500 * ms);
  expect(machine.figures().domains.map(({ wakeNs, responseNs }) => wakeNs.count > 0 && responseNs.count > 0)).toEqual([
    true,
    true,
    false,
  ]);
  machine.measure();
  const nothing = { count: 0, meanNs: 0, p50Ns: 0, p95Ns: 0, p99Ns: 0, maxNs: 0 };
  for (const domain of machine.figures().domains) {
    expect(domain).toMatchObject({
      runNs: 0,
      dispatches: 0,
      completed: 0,
      missed: 0,
      wakeNs: nothing,
      responseNs: nothing,
    });
  }
});

test('the same seed gives the same figures, another one others', () => {
  const of = (seed: number): MachineFigures => {
    const machine = machineOf(seed, [[2, 4], [2], [0, 3]]);
    machine.run(1000 * ms);
    return machine.figures();
  };
  expect(of(7)).toEqual(of(7));
  expect(of(7)).not.toEqual(of(8));
});

test('a run in pieces is a run in one', () => {
  const [one, pieces] = [
    machineOf(3, [
      [2, 0, 4],
      [3, 0],
    ]),
    machineOf(3, [
      [2, 0, 4],
      [3, 0],
    ]),
  ];
  one.run(500 * ms);
  for (let at = 0; at < 500; at++) pieces.run(ms);
  expect(pieces.figures()).toEqual(one.figures());
});

test('pools do not feel each other', () => {
  const of = (others: number): unknown => {
    const machine = new Machine({ topology, seed: 1 });
    machine.addCpupool({ name: 'a', scheduler: 'credit', pcpus: [0, 1] });
    machine.addCpupool({ name: 'b', scheduler: 'credit', pcpus: [2, 3] });
    for (const kind of [0, 2, 3, 4]) {
      machine.addDomain({
        name: `a${kind}`,
        cpupool: 'a',
        vcpus: [{ workload: present(workloads[kind], 'a workload') }],
      });
    }
    for (let other = 0; other < others; other++) {
      machine.addDomain({ name: `b${other}`, cpupool: 'b', vcpus: [{ workload: hog }] });
    }
    machine.run(2000 * ms);
    return machine.figures().domains.slice(0, 4);
  };
  expect(of(8)).toEqual(of(0));
});

test('figures of pools and pCPUs', () => {
  const machine = new Machine({ topology, seed: 1 });
  machine.addCpupool({ name: 'Pool-0', scheduler: 'credit', pcpus: [0] });
  machine.addCpupool({ name: 'two', scheduler: 'null', pcpus: [1, 2] });
  machine.addDomain({ name: 'vm', cpupool: 'two', vcpus: [{ workload: hog, hardAffinity: [2] }] });
  machine.run(10 * ms);
  const {
    cpupools,
    pcpus,
    domains: [vm],
  } = machine.figures();
  expect(cpupools.map(({ name, utilisation }) => [name, utilisation])).toEqual([
    ['Pool-0', 0],
    ['two', 0.5],
  ]);
  // A pCPU outside of all pools idles.
  expect(pcpus.map(({ utilisation }) => utilisation)).toEqual([0, 0, 1, 0]);
  expect(vm).toMatchObject({ name: 'vm', pcpuShare: 1, dispatches: 1, migrations: 0 });
  expect(machine.nameOf(0, 0)).toBe('vmv0');
});

test('weights, budgets and slices reach the scheduler of the pool', () => {
  const shares = (
    scheduler: 'credit' | 'rtds' | 'sedf',
    parameters: readonly Parameters<Machine['addDomain']>[0]['parameters'][],
  ): number[] => {
    const machine = new Machine({ topology, seed: 1, xenVersion: scheduler === 'sedf' ? '4.2' : '4.23' });
    machine.addCpupool({ name: 'p', scheduler, pcpus: [0] });
    for (const [index, each] of parameters.entries()) {
      machine.addDomain({
        name: `d${index}`,
        cpupool: 'p',
        vcpus: [{ workload: hog }],
        ...(each === undefined ? {} : { parameters: each }),
      });
    }
    machine.run(2000 * ms);
    machine.measure();
    machine.run(9000 * ms);
    return machine.figures().domains.map(({ pcpuShare }) => Math.round(pcpuShare * 100));
  };
  expect(shares('credit', [{ weight: 256 }, { weight: 512 }])).toEqual([33, 67]);
  expect(shares('credit', [{ cap: 40 }, undefined])).toEqual([40, 60]);
  expect(
    shares('rtds', [
      { periodUs: 10_000, budgetUs: 4000, extratime: false },
      { periodUs: 10_000, budgetUs: 5000, extratime: false },
    ]),
  ).toEqual([40, 50]);
  expect(
    shares('sedf', [
      { periodNs: 10 * ms, sliceNs: 3 * ms, extratime: false },
      { periodNs: 20 * ms, sliceNs: 10 * ms, extratime: false },
    ]),
  ).toEqual([30, 50]);
});

describe('is refused', () => {
  const machine = new Machine({ topology, seed: 1 });
  machine.addCpupool({ name: 'p', scheduler: 'credit', pcpus: [0, 1] });
  test.each<[string, () => void]>([
    ['a pool by a name that is taken', () => machine.addCpupool({ name: 'p', scheduler: 'credit', pcpus: [2] })],
    [
      'a domain in a pool of nothing',
      () => {
        machine.addCpupool({ name: 'q', scheduler: 'credit', pcpus: [] });
        machine.addDomain({ name: 'd', cpupool: 'q', vcpus: [] });
      },
    ],
    ['a pool of a pCPU that is taken', () => machine.addCpupool({ name: 'r', scheduler: 'credit', pcpus: [1] })],
    ['a pool of a pCPU that is not there', () => machine.addCpupool({ name: 's', scheduler: 'credit', pcpus: [4] })],
    ['a domain in no pool', () => machine.addDomain({ name: 'd', cpupool: 'x', vcpus: [] })],
    [
      'affinity to nothing of the pool',
      () => machine.addDomain({ name: 'd', cpupool: 'p', vcpus: [{ workload: hog, hardAffinity: [3] }] }),
    ],
    [
      'parameters of another scheduler',
      () =>
        machine.addDomain({
          name: 'd',
          cpupool: 'p',
          vcpus: [],
          parameters: { periodUs: 1, budgetUs: 1, extratime: true },
        }),
    ],
  ])('%s', (_, act) => {
    expect(act).toThrow(AssertionError);
  });
});
