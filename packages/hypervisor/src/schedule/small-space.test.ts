/** Every sequence of a few events on one or two pCPUs with two or three vCPUs, for every scheduler. */
import { assert, present } from '@xenolith/base';
import { describe, expect, test } from 'vitest';
import { coreFaults } from '../check/core-invariants.ts';
import { credit2Faults } from '../check/credit2-invariants.ts';
import { creditFaults } from '../check/credit-invariants.ts';
import { nullFaults } from '../check/null-invariants.ts';
import { rtdsFaults } from '../check/rtds-invariants.ts';
import { sedfFaults } from '../check/sedf-invariants.ts';
import { policies } from '../testing/random-machine.ts';
import { explore, type SmallSpace } from '../testing/small-space.ts';
import { Arinc653 } from './arinc653.ts';
import type { SchedCore, SchedPool } from './core.ts';
import { Credit } from './credit.ts';
import { Credit2 } from './credit2.ts';
import { NullScheduler } from './null.ts';
import { Rtds } from './rtds.ts';
import { Sedf } from './sedf/sedf.ts';

const ms = 1_000_000;

/** What is wrong with a policy's state between events. */
function policyFaults(core: SchedCore, { scheduler, valid }: SchedPool): readonly string[] {
  if (scheduler instanceof Credit) return creditFaults(core, scheduler);
  // The checker is of the later one.
  if (scheduler instanceof Credit2 && core.xenVersion === '4.2') return [];
  if (scheduler instanceof Credit2) {
    return credit2Faults(core, scheduler.state, { areCoresWhole: true, areCapsOld: true });
  }
  if (scheduler instanceof NullScheduler) return nullFaults(core, scheduler, valid);
  if (scheduler instanceof Rtds) return rtdsFaults(core, scheduler, true);
  return scheduler instanceof Sedf ? sedfFaults(core, scheduler, true) : [];
}

const faultsOf = (core: SchedCore, pool: SchedPool): readonly string[] => [
  ...coreFaults(core),
  ...policyFaults(core, pool),
];

/** These two know no affinity. */
const faultsButAffinity: SmallSpace['faultsOf'] = (core, pool) =>
  faultsOf(core, pool).filter((fault) => !fault.endsWith('against its hard affinity'));

/** Sizes of spaces, and how many sequences there are at least. */
const sizes = [
  { pcpus: 1, vcpus: 2, depth: 5, canGoDown: false, least: 1000 },
  { pcpus: 1, vcpus: 3, depth: 4, canGoDown: false, least: 1000 },
  { pcpus: 2, vcpus: 2, depth: 4, canGoDown: false, least: 1000 },
  // More can happen here, so sequences are shorter.
  { pcpus: 1, vcpus: 2, depth: 4, canGoDown: true, least: 3000 },
  { pcpus: 1, vcpus: 3, depth: 3, canGoDown: true, least: 900 },
  { pcpus: 2, vcpus: 3, depth: 3, canGoDown: true, least: 2000 },
];

/**
 * A space, but for how large it is. What a unit waits at most is for three that compute, on one pCPU; who knows its end of
 * a slice is let run for what is left of it.
 */
const spaces: Readonly<Record<string, Omit<SmallSpace, 'policy' | keyof (typeof sizes)[number]>>> = {
  // Two slices of each of the others: the accounting that comes between lets who has credit go first.
  credit: { faultsOf, waitMaxNs: 120 * ms, sliceNs: [1, 30 * ms] },
  'credit, slices of 1 ms': {
    faultsOf,
    waitMaxNs: 6 * ms,
    sliceNs: [ms, ms],
    options: { tsliceMs: 1, ratelimitUs: 0 },
  },
  // The longest time that one is let run, and the shortest.
  credit2: { faultsOf, waitMaxNs: 10.5 * ms, sliceNs: [ms / 2, 10 * ms] },
  // Three can be in one run queue for a while, beside an idle pCPU, but it is fair among them: twice the longest wait of two.
  'credit2, a run queue a pCPU': {
    faultsOf,
    waitMaxNs: 21 * ms,
    sliceNs: [ms / 2, 10 * ms],
    options: { runqueue: 'cpu' },
  },
  'credit2 of 4.2': { faultsOf: faultsButAffinity, waitMaxNs: 2.5 * ms, sliceNs: [ms / 2, 2 * ms] },
  // A period: two budgets of 4 ms before it, and one more where extra time is given.
  rtds: { faultsOf, waitMaxNs: 12 * ms, sliceNs: [1, 4 * ms] },
  // Who has no pCPU waits until one is free.
  null: { faultsOf },
  // Three times what extra time gives at once.
  sedf: { faultsOf, waitMaxNs: 1.5 * ms, sliceNs: [ms / 2, ms / 2] },
  // What is not its own of the frame.
  arinc653: {
    faultsOf: faultsButAffinity,
    waitMaxNs: 7 * ms,
    sliceNs: [1, 3 * ms],
    prepare: (core, scheduler) => {
      const entries = [0, 1, 2].map((domain) => ({ domain, vcpu: 0, runtimeNs: (domain + 1) * ms }));
      assert(scheduler instanceof Arinc653 && core.now === 0, 'it is the table’s policy');
      expect(scheduler.setSchedule({ majorFrameNs: 8 * ms, entries })).toBe(0);
    },
  },
};

describe.each(Object.entries(spaces))('%s', (name, space) => {
  const policy = present(policies[name.replace(/,.*/, '')], name);
  // Of a scheduler with other options only the larger ones.
  test.each(space.options === undefined ? sizes : sizes.filter(({ pcpus }) => pcpus === 2))(
    '$pcpus pCPUs and $vcpus vCPUs, offline at times: $canGoDown; every sequence of $depth events leaves a sound state, and nobody waits or runs longer than is promised',
    ({ least, ...size }) => {
      const { fault, sequences } = explore({ ...space, ...size, policy });
      expect(fault).toBeUndefined();
      expect(sequences).toBeGreaterThan(least);
    },
    60_000,
  );
});
