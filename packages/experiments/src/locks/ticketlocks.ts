import type { Experiment } from '../experiment.ts';
import { interrupts, refill } from './kernel-costs.ts';
import { moderate } from './moderate.ts';
import { native } from './native.ts';
import { overcommit, overcommitWantedLess, schedulers, threshold, timeslice, workloads } from './overcommit.ts';
import { pauseLoops } from './pause-loops.ts';
import { threads } from './threads.ts';
import { oneVm, twoVms } from './two-vms.ts';

/** What ticket spinlocks do to VMs, and how paravirtualised ones mend it (specification locks.md, section 5: L1 to L8). */
export const ticketlocks: Experiment = {
  name: 'ticketlocks',
  title: 'Spinlocks: what they do to virtual machines',
  what: "A model's figures: state machines of the locks, exact to the step, on modelled vCPUs; costs are estimates. Shapes are tried, as they were expected before there was a model.",
  source: 'model',
  release: 'credit of Xen 4.23',
  durationNs: 1_000_000_000,
  repetitions: 3,
  pcpusMin: 8,
  cases: [
    oneVm,
    twoVms,
    moderate,
    overcommit,
    overcommitWantedLess,
    threshold,
    timeslice,
    pauseLoops,
    native,
    schedulers,
    workloads,
    threads,
    interrupts,
    refill,
  ],
};
