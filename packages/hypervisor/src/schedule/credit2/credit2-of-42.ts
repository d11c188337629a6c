/**
 * The credit2 scheduler of Xen 4.2 (xen/common/sched_credit2.c), experimental then: one run queue a socket, no caps, no
 * affinity, no rate limit, slices of 2 ms at most, nothing for who yields, and no thought for hyperthreads.
 */
import { errno, pauseFlag, type SchedCore } from '../core.ts';
import { Credit2 } from '../credit2.ts';
import type { WeightAndCap } from '../credit.ts';
import * as pcpuMask from '../pcpu-mask.ts';
import type { PcpuMask } from '../pcpu-mask.ts';
import type { SchedulerOptions } from '../scheduler-options.ts';
import { balance, type BalanceRules } from './balance.ts';
import { updateLoad, updateQueueLoad, updateUnitLoad } from './load-of-42.ts';
import { assignUnit, deassignUnit, dequeue, enqueue, isQueued } from './run-queues.ts';
import {
  addToRow,
  carryOverMax,
  creditInit,
  migrateCompensation,
  minTimerNs,
  none,
  removeFromRow,
  rowOf,
  unitFlag,
  type Credit2State,
} from './state.ts';

const maxTimerNs = 2_000_000;
const idleCredit = -(2 ** 30);
/** More than any credit, where the lowest is looked for. */
const highest = 2 ** 30;

export class Credit2Of42 extends Credit2 {
  constructor(core: SchedCore, valid: PcpuMask, options: SchedulerOptions = {}) {
    super(core, valid, { ...options, runqueue: 'socket', maxCpusPerRunqueue: core.pcpuCount, ratelimitUs: 0 });
    this.state.credit.fill(idleCredit, 0, core.pcpuCount);
  }

  override addUnit(unit: number): void {
    super.addUnit(unit);
    // Quirk: nanoseconds, where ticks are meant.
    this.state.unitLoadTick[unit] = this.state.core.now;
  }

  /** A new unit stays where the core has put it. */
  override insert(unit: number): void {
    const s = this.state;
    assignUnit(s, unit, s.queueOfPcpu[s.core.pcpu[unit]!]!);
    s.domainUnits[s.core.domain[unit]!]!++;
  }

  override remove(unit: number): void {
    leaveQueue(this.state, unit);
    this.state.domainUnits[this.state.core.domain[unit]!]!--;
  }

  override pick(unit: number): number {
    const s = this.state;
    if ((s.flags[unit]! & unitFlag.migrateRequest) !== 0) {
      s.flags[unit]! &= ~unitFlag.migrateRequest;
      const first = firstOfQueue(s, s.migrateQueue[unit]!);
      if (first >= 0) return first;
    }
    let least = 2 ** 60;
    let found = s.core.pcpu[unit]!;
    for (let at = 0; at < s.queueCount; at++) {
      const queue = s.queues[at]!;
      const load = s.balancedLoad[queue]! - (queue === s.queue[unit] ? s.unitLoad[unit]! : 0);
      const first = firstOfQueue(s, queue);
      if (load >= least || first < 0) continue;
      least = load;
      found = first;
    }
    return found;
  }

  /** Quirk: within a run queue the unit stays on its pCPU, also one that it may not be on. */
  override migrate(unit: number, pcpu: number): void {
    const s = this.state;
    const target = s.queueOfPcpu[pcpu]!;
    if (target !== s.queue[unit]) moveUnit(s, unit, target);
    // The pCPU may be about to leave, though.
    else if (!pcpuMask.has(s.valid, s.core.pcpu[unit]!)) s.core.pcpu[unit] = pcpu;
  }

  override wake(unit: number): void {
    const s = this.state;
    const { core } = s;
    if (core.current[core.pcpu[unit]!] === unit || isQueued(s, unit)) return;
    if ((s.flags[unit]! & unitFlag.scheduled) !== 0) {
      s.flags[unit]! |= unitFlag.delayedAdd;
      return;
    }
    updateLoad(s, s.queue[unit]!, unit, 1);
    enqueue(s, unit);
    tickle(s, unit);
  }

