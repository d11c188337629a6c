import { defaultPauseLoopExiting } from '@xenolith/hypervisor';
import type { ExperimentCase, MeanOf } from '../experiment.ts';
import { eight, lockMeasures, lockVariant } from './two-vms.ts';

const names = { ticket: 'ticket', exiting: 'ticket, PLE', pv: 'PV ticket' } as const;
const throughput = (mean: MeanOf, name: string): number => mean(name, 'throughput');

/** L6: what the processor can do about a spinning vCPU, without its guest. */
export const pauseLoops: ExperimentCase = {
  name: 'ple',
  what: 'L6: two VMs of 8 vCPUs on 8 pCPUs under credit, ticket locks: does it help when a vCPU that spins for 1.6 µs leaves its guest and yields?',
  measures: lockMeasures,
  variants: [
    lockVariant(names.ticket, { ...eight, vms: 2, kernel: { lock: 'ticket' } }),
    lockVariant(names.exiting, {
      ...eight,
      vms: 2,
      kernel: { lock: 'ticket', pauseLoopExiting: defaultPauseLoopExiting },
    }),
    lockVariant(names.pv, { ...eight, vms: 2, kernel: { lock: 'pv-ticket' } }),
  ],
  expectations: [
    {
      statement: 'L6: pause-loop exiting gets more done than nothing; times',
      unit: '',
      value: (mean) => throughput(mean, names.exiting) / throughput(mean, names.ticket),
      holds: (factor) => factor > 1,
    },
    {
      statement: 'L6: and less than PV ticket locks; of those',
      unit: '%',
      value: (mean) => (throughput(mean, names.exiting) / throughput(mean, names.pv)) * 100,
      holds: (percent) => percent < 100,
    },
  ],
  charts: [{ kind: 'bars', title: 'work of two VMs (model)', measures: ['throughput'] }],
};
