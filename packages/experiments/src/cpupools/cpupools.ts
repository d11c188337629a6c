import type { Experiment } from '../experiment.ts';
import { isolation } from './isolation.ts';
import { realTime } from './real-time.ts';
import { sideBySide } from './side-by-side.ts';
import { sixVms } from './six-vms.ts';
import { timeslice } from './timeslice.ts';
import { weightsAndMasks } from './weights-and-masks.ts';

/** What cpupools are for: selling cores, weights that keep working, customers apart, schedulers and slices side by side. */
export const cpupools: Experiment = {
  name: 'cpupools',
  title: 'cpupools: what they do to VMs',
  what: 'Pools of physical CPUs with a scheduler and parameters of their own, against one pool and CPU masks.',
  source: 'model',
  release: 'Xen 4.23, or 4.2 where it says so',
  durationNs: 10_000_000_000,
  repetitions: 5,
  pcpusMin: 8,
  cases: [sixVms, weightsAndMasks, isolation, realTime, timeslice, sideBySide],
};