  override sleep(unit: number): void {
    const s = this.state;
    const { core } = s;
    const pcpu = core.pcpu[unit]!;
    if (core.current[pcpu] === unit) {
      core.raise(pcpu);
    } else if (isQueued(s, unit)) {
      updateLoad(s, s.queue[unit]!, unit, -1);
      dequeue(s, unit);
    } else {
      s.flags[unit]! &= ~unitFlag.delayedAdd;
    }
  }

  override yield(): void {}

  override adjustAffinity(unit: number, hard: PcpuMask, soft: PcpuMask): void {
    this.state.copyAffinity(unit, hard, soft);
  }

  override contextSaved(unit: number): void {
    const s = this.state;
    const { core } = s;
    const flags = s.flags[unit]!;
    s.flags[unit] = flags & ~(unitFlag.scheduled | unitFlag.delayedAdd);
    if ((flags & unitFlag.delayedAdd) !== 0 && core.isRunnable(unit)) {
      enqueue(s, unit);
      tickle(s, unit);
    } else if (unit >= s.pcpuCount) {
      updateLoad(s, s.queue[unit]!, unit, -1);
    }
  }

  override schedule(pcpu: number): number {
    const s = this.state;
    const { core, credit } = s;
    const queue = s.queueOfPcpu[pcpu]!;
    const row = queue * s.words;
    const current = core.current[pcpu]!;
    removeFromRow(s.tickled, row, pcpu);
    burn(s, queue, current);
    const next = candidate(s, queue, pcpu, current);
    if (next !== current && current >= s.pcpuCount && core.isRunnable(current))
      s.flags[current]! |= unitFlag.delayedAdd;
    if (next < s.pcpuCount) {
      addToRow(s.idle, row, pcpu);
      updateQueueLoad(s, queue, 0);
      core.sliceNs = maxTimerNs;
      return next;
    }
    if (next !== current) {
      dequeue(s, next);
      s.flags[next]! |= unitFlag.scheduled;
    }
    if (credit[next]! <= 0) {
      resetCredit(s, queue);
      balance(s, rulesOf42, queue);
    }
    removeFromRow(s.idle, row, pcpu);
    s.startNs[next] = core.now;
    if (core.pcpu[next] !== pcpu) {
      credit[next]! += migrateCompensation;
      core.pcpu[next] = pcpu;
    }
    core.sliceNs = runtime(s, queue, next);
    return next;
  }

  /** Changes the weight of a domain (`csched_dom_cntl`), which is all there is. */
  override setDomain(domain: number, { weight, cap = 0 }: WeightAndCap): number {
    if (cap !== 0) return errno.invalid;
    return super.setDomain(domain, weight === undefined ? {} : { weight });
  }

  /** There is nothing to set. */
  override setPool(): number {
    return 0;
  }
}

/** The first pCPU of a run queue, -1 when there is none left but one that is about to leave: 4.2 did not provide for that. */
function firstOfQueue(s: Credit2State, queue: number): number {
  pcpuMask.intersect(s.scratch, rowOf(s.active, queue * s.words, s.words), s.valid);
  return pcpuMask.first(s.scratch);
}

const rulesOf42: BalanceRules = {
  updateQueueLoad,
  updateUnitLoad,
  mayRunOn: (s, _unit, queue) => firstOfQueue(s, queue) >= 0,
  moveUnit,
};

/** As `deassignUnit`, but what balancing counted may fall below nothing. */
function leaveQueue(s: Credit2State, unit: number): void {
  const queue = s.queue[unit]!;
  const left = s.balancedLoad[queue]! - s.unitLoad[unit]!;
  deassignUnit(s, unit);
  s.balancedLoad[queue] = left;
}

/** `migrate()`: to the first pCPU of a run queue. Quirk: the pCPU of a running unit is not asked for a decision. */
function moveUnit(s: Credit2State, unit: number, target: number): void {
  const { core } = s;
  if ((s.flags[unit]! & unitFlag.scheduled) !== 0) {
    s.migrateQueue[unit] = target;
    core.flags[unit]! |= pauseFlag.migrating;
    s.flags[unit]! |= unitFlag.migrateRequest;
    return;
  }
  const wasQueued = isQueued(s, unit);
  if (wasQueued) {
    dequeue(s, unit);
    updateLoad(s, s.queue[unit]!, unit, -1);
  }
  leaveQueue(s, unit);
  core.pcpu[unit] = firstOfQueue(s, target);
  assignUnit(s, unit, target);
  if (wasQueued) {
    updateLoad(s, target, unit, 1);
    enqueue(s, unit);
    tickle(s, unit);
  }
}

