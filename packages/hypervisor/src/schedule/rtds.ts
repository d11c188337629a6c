/**
 * RTDS (xen/common/sched/rt.c): preemptive global earliest deadline first over deferrable servers. Each unit has a
 * budget in each period; what it has used of it counts only while it runs. One run queue for the pool, ordered by
 * (priority level, deadline, coming), and one timer for the replenishments.
 */
import { errno, type SchedCore } from './core.ts';
import * as pcpuMask from './pcpu-mask.ts';
import type { PcpuMask } from './pcpu-mask.ts';
import {
  isReservation,
  isSomeReservation,
  rtdsDefaults,
  type RtdsParameters,
  type RtdsReservation,
} from './rtds/rtds-parameters.ts';
import { RtdsServers, serverFlag } from './rtds/rtds-servers.ts';
import type { Scheduler } from './scheduler.ts';
import type { SchedulerOptions } from './scheduler-options.ts';
import { UnitLists } from './unit-lists.ts';

const none = -1;

/** Each queue is the only list of its {@link UnitLists}. */
const list = 0;
const end = -1;

export class Rtds implements Scheduler {
  readonly name = 'rtds';
  readonly #core: SchedCore;
  /** The pCPUs of the pool, kept by the core. */
  readonly #valid: PcpuMask = new Uint32Array(0);
  /** Behaviour of before 4.23: {@link setDomain}, {@link setUnit} and {@link RtdsServers.burn} say where. */
  readonly #isOld: boolean;
  /** pCPUs that were asked for a decision and have not made it. */
  readonly #tickled: PcpuMask = new Uint32Array(0);
  readonly #scratch: PcpuMask = new Uint32Array(0);
  /** Its pCPU makes no difference: nothing here is kept by the pCPU that the code runs on. */
  #timer: number;
  declare readonly servers: RtdsServers;
  /** Units that wait for a pCPU and have budget, or extra time. */
  declare readonly runQueue: UnitLists;
  /** All units that run or are queued, also the depleted ones. */
  declare readonly replenishments: UnitLists;
  /** Units that were replenished in the present run of the timer. */
  #replenished: Int32Array = new Int32Array(0);

  constructor(core: SchedCore, valid: PcpuMask, options: SchedulerOptions = {}) {
    this.#core = core;
    this.#valid = valid;
    this.#isOld = (options.xenVersion ?? core.xenVersion) !== '4.23';
    this.#tickled = pcpuMask.emptyMask(core.words);
    this.#scratch = pcpuMask.emptyMask(core.words);
    this.#timer = core.newPolicyTimer(this, 0, 0, 0);
    this.servers = new RtdsServers(core);
    this.runQueue = new UnitLists(1, core.unitCapacity);
    this.replenishments = new UnitLists(1, core.unitCapacity);
    this.#replenished = new Int32Array(core.unitCapacity);
  }

