/**
 * The generic part of Xen's scheduling (xen/common/sched/core.c), with granularity `cpu`: a unit is a vCPU. Clock,
 * timers, SCHEDULE softirqs, run states, and the entry points through which everything reaches a policy.
 *
 * Hot code: state is in arrays by number, and nothing is allocated for an event. Units 0 … pcpuCount-1 are the idle
 * units of the pCPUs; vCPUs come after them. Times are plain numbers of nanoseconds, exact to 2^53 (104 days).
 *
 * Here and in the policies, fields that the constructor sets are no more than declared (`declare`), and private ones, of
 * which that cannot be, begin with an empty array. Without it a field is undefined first; to V8 it then may be anything,
 * and at each read it looks what it is (docs/reference/scheduler-speed.md).
 */
import { assert } from '@xenolith/base';
import { grownFloat64, grownInt32, grownUint8, TimerHeap } from '../engine/timer-heap.ts';
import type { Topology } from '../topology/topology.ts';
import type { HiddenCoreState } from './core-snapshot.ts';
import type { GuestCode } from './guest-code.ts';
import { leavePool } from './leave-pool.ts';
import * as pcpuMask from './pcpu-mask.ts';
import type { PcpuMask } from './pcpu-mask.ts';
import { errno, pauseFlag, runState } from './run-state.ts';
import type { DecisionListener, SchedPool } from './sched-pool.ts';
import type { Scheduler, XenVersion } from './scheduler.ts';

export { errno, pauseFlag, runState };
export type { DecisionListener, SchedPool };

const timerKind = { slice: 0, guest: 1, policy: 2, action: 3 } as const;

interface DomainEntry {
  pool: SchedPool;
  /** Its units by vCPU number. */
  readonly units: number[];
  pauseCount: number;
}

export class SchedCore {
  declare readonly topology: Topology;
  /** The release that is followed where releases differ. */
  declare readonly xenVersion: XenVersion;
  declare readonly pcpuCount: number;
  /** Words of a mask of pCPUs. */
  declare readonly words: number;
  readonly timers = new TimerHeap();
  /** The code that vCPUs run; set once, before the first domain. */
  guest: GuestCode | undefined;
  onDecision: DecisionListener | undefined;

  /** The time. Hot code reads it here and does not pass it on: what is passed is allocated, unless it is compiled inline. */
  now = 0;
  /** The pCPU on which the present code runs: some policies keep state by it. */
  currentPcpu = 0;
  /** How long the unit that {@link Scheduler.schedule} gave may run; negative for no limit. */
  sliceNs = -1;

  /** Timers that came due, and decisions, since the beginning. */
  events = 0;
  decisions = 0;

  // By pCPU.
  /** The unit that is on a pCPU. */
  declare readonly current: Int32Array;
  readonly poolOf: (SchedPool | undefined)[];
  declare readonly decisionsOf: Float64Array;
  declare readonly switchesOf: Float64Array;
  /** The idle pCPU that credit asked last from each one (`last_tickle_cpu`, a variable of the pCPU and not of its pool). */
  declare readonly lastTickled: Int32Array;
  readonly #pending: PcpuMask = new Uint32Array(0);
  #anyPending = false;

  // By unit.
  declare unitCapacity: number;
  declare unitCount: number;
  /** The pCPU that a unit is assigned to (`sched_unit_master`). */
  declare pcpu: Int32Array;
  declare domain: Int32Array;
  declare vcpu: Int32Array;
  declare state: Uint8Array;
  declare stateEntryNs: Float64Array;
  /** Time in each run state so far, four to a unit; the present state's is counted when it is left. */
  declare timeNs: Float64Array;
  declare flags: Uint8Array;
  declare pauseCount: Int32Array;
  declare isRunning: Uint8Array;
  /** hard ⊄ soft and hard ∩ soft ≠ ∅ (`soft_aff_effective`). */
  declare softEffective: Uint8Array;
  readonly hard: PcpuMask[] = [];
  readonly soft: PcpuMask[] = [];
  /** Times that a vCPU came onto a pCPU, and onto another one than before. */
  declare dispatches: Float64Array;
  declare migrations: Float64Array;
  declare lastPcpu: Int32Array;
  /** The timer of what runs on a vCPU. */
  declare guestTimer: Int32Array;
  /** When a vCPU was woken that has not run since, -1 for none; and what became of the earlier ones. */
  declare wokenNs: Float64Array;
  declare wakes: Float64Array;
  declare latencySumNs: Float64Array;
  declare latencyMaxNs: Float64Array;
  readonly #policy: (Scheduler | undefined)[] = [];

