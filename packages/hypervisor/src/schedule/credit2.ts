/**
 * The credit2 scheduler (xen/common/sched/credit2.c): run queues that pCPUs share, ordered by credit; who runs pays,
 * and when the first has none left all of the run queue get new.
 */
import { errno, type SchedCore } from './core.ts';
import { balance, balanceRules } from './credit2/balance.ts';
import { forgetParked, grabBudget, replenish, returnBudget, unpark } from './credit2/budget.ts';
import { burn, resetCredit, timeOfCredit } from './credit2/credit.ts';
import { addToSmtIdle, raiseTickled, removeFromSmtIdle } from './credit2/idle-masks.ts';
import { unitOfLoad, updateLoad, updateQueueLoad, updateUnitLoad } from './credit2/load.ts';
import { moveUnit, pick } from './credit2/migrate.ts';
import { removeCap, setCap, setWeight } from './credit2/parameters.ts';
import { noteEntry } from './credit2/preemptable.ts';
import {
  addToRunqueue,
  assignUnit,
  deassignUnit,
  dequeue,
  enqueue,
  isQueued,
  removeFromRunqueue,
} from './credit2/run-queues.ts';
import {
  addToRow,
  creditInit,
  Credit2State,
  defaultWeight,
  isRatelimit,
  maxTimerNs,
  migrateCompensation,
  minTimerNs,
  none,
  removeFromRow,
  rowHas,
  unitFlag,
  type Credit2Captured,
} from './credit2/state.ts';
import { tickle } from './credit2/tickle.ts';
import type { WeightAndCap } from './credit.ts';
import * as pcpuMask from './pcpu-mask.ts';
import type { PcpuMask } from './pcpu-mask.ts';
import type { Scheduler } from './scheduler.ts';
import type { SchedulerOptions } from './scheduler-options.ts';

export class Credit2 implements Scheduler {
  readonly name = 'credit2';
  /** Everything it knows, for listings and checkers. */
  declare readonly state: Credit2State;

  constructor(core: SchedCore, valid: PcpuMask, options: SchedulerOptions = {}) {
    this.state = new Credit2State(core, valid, options);
  }

  grow(unitCapacity: number): void {
    this.state.growUnits(unitCapacity);
  }

  growDomains(domainCapacity: number): void {
    this.state.growDomains(domainCapacity);
  }

  addPcpu(pcpu: number): void {
    const s = this.state;
    s.flags[pcpu] = 0;
    s.tickledPcpu[pcpu] = none;
    addToRunqueue(s, pcpu);
  }

  removePcpu(pcpu: number): void {
    removeFromRunqueue(this.state, pcpu);
  }

  addDomain(domain: number): void {
    const s = this.state;
    s.domainWeight[domain] = defaultWeight;
    s.domainCap[domain] = 0;
    s.domainUnits[domain] = 0;
    s.domainTotalNs[domain] = 0;
    s.domainBudgetNs[domain] = 0;
    s.nextReplenishNs[domain] = 0;
    s.firstParked[domain] = none;
    s.replenishTimer[domain] = s.core.newPolicyTimer(this, 0, domain, Math.max(pcpuMask.first(s.valid), 0));
  }

  removeDomain(domain: number): void {
    this.state.core.freeTimer(this.state.replenishTimer[domain]!);
    this.state.replenishTimer[domain] = none;
  }

  addUnit(unit: number): void {
    const s = this.state;
    s.credit[unit] = creditInit;
    s.weight[unit] = s.domainWeight[s.core.domain[unit]!]!;
    s.residual[unit] = 0;
    s.flags[unit] = 0;
    s.queue[unit] = none;
    s.migrateQueue[unit] = none;
    s.tickledPcpu[unit] = none;
    s.startNs[unit] = 0;
    // Also under a cap: that is for the units there are when it is set.
    s.budgetNs[unit] = Infinity;
    s.quotaNs[unit] = 0;
    // A new unit counts as half.
    s.unitLoad[unit] = unitOfLoad / 2;
    s.unitLoadTick[unit] = Math.floor(s.core.now / 1024);
    s.nextQueued[unit] = none;
    s.nextAssigned[unit] = none;
    s.nextParked[unit] = none;
    s.copyAffinity(unit, s.core.hard[unit]!, s.core.soft[unit]!);
  }

  removeUnit(): void {}

  insert(unit: number): void {
    const s = this.state;
    const pcpu = this.pick(unit);
    s.core.pcpu[unit] = pcpu;
    assignUnit(s, unit, s.queueOfPcpu[pcpu]!);
    s.domainUnits[s.core.domain[unit]!]!++;
  }

  remove(unit: number): void {
    forgetParked(this.state, unit);
    deassignUnit(this.state, unit);
    this.state.domainUnits[this.state.core.domain[unit]!]!--;
  }

  pick(unit: number): number {
    return pick(this.state, unit);
  }

