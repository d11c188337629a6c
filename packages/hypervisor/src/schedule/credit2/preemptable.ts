/**
 * Which pCPUs run a unit that the rate limit does not protect any more (`is_preemptable`). Asking each pCPU in turn
 * would be most of the work of queueing a unit: so each run queue has a list of its pCPUs in the order in which their
 * units came there, and a mask of those that were found to be old enough, where nothing changes until another unit comes.
 */
import { none, type Credit2State } from './state.ts';

/** Another unit comes onto a pCPU now. */
export function noteEntry(s: Credit2State, queue: number, pcpu: number, isIdle: boolean): void {
  const { nextEntered, previousEntered } = s;
  s.preemptable[Math.imul(queue, s.words) + (pcpu >>> 5)]! &= ~(1 << (pcpu & 31));
  const after = nextEntered[pcpu]!;
  if (after !== none) {
    const before = previousEntered[pcpu]!;
    nextEntered[before] = after;
    previousEntered[after] = before;
  }
  if (isIdle) {
    nextEntered[pcpu] = none;
    return;
  }
  s.entryNs[pcpu] = s.core.now;
  const head = s.pcpuCount + queue;
  const last = previousEntered[head]!;
  nextEntered[last] = pcpu;
  previousEntered[pcpu] = last;
  nextEntered[pcpu] = head;
  previousEntered[head] = pcpu;
}

/**
 * Brings the mask of a run queue up to date: it has all pCPUs whose unit may be preempted, and after the rate limit
 * was raised perhaps others.
 */
export function updatePreemptable(s: Credit2State, queue: number): void {
  const latestNs = s.core.now - s.unpreemptableNs;
  const { nextEntered, entryNs } = s;
  const head = s.pcpuCount + queue;
  let pcpu = nextEntered[head]!;
  if (pcpu === head || entryNs[pcpu]! >= latestNs) return;
  const row = Math.imul(queue, s.words);
  while (pcpu !== head && entryNs[pcpu]! < latestNs) {
    s.preemptable[row + (pcpu >>> 5)]! |= 1 << (pcpu & 31);
    const next = nextEntered[pcpu]!;
    nextEntered[pcpu] = none;
    pcpu = next;
  }
  nextEntered[head] = pcpu;
  s.previousEntered[pcpu] = head;
}