/** `burn_credits()`: what division leaves over is lost, and there is no lowest credit. */
function burn(s: Credit2State, queue: number, unit: number): void {
  if (unit < s.pcpuCount) return;
  const nowNs = s.core.now;
  const ranNs = nowNs - s.startNs[unit]!;
  if (ranNs <= 0) return;
  s.credit[unit]! -= Math.floor((ranNs * s.maxWeight[queue]!) / s.weight[unit]!);
  s.startNs[unit] = nowNs;
}

/** `reset_credit()`: who runs is not accounted for before. */
function resetCredit(s: Credit2State, queue: number): void {
  const { core, credit, startNs, nextAssigned } = s;
  for (let unit = nextAssigned[queue]!; unit !== queue; unit = nextAssigned[unit]!) {
    credit[unit] = Math.min(credit[unit]!, carryOverMax) + creditInit;
    startNs[unit] = core.now;
  }
}

/**
 * `runq_tickle()`: the unit's own pCPU if what is there has less credit, else the first idle one, else the one whose
 * unit has least, if that is less by the resistance to migration. Quirk: the own one is asked also when it was already.
 */
function tickle(s: Credit2State, unit: number): void {
  const { core } = s;
  const own = core.pcpu[unit]!;
  const queue = s.queueOfPcpu[own]!;
  burn(s, queue, core.current[own]!);
  let chosen = s.credit[core.current[own]!]! < s.credit[unit]! ? own : none;
  if (chosen === none) chosen = firstIdle(s, queue);
  if (chosen === none) chosen = poorest(s, queue, unit);
  if (chosen === none) return;
  addToRow(s.tickled, queue * s.words, chosen);
  core.raise(chosen);
}

function firstIdle(s: Credit2State, queue: number): number {
  pcpuMask.subtract(s.scratch, rowOf(s.idle, queue * s.words, s.words), rowOf(s.tickled, queue * s.words, s.words));
  return pcpuMask.first(s.scratch);
}

/** The busy pCPU, other than a unit's own, whose unit has so little credit that it must make room; -1 for none. */
function poorest(s: Credit2State, queue: number, unit: number): number {
  const { core, credit, words, scratch } = s;
  const row = queue * words;
  pcpuMask.subtract(scratch, rowOf(s.active, row, words), rowOf(s.idle, row, words));
  pcpuMask.subtract(scratch, scratch, rowOf(s.tickled, row, words));
  let lowest = highest;
  let found = none;
  for (let pcpu = pcpuMask.first(scratch); pcpu >= 0; pcpu = pcpuMask.next(pcpu, scratch)) {
    if (pcpu === core.pcpu[unit]) continue;
    const running = core.current[pcpu]!;
    burn(s, queue, running);
    if (credit[running]! >= lowest) continue;
    lowest = credit[running]!;
    found = pcpu;
  }
  return lowest + s.migrateResist > credit[unit]! ? none : found;
}

/** `runq_candidate()`. */
function candidate(s: Credit2State, queue: number, pcpu: number, current: number): number {
  const { core, credit, nextQueued } = s;
  const chosen = current < s.pcpuCount || core.isRunnable(current) ? current : pcpu;
  for (let unit = nextQueued[queue]!; unit !== queue; unit = nextQueued[unit]!) {
    if (core.pcpu[unit] !== pcpu && credit[chosen]! + s.migrateResist > credit[unit]!) continue;
    return credit[unit]! > credit[chosen]! ? unit : chosen;
  }
  return chosen;
}

/** `csched_runtime()`: until its credit is gone, or is that of the first who waits; 0.5 to 2 ms. */
function runtime(s: Credit2State, queue: number, unit: number): number {
  const { credit } = s;
  const first = s.nextQueued[queue]!;
  const untilNone = credit[unit]!;
  const left = first === queue ? untilNone : Math.min(untilNone, untilNone - credit[first]!);
  const timeNs = Math.trunc((left * s.weight[unit]!) / s.maxWeight[queue]!);
  return Math.max(minTimerNs, Math.min(timeNs, maxTimerNs));
}
