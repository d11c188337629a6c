/** Which run queue a unit should be on, and moving it there (`csched2_res_pick`, `migrate`). */
import { assert } from '@xenolith/base';
import { pauseFlag } from '../core.ts';
import * as pcpuMask from '../pcpu-mask.ts';
import type { PcpuMask } from '../pcpu-mask.ts';
import { raiseTickled } from './idle-masks.ts';
import { updateQueueLoad } from './load.ts';
import { assignUnit, deassignUnit, dequeue, enqueue, isQueued } from './run-queues.ts';
import { none, rowOf, unitFlag, type Credit2State } from './state.ts';
import { tickle } from './tickle.ts';

/** Puts the pCPUs of the pool that a unit may run on, of one run queue, into `out`. Says whether there are any. */
function allowed(s: Credit2State, out: PcpuMask, unit: number, queue: number): boolean {
  const { words, valid, hard, active } = s;
  let any = 0;
  for (let word = 0; word < words; word++) {
    any |= out[word] = hard[unit * words + word]! & valid[word]! & active[queue * words + word]!;
  }
  return any !== 0;
}

/** Whether some pCPU of a run queue can run a unit. */
export function mayRunOn(s: Credit2State, unit: number, queue: number): boolean {
  const { words, valid, hard, active } = s;
  for (let word = 0; word < words; word++) {
    if ((hard[unit * words + word]! & valid[word]! & active[queue * words + word]!) !== 0) return true;
  }
  return false;
}

/** The next pCPU of a mask after the one that was picked last for a run queue. */
function pickFrom(s: Credit2State, queue: number, mask: PcpuMask): number {
  const pcpu = pcpuMask.cycle(s.pickBias[queue]!, mask);
  s.pickBias[queue] = pcpu;
  return pcpu;
}

/**
 * A pCPU of the least loaded run queue that a unit may be on; where it prefers some pCPUs, of the least loaded that
 * has one of those. A request to move to a certain run queue is honoured first.
 */
export function pick(s: Credit2State, unit: number): number {
  const { scratch } = s;
  if ((s.flags[unit]! & unitFlag.migrateRequest) !== 0) {
    s.flags[unit]! &= ~unitFlag.migrateRequest;
    const target = s.migrateQueue[unit]!;
    if (allowed(s, scratch, unit, target)) return pickFrom(s, target, scratch);
  }
  const hasSoft = s.hasSoft(unit);
  const soft = rowOf(s.soft, unit * s.words, s.words);
  let least = Infinity;
  let leastQueue = none;
  let leastSoft = Infinity;
  let leastSoftQueue = none;
  for (let at = 0; at < s.queueCount; at++) {
    const queue = s.queues[at]!;
    if (!allowed(s, scratch, unit, queue)) continue;
    let load = s.balancedLoad[queue]!;
    if (queue === s.queue[unit]) load = Math.max(load - s.unitLoad[unit]!, 0);
    if (hasSoft && load < leastSoft && pcpuMask.intersects(scratch, soft)) {
      leastSoft = load;
      leastSoftQueue = queue;
    }
    if (load < least) {
      least = load;
      leastQueue = queue;
    }
  }
  // Only contended locks can leave upstream without one.
  assert(leastQueue !== none, `unit ${unit} may run somewhere`);
  if (leastSoftQueue === none) {
    allowed(s, scratch, unit, leastQueue);
  } else {
    allowed(s, scratch, unit, leastSoftQueue);
    pcpuMask.intersect(scratch, scratch, soft);
  }
  // The pCPU picked last is that of the least loaded run queue of all, also when another one is chosen.
  return pickFrom(s, leastQueue, scratch);
}

/** Moves a unit to another run queue; one that is on a pCPU is asked to move when it leaves that. */
export function moveUnit(s: Credit2State, unit: number, target: number): void {
  const { core, scratch } = s;
  if ((s.flags[unit]! & unitFlag.scheduled) !== 0) {
    s.migrateQueue[unit] = target;
    core.flags[unit]! |= pauseFlag.migrating;
    s.flags[unit]! |= unitFlag.migrateRequest;
    // The pCPU it is assigned to, which for one that was just chosen may be another than it will run on.
    raiseTickled(s, core.pcpu[unit]!, s.queue[unit]!);
    return;
  }
  const wasQueued = isQueued(s, unit);
  if (wasQueued) {
    dequeue(s, unit);
    updateQueueLoad(s, s.queue[unit]!, -1);
  }
  deassignUnit(s, unit);
  allowed(s, scratch, unit, target);
  core.pcpu[unit] = pickFrom(s, target, scratch);
  assignUnit(s, unit, target);
  if (wasQueued) {
    updateQueueLoad(s, target, 1);
    enqueue(s, unit);
    tickle(s, unit);
  }
}
