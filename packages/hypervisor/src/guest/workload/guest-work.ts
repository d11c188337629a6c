/** What the guests of a modelled host do, by words that a configuration can say. */
import type { SimpleWorkload, Workload } from './workloads.ts';

/** What a guest does once it is up. */
export type GuestWork = 'idle' | 'hog' | 'interactive' | 'periodic' | 'server';

/** How a guest's vCPUs are busy with each kind of work. Fixed for the model, not measured from anything. */
const workloads: Readonly<Record<GuestWork, SimpleWorkload>> = {
  // What a tickless kernel with a few services wakes up for.
  idle: { kind: 'periodic', periodNs: 50_000_000, workNs: [20_000, 80_000] },
  hog: { kind: 'hog' },
  interactive: { kind: 'interactive', workNs: [500_000, 2_000_000], sleepNs: [5_000_000, 50_000_000] },
  periodic: { kind: 'periodic', periodNs: 20_000_000, workNs: 5_000_000 },
  server: { kind: 'server', serviceNs: [500_000, 1_500_000], meanGapNs: 4_000_000 },
};

/** The kinds of work, for whoever reads one from a text. */
export const guestWorks = Object.keys(workloads) as readonly GuestWork[];

/** A hundred days: no domain of a model is as old. */
const foreverNs = 8_640_000_000_000_000;

/** The workload of a vCPU that is busy with booting for so long, in wall time, and then works for good. */
export function guestWorkload(work: GuestWork, bootNs = 0): Workload {
  const workload = workloads[work];
  if (bootNs === 0) return workload;
  return {
    kind: 'phases',
    phases: [
      { durationNs: bootNs, workload: { kind: 'hog' } },
      { durationNs: foreverNs, workload },
    ],
    repeat: false,
  };
}