  migrate(unit: number, pcpu: number): void {
    const s = this.state;
    const target = s.queueOfPcpu[pcpu]!;
    // Between run queues another pCPU than the given one is picked.
    if (target === s.queue[unit]) s.core.pcpu[unit] = pcpu;
    else moveUnit(s, unit, target);
  }

  wake(unit: number): void {
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

  sleep(unit: number): void {
    const s = this.state;
    const pcpu = s.core.pcpu[unit]!;
    if (s.core.current[pcpu] === unit) {
      raiseTickled(s, pcpu, s.queue[unit]!);
    } else if (isQueued(s, unit)) {
      updateLoad(s, s.queue[unit]!, unit, -1);
      dequeue(s, unit);
    } else {
      s.flags[unit]! &= ~unitFlag.delayedAdd;
    }
  }

  yield(unit: number): void {
    this.state.flags[unit]! |= unitFlag.yield;
  }

  adjustAffinity(unit: number, hard: PcpuMask, soft: PcpuMask): void {
    const s = this.state;
    s.copyAffinity(unit, hard, soft);
    if (pcpuMask.count(hard) === 1) s.flags[unit]! |= unitFlag.pinned;
    else s.flags[unit]! &= ~unitFlag.pinned;
  }

  contextSaved(unit: number): void {
    const s = this.state;
    if (unit < s.pcpuCount) {
      s.flags[unit]! &= ~unitFlag.scheduled;
      return;
    }
    const flags = s.flags[unit]!;
    s.flags[unit] = flags & ~(unitFlag.scheduled | unitFlag.delayedAdd);
    let parked = none;
    const budgetNs = s.budgetNs[unit]!;
    if (budgetNs > 0 && budgetNs !== Infinity) parked = returnBudget(s, unit);
    if ((flags & unitFlag.delayedAdd) !== 0 && s.core.isRunnable(unit)) {
      enqueue(s, unit);
      tickle(s, unit);
    } else {
      updateLoad(s, s.queue[unit]!, unit, -1);
    }
    if (parked !== none) unpark(s, parked);
  }

  schedule(pcpu: number): number {
    const s = this.state;
    const { core } = s;
    const queue = s.queueOfPcpu[pcpu]!;
    const row = Math.imul(queue, s.words);
    const current = core.current[pcpu]!;
    if (rowHas(s.tickled, row, pcpu)) {
      removeFromRow(s.tickled, row, pcpu);
      addToSmtIdle(s, queue, pcpu);
    }
    if (current >= s.pcpuCount) {
      burn(s, queue, current);
      if (s.budgetNs[current]! <= 0) grabBudget(s, current);
    }
    const next = this.#candidate(pcpu, queue, current);
    const isPut = next !== current && current >= s.pcpuCount && core.isRunnable(current);
    if (isPut) s.flags[current]! |= unitFlag.delayedAdd;
    if (next < s.pcpuCount) {
      if (!rowHas(s.idle, row, pcpu)) {
        addToRow(s.idle, row, pcpu);
        addToSmtIdle(s, queue, pcpu);
      }
      updateQueueLoad(s, queue, 0);
      if (next !== current) noteEntry(s, queue, pcpu, true);
      core.sliceNs = -1;
      return next;
    }
    if (next !== current) {
      dequeue(s, next);
      s.flags[next]! |= unitFlag.scheduled;
    } else {
      updateQueueLoad(s, queue, 0);
      updateUnitLoad(s, next, 1);
    }
    if (rowHas(s.idle, row, pcpu)) {
      removeFromRow(s.idle, row, pcpu);
      removeFromSmtIdle(s, queue, pcpu);
    }
    // The first of the queue may have more than the one that was chosen: it may not run here.
    const { credit } = s;
    if (credit[next]! <= 0 && credit[s.nextQueued[queue]!]! <= 0) {
      resetCredit(s, queue, next);
      balance(s, balanceRules, queue);
    }
    s.startNs[next] = core.now;
    s.tickledPcpu[next] = none;
    if (core.pcpu[next] !== pcpu) {
      credit[next]! += migrateCompensation;
      core.pcpu[next] = pcpu;
    }
    if (next !== current) noteEntry(s, queue, pcpu, false);
    core.sliceNs = this.#runtime(queue, next, isPut ? credit[current]! : 0);
    return next;
  }

  /**
   * What a pCPU should run: what it runs, unless that cannot run on, would rather be elsewhere, or the first of the
   * queue that may run here has more credit (`runq_candidate`).
   */
  #candidate(pcpu: number, queue: number, current: number): number {
    const s = this.state;
    const { core } = s;
    const { words, credit, nextQueued, tickledPcpu, migrateResist } = s;
    const row = Math.imul(queue, words);
    let chosen = current;
    let isYielding = false;
    if (current >= s.pcpuCount) {
      isYielding = (s.flags[current]! & unitFlag.yield) !== 0;
      s.flags[current]! &= ~unitFlag.yield;
      const isRunnable = core.isRunnable(current);
      if (isRunnable && !isYielding && core.now - core.stateEntryNs[current]! < s.ratelimitNs) return current;
      if (!isRunnable || this.#canRunWherePreferred(pcpu, queue, current)) chosen = pcpu;
    }
    let next = none;
    for (let unit = nextQueued[queue]!; unit !== queue; unit = next) {
      if (!isYielding && credit[unit]! <= credit[chosen]!) break;
      next = nextQueued[unit]!;
      if (!core.isRunnable(unit)) continue;
      if (!rowHas(s.hard, Math.imul(unit, words), pcpu)) continue;
      const tickled = tickledPcpu[unit]!;
      // Left to the pCPU that was asked to take it.
      if (tickled !== none && tickled !== pcpu && rowHas(s.tickled, row, tickled)) continue;
      if (core.pcpu[unit] !== pcpu && credit[chosen]! + migrateResist > credit[unit]!) continue;
      // Without budget it is parked, and no longer queued.
      if (grabBudget(s, unit)) return unit;
    }
    return chosen;
  }

  /** Whether a unit on a pCPU that it does not prefer finds an idle one that it does, in the same run queue. */
  #canRunWherePreferred(pcpu: number, queue: number, unit: number): boolean {
    const s = this.state;
    if (!s.hasSoft(unit)) return false;
    const { words, valid, hard, soft, idle, tickled } = s;
    const own = Math.imul(unit, words);
    const row = Math.imul(queue, words);
    if (rowHas(soft, own, pcpu) && rowHas(hard, own, pcpu)) return false;
    for (let word = 0; word < words; word++) {
      const free = idle[row + word]! & ~tickled[row + word]! & valid[word]!;
      if ((free & soft[own + word]! & hard[own + word]!) !== 0) return true;
    }
    return false;
  }

