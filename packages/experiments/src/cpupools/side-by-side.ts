import type { CpupoolSpec } from '@xenolith/hypervisor';
import type { ExperimentCase, Variant } from '../experiment.ts';
import { average, cpupool, labShape, named, pcpuRange, schedulingRun, total, vms } from '../scheduling-run.ts';

const msNs = 1_000_000;
const officePcpus = pcpuRange(0, 1);
const batchPcpus = pcpuRange(2, 7);
const names = { long: 'one pool, 30 ms', short: 'one pool, 1 ms', both: 'pools of 1 and 30 ms' } as const;

function variant(name: string, cpupools: readonly CpupoolSpec[]): Variant {
  const [office, batch] = [cpupools[0]!.name, cpupools.at(-1)!.name];
  return {
    name,
    run: schedulingRun(
      {
        shape: labShape,
        cpupools,
        domains: [
          ...vms(4, 'user', office, {
            workload: { kind: 'interactive', workNs: [msNs, 3 * msNs], sleepNs: [2 * msNs, 6 * msNs] },
          }),
          ...vms(4, 'office', office, { workload: { kind: 'hog' } }),
          ...vms(24, 'batch', batch, { workload: { kind: 'hog' } }),
        ],
      },
      (figures) => {
        const users = named(figures, 'user');
        const batches = named(figures, 'batch');
        return {
          p99: average(users, ({ wakeNs }) => wakeNs.p99Ns) / msNs,
          interrupted: total(batches, ({ dispatches }) => dispatches) / total(batches, ({ runNs }) => runNs / 1e9),
          batch: total(batches, ({ pcpuShare }) => pcpuShare),
        };
      },
    ),
  };
}

/** Office and batch customers on one host: one time slice for all, or a pool and a slice for each. */
export const sideBySide: ExperimentCase = {
  name: 'side-by-side',
  what: 'an office customer and a batch customer on 8 pCPUs under credit: one time slice for all, or a pool of its own for each?',
  measures: [
    {
      name: 'p99',
      unit: 'ms',
      what: 'from the wake of an interactive VM to its running, 99th percentile, mean of the VMs',
    },
    {
      name: 'interrupted',
      unit: 'per CPU second',
      what: 'times that a batch VM is put on a pCPU: its caches are cold then',
    },
    { name: 'batch', unit: 'pCPUs', what: 'CPU time of the batch VMs' },
  ],
  variants: [
    variant(names.long, [cpupool('Pool-0', 'credit', pcpuRange(0, 7), { tsliceMs: 30 })]),
    variant(names.short, [cpupool('Pool-0', 'credit', pcpuRange(0, 7), { tsliceMs: 1 })]),
    variant(names.both, [
      cpupool('office', 'credit', officePcpus, { tsliceMs: 1 }),
      cpupool('batch', 'credit', batchPcpus, { tsliceMs: 30 }),
    ]),
  ],
  expectations: [
    {
      statement: 'with two pools wakes wait less than with 30 ms for all; the 99th percentile is, of that,',
      unit: '%',
      value: (mean) => (mean(names.both, 'p99') / mean(names.long, 'p99')) * 100,
      holds: (percent) => percent < 50,
    },
    {
      statement: 'and batch VMs are interrupted less than with 1 ms for all; it is, of that,',
      unit: '%',
      value: (mean) => (mean(names.both, 'interrupted') / mean(names.short, 'interrupted')) * 100,
      holds: (percent) => percent < 50,
    },
  ],
  charts: [
    { kind: 'bars', title: 'wake latency of the office’s users', measures: ['p99'] },
    { kind: 'bars', title: 'how often batch VMs are interrupted', measures: ['interrupted'] },
  ],
};
