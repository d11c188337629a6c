import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  calibratedMemoryCost,
  costStepsMax,
  MemoryCostSolver,
  workRates,
  type BusyThreads,
  type MemoryCostParameters,
} from './memory-cost.ts';

const distances = [
  [10, 20],
  [20, 10],
];
const striped = [0.5, 0.5];

type Placement = 'local' | 'default' | 'pinned' | 'remote';

/** VM#1, with one thread: where its vCPUs are, and its memory. */
const placed: Readonly<Record<Placement, readonly Pick<BusyThreads, 'threads' | 'node' | 'memoryShares'>[]>> = {
  local: [{ threads: 1, node: 0, memoryShares: [1, 0] }],
  default: [0, 1].map((node) => ({ threads: 0.5, node, memoryShares: striped })),
  pinned: [{ threads: 1, node: 0, memoryShares: striped }],
  remote: [{ threads: 1, node: 1, memoryShares: [1, 0] }],
};

/**
 * VM#1's throughput on the post's host, of 8 cores with 2 threads in 2 nodes, among `vms` VMs of 4 vCPUs that have even shares of
 * all of it, sibling threads included.
 */
function throughput(
  vms: number,
  placement: Placement,
  parameters: MemoryCostParameters = calibratedMemoryCost,
): number {
  const busy = Math.min(16, 4 * vms);
  const sharing = Math.max(0, 2 * (busy - 8));
  const speed = (sharing * parameters.siblingSpeed + busy - sharing) / busy;
  const share = busy / (4 * vms);
  const of = (count: number, groups: (typeof placed)[Placement]): BusyThreads[] =>
    groups.map((group) => ({ ...group, threads: group.threads * count * 4 * share, speed }));
  const own = of(1, placed[placement]);
  const rates = workRates(parameters, distances, vms, [...own, ...of(vms - 1, placed.default)]);
  return own.reduce((sum, { threads }, index) => sum + threads * rates[index]!, 0);
}

const percentAbove = (more: number, less: number): number => Number(((more / less - 1) * 100).toFixed(1));

/** The table of numa.md, section 6: relative to all remote with one VM, then per cent. */
const table: readonly (readonly [number, number, number, number, number, number, number])[] = [
  [1, 1.129, 1.073, 1.0, 12.9, 7.3, 5.2],
  [2, 1.1, 1.06, 0.968, 13.6, 9.5, 3.8],
  [3, 0.82, 0.783, 0.714, 14.9, 9.6, 4.8],
  [4, 0.677, 0.642, 0.582, 16.2, 10.2, 5.5],
  [5, 0.543, 0.51, 0.463, 17.3, 10.1, 6.5],
  [6, 0.454, 0.422, 0.383, 18.4, 10.2, 7.4],
  [7, 0.389, 0.36, 0.326, 19.4, 10.4, 8.2],
  [8, 0.341, 0.313, 0.283, 20.5, 10.7, 8.9],
];

test.each(table)("the specification's table: %d VMs", (vms, ...figures) => {
  const base = throughput(1, 'remote');
  const [local, striping, pinned, remote] = (['local', 'default', 'pinned', 'remote'] as const).map((placement) =>
    throughput(vms, placement),
  );
  const relative = [local, striping, remote].map((value) => Number((value! / base).toFixed(3)));
  const percents = [percentAbove(local!, remote!), percentAbove(striping!, remote!), percentAbove(local!, striping!)];
  expect([...relative, ...percents]).toEqual(figures);
  expect(pinned! / base).toBeCloseTo(striping! / base, 3);
});

test('with 16 cores of their own, nothing is lost to siblings: total throughput grows up to four VMs', () => {
  const cores = { ...calibratedMemoryCost, siblingSpeed: 1 };
  const total = (vms: number): number => vms * throughput(vms, 'default', cores);
  expect(total(4) / total(2)).toBeGreaterThan(1.7);
  expect(total(8)).toBeLessThan(total(4));
  expect((4 * throughput(4, 'default')) / (2 * throughput(2, 'default'))).toBeLessThan(1.25);
});

