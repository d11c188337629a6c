/** A pCPU with nothing urgent of its own looks for work that waits for others. */
import * as pcpuMask from '../pcpu-mask.ts';
import { hardStep, hasSoftAffinity, softStep } from './placement.ts';
import { addRunnable, dequeueRunnable } from './run-queue.ts';
import { creditFlag, type CreditState } from './state.ts';

/**
 * Takes a unit that goes before `next` from another pCPU's queue (`csched_load_balance`): one that would like to be here,
 * else one that may; from the own node, else the nodes after it.
 * @returns the unit, which is in no queue and assigned to this pCPU, or -1
 */
export function steal(state: CreditState, pcpu: number, next: number): number {
  const { valid, candidates, nodeMasks, balanceBias } = state;
  // A pCPU that is about to leave takes nothing.
  if (!pcpuMask.has(valid, pcpu)) return -1;
  if (state.version === '4.2') return stealIn42(state, pcpu, next);
  const above = state.priorityOf[next]!;
  const ownNode = state.nodeOf[pcpu]!;
  for (let step = state.softTotal > 0 ? softStep : hardStep; step <= hardStep; step++) {
    let node = ownNode;
    do {
      // One that has no more than the unit it runs has nothing to give.
      pcpuMask.intersect(candidates, state.crowded, nodeMasks[node]!);
      pcpuMask.intersect(candidates, candidates, valid);
      pcpuMask.subtract(candidates, candidates, state.idlers);
      pcpuMask.removeFrom(candidates, pcpu);
      const first = pcpuMask.cycle(balanceBias[node]!, candidates);
      if (first >= 0) {
        let peer = first;
        do {
          const unit = stealFrom(state, peer, pcpu, above, step);
          if (unit >= 0) {
            balanceBias[node] = peer;
            return unit;
          }
          peer = pcpuMask.cycle(peer, candidates);
        } while (peer !== first);
      }
      node = node + 1 === nodeMasks.length ? 0 : node + 1;
    } while (node !== ownNode);
  }
  return -1;
}

/** 4.2 goes through all pCPUs once, beginning after this one, and knows hard affinity alone. */
function stealIn42(state: CreditState, pcpu: number, next: number): number {
  const { candidates } = state;
  pcpuMask.subtract(candidates, state.valid, state.idlers);
  pcpuMask.removeFrom(candidates, pcpu);
  for (let peer = pcpuMask.cycle(pcpu, candidates); peer >= 0; peer = pcpuMask.cycle(peer, candidates)) {
    pcpuMask.removeFrom(candidates, peer);
    const unit = stealFrom(state, peer, pcpu, state.priorityOf[next]!, hardStep);
    if (unit >= 0) return unit;
  }
  return -1;
}

/** Takes the first unit of a queue that is above a priority and may come (`csched_runq_steal`). */
function stealFrom(state: CreditState, peer: number, pcpu: number, above: number, step: number): number {
  const { core, queueNext, priorityOf, pcpuCount } = state;
  // A pCPU that idles is about to take from its queue itself.
  if (core.current[peer]! < pcpuCount) return -1;
  for (let node = queueNext[peer]!; node !== peer; node = queueNext[node]!) {
    const unit = node - pcpuCount;
    if (priorityOf[unit]! <= above) break;
    // Who yielded waits for something.
    if (state.yieldLasts && (state.flags[unit]! & creditFlag.yield) !== 0) continue;
    if (core.isRunning[unit] === 1 || !pcpuMask.has(core.hard[unit]!, pcpu)) continue;
    if (step === softStep && !(hasSoftAffinity(state, unit) && pcpuMask.has(core.soft[unit]!, pcpu))) continue;
    if (isCacheHot(state, unit)) continue;
    dequeueRunnable(state, unit);
    core.pcpu[unit] = pcpu;
    addRunnable(state, pcpu);
    return unit;
  }
  return -1;
}

/** Whether a unit ran so lately that it is better off where its data are (`__csched_vcpu_is_cache_hot`). */
const isCacheHot = ({ core, parameters, lastScheduledNs }: CreditState, unit: number): boolean =>
  core.now - lastScheduledNs[unit]! < parameters.migrationDelayNs;
