/** Where units go: the pCPU they are assigned to, and the pCPU that is told of one that woke. */
import { assert } from '@xenolith/base';
import * as pcpuMask from '../pcpu-mask.ts';
import { isQueueIdle } from './run-queue.ts';
import { priority, type CreditState } from './state.ts';

/** Balance steps: first where a unit would like to be, then where it may be (`for_each_affinity_balance_step`). */
export const softStep = 0;
export const hardStep = 1;

/** Whether a unit would like some pCPUs of the pool better than others (`has_soft_affinity`). */
export const hasSoftAffinity = ({ core, valid }: CreditState, unit: number): boolean =>
  core.softEffective[unit] === 1 && !pcpuMask.isSubset(valid, core.soft[unit]!);

/**
 * The pCPU where a unit should be (`_csched_cpu_pick`): an idle one, if there is, with the most idle neighbours.
 * @param commit whether the choice is remembered, so that the next one falls on others
 */
export function pick(state: CreditState, unit: number, commit: boolean): number {
  const { core, candidates, idleCandidates } = state;
  const own = core.pcpu[unit]!;
  let pcpu = own;
  let biasOf = -1;
  for (let step = hasSoftAffinity(state, unit) ? softStep : hardStep; step <= hardStep; step++) {
    let isAny = pcpuMask.intersect(candidates, core.hard[unit]!, state.valid);
    if (step === softStep) {
      isAny = pcpuMask.intersect(candidates, candidates, core.soft[unit]!);
      if (!isAny) continue;
    }
    assert(isAny, 'a unit has a pCPU where it may run');
    pcpu = pcpuMask.has(candidates, own) ? own : pcpuMask.cycle(own, candidates);
    idleCandidates.set(state.idlers);
    // Its own pCPU is as good as idle when nobody waits there. Quirk: also when another one than this unit runs there.
    if (pcpu === own && isQueueIdle(state, own)) pcpuMask.addTo(idleCandidates, own);
    if (pcpuMask.intersect(candidates, candidates, idleCandidates)) {
      // Not in 4.2, which may so find a busy thread no worse than its idle sibling.
      if (state.version !== '4.2' && !pcpuMask.has(candidates, pcpu)) pcpu = pcpuMask.cycle(pcpu, candidates);
      pcpuMask.removeFrom(candidates, pcpu);
      for (let other = pcpuMask.cycle(pcpu, candidates); other >= 0; other = pcpuMask.cycle(pcpu, candidates)) {
        if (isBetter(state, pcpu, other)) {
          const { group } = state;
          pcpuMask.intersect(group, group, candidates);
          biasOf = other;
          pcpu = pcpuMask.cycle(state.idleBias[other]!, group);
          pcpuMask.subtract(candidates, candidates, state.siblings[pcpu]!);
        } else {
          pcpuMask.subtract(candidates, candidates, state.group);
        }
      }
    }
    if (pcpuMask.has(idleCandidates, pcpu)) break;
  }
  if (commit && biasOf >= 0) state.idleBias[biasOf] = pcpu;
  return pcpu;
}

/**
 * Whether the neighbourhood of `other` is the better one: within a socket the core with more idle threads, across
 * sockets the one with more than twice as many idle pCPUs; to save power, the one with fewer. Leaves the idle pCPUs of
 * the other neighbourhood in `state.group`.
 */
function isBetter(state: CreditState, pcpu: number, other: number): boolean {
  const { idleCandidates, group } = state;
  const isOneSocket = state.socketOf[pcpu] === state.socketOf[other];
  const masks = isOneSocket ? state.siblings : state.socketMasks;
  pcpuMask.intersect(group, idleCandidates, masks[pcpu]!);
  const idle = pcpuMask.count(group);
  pcpuMask.intersect(group, idleCandidates, masks[other]!);
  const otherIdle = pcpuMask.count(group);
  return state.smtPowerSavings ? idle > otherIdle : (isOneSocket ? idle : 2 * idle) < otherIdle;
}

/**
 * Asks a pCPU to look at a unit that woke (`__runq_tickle`): an idle one where it may run, else its own if it goes
 * before what runs there. Upstream also looks there for a pCPU where the unit that runs could go, but only when no idle
 * one suits the unit that woke, and tests that one's affinity: there never is any.
 */
export function tickle(state: CreditState, unit: number): void {
  if (state.version === '4.2') {
    tickleIn42(state, unit);
    return;
  }
  const { core, candidates, idleCandidates, priorityOf } = state;
  const own = core.pcpu[unit]!;
  const current = priorityOf[core.current[own]!]!;
  const isAbove = priorityOf[unit]! > current;
  const hasIdlers = pcpuMask.intersect(idleCandidates, state.idlers, state.valid);
  if (current === priority.idle || (!hasIdlers && isAbove)) {
    wakePcpu(state, own);
    return;
  }
  if (!hasIdlers) return;
  if (pcpuMask.intersect(idleCandidates, idleCandidates, core.hard[unit]!)) {
    const wantsSoft = hasSoftAffinity(state, unit);
    const isSoft = wantsSoft && pcpuMask.intersect(candidates, idleCandidates, core.soft[unit]!);
    const among = isSoft ? candidates : idleCandidates;
    if (state.tickleOneIdleCpu) {
      const idler = pcpuMask.cycle(core.lastTickled[core.currentPcpu]!, among);
      core.lastTickled[core.currentPcpu] = idler;
      wakePcpu(state, idler);
    } else {
      pcpuMask.subtract(state.idlers, state.idlers, among);
      core.raiseAll(among);
    }
  } else if (isAbove) {
    wakePcpu(state, own);
  }
}

/** From now on a pCPU counts as busy, so that the next unit that wakes finds another one. */
function wakePcpu(state: CreditState, pcpu: number): void {
  pcpuMask.removeFrom(state.idlers, pcpu);
  state.core.raise(pcpu);
}

/** In 4.2 the unit's own pCPU is asked whenever the unit goes first, and an idle one besides; they stay idlers. */
function tickleIn42(state: CreditState, unit: number): void {
  const { core, candidates, priorityOf } = state;
  const hard = core.hard[unit]!;
  const own = core.pcpu[unit]!;
  const current = priorityOf[core.current[own]!]!;
  let asksOwn = priorityOf[unit]! > current;
  if (current > priority.idle && !pcpuMask.isEmpty(state.idlers)) {
    if (!pcpuMask.has(hard, own)) asksOwn = false;
    if (pcpuMask.intersect(candidates, state.idlers, hard)) {
      if (state.tickleOneIdleCpu) {
        const idler = pcpuMask.cycle(core.lastTickled[core.currentPcpu]!, candidates);
        core.lastTickled[core.currentPcpu] = idler;
        core.raise(idler);
      } else {
        core.raiseAll(candidates);
      }
    }
  }
  if (asksOwn) core.raise(own);
}
