import type { KernelSpec } from '@xenolith/hypervisor';
import { untraced, type Expectation, type ExperimentCase, type MeanOf } from '../experiment.ts';
import { lockRun } from './lock-run.ts';
import { standIns } from './lock-work.ts';

const works = Object.keys(standIns) as readonly (keyof typeof standIns)[];
const exponents = [0, 1, 2, 3, 4, 5, 6] as const;
const threadsName = (exponent: number): string => `${2 ** exponent} thread${exponent === 0 ? '' : 's'}`;
const most = threadsName(exponents.at(-1)!);
const cores = threadsName(3);

/** Where they run: a pCPU for each vCPU, or half of one. */
const places: readonly {
  readonly name: string;
  readonly vms: number;
  readonly isNative?: true;
  readonly kernel: KernelSpec;
}[] = [
  { name: 'native', vms: 1, isNative: true, kernel: { lock: 'ticket' } },
  { name: '2 VMs, ticket', vms: 2, kernel: { lock: 'ticket' } },
  { name: '2 VMs, PV ticket', vms: 2, kernel: { lock: 'pv-ticket' } },
];
const measureOf = (work: string, place: string): string => `${work}, ${place}`;

/** What is done with the most threads, of the most that is done with any number of them. */
const ofBest = (mean: MeanOf, measure: string): number =>
  (mean(most, measure) / Math.max(...exponents.map((exponent) => mean(threadsName(exponent), measure)))) * 100;

const collapse = (place: string): Expectation => ({
  statement: `section 5: pgbench-like work collapses beyond cores (64 threads get less than half of the most done): ${place}; it is`,
  unit: '%',
  value: (mean) => ofBest(mean, measureOf('pgbench', place)),
  holds: (percent) => percent < 50,
});

/** Threads of a guest beyond its vCPUs. */
export const threads: ExperimentCase = {
  name: 'threads',
  what: 'section 5: 1 to 64 threads of a guest on 8 vCPUs, with ticks of 250 Hz: natively, and in two such VMs on 8 pCPUs. What do all of them get done?',
  measures: works.flatMap((work) =>
    places.map(({ name }) => ({ name: measureOf(work, name), unit: 'k/s', what: `units of ${work}-like work` })),
  ),
  variants: exponents.map((exponent) => ({
    name: threadsName(exponent),
    x: exponent,
    run: (context) =>
      Object.fromEntries(
        works.flatMap((work, workIndex) => {
          const { kernelLocks, work: workload } = standIns[work];
          return places.map(({ name, kernel, ...place }, index) => {
            const setting = {
              ...place,
              vcpus: 8,
              pcpus: 8,
              threads: 2 ** exponent,
              workload,
              kernel: { ...kernel, locks: kernelLocks },
            };
            const isFirst = workIndex + index === 0;
            return [measureOf(work, name), lockRun(setting, isFirst ? context : untraced(context)).throughput / 1000];
          });
        }),
      ),
  })),
  expectations: [
    ...places.map(({ name }) => collapse(name)),
    {
      statement:
        'section 5: pbzip2-like work is insensitive: with 64 threads as much is done as with 8, wherever (10 %); the largest difference is',
      unit: '%',
      value: (mean) =>
        Math.max(
          ...places.map(({ name }) => {
            const measure = measureOf('pbzip2', name);
            return Math.abs(mean(most, measure) / mean(cores, measure) - 1) * 100;
          }),
        ),
      holds: (percent) => percent <= 10,
    },
    {
      statement: 'section 5: kernbench-like work natively: 64 threads get as much done as 8 (5 %); of that',
      unit: '%',
      value: (mean) => {
        const measure = measureOf('kernbench', 'native');
        return (mean(most, measure) / mean(cores, measure)) * 100;
      },
      holds: (percent) => percent >= 95,
    },
  ],
  charts: works.map((work) => ({
    kind: 'lines' as const,
    title: `${work}-like work (model)`,
    measures: places.map(({ name }) => measureOf(work, name)),
    xLabel: 'threads of each guest, as a power of 2; it has 8 vCPUs',
  })),
};
