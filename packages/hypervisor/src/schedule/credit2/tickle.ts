/** Finding the pCPU that should look at a unit that was queued (`runq_tickle`). */
import { burn } from './credit.ts';
import { raiseTickled } from './idle-masks.ts';
import { updatePreemptable } from './preemptable.ts';
import { creditInit, none, rowHas, unitFlag, type Credit2State } from './state.ts';

/** Asks the pCPU for a decision that should best run a queued unit, if there is one that should. */
export function tickle(s: Credit2State, unit: number): void {
  const pcpu = s.core.pcpu[unit]!;
  const queue = s.queueOfPcpu[pcpu]!;
  let chosen = findIdle(s, queue, unit, pcpu);
  if (chosen < 0) chosen = findPreemptable(s, queue, unit, pcpu);
  if (chosen < 0) return;
  raiseTickled(s, chosen, queue);
  s.tickledPcpu[unit] = chosen;
}

/** An idle pCPU for a unit, the best of soft affinity before those of hard; -1 for none. */
function findIdle(s: Credit2State, queue: number, unit: number, pcpu: number): number {
  const row = Math.imul(queue, s.words);
  const isPinned = (s.flags[unit]! & unitFlag.pinned) !== 0;
  if (isPinned && rowHas(s.idle, row, pcpu) && !rowHas(s.tickled, row, pcpu)) return pcpu;
  if (!hasIdle(s, queue)) return none;
  if (s.hasSoft(unit)) {
    const found = findIdleOf(s, queue, unit, pcpu, true);
    if (found >= 0) return found;
  }
  return findIdleOf(s, queue, unit, pcpu, false);
}

/** Whether any pCPU of a run queue is idle, or was when the masks of cores were last changed. */
function hasIdle(s: Credit2State, queue: number): boolean {
  const { idle, smtIdle } = s;
  const row = Math.imul(queue, s.words);
  const to = row + s.toWord[queue]!;
  for (let at = row + s.fromWord[queue]!; at < to; at++) if ((idle[at]! | smtIdle[at]!) !== 0) return true;
  return false;
}

/**
 * An idle pCPU of one of a unit's affinities: its own, else the next one round about. Those of cores that are wholly
 * idle come first, or last where power is to be saved.
 */
function findIdleOf(s: Credit2State, queue: number, unit: number, pcpu: number, isSoft: boolean): number {
  const { words, valid, idle, tickled, smtIdle, hard, soft } = s;
  const row = Math.imul(queue, words);
  const own = Math.imul(unit, words);
  const fromWord = s.fromWord[queue]!;
  const toWord = s.toWord[queue]!;
  const atWord = pcpu >>> 5;
  const fromBits = -1 << (pcpu & 31);
  for (let step = 0; step < 2; step++) {
    let wrapped = none;
    for (let word = fromWord; word < toWord; word++) {
      let bits = hard[own + word]! & valid[word]!;
      if (isSoft) bits &= soft[own + word]!;
      if (step === 1) bits &= idle[row + word]! & ~tickled[row + word]!;
      else if (s.smtPowerSavings) bits &= idle[row + word]! & ~smtIdle[row + word]!;
      else bits &= smtIdle[row + word]!;
      if (bits === 0) continue;
      const from = word > atWord ? bits : word === atWord ? bits & fromBits : 0;
      if (from !== 0) return (word << 5) + 31 - Math.clz32(from & -from);
      if (wrapped < 0) wrapped = (word << 5) + 31 - Math.clz32(bits & -bits);
    }
    if (wrapped >= 0) return wrapped;
  }
  return none;
}

/**
 * The busy pCPU whose unit should make room: the unit's own if that is one it prefers, else the one with the highest
 * score, the first of equals.
 */
function findPreemptable(s: Credit2State, queue: number, unit: number, pcpu: number): number {
  const { words, entryNs } = s;
  const row = Math.imul(queue, words);
  const own = Math.imul(unit, words);
  const toWord = s.toWord[queue]!;
  updatePreemptable(s, queue);
  const latestNs = s.core.now - s.unpreemptableNs;
  let most = 0;
  let found = none;
  let isOwn = true;
  let word = pcpu >>> 5;
  let bits = preemptableBits(s, row + word, own + word, word) & (1 << (pcpu & 31));
  // First the unit's own pCPU, then all the others.
  for (;;) {
    while (bits !== 0) {
      const bit = bits & -bits;
      bits ^= bit;
      const other = (word << 5) + 31 - Math.clz32(bit);
      if (entryNs[other]! >= latestNs || (other === pcpu && !isOwn)) continue;
      const score = scoreOf(s, queue, unit, other);
      if (score <= most) continue;
      most = score;
      found = other;
      if (isOwn && rowHas(s.soft, own, pcpu)) return pcpu;
    }
    word = isOwn ? s.fromWord[queue]! : word + 1;
    isOwn = false;
    if (word >= toWord) return found;
    bits = preemptableBits(s, row + word, own + word, word);
  }
}

/** Of one word, the pCPUs that may be preempted, were not asked to decide, and may run a unit. */
const preemptableBits = (s: Credit2State, ofQueue: number, ofUnit: number, ofPool: number): number =>
  s.preemptable[ofQueue]! & ~s.tickled[ofQueue]! & s.hard[ofUnit]! & s.valid[ofPool]!;

/**
 * How much a queued unit deserves a pCPU more than the one that runs there (`tickle_score`): the difference of their
 * credit, less the resistance to migration. If that is above 0, 10 ms more where the new one prefers the pCPU, and
 * where the other one does not.
 */
function scoreOf(s: Credit2State, queue: number, unit: number, pcpu: number): number {
  const { words, credit } = s;
  const running = s.core.current[pcpu]!;
  burn(s, queue, running);
  let score = credit[unit]! - credit[running]!;
  if (s.core.pcpu[unit] !== pcpu) score -= s.migrateResist;
  if (score <= 0) return score;
  if (rowHas(s.soft, Math.imul(unit, words), pcpu)) score += creditInit;
  if (!rowHas(s.soft, Math.imul(running, words), pcpu)) score += creditInit;
  return score;
}
