/** The masks of a run queue's idle pCPUs: those of cores that are wholly idle, and those that were asked to decide. */
import { rowHas, type Credit2State } from './state.ts';

/** All threads of a pCPU's core are idle now, if all of them are in idle ∖ tickled (`smt_idle_mask_set`). */
export function addToSmtIdle(s: Credit2State, queue: number, pcpu: number): void {
  const { words, siblings, idle, tickled, smtIdle } = s;
  const row = Math.imul(queue, words);
  if (!rowHas(idle, row, pcpu)) return;
  const own = Math.imul(pcpu, words);
  const from = s.fromWord[queue]!;
  const to = s.toWord[queue]!;
  for (let word = from; word < to; word++) {
    if ((siblings[own + word]! & ~(idle[row + word]! & ~tickled[row + word]!)) !== 0) return;
  }
  for (let word = from; word < to; word++) smtIdle[row + word]! |= siblings[own + word]!;
}

/** Not all threads of a pCPU's core are idle any more (`smt_idle_mask_clear`). */
export function removeFromSmtIdle(s: Credit2State, queue: number, pcpu: number): void {
  const { words, siblings, smtIdle } = s;
  const row = Math.imul(queue, words);
  if (!rowHas(smtIdle, row, pcpu)) return;
  const own = Math.imul(pcpu, words);
  const from = s.fromWord[queue]!;
  const to = s.toWord[queue]!;
  for (let word = from; word < to; word++) {
    if ((siblings[own + word]! & ~smtIdle[row + word]!) !== 0) return;
  }
  for (let word = from; word < to; word++) smtIdle[row + word]! &= ~siblings[own + word]!;
}

/** Asks a pCPU for a decision, and others to reckon with it (`tickle_cpu`). */
export function raiseTickled(s: Credit2State, pcpu: number, queue: number): void {
  s.tickled[Math.imul(queue, s.words) + (pcpu >>> 5)]! |= 1 << (pcpu & 31);
  removeFromSmtIdle(s, queue, pcpu);
  s.core.raise(pcpu);
}