  /**
   * How long a unit is let run (`csched2_runtime`): until its credit is gone, or is that of the first who waits, but
   * no longer than its budget, and not outside of the limits.
   * @param inflight credit of the unit that makes room, which will wait but is not queued yet
   */
  #runtime(queue: number, unit: number, inflight: number): number {
    const s = this.state;
    const { core } = s;
    let leastNs = s.ratelimitNs;
    if (leastNs > 0 && core.isRunning[unit] === 1) leastNs += core.stateEntryNs[unit]! - core.now;
    if (leastNs < minTimerNs) leastNs = minTimerNs;
    let credit = s.credit[unit]!;
    const waiting = Math.max(s.credit[s.nextQueued[queue]!]!, inflight);
    if (waiting > 0) credit -= waiting;
    let timeNs = credit > 0 ? timeOfCredit(s, queue, unit, credit) : 0;
    if (s.budgetNs[unit]! < timeNs) timeNs = s.budgetNs[unit]!;
    if (timeNs < leastNs) return leastNs;
    return timeNs > maxTimerNs ? maxTimerNs : timeNs;
  }

  /** The end of a domain's cap period. */
  fire(_kind: number, domain: number): void {
    replenish(this.state, domain);
  }

  capture(): Credit2Captured {
    return this.state.capture();
  }

  restore(state: unknown): void {
    this.state.restore(state as Credit2Captured);
  }

  /** The parameters of a domain (`XEN_DOMCTL_SCHEDOP_getinfo`). */
  domainParameters(domain: number): Required<WeightAndCap> {
    return { weight: this.state.domainWeight[domain]!, cap: this.state.domainCap[domain]! };
  }

  /**
   * Changes the parameters of a domain (`csched2_dom_cntl`). Weight 0 leaves it as it is.
   * @returns 0, or EINVAL for numbers that are no 16-bit ones and a cap of more than the vCPUs can use. As upstream,
   *   the weight is changed all the same when the cap is refused
   */
  setDomain(domain: number, parameters: WeightAndCap): number {
    const s = this.state;
    const { weight = 0, cap = s.domainCap[domain]! } = parameters;
    if (!isUint16(weight) || !isUint16(cap)) return errno.invalid;
    if (weight !== 0) setWeight(s, domain, weight);
    if (cap === 0) {
      if (s.domainCap[domain] !== 0) removeCap(s, domain);
      return 0;
    }
    if (cap > 100 * s.domainUnits[domain]!) return errno.invalid;
    setCap(s, domain, cap);
    return 0;
  }

  /** The parameters of the pool (`XEN_SYSCTL_SCHEDOP_getinfo`). */
  poolParameters(): { readonly ratelimitUs: number } {
    return { ratelimitUs: this.state.ratelimitUs };
  }

  /**
   * Changes the parameters of the pool (`csched2_sys_cntl`).
   * @returns 0, or EINVAL for a rate limit that is neither 0 nor 100 … 500000
   */
  setPool({ ratelimitUs }: { readonly ratelimitUs?: number }): number {
    if (ratelimitUs === undefined) return 0;
    if (!isRatelimit(ratelimitUs)) return errno.invalid;
    this.state.setRatelimit(ratelimitUs);
    return 0;
  }
}

const isUint16 = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= 0xffff;
