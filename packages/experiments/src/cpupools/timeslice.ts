import type { ExperimentCase, MeanOf, Variant } from '../experiment.ts';
import { average, cpupool, named, pcpuRange, schedulingRun, total, vms } from '../scheduling-run.ts';
import type { TopologyShape } from '@xenolith/hypervisor';

const msNs = 1_000_000;
const slicesMs = [1, 2, 5, 10, 20, 30] as const;
const shape: TopologyShape = { nodes: 1, socketsPerNode: 1, coresPerSocket: 4, threadsPerCore: 1 };

const nameOf = (sliceMs: number): string => `${sliceMs} ms`;

/** Users that want little are carried by credit's boost; those that want more than their share meet the time slices. */
const light = { kind: 'interactive', workNs: [msNs / 10, 0.3 * msNs], sleepNs: [5 * msNs, 15 * msNs] } as const;
const heavy = { kind: 'interactive', workNs: [msNs, 3 * msNs], sleepNs: [2 * msNs, 6 * msNs] } as const;

const variant = (sliceMs: number): Variant => ({
  name: nameOf(sliceMs),
  x: sliceMs,
  run: schedulingRun(
    {
      shape,
      cpupools: [cpupool('Pool-0', 'credit', pcpuRange(0, 3), { tsliceMs: sliceMs })],
      domains: [
        ...vms(4, 'light', 'Pool-0', { workload: light }),
        ...vms(4, 'heavy', 'Pool-0', { workload: heavy }),
        ...vms(16, 'batch', 'Pool-0', { workload: { kind: 'hog' } }),
      ],
    },
    (figures) => {
      const [lights, heavies] = [named(figures, 'light'), named(figures, 'heavy')];
      const [pool] = figures.cpupools;
      return {
        light: average(lights, ({ wakeNs }) => wakeNs.p99Ns) / msNs,
        heavy: average(heavies, ({ wakeNs }) => wakeNs.p99Ns) / msNs,
        mean: average(heavies, ({ wakeNs }) => wakeNs.meanNs) / msNs,
        switches: pool!.contextSwitches / (figures.durationNs / 1e9) / pool!.pcpus.length,
        users: total([...lights, ...heavies], ({ completed }) => completed) / (figures.durationNs / 1e9),
        batch: total(named(figures, 'batch'), ({ pcpuShare }) => pcpuShare),
      };
    },
  ),
});

const ratio = (mean: MeanOf, measure: string): number => mean(nameOf(30), measure) / mean(nameOf(1), measure);

/** Credit's time slice from 1 to 30 ms: the latency of users against context switches. */
export const timeslice: ExperimentCase = {
  name: 'timeslice',
  what: 'four VMs of light users, four of heavy ones and 16 that compute, on 4 pCPUs under credit: what does the time slice do? (A switch costs no time in the model.)',
  measures: [
    { name: 'light', unit: 'ms', what: 'wake latency of light users (0.2 ms of work), 99th percentile' },
    { name: 'heavy', unit: 'ms', what: 'wake latency of heavy users (2 ms of work), 99th percentile' },
    { name: 'mean', unit: 'ms', what: 'wake latency of heavy users, mean' },
    { name: 'switches', unit: '/s', what: 'context switches of a pCPU' },
    { name: 'users', unit: '/s', what: 'interactions done' },
    { name: 'batch', unit: 'pCPUs', what: 'CPU time of the computing VMs' },
  ],
  variants: slicesMs.map(variant),
  expectations: [
    {
      statement: '30 ms make wakes of heavy users wait longer than 1 ms; at the 99th percentile by a factor of',
      unit: '',
      value: (mean) => ratio(mean, 'heavy'),
      holds: (factor) => factor > 2,
    },
    {
      statement: 'and it spares context switches; 1 ms has more by a factor of',
      unit: '',
      value: (mean) => 1 / ratio(mean, 'switches'),
      holds: (factor) => factor > 1.5,
    },
  ],
  charts: [
    {
      kind: 'lines',
      title: 'wake latency: 99th percentiles, and the mean of heavy users',
      measures: ['light', 'heavy', 'mean'],
      xLabel: 'time slice in ms',
    },
    { kind: 'lines', title: 'context switches of a pCPU', measures: ['switches'], xLabel: 'time slice in ms' },
  ],
};
