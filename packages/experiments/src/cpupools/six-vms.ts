import type { Expectation, ExperimentCase } from '../experiment.ts';
import { cpupool, labShape, named, pcpuRange, schedulingRun, vms } from '../scheduling-run.ts';

const numbers = [1, 2, 3, 4, 5, 6] as const;
const schedulers = ['credit', 'credit2'] as const;
const expectedPercent = 100 / 3;
const tolerancePercent = 1;

/** Six one-vCPU VMs that compute in a pool of two pCPUs of their own, on a machine of eight. */
export const sixVms: ExperimentCase = {
  name: 'six-vms',
  what: 'six one-vCPU VMs of one customer, all computing, in a cpupool of 2 pCPUs: how much of a core has each?',
  measures: [
    ...numbers.map((vm) => ({ name: `vm${vm}`, unit: '% of a core', what: `CPU time of VM ${vm}` })),
    { name: 'others', unit: '% of a core', what: 'use of the pCPUs outside the pool' },
  ],
  variants: schedulers.map((scheduler) => ({
    name: scheduler,
    run: schedulingRun(
      {
        shape: labShape,
        cpupools: [cpupool('Pool-0', scheduler, pcpuRange(0, 5)), cpupool('customer', scheduler, [6, 7])],
        domains: vms(6, 'vm', 'customer', { workload: { kind: 'hog' } }),
      },
      (figures) => ({
        ...Object.fromEntries(named(figures, 'vm').map(({ name, pcpuShare }) => [name, pcpuShare * 100])),
        others: figures.cpupools[0]!.utilisation * 100,
      }),
    ),
  })),
  expectations: schedulers.flatMap((scheduler): Expectation[] => [
    {
      statement: `${scheduler}: each VM has 33.3 % of a core; the one furthest off has`,
      unit: '%',
      value: (mean) =>
        numbers
          .map((vm) => mean(scheduler, `vm${vm}`))
          .sort((a, b) => Math.abs(b - expectedPercent) - Math.abs(a - expectedPercent))[0]!,
      holds: (value) => Math.abs(value - expectedPercent) <= tolerancePercent,
    },
    {
      statement: `${scheduler}: the pCPUs outside the pool are left alone; their use is`,
      unit: '%',
      value: (mean) => mean(scheduler, 'others'),
      holds: (value) => value === 0,
    },
  ]),
  charts: [{ kind: 'bars', title: 'six VMs on two pCPUs', measures: numbers.map((vm) => `vm${vm}`) }],
};