  grow(unitCapacity: number): void {
    this.servers.grow(unitCapacity);
    this.runQueue.grow(unitCapacity);
    this.replenishments.grow(unitCapacity);
    if (unitCapacity > this.#replenished.length) this.#replenished = new Int32Array(unitCapacity);
  }

  growDomains(): void {}

  addPcpu(): void {}

  removePcpu(): void {}

  addDomain(): void {}

  removeDomain(): void {}

  addUnit(unit: number): void {
    this.servers.reset(unit);
  }

  removeUnit(): void {}

  insert(unit: number): void {
    const core = this.#core;
    core.pcpu[unit] = this.pick(unit);
    this.#replenishIfDue(unit);
    if (!core.isRunnable(unit)) return;
    this.#replenishLater(unit);
    this.#enqueue(unit);
  }

  remove(unit: number): void {
    if (this.#isQueued(unit)) this.#dequeue(unit);
    if (this.replenishments.isOn(unit)) this.#replenishNoMore(unit);
  }

  /** Its own pCPU if that is in the hard affinity, else the next one; soft affinity says nothing. */
  pick(unit: number): number {
    const mask = this.#scratch;
    pcpuMask.intersect(mask, this.#valid, this.#core.hard[unit]!);
    const pcpu = this.#core.pcpu[unit]!;
    return pcpuMask.has(mask, pcpu) ? pcpu : pcpuMask.cycle(pcpu, mask);
  }

  migrate(unit: number, pcpu: number): void {
    this.#core.pcpu[unit] = pcpu;
  }

  wake(unit: number): void {
    const core = this.#core;
    if (core.current[core.pcpu[unit]!] === unit || this.#isQueued(unit)) return;
    this.#replenishIfDue(unit);
    // Upstream has a case for a unit whose context is still to be saved; here that is done within the decision.
    this.#replenishLater(unit);
    this.#enqueue(unit);
    this.#tickle(unit);
  }

  sleep(unit: number): void {
    const core = this.#core;
    const pcpu = core.pcpu[unit]!;
    if (core.current[pcpu] === unit) {
      core.raise(pcpu);
    } else if (this.#isQueued(unit)) {
      this.#dequeue(unit);
      this.#replenishNoMore(unit);
    } else {
      this.servers.flags[unit]! &= ~serverFlag.delayedAdd;
    }
  }

  /** RTDS has no yield: the decision that the core asks for goes by priority. */
  yield(): void {}

  adjustAffinity(): void {}

  contextSaved(unit: number): void {
    if (this.#core.isIdle(unit)) return;
    const isDelayed = this.servers.has(unit, serverFlag.delayedAdd);
    this.servers.flags[unit]! &= ~serverFlag.delayedAdd;
    if (isDelayed && this.#core.isRunnable(unit)) {
      this.#enqueue(unit);
      this.#tickle(unit);
    } else {
      this.#replenishNoMore(unit);
    }
  }

  schedule(pcpu: number): number {
    const core = this.#core;
    const { servers } = this;
    const current = core.current[pcpu]!;
    const isCurrentIdle = core.isIdle(current);
    pcpuMask.removeFrom(this.#tickled, pcpu);
    if (!isCurrentIdle) servers.burn(current, this.#isOld);
    let next = this.#firstFor(pcpu);
    const isCurrentRunnable = !isCurrentIdle && core.isRunnable(current);
    if (
      isCurrentRunnable &&
      servers.leftNs[current]! > 0 &&
      (next === none || servers.comparePriority(current, next) > 0)
    ) {
      next = current;
    }
    if (isCurrentRunnable && next !== current) servers.flags[current]! |= serverFlag.delayedAdd;
    if (next === none) {
      core.sliceNs = -1;
      return pcpu;
    }
    servers.lastStartNs[next] = core.now;
    if (next !== current) this.#dequeue(next);
    core.pcpu[next] = pcpu;
    core.sliceNs = servers.leftNs[next]!;
    return next;
  }

  /** The replenishment timer (`repl_timer_handler()`). */
  fire(): void {
    const core = this.#core;
    const { servers, runQueue, replenishments } = this;
    const replenished = this.#replenished;
    let count = 0;
    for (;;) {
      const unit = replenishments.first(list);
      if (unit < 0 || core.now < servers.deadlineNs[unit]!) break;
      replenishments.remove(unit);
      servers.replenish(unit);
      replenished[count++] = unit;
      if (!this.#isQueued(unit)) continue;
      this.#dequeue(unit);
      this.#enqueue(unit);
    }
    // Upstream collects them at the front of a list: the last one is the first here.
    for (let at = count - 1; at >= 0; at--) {
      const unit = replenished[at]!;
      const first = runQueue.first(list);
      if (core.current[core.pcpu[unit]!] === unit && first >= 0) {
        if (servers.comparePriority(unit, first) < 0) this.#tickle(first);
      } else if (servers.has(unit, serverFlag.depleted)) {
        servers.flags[unit]! &= ~serverFlag.depleted;
        if (this.#isQueued(unit)) this.#tickle(unit);
      }
      this.#linkByPriority(replenishments, unit);
    }
    if (replenishments.first(list) >= 0) this.#armTimer();
  }

  /**
   * New period and budget for all units of a domain (`XEN_DOMCTL_SCHEDOP_putinfo` in `rt_dom_cntl()`); extra time stays
   * as it is. They count from the next replenishment.
   * @returns 0, or EINVAL as {@link setUnit} does; before 4.23 only for a period or budget of 0
   */
  setDomain(domain: number, given: RtdsReservation): number {
    if (!(this.#isOld ? isSomeReservation(given) : isReservation(given))) return errno.invalid;
    for (const unit of this.#core.domainEntry(domain).units) {
      this.servers.reserve(unit, given.periodUs, given.budgetUs);
    }
    return 0;
  }

  /** What asking for a domain's parameters gives: the defaults, whatever its units have (`XEN_DOMCTL_SCHEDOP_getinfo`). */
  domainParameters(): RtdsReservation {
    const { periodUs, budgetUs } = rtdsDefaults;
    return { periodUs, budgetUs };
  }

  /**
   * New parameters of a unit (`XEN_DOMCTL_SCHEDOP_putvcpuinfo`). Period and budget count from its next replenishment.
   * @returns 0, or EINVAL for a period or budget under 10 µs, or a budget over the period
   */
  setUnit(unit: number, given: RtdsParameters): number {
    if (!isReservation(given)) return errno.invalid;
    const { servers } = this;
    servers.reserve(unit, given.periodUs, given.budgetUs);
    if (!given.extratime) {
      servers.flags[unit]! &= ~serverFlag.extratime;
      return 0;
    }
    const isNew = !servers.has(unit, serverFlag.extratime);
    servers.flags[unit]! |= serverFlag.extratime;
    // Before 4.23 one without budget stays so until it is replenished, and may come to be queued with nothing.
    if (isNew && servers.leftNs[unit]! <= 0 && !this.#isOld) this.#refill(unit);
    return 0;
  }

  /** What extra time would have done when the budget was used up. Quirk: it is queued to run, and no pCPU is told. */
  #refill(unit: number): void {
    const { servers } = this;
    servers.level[unit]!++;
    servers.leftNs[unit] = servers.budgetNs[unit]!;
    servers.flags[unit]! &= ~serverFlag.depleted;
    if (!this.#isQueued(unit)) return;
    this.#dequeue(unit);
    this.#enqueue(unit);
  }

  unitParameters(unit: number): RtdsParameters {
    return {
      periodUs: this.servers.periodNs[unit]! / 1000,
      budgetUs: this.servers.budgetNs[unit]! / 1000,
      extratime: this.servers.has(unit, serverFlag.extratime),
    };
  }

  /** When the replenishment timer is due, undefined when it is not armed. */
  timerDeadlineNs(): number | undefined {
    const { timers } = this.#core;
    return timers.isArmed(this.#timer) ? timers.dueNs[this.#timer] : undefined;
  }

  capture(): RtdsState {
    return { arrays: this.#arrays().map((array) => array.slice()), timer: this.#timer };
  }

  restore(state: unknown): void {
    const { arrays, timer } = state as RtdsState;
    for (const [index, array] of this.#arrays().entries()) array.set(arrays[index]!);
    this.#timer = timer;
  }

  /** The arrays that are all its state. */
  #arrays(): RtdsState['arrays'] {
    return [this.#tickled, ...this.servers.arrays(), ...this.runQueue.arrays(), ...this.replenishments.arrays()];
  }

  #replenishIfDue(unit: number): void {
    const { now } = this.#core;
    if (now >= this.servers.deadlineNs[unit]!) this.servers.replenish(unit);
  }

  /** `unit_on_q()`: of either queue. */
  #isQueued(unit: number): boolean {
    return this.runQueue.isOn(unit) || this.servers.has(unit, serverFlag.isInDepletedQueue);
  }

  /** `runq_insert()`. */
  #enqueue(unit: number): void {
    const { servers } = this;
    if (servers.leftNs[unit]! > 0 || servers.has(unit, serverFlag.extratime)) {
      this.#linkByPriority(this.runQueue, unit);
    } else {
      servers.flags[unit]! |= serverFlag.isInDepletedQueue;
    }
  }

  /** `q_remove()`. */
  #dequeue(unit: number): void {
    this.runQueue.remove(unit);
    this.servers.flags[unit]! &= ~serverFlag.isInDepletedQueue;
  }

  /** Puts a unit behind those that go before it, or are equal (`deadline_queue_insert()`). */
  #linkByPriority(queue: UnitLists, unit: number): void {
    let after = queue.first(list);
    while (after >= 0 && this.servers.comparePriority(unit, after) <= 0) after = queue.next(after);
    queue.insertBefore(unit, after < 0 ? end : after);
  }

  /**
   * The first of the run queue that may run on a pCPU, which stays in it; -1 for none (`runq_pick()`). Those that are
   * found not to be runnable leave the queues.
   */
  #firstFor(pcpu: number): number {
    const core = this.#core;
    if (!pcpuMask.has(this.#valid, pcpu)) return none;
    let unit = this.runQueue.first(list);
    while (unit >= 0) {
      const after = this.runQueue.next(unit);
      if (pcpuMask.has(core.hard[unit]!, pcpu)) {
        if (core.isRunnable(unit)) return unit;
        this.#dequeue(unit);
        this.#replenishNoMore(unit);
      }
      unit = after;
    }
    return none;
  }

  /**
   * `replq_insert()`. Quirk: the replenishment queue is ordered as the run queue is, by level before deadline, and not
   * ordered anew when a level rises: the timer is set for its first, who need not be the first due.
   */
  #replenishLater(unit: number): void {
    this.#linkByPriority(this.replenishments, unit);
    if (this.replenishments.first(list) === unit) this.#armTimer();
  }

  /** `replq_remove()`. */
  #replenishNoMore(unit: number): void {
    const { replenishments } = this;
    const wasFirst = replenishments.first(list) === unit;
    replenishments.remove(unit);
    if (!wasFirst) return;
    if (replenishments.first(list) < 0) this.#core.timers.disarm(this.#timer);
    else this.#armTimer();
  }

  #armTimer(): void {
    const { timers } = this.#core;
    const deadlineNs = this.servers.deadlineNs[this.replenishments.first(list)]!;
    timers.dueNs[this.#timer] = deadlineNs;
    timers.armDue(this.#timer);
  }

  /**
   * Asks for a decision where a queued unit may run: on the first idle pCPU of those not asked yet, from its own on,
   * else on the one with the lowest priority if that is lower (`runq_tickle()`).
   */
  #tickle(unit: number): void {
    const core = this.#core;
    const { current, pcpuCount } = core;
    const { servers } = this;
    const candidates = this.#scratch;
    pcpuMask.intersect(candidates, this.#valid, core.hard[unit]!);
    if (!pcpuMask.subtract(candidates, candidates, this.#tickled)) return;
    let lowest = none;
    let pcpu = core.pcpu[unit]!;
    for (let left = pcpuCount; left > 0; left--) {
      if (pcpuMask.has(candidates, pcpu)) {
        const there = current[pcpu]!;
        if (there < pcpuCount) {
          this.#ask(pcpu);
          return;
        }
        if (lowest === none || servers.comparePriority(there, lowest) < 0) lowest = there;
      }
      pcpu = pcpu + 1 === pcpuCount ? 0 : pcpu + 1;
    }
    if (servers.comparePriority(lowest, unit) < 0) this.#ask(core.pcpu[lowest]!);
  }

  #ask(pcpu: number): void {
    pcpuMask.addTo(this.#tickled, pcpu);
    this.#core.raise(pcpu);
  }
}

interface RtdsState {
  readonly arrays: readonly (Float64Array | Int32Array | Uint32Array | Uint8Array)[];
  readonly timer: number;
}
