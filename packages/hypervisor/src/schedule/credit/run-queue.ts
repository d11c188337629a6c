/** Run queues of the credit scheduler: one a pCPU, by priority and then by time of coming; the idle unit is last. */
import * as pcpuMask from '../pcpu-mask.ts';
import { creditFlag, priority, type CreditState } from './state.ts';

/** Whether a unit waits in a queue (`__unit_on_runq`). */
export const isQueued = (state: CreditState, unit: number): boolean => state.queueNext[unit + state.pcpuCount]! >= 0;

/** The first unit of a queue that is not empty. */
export const firstQueued = (state: CreditState, pcpu: number): number => state.queueNext[pcpu]! - state.pcpuCount;

/** Whether nothing but the idle unit waits for a pCPU (`is_runq_idle`). */
export function isQueueIdle(state: CreditState, pcpu: number): boolean {
  const node = state.queueNext[pcpu]!;
  return node === pcpu || node - state.pcpuCount < state.pcpuCount;
}

/** Puts a unit into its pCPU's queue (`__runq_insert`). */
export function enqueue(state: CreditState, unit: number): void {
  const { queueNext, queuePrevious, priorityOf, pcpuCount } = state;
  const end = state.core.pcpu[unit]!;
  const own = priorityOf[unit]!;
  let node = queueNext[end]!;
  while (node !== end && own <= priorityOf[node - pcpuCount]!) node = queueNext[node]!;
  // Quirk: who yields lets one unit of lower priority go first, if there is one; the next sorting puts that right.
  if (
    (state.flags[unit]! & creditFlag.yield) !== 0 &&
    node !== end &&
    priorityOf[node - pcpuCount]! > priority.idle &&
    queueNext[node] !== end
  ) {
    node = queueNext[node]!;
  }
  link(state, unit + pcpuCount, queuePrevious[node]!, node);
}

/** Takes a unit out of its queue (`__runq_remove`). */
export function dequeue(state: CreditState, unit: number): void {
  unlink(state, unit + state.pcpuCount);
  state.queueNext[unit + state.pcpuCount] = -1;
  if (state.yieldLasts) state.flags[unit]! &= ~creditFlag.yield;
}

/** A unit that can run joins a queue (`runq_insert`). */
export function enqueueRunnable(state: CreditState, unit: number): void {
  enqueue(state, unit);
  addRunnable(state, state.core.pcpu[unit]!);
}

/** A unit that cannot run any more leaves its queue, or is taken by another pCPU (`runq_remove`). */
export function dequeueRunnable(state: CreditState, unit: number): void {
  dropRunnable(state, state.core.pcpu[unit]!);
  dequeue(state, unit);
}

/** A pCPU has one more unit that can run (`inc_nr_runnable`). */
export function addRunnable(state: CreditState, pcpu: number): void {
  if (++state.runnableCount[pcpu]! === 2) pcpuMask.addTo(state.crowded, pcpu);
}

/** A pCPU has one less (`dec_nr_runnable`). */
export function dropRunnable(state: CreditState, pcpu: number): void {
  if (--state.runnableCount[pcpu]! === 1) pcpuMask.removeFrom(state.crowded, pcpu);
}

/**
 * Moves those that are UNDER or BOOST before those that are OVER (`csched_runq_sort`), once after each accounting. No
 * difference is made between UNDER and BOOST.
 */
export function sortQueue(state: CreditState, pcpu: number): void {
  if (state.sortedAt[pcpu] === state.sortEpoch) return;
  state.sortedAt[pcpu] = state.sortEpoch;
  const { queueNext, queuePrevious, priorityOf, pcpuCount } = state;
  let lastUnder = pcpu;
  for (let node = queueNext[pcpu]!; node !== pcpu;) {
    const next = queueNext[node]!;
    if (priorityOf[node - pcpuCount]! >= priority.under) {
      if (queuePrevious[node] !== lastUnder) {
        unlink(state, node);
        link(state, node, lastUnder, queueNext[lastUnder]!);
      }
      lastUnder = node;
    }
    node = next;
  }
}

function link({ queueNext, queuePrevious }: CreditState, node: number, before: number, after: number): void {
  queueNext[before] = node;
  queuePrevious[node] = before;
  queueNext[node] = after;
  queuePrevious[after] = node;
}

function unlink({ queueNext, queuePrevious }: CreditState, node: number): void {
  const before = queuePrevious[node]!;
  const after = queueNext[node]!;
  queueNext[before] = after;
  queuePrevious[after] = before;
}