  readonly domains: (DomainEntry | undefined)[] = [];
  readonly #freeUnits: number[] = [];

  // By timer.
  #timerKind: Uint8Array = new Uint8Array(64);
  #timerOwner: Int32Array = new Int32Array(64);
  #timerPolicyKind: Uint8Array = new Uint8Array(64);
  #timerPcpu: Int32Array = new Int32Array(64);
  readonly #timerPolicy: (Scheduler | undefined)[] = [];
  readonly #timerAction: ((() => void) | undefined)[] = [];
  #timerCount = 0;
  readonly #freeTimers: number[] = [];

  constructor(topology: Topology, xenVersion: XenVersion = '4.23') {
    this.topology = topology;
    this.xenVersion = xenVersion;
    const pcpus = topology.pcpus.length;
    this.pcpuCount = pcpus;
    this.words = pcpuMask.maskWords(pcpus);
    this.current = Int32Array.from({ length: pcpus }, (_, pcpu) => pcpu);
    this.poolOf = Array.from({ length: pcpus }, () => undefined);
    this.decisionsOf = new Float64Array(pcpus);
    this.switchesOf = new Float64Array(pcpus);
    this.lastTickled = new Int32Array(pcpus);
    this.#pending = pcpuMask.emptyMask(this.words);
    const capacity = pcpus * 2 + 16;
    this.unitCapacity = capacity;
    this.unitCount = pcpus;
    this.pcpu = new Int32Array(capacity);
    this.domain = new Int32Array(capacity).fill(-1);
    this.vcpu = new Int32Array(capacity).fill(-1);
    this.state = new Uint8Array(capacity).fill(runState.offline);
    this.stateEntryNs = new Float64Array(capacity);
    this.timeNs = new Float64Array(capacity * 4);
    this.flags = new Uint8Array(capacity);
    this.pauseCount = new Int32Array(capacity);
    this.isRunning = new Uint8Array(capacity);
    this.softEffective = new Uint8Array(capacity);
    this.dispatches = new Float64Array(capacity);
    this.migrations = new Float64Array(capacity);
    this.lastPcpu = new Int32Array(capacity).fill(-1);
    this.guestTimer = new Int32Array(capacity).fill(-1);
    this.wokenNs = new Float64Array(capacity).fill(-1);
    this.wakes = new Float64Array(capacity);
    this.latencySumNs = new Float64Array(capacity);
    this.latencyMaxNs = new Float64Array(capacity);
    for (let pcpu = 0; pcpu < pcpus; pcpu++) {
      // Slice timers have the numbers of their pCPUs.
      this.#newTimer(timerKind.slice, pcpu);
      this.pcpu[pcpu] = pcpu;
      this.state[pcpu] = runState.running;
      this.isRunning[pcpu] = 1;
      const own = pcpuMask.maskOf(this.words, [pcpu]);
      this.hard[pcpu] = own;
      this.soft[pcpu] = own;
    }
  }

  isIdle(unit: number): boolean {
    return unit < this.pcpuCount;
  }

  /** Whether nothing keeps a unit from running (`unit_runnable`). The idle unit always can. */
  isRunnable(unit: number): boolean {
    return this.flags[unit] === 0 && this.pauseCount[unit] === 0;
  }

  /** Time that a unit has spent in a run state until now. */
  timeIn(unit: number, state: number): number {
    const past = this.timeNs[unit * 4 + state]!;
    return this.state[unit] === state ? past + this.now - this.stateEntryNs[unit]! : past;
  }

  // ---- timers

  /** A timer of a policy: it calls {@link Scheduler.fire} with `kind` and `owner`, as running on `pcpu`. */
  newPolicyTimer(policy: Scheduler, kind: number, owner: number, pcpu: number): number {
    const timer = this.#newTimer(timerKind.policy, owner);
    this.#timerPolicy[timer] = policy;
    this.#timerPolicyKind[timer] = kind;
    this.#timerPcpu[timer] = pcpu;
    return timer;
  }

  /** Another pCPU's is a timer of a policy from now on (`migrate_timer`); when it is due does not change. */
  movePolicyTimer(timer: number, pcpu: number): void {
    this.#timerPcpu[timer] = pcpu;
  }