describe('a fixed point', () => {
  const thread = fc.record({
    threads: fc.integer({ min: 1, max: 48 }).map((quarters) => quarters / 4),
    node: fc.constantFrom(0, 1, 2),
    speed: fc.constantFrom(0.62, 1),
    memoryShares: fc.constantFrom([1, 0, 0], [0.5, 0.5, 0], [0, 0.25, 0.75]),
  });
  const three = [
    [10, 20, 30],
    [20, 10, 20],
    [30, 20, 10],
  ];
  const loads = fc.array(thread, { maxLength: 6 });

  /** The rate that the formula gives a thread when all have the rates that they have. */
  function formula(busy: readonly BusyThreads[], rates: readonly number[], vms: number, index: number): number {
    const wait = (slope: number, use: number): number =>
      1 + (slope * Math.min(0.97, use) ** 2) / (1 - Math.min(0.97, use));
    const demand = (of: (from: number, memoryShares: readonly number[]) => number): number =>
      busy.reduce(
        (sum, { threads, node, memoryShares }, each) => sum + threads * rates[each]! * of(node, memoryShares),
        0,
      );
    const { node, speed, memoryShares } = busy[index]!;
    const cost = memoryShares.reduce((sum, part, other) => {
      const local = wait(0.3, demand((_, shares) => shares[other]!) / 10);
      const link = demand((from, shares) => (from === node ? shares[other]! : from === other ? shares[node]! : 0)) / 10;
      return sum + part * (local + (other === node ? 0 : 0.7 * wait(0.35, link)));
    }, 0);
    const share = 0.18 * (1 + (0.5 * Math.max(0, vms - 2)) / 6);
    return speed / (1 - share + share * cost);
  }

  test('is found, nobody is faster than its core, and what was solved before does not matter', () => {
    fc.assert(
      fc.property(loads, loads, fc.nat({ max: 20 }), (busy, before, vms) => {
        const rates = workRates(calibratedMemoryCost, three, vms, busy);
        const solver = new MemoryCostSolver(calibratedMemoryCost, three);
        for (const load of [before, busy]) {
          solver.clear();
          for (const { threads, node, speed, memoryShares } of load) solver.add(threads, node, speed, memoryShares);
          solver.solve(vms);
        }
        expect(solver.steps).toBeLessThanOrEqual(costStepsMax);
        for (const [index, rate] of rates.entries()) {
          expect(rate).toBe(solver.rates[index]);
          expect(rate).toBeLessThanOrEqual(busy[index]!.speed);
          expect(Math.abs(formula(busy, rates, vms, index) / rate - 1)).toBeLessThan(0.01);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('is found exactly where controllers and links are not full', () => {
    for (const [vms, threads] of [1, 2, 3, 4, 6].entries()) {
      const busy = [0, 1, 2].map((node) => ({ threads, node, speed: 1, memoryShares: [0.5, 0.25, 0.25] }));
      const rates = workRates(calibratedMemoryCost, three, vms, busy);
      for (const [index, rate] of rates.entries()) expect(formula(busy, rates, vms, index)).toBeCloseTo(rate, 10);
    }
  });

  test('more of the same, and more VMs, make nobody faster', () => {
    fc.assert(
      fc.property(thread, fc.nat({ max: 20 }), (own, vms) => {
        const rate = (of: BusyThreads, busyVms: number): number =>
          workRates(calibratedMemoryCost, three, busyVms, [of])[0]!;
        const alone = rate(own, vms) * (1 + 1e-3);
        expect(rate({ ...own, threads: own.threads * 1.5 }, vms)).toBeLessThanOrEqual(alone);
        expect(rate(own, vms + 1)).toBeLessThanOrEqual(alone);
      }),
    );
  });
});

test('eighty threads one by one are eighty threads at once', () => {
  const one: BusyThreads = { threads: 1, node: 0, speed: 1, memoryShares: striped };
  const rates = workRates(
    calibratedMemoryCost,
    distances,
    2,
    Array.from({ length: 80 }, () => one),
  );
  expect(new Set(rates).size).toBe(1);
  expect(rates[79]).toBeCloseTo(workRates(calibratedMemoryCost, distances, 2, [{ ...one, threads: 80 }])[0]!, 10);
});

test('each pair of nodes has a link of its own', () => {
  const far = [0, 1, 2, 3].map((node) => [0, 1, 2, 3].map((other) => (node === other ? 10 : 20)));
  const own: BusyThreads = { threads: 4, node: 0, speed: 1, memoryShares: [0, 1, 0, 0] };
  const rateBeside = (other: BusyThreads): number => workRates(calibratedMemoryCost, far, 1, [own, other])[0]!;
  const elsewhere = rateBeside({ threads: 4, node: 2, speed: 1, memoryShares: [0, 0, 0, 1] });
  const onTheSameLink = rateBeside({ threads: 4, node: 1, speed: 1, memoryShares: [1, 0, 0, 0] });
  expect(elsewhere).toBeCloseTo(workRates(calibratedMemoryCost, far, 1, [own])[0]!, 9);
  expect(onTheSameLink).toBeLessThan(elsewhere);
});
