import {
  untraced,
  type Expectation,
  type ExperimentCase,
  type MeanOf,
  type RunContext,
  type Variant,
} from '../experiment.ts';
import { average, cpupool, labShape, named, pcpuRange, schedulingRun, vms } from '../scheduling-run.ts';

const schedulers = ['credit', 'credit2'] as const;
type Scheduler = (typeof schedulers)[number];
const fences = ['pool', 'masks'] as const;
type Fence = (typeof fences)[number];

/** VMs of other customers on the other pCPUs. */
const othersCounts = [0, 6, 12, 18, 24] as const;

const own = [6, 7] as const;
const rest = pcpuRange(0, 5);
const hog = { kind: 'hog' } as const;

/** CPU time of weight 512 to that of 256: the same VMs on the same pCPUs, fenced by a pool or by hard affinity. */
function ratioRun(scheduler: Scheduler, fence: Fence, othersCount: number): (context: RunContext) => number {
  const isPool = fence === 'pool';
  const inside = isPool ? { workload: hog } : { workload: hog, hardAffinity: own };
  const outside = isPool ? { workload: hog } : { workload: hog, hardAffinity: rest };
  const pool = isPool ? 'customer' : 'Pool-0';
  const run = schedulingRun(
    {
      shape: labShape,
      cpupools: isPool
        ? [cpupool('Pool-0', scheduler, rest), cpupool('customer', scheduler, own)]
        : [cpupool('Pool-0', scheduler, pcpuRange(0, 7))],
      domains: [
        ...vms(3, 'light', pool, inside, { weight: 256 }),
        ...vms(3, 'heavy', pool, inside, { weight: 512 }),
        ...vms(othersCount, 'other', 'Pool-0', outside, { weight: 256 }),
      ],
    },
    (figures) => {
      const [light, heavy] = ['light', 'heavy'].map((name) => average(named(figures, name), (vm) => vm.pcpuShare));
      return { ratio: heavy! / light! };
    },
  );
  return (context) => run(context)['ratio']!;
}

const measureName = (scheduler: Scheduler, fence: Fence): string => `${scheduler}, ${fence}`;

/** A trace is of the first machine of a run. */
const variant = (othersCount: number): Variant => ({
  name: `${othersCount} others`,
  x: othersCount,
  run: (context) => {
    const ratios = schedulers.flatMap((scheduler, first) =>
      fences.map((fence, second): [string, number] => [
        measureName(scheduler, fence),
        ratioRun(scheduler, fence, othersCount)(first + second === 0 ? context : untraced(context)),
      ]),
    );
    return Object.fromEntries(ratios);
  },
});

/** The ratio that is furthest from the 2 of the weights, whatever the others do. */
const worst =
  (scheduler: Scheduler, fence: Fence): ((mean: MeanOf) => number) =>
  (mean) =>
    othersCounts
      .map((count) => mean(`${count} others`, measureName(scheduler, fence)))
      .sort((a, b) => Math.abs(b - 2) - Math.abs(a - 2))[0]!;

const tolerance = 0.2;

/** Weights 256 and 512 of one customer's VMs on 2 pCPUs: in a pool, and behind CPU masks in one pool with others. */
export const weightsAndMasks: ExperimentCase = {
  name: 'weights',
  what: 'three VMs of weight 256 and three of 512, all computing, on 2 pCPUs, with VMs of others on the other 6: how much more CPU time has weight 512?',
  measures: schedulers.flatMap((scheduler) =>
    fences.map((fence) => ({
      name: measureName(scheduler, fence),
      unit: 'ratio',
      what: `CPU time of weight 512 to that of 256, ${fence === 'pool' ? 'in a pool of 2 pCPUs' : 'hard affinity to 2 pCPUs in one pool of 8'}`,
    })),
  ),
  variants: othersCounts.map(variant),
  expectations: [
    ...schedulers.map((scheduler): Expectation => ({
      statement: `${scheduler}: in a pool of their own the weights work: 2, whatever others do; furthest off is`,
      unit: '',
      value: worst(scheduler, 'pool'),
      holds: (ratio) => Math.abs(ratio - 2) <= tolerance,
    })),
    {
      statement: 'credit: behind masks they stop working, depending on what others do; furthest off is',
      unit: '',
      value: worst('credit', 'masks'),
      holds: (ratio) => Math.abs(ratio - 2) > tolerance,
    },
    {
      statement: 'credit2, which counts no credit of the whole pool, stays nearer to 2 than credit; furthest off is',
      unit: '',
      value: worst('credit2', 'masks'),
      holds: (ratio, mean) => Math.abs(ratio - 2) < Math.abs(worst('credit', 'masks')(mean) - 2),
    },
  ],
  charts: [
    {
      kind: 'lines',
      title: 'CPU time of weight 512 to weight 256',
      measures: schedulers.flatMap((scheduler) => fences.map((fence) => measureName(scheduler, fence))),
      xLabel: 'computing VMs of others on the other 6 pCPUs',
    },
  ],
};