  /** A timer that calls `action`, from outside of any pCPU's work (as running on pCPU 0). */
  newActionTimer(action: () => void): number {
    const timer = this.#newTimer(timerKind.action, 0);
    this.#timerAction[timer] = action;
    return timer;
  }

  freeTimer(timer: number): void {
    this.timers.disarm(timer);
    this.#timerPolicy[timer] = undefined;
    this.#timerAction[timer] = undefined;
    this.#freeTimers.push(timer);
  }

  #newTimer(kind: number, owner: number): number {
    const timer = this.#freeTimers.pop() ?? this.#timerCount++;
    if (timer >= this.#timerKind.length) {
      const capacity = this.#timerKind.length * 2;
      this.#timerKind = grownUint8(this.#timerKind, capacity);
      this.#timerPolicyKind = grownUint8(this.#timerPolicyKind, capacity);
      this.#timerOwner = grownInt32(this.#timerOwner, capacity, 0);
      this.#timerPcpu = grownInt32(this.#timerPcpu, capacity, 0);
    }
    this.timers.reserve(timer + 1);
    this.#timerKind[timer] = kind;
    this.#timerOwner[timer] = owner;
    return timer;
  }

  // ---- the event loop

  /** Until when the present {@link run} goes. */
  untilNs = 0;

  /** Whether a decision was asked for that has not been made. */
  get isRaised(): boolean {
    return this.#anyPending;
  }

  /** Lets everything happen that is due before `untilNs`; the clock stands there afterwards. */
  run(untilNs: number): void {
    const { timers } = this;
    this.untilNs = untilNs;
    for (let timer = timers.popBefore(untilNs); timer >= 0; timer = timers.popBefore(untilNs)) this.#happen(timer);
    if (untilNs > this.now) this.now = timers.nowNs = untilNs;
  }

  /** Lets a timer that is due happen, with the decisions that follow. */
  #happen(timer: number): void {
    const { timers } = this;
    const dueNs = timers.dueNs[timer]!;
    if (dueNs > this.now) this.now = timers.nowNs = dueNs;
    this.events++;
    const owner = this.#timerOwner[timer]!;
    switch (this.#timerKind[timer]) {
      case timerKind.slice:
        this.raise(owner);
        break;
      case timerKind.guest:
        this.currentPcpu = this.pcpu[owner]!;
        this.guest!.fire(owner);
        break;
      case timerKind.policy:
        this.currentPcpu = this.#timerPcpu[timer]!;
        this.#timerPolicy[timer]!.fire(this.#timerPolicyKind[timer]!, owner);
        break;
      default:
        this.currentPcpu = 0;
        this.#timerAction[timer]!();
    }
    if (this.#anyPending) this.drain();
  }

  /** Asks for a decision on a pCPU (`SCHEDULE_SOFTIRQ`): one, however often it is asked before it comes. */
  raise(pcpu: number): void {
    pcpuMask.addTo(this.#pending, pcpu);
    this.#anyPending = true;
  }

  /** Asks for a decision on every pCPU of a mask. */
  raiseAll(mask: PcpuMask): void {
    pcpuMask.unite(this.#pending, this.#pending, mask);
    this.#anyPending = true;
  }

  /** Makes the decisions that were asked for, on the lowest pCPU first, also those that are asked for meanwhile. */
  drain(): void {
    for (;;) {
      const pcpu = pcpuMask.first(this.#pending);
      if (pcpu < 0) break;
      pcpuMask.removeFrom(this.#pending, pcpu);
      if (this.poolOf[pcpu] !== undefined) this.#schedule(pcpu);
    }
    this.#anyPending = false;
  }

  /** `schedule()`. */
  #schedule(pcpu: number): void {
    const { now } = this;
    this.currentPcpu = pcpu;
    const policy = this.poolOf[pcpu]!.scheduler;
    const next = policy.schedule(pcpu);
    const { sliceNs } = this;
    const { timers } = this;
    if (sliceNs >= 0) {
      timers.dueNs[pcpu] = now + sliceNs;
      timers.armDue(pcpu);
    } else timers.disarm(pcpu);
    this.decisions++;
    this.decisionsOf[pcpu]!++;
    this.onDecision?.(now, pcpu, next, sliceNs);
    if (next !== this.current[pcpu]) this.#switch(pcpu, next);
    const unit = this.current[pcpu]!;
    if (unit >= this.pcpuCount && (this.flags[unit]! & pauseFlag.blocked) === 0) this.guest!.running(unit);
  }

  /** `sched_switch_units()` and `sched_context_switched()`. */
  #switch(pcpu: number, next: number): void {
    const { pcpuCount } = this;
    const previous = this.current[pcpu]!;
    this.switchesOf[pcpu]!++;
    if (previous >= pcpuCount) {
      const isBlocked = (this.flags[previous]! & pauseFlag.blocked) !== 0;
      this.#setState(
        previous,
        isBlocked ? runState.blocked : this.isRunnable(previous) ? runState.runnable : runState.offline,
      );
      if (!isBlocked) this.guest!.stopped(previous);
    } else {
      this.#setState(previous, runState.runnable);
    }
    this.#setState(next, runState.running);
    this.isRunning[next] = 1;
    this.current[pcpu] = next;
    if (next >= pcpuCount) this.#countDispatch(next, pcpu);
    this.isRunning[previous] = 0;
    this.#policyOf(previous).contextSaved(previous);
    if (previous >= pcpuCount) this.#finishMigration(previous);
  }

  #countDispatch(unit: number, pcpu: number): void {
    this.dispatches[unit]!++;
    const before = this.lastPcpu[unit]!;
    if (before !== pcpu) {
      if (before >= 0) this.migrations[unit]!++;
      this.lastPcpu[unit] = pcpu;
    }
    const wokenNs = this.wokenNs[unit]!;
    if (wokenNs < 0) return;
    this.wokenNs[unit] = -1;
    const latencyNs = this.now - wokenNs;
    this.wakes[unit]!++;
    this.latencySumNs[unit]! += latencyNs;
    if (latencyNs > this.latencyMaxNs[unit]!) this.latencyMaxNs[unit] = latencyNs;
  }

  #setState(unit: number, state: number): void {
    this.timeNs[(unit << 2) + this.state[unit]!]! += this.now - this.stateEntryNs[unit]!;
    this.stateEntryNs[unit] = this.now;
    this.state[unit] = state;
  }

  #policyOf(unit: number): Scheduler {
    return unit < this.pcpuCount ? this.poolOf[unit]!.scheduler : this.#policy[unit]!;
  }

  // ---- what happens to units

  /** `vcpu_wake()`: called whatever may have changed, also when it did not. */
  wake(unit: number): void {
    if (this.isRunnable(unit)) {
      if (this.state[unit]! >= runState.blocked) this.#setState(unit, runState.runnable);
      this.#policy[unit]!.wake(unit);
    } else if ((this.flags[unit]! & pauseFlag.blocked) === 0 && this.state[unit] === runState.blocked) {
      this.#setState(unit, runState.offline);
    }
  }

  /** `vcpu_sleep_nosync()`: after something was set that may keep the unit from running. */
  sleep(unit: number): void {
    if (this.isRunnable(unit)) return;
    if (this.state[unit] === runState.runnable) this.#setState(unit, runState.offline);
    this.#policy[unit]!.sleep(unit);
  }

  /** `vcpu_block()` of a vCPU that runs and has no event pending. */
  block(unit: number): void {
    this.flags[unit]! |= pauseFlag.blocked;
    this.raise(this.pcpu[unit]!);
  }

  /** `vcpu_unblock()`: an event has come for a vCPU; nothing happens to one that is not blocked. */
  unblock(unit: number): void {
    if ((this.flags[unit]! & pauseFlag.blocked) === 0) return;
    this.flags[unit]! &= ~pauseFlag.blocked;
    this.wokenNs[unit] = this.now;
    this.wake(unit);
  }

  /** `vcpu_yield()`. */
  yield(unit: number): void {
    this.#policy[unit]!.yield(unit);
    this.raise(this.pcpu[unit]!);
  }

  /**
   * Keeps a unit from running until {@link unpark}, whatever its guest does: its domain has used up its cap. For credit,
   * which pauses it in Xen (`vcpu_pause_nosync()`): here it is the flag that credit2 has for the same, which it sets
   * itself as it takes the unit off.
   */
  park(unit: number): void {
    this.flags[unit]! |= pauseFlag.parked;
    this.sleep(unit);
  }

  unpark(unit: number): void {
    this.flags[unit]! &= ~pauseFlag.parked;
    this.wake(unit);
  }

  /** `vcpu_pause_nosync()` of several: the counts of all of them first. */
  pauseUnits(units: readonly number[]): void {
    for (const unit of units) this.pauseCount[unit]!++;
    for (const unit of units) this.sleep(unit);
  }

  /** `vcpu_unpause()` of several; each is woken whatever its count is. */
  unpauseUnits(units: readonly number[]): void {
    for (const unit of units) {
      assert(this.pauseCount[unit]! > 0, `unit ${unit} is paused`);
      this.pauseCount[unit]!--;
    }
    for (const unit of units) this.wake(unit);
  }

  /** Takes a vCPU offline (`VCPUOP_down`); nothing happens to one that is. */
  setDown(unit: number): void {
    if ((this.flags[unit]! & pauseFlag.down) !== 0) return;
    this.flags[unit]! |= pauseFlag.down;
    this.sleep(unit);
  }

  /** Brings a vCPU online (`VCPUOP_up`); nothing happens to one that is. */
  setUp(unit: number): void {
    if ((this.flags[unit]! & pauseFlag.down) === 0) return;
    this.flags[unit]! &= ~pauseFlag.down;
    this.wake(unit);
  }

  /** `sched_unit_migrate_start()`. */
  startMigration(unit: number): void {
    this.flags[unit]! |= pauseFlag.migrating;
    this.sleep(unit);
  }

  /** `sched_unit_migrate_finish()`: of a unit that runs it is done once it has left its pCPU. */
  finishMigration(unit: number): void {
    if (this.isRunning[unit] === 0) this.#finishMigration(unit);
  }

  #finishMigration(unit: number): void {
    if ((this.flags[unit]! & pauseFlag.migrating) === 0) return;
    const policy = this.#policy[unit]!;
    const pcpu = policy.pick(unit);
    this.flags[unit]! &= ~pauseFlag.migrating;
    policy.migrate(unit, pcpu);
    this.wake(unit);
  }

  /**
   * `vcpu_set_affinity()`: new hard or soft affinity, or both at once; the masks are copied.
   * @returns 0, or EINVAL when the hard mask has nothing of the unit's pool; then nothing is changed
   */
  setAffinity(unit: number, hard: PcpuMask | undefined, soft: PcpuMask | undefined): number {
    const { valid } = this.poolOfUnit(unit);
    if (hard !== undefined && !pcpuMask.intersects(hard, valid)) return errno.invalid;
    this.storeAffinity(unit, hard, soft);
    // 4.2 moves only who has to; later the policy is always asked.
    if (this.xenVersion === '4.2' && pcpuMask.has(this.hard[unit]!, this.pcpu[unit]!)) return 0;
    this.startMigration(unit);
    this.finishMigration(unit);
    return 0;
  }

  /** `sched_set_affinity()`: tells the policy, then stores. */
  storeAffinity(unit: number, hard: PcpuMask | undefined, soft: PcpuMask | undefined): void {
    const newHard = hard ?? this.hard[unit]!;
    const newSoft = soft ?? this.soft[unit]!;
    this.#policy[unit]!.adjustAffinity(unit, newHard, newSoft);
    if (hard !== undefined) this.hard[unit]!.set(hard);
    if (soft !== undefined) this.soft[unit]!.set(soft);
    const isEffective = !pcpuMask.isSubset(newHard, newSoft) && pcpuMask.intersects(newHard, newSoft);
    this.softEffective[unit] = isEffective ? 1 : 0;
  }

  // ---- domains and their units

  poolOfUnit(unit: number): SchedPool {
    return this.domains[this.domain[unit]!]!.pool;
  }

  domainEntry(domain: number): DomainEntry {
    const entry = this.domains[domain];
    assert(entry !== undefined, `domain ${domain}`);
    return entry;
  }

  /** A domain without vCPUs in a pool that has pCPUs. */
  addDomain(domain: number, pool: SchedPool): void {
    assert(this.domains[domain] === undefined, `domain ${domain} is new`);
    this.domains[domain] = { pool, units: [], pauseCount: 0 };
    pool.scheduler.growDomains(domain + 1);
    pool.scheduler.addDomain(domain);
  }

  /**
   * The next vCPU of a domain, offline and down, with every pCPU in its affinity (`sched_init_vcpu`).
   * @param initial the pCPUs to begin on: vCPU 0 on the first, the others on the one after that of the vCPU before
   */
  addVcpu(domain: number, initial?: PcpuMask): number {
    const { pool, units } = this.domainEntry(domain);
    const among = initial ?? pool.valid;
    const before = units.at(-1);
    const unit = this.#newUnit();
    this.domain[unit] = domain;
    this.vcpu[unit] = units.length;
    this.pcpu[unit] = before === undefined ? pcpuMask.first(among) : pcpuMask.cycle(this.pcpu[before]!, among);
    this.flags[unit] = pauseFlag.down;
    this.pauseCount[unit] = this.domainEntry(domain).pauseCount;
    this.#policy[unit] = pool.scheduler;
    units.push(unit);
    pool.scheduler.grow(this.unitCapacity);
    pool.scheduler.addUnit(unit);
    pool.scheduler.insert(unit);
    return unit;
  }

  /** Ends a domain: its vCPUs leave at once. */
  removeDomain(domain: number): void {
    const { pool, units } = this.domainEntry(domain);
    for (const unit of units) this.#takeOff(unit);
    for (const unit of units) {
      pool.scheduler.remove(unit);
      pool.scheduler.removeUnit(unit);
      this.#policy[unit] = undefined;
      this.freeTimer(this.guestTimer[unit]!);
      this.#freeUnits.push(unit);
    }
    pool.scheduler.removeDomain(domain);
    this.domains[domain] = undefined;
    this.drain();
  }

  /** Moves a domain to another pool (`sched_move_domain`): default parameters there, affinity to everything. */
  moveDomain(domain: number, pool: SchedPool): void {
    const entry = this.domainEntry(domain);
    const { units } = entry;
    const old = entry.pool.scheduler;
    entry.pauseCount++;
    for (const unit of units) this.#takeOff(unit);
    for (const unit of units) {
      old.remove(unit);
      old.removeUnit(unit);
    }
    old.removeDomain(domain);
    entry.pool = pool;
    pool.scheduler.growDomains(domain + 1);
    pool.scheduler.grow(this.unitCapacity);
    pool.scheduler.addDomain(domain);
    let pcpu = pcpuMask.first(pool.valid);
    for (const unit of units) {
      this.#policy[unit] = pool.scheduler;
      this.hard[unit]!.fill(0xffffffff);
      this.soft[unit]!.fill(0xffffffff);
      this.softEffective[unit] = 0;
      this.pcpu[unit] = pcpu;
      pcpu = pcpuMask.cycle(pcpu, pool.valid);
      pool.scheduler.addUnit(unit);
      pool.scheduler.insert(unit);
    }
    entry.pauseCount--;
    this.unpauseUnits(units);
    this.drain();
  }

  /** Pauses a unit until it is on no pCPU (`vcpu_pause`, which waits for it). */
  #takeOff(unit: number): void {
    this.pauseCount[unit]!++;
    this.sleep(unit);
    if (this.isRunning[unit] === 1) this.drain();
    assert(this.isRunning[unit] === 0, `unit ${unit} is off its pCPU`);
  }

  /** A pCPU that is in no pool joins one: `schedule_cpu_add()`. Its first decision is asked for. */
  addPcpu(pcpu: number, pool: SchedPool): void {
    assert(this.poolOf[pcpu] === undefined, `pCPU ${pcpu} is free`);
    pool.scheduler.grow(this.unitCapacity);
    pool.scheduler.addPcpu(pcpu);
    this.poolOf[pcpu] = pool;
    pcpuMask.addTo(pool.valid, pcpu);
    this.raise(pcpu);
  }

  /** Takes a pCPU out of its pool, the units on it first. @returns how often a hard affinity was broken */
  removePcpu(pcpu: number, pool: SchedPool): number {
    const broken = leavePool(this, pcpu, pool);
    this.poolOf[pcpu] = undefined;
    return broken;
  }

  /** A policy is of no pool any more: its timers go. */
  forgetPolicy(policy: Scheduler): void {
    for (let timer = 0; timer < this.#timerCount; timer++) {
      if (this.#timerPolicy[timer] === policy) this.freeTimer(timer);
    }
  }

  /**
   * What of its state nobody else sees, for schedule/core-snapshot.ts.
   * @param numberOf gives policies numbers
   */
  captureHidden(numberOf: (policy: Scheduler) => number): HiddenCoreState {
    return {
      pending: this.#pending.slice(),
      anyPending: this.#anyPending,
      freeUnits: [...this.#freeUnits],
      freeTimers: [...this.#freeTimers],
      timerCount: this.#timerCount,
      timerKind: this.#timerKind.slice(),
      timerOwner: this.#timerOwner.slice(),
      timerPolicyKind: this.#timerPolicyKind.slice(),
      timerPcpu: this.#timerPcpu.slice(),
      timerPolicy: Array.from(this.#timerPolicy, (policy) => (policy === undefined ? -1 : numberOf(policy))),
      timers: this.timers.capture(),
    };
  }

  /** Timers of actions have to be there again, under their numbers: what they do is in no snapshot. */
  restoreHidden(state: HiddenCoreState, policies: readonly Scheduler[]): void {
    this.#pending.set(state.pending);
    this.#anyPending = state.anyPending;
    this.#freeUnits.splice(0, Infinity, ...state.freeUnits);
    this.#freeTimers.splice(0, Infinity, ...state.freeTimers);
    this.#timerCount = state.timerCount;
    this.#timerKind = state.timerKind.slice();
    this.#timerOwner = state.timerOwner.slice();
    this.#timerPolicyKind = state.timerPolicyKind.slice();
    this.#timerPcpu = state.timerPcpu.slice();
    this.#timerPolicy.splice(0, Infinity, ...state.timerPolicy.map((number) => policies[number]));
    this.timers.reserve(state.timerCount);
    this.timers.restore(state.timers);
    this.timers.nowNs = this.now;
    for (let timer = 0; timer < state.timerCount; timer++) {
      const isAction = this.#timerKind[timer] === timerKind.action && this.timers.isArmed(timer);
      assert(!isAction || this.#timerAction[timer] !== undefined, `timer ${timer} has its action again`);
    }
    for (const entry of this.domains) for (const unit of entry?.units ?? []) this.#policy[unit] = entry!.pool.scheduler;
  }

  #newUnit(): number {
    const unit = this.#freeUnits.pop() ?? this.unitCount++;
    if (unit >= this.unitCapacity) this.#growUnits(this.unitCapacity * 2);
    this.guest?.grow(this.unitCapacity);
    this.hard[unit] = pcpuMask.everyPcpu(this.words);
    this.soft[unit] = pcpuMask.everyPcpu(this.words);
    this.state[unit] = runState.offline;
    this.stateEntryNs[unit] = this.now;
    this.timeNs.fill(0, unit * 4, unit * 4 + 4);
    this.isRunning[unit] = 0;
    this.softEffective[unit] = 0;
    this.dispatches[unit] = 0;
    this.migrations[unit] = 0;
    this.lastPcpu[unit] = -1;
    this.wokenNs[unit] = -1;
    this.wakes[unit] = 0;
    this.latencySumNs[unit] = 0;
    this.latencyMaxNs[unit] = 0;
    this.guestTimer[unit] = this.#newTimer(timerKind.guest, unit);
    return unit;
  }

  #growUnits(capacity: number): void {
    this.unitCapacity = capacity;
    this.pcpu = grownInt32(this.pcpu, capacity, 0);
    this.domain = grownInt32(this.domain, capacity, -1);
    this.vcpu = grownInt32(this.vcpu, capacity, -1);
    this.state = grownUint8(this.state, capacity);
    this.stateEntryNs = grownFloat64(this.stateEntryNs, capacity);
    this.timeNs = grownFloat64(this.timeNs, capacity * 4);
    this.flags = grownUint8(this.flags, capacity);
    this.pauseCount = grownInt32(this.pauseCount, capacity, 0);
    this.isRunning = grownUint8(this.isRunning, capacity);
    this.softEffective = grownUint8(this.softEffective, capacity);
    this.dispatches = grownFloat64(this.dispatches, capacity);
    this.migrations = grownFloat64(this.migrations, capacity);
    this.lastPcpu = grownInt32(this.lastPcpu, capacity, -1);
    this.guestTimer = grownInt32(this.guestTimer, capacity, -1);
    this.wokenNs = grownFloat64(this.wokenNs, capacity);
    this.wakes = grownFloat64(this.wakes, capacity);
    this.latencySumNs = grownFloat64(this.latencySumNs, capacity);
    this.latencyMaxNs = grownFloat64(this.latencyMaxNs, capacity);
  }
}
