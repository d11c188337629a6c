/**
 * The credit scheduler (xen/common/sched/credit.c), Xen's default before 4.12: a run queue a pCPU, credits that are paid
 * for running and shared out by weight every 30 ms, a boost for those that wake, and work taken from busy pCPUs by idle
 * ones. Where releases differ, `xenVersion` says which is followed; 4.23 where nothing is said.
 */
import { account, activate, burn, deactivate } from './credit/accounting.ts';
import {
  changedParameters,
  type CreditPoolParameters,
  isWeightAndCap,
  keepCap,
  keepWeight,
  minTimerNs,
  poolParametersOf,
  type WeightAndCap,
} from './credit/parameters.ts';
import { pick, tickle } from './credit/placement.ts';
import {
  dequeue,
  dequeueRunnable,
  dropRunnable,
  enqueue,
  enqueueRunnable,
  firstQueued,
  isQueued,
  sortQueue,
} from './credit/run-queue.ts';
import {
  captureState,
  creditFlag,
  CreditState,
  defaultWeight,
  priority,
  restoreState,
  type CreditSnapshot,
} from './credit/state.ts';
import { steal } from './credit/stealing.ts';
import { errno, pauseFlag, type SchedCore } from './core.ts';
import * as pcpuMask from './pcpu-mask.ts';
import type { PcpuMask } from './pcpu-mask.ts';
import type { Scheduler } from './scheduler.ts';
import type { SchedulerOptions } from './scheduler-options.ts';

export type { CreditPoolParameters, WeightAndCap } from './credit/parameters.ts';

const timerKind = { tick: 0, account: 1 } as const;

export class Credit implements Scheduler {
  readonly name = 'credit';
  /** For checkers and listings; only the scheduler changes it. */
  declare readonly state: CreditState;
  readonly #core: SchedCore;

  /** @param valid the pCPUs of the pool, kept by the core */
  constructor(core: SchedCore, valid: PcpuMask, options: SchedulerOptions = {}) {
    this.#core = core;
    this.state = new CreditState(core, valid, options);
  }

  grow(unitCapacity: number): void {
    this.state.grow(unitCapacity);
  }

  growDomains(domainCapacity: number): void {
    this.state.growDomains(domainCapacity);
  }

  /** `csched_alloc_pdata`, `init_pdata`: the first pCPU of the pool is its accountant. */
  addPcpu(pcpu: number): void {
    const { state } = this;
    const core = this.#core;
    const { parameters } = state;
    state.credit += parameters.creditsPerSlice;
    state.pcpuTotal++;
    pcpuMask.addTo(state.pcpus, pcpu);
    if (state.pcpuTotal === 1) {
      state.master = pcpu;
      state.masterTimer = core.newPolicyTimer(this, timerKind.account, 0, pcpu);
      core.timers.arm(state.masterTimer, core.now + parameters.tsliceNs);
    }
    const node = state.nodeOf[pcpu]!;
    pcpuMask.intersect(state.candidates, state.pcpus, state.nodeMasks[node]!);
    if (pcpuMask.count(state.candidates) === 1) state.balanceBias[node] = pcpu;
    state.tickTimer[pcpu] = core.newPolicyTimer(this, timerKind.tick, pcpu, pcpu);
    core.timers.arm(state.tickTimer[pcpu], core.now + parameters.tickNs);
    state.sortedAt[pcpu] = state.sortEpoch;
    state.idleBias[pcpu] = core.pcpuCount - 1;
    pcpuMask.addTo(state.idlers, pcpu);
    state.runnableCount[pcpu] = 0;
    pcpuMask.removeFrom(state.crowded, pcpu);
    state.lastBalanceNs[pcpu] = core.now;
    state.resetUnit(pcpu);
  }

  /** `csched_deinit_pdata`. */
  removePcpu(pcpu: number): void {
    const { state } = this;
    const core = this.#core;
    state.credit -= state.parameters.creditsPerSlice;
    state.pcpuTotal--;
    pcpuMask.removeFrom(state.idlers, pcpu);
    pcpuMask.removeFrom(state.pcpus, pcpu);
    if (state.master === pcpu && state.pcpuTotal > 0) {
      state.master = pcpuMask.first(state.pcpus);
      core.movePolicyTimer(state.masterTimer, state.master);
    }
    const node = state.nodeOf[pcpu]!;
    if (state.balanceBias[node] === pcpu && pcpuMask.intersect(state.candidates, state.pcpus, state.nodeMasks[node]!)) {
      state.balanceBias[node] = pcpuMask.first(state.candidates);
    }
    core.freeTimer(state.tickTimer[pcpu]!);
    state.tickTimer[pcpu] = -1;
    if (state.pcpuTotal > 0) return;
    core.freeTimer(state.masterTimer);
    state.masterTimer = -1;
    state.master = -1;
  }

  addDomain(domain: number): void {
    this.state.weightOf[domain] = defaultWeight;
    this.state.capOf[domain] = 0;
  }

  removeDomain(): void {}

  addUnit(unit: number): void {
    this.state.resetUnit(unit);
  }

  removeUnit(unit: number): void {
    this.#countSoft(unit, false);
  }

  /** `csched_unit_insert`; in 4.2 a unit stays where the core put it. */
  insert(unit: number): void {
    const core = this.#core;
    if (this.state.version !== '4.2') core.pcpu[unit] = this.pick(unit);
    if (!isQueued(this.state, unit) && core.isRunnable(unit) && core.isRunning[unit] === 0) {
      enqueueRunnable(this.state, unit);
    }
  }

  /** `csched_unit_remove`. Quirk of 4.2: a unit that is parked stays so for good, wherever it goes. */
  remove(unit: number): void {
    const { state } = this;
    if ((state.flags[unit]! & creditFlag.parked) !== 0 && state.version !== '4.2') {
      state.flags[unit]! &= ~creditFlag.parked;
      this.#core.unpark(unit);
    }
    if (state.isActive[unit] === 1) deactivate(state, unit);
  }

  /** `csched_res_pick`: the wake that follows is that of a migration, and no reason to boost; 4.2 boosts it. */
  pick(unit: number): number {
    if (this.state.version !== '4.2') this.state.flags[unit]! |= creditFlag.migrating;
    return pick(this.state, unit, true);
  }

  migrate(unit: number, pcpu: number): void {
    this.#core.pcpu[unit] = pcpu;
  }

  /** `csched_unit_wake`: who had credit left goes before all that have not just been woken. */
  wake(unit: number): void {
    const { state } = this;
    const core = this.#core;
    if (core.current[core.pcpu[unit]!] === unit || isQueued(state, unit)) return;
    const flags = state.flags[unit]!;
    if ((flags & (creditFlag.migrating | creditFlag.parked)) === 0 && state.priorityOf[unit] === priority.under) {
      state.priorityOf[unit] = priority.boost;
    }
    state.flags[unit] = flags & ~creditFlag.migrating;
    enqueueRunnable(state, unit);
    tickle(state, unit);
  }

  /** `csched_unit_sleep`. */
  sleep(unit: number): void {
    const core = this.#core;
    const pcpu = core.pcpu[unit]!;
    if (core.current[pcpu] === unit) core.raise(pcpu);
    else if (isQueued(this.state, unit)) dequeueRunnable(this.state, unit);
  }

  yield(unit: number): void {
    this.state.flags[unit]! |= creditFlag.yield;
  }

  adjustAffinity(unit: number, hard: PcpuMask, soft: PcpuMask): void {
    this.#countSoft(unit, !pcpuMask.isSubset(hard, soft) && pcpuMask.intersects(hard, soft));
  }

  #countSoft(unit: number, isSoft: boolean): void {
    const { state } = this;
    if (isSoft === ((state.flags[unit]! & creditFlag.soft) !== 0)) return;
    state.flags[unit]! ^= creditFlag.soft;
    state.softTotal += isSoft ? 1 : -1;
  }

  contextSaved(): void {}

  /** `csched_schedule`. */
  schedule(pcpu: number): number {
    const { state } = this;
    const core = this.#core;
    const { now, pcpuCount } = core;
    const current = core.current[pcpu]!;
    const isIdle = current < pcpuCount;
    if (!isIdle) {
      burn(state, current, now);
      state.startNs[current]! -= now;
      state.lastScheduledNs[current] = now;
      if (this.#isLimited(current)) {
        state.startNs[current]! += now;
        return current;
      }
    }
    if (core.isRunnable(current)) enqueue(state, current);
    else dropRunnable(state, pcpu);
    if (!state.yieldLasts) state.flags[current]! &= ~creditFlag.yield;
    const next = this.#chooseNext(pcpu);
    const goesIdle = next < pcpuCount;
    if (goesIdle) {
      pcpuMask.addTo(state.idlers, pcpu);
      core.sliceNs = -1;
      // There is no tick on a pCPU that idles.
      if (!isIdle) core.timers.disarm(state.tickTimer[pcpu]!);
    } else {
      const { tsliceNs, tickNs } = state.parameters;
      pcpuMask.removeFrom(state.idlers, pcpu);
      core.sliceNs = tsliceNs;
      state.startNs[next]! += now;
      // Where it starts again, ticks are at the same times on all pCPUs.
      if (isIdle) core.timers.arm(state.tickTimer[pcpu]!, (Math.floor(now / tickNs) + 1) * tickNs);
    }
    return next;
  }

  /** Whether a unit goes on running because it has not run for long; leaves in the core's `sliceNs` for how long. */
  #isLimited(unit: number): boolean {
    const { state } = this;
    const core = this.#core;
    const { ratelimitNs } = state.parameters;
    if (ratelimitNs === 0 || !core.isRunnable(unit)) return false;
    const ranNs = core.now - core.stateEntryNs[unit]!;
    if (ranNs >= ratelimitNs) return false;
    if (state.version === '4.2') {
      core.sliceNs = ratelimitNs;
      return true;
    }
    if ((state.flags[unit]! & creditFlag.yield) !== 0) return false;
    // Quirk: it is the time run so far that is tested for being too short for a timer, not the time that is left.
    core.sliceNs = ranNs < minTimerNs ? minTimerNs : ratelimitNs - ranNs;
    return true;
  }

  /** The unit to run, out of its queue: the first of the own one, unless it has no credit and another pCPU has better. */
  #chooseNext(pcpu: number): number {
    const { state } = this;
    const next = firstQueued(state, pcpu);
    const nowNs = this.#core.now;
    if (state.priorityOf[next]! <= priority.over && nowNs - state.lastBalanceNs[pcpu]! > state.balanceRatelimitNs) {
      state.lastBalanceNs[pcpu] = nowNs;
      const stolen = steal(state, pcpu, next);
      if (stolen >= 0) return stolen;
    }
    dequeue(state, next);
    return next;
  }

  fire(kind: number, owner: number): void {
    const { state } = this;
    const { timers, now } = this.#core;
    if (kind === timerKind.tick) {
      this.#tick(owner);
      timers.arm(state.tickTimer[owner]!, now + state.parameters.tickNs);
    } else {
      account(state);
      timers.arm(state.masterTimer, now + state.parameters.tsliceNs);
    }
  }

  /** `csched_tick`: who is found running loses its boost, pays, and takes part in accounting, or moves to a better pCPU. */
  #tick(pcpu: number): void {
    const { state } = this;
    const core = this.#core;
    const unit = core.current[pcpu]!;
    if (unit >= core.pcpuCount) {
      if (state.priorityOf[unit] === priority.boost) state.priorityOf[unit] = priority.under;
      burn(state, unit, core.now);
      if (state.isActive[unit] === 0) {
        activate(state, unit);
      } else if (pick(state, unit, false) !== pcpu) {
        core.flags[unit]! |= pauseFlag.migrating;
        core.raise(pcpu);
      }
    }
    sortQueue(state, pcpu);
  }

  /** Weight and cap of a domain (`csched_dom_cntl`, getinfo). */
  domainParameters(domain: number): Required<WeightAndCap> {
    return { weight: this.state.weightOf[domain]!, cap: this.state.capOf[domain]! };
  }

  /**
   * Sets weight, cap or both (`csched_dom_cntl`, putinfo); a weight of 0 and a cap of 65535 change nothing.
   * @returns 0, or EINVAL for what is no 16-bit number
   */
  setDomain(domain: number, parameters: WeightAndCap): number {
    if (!isWeightAndCap(parameters)) return errno.invalid;
    const { state } = this;
    const { weight = keepWeight, cap = keepCap } = parameters;
    if (weight !== keepWeight) {
      state.weight = (state.weight + (weight - state.weightOf[domain]!) * state.activeCount[domain]!) >>> 0;
      state.weightOf[domain] = weight;
    }
    if (cap !== keepCap) state.capOf[domain] = cap;
    return 0;
  }

  /** Slice, rate limit and migration delay (`csched_sys_cntl`, getinfo). */
  poolParameters(): Required<CreditPoolParameters> {
    return poolParametersOf(this.state.parameters);
  }

  /**
   * Sets parameters of the pool (`csched_sys_cntl`, putinfo): slice 1 … 1000 ms; rate limit 0 or 100 … 500000 µs and no
   * longer than the slice; migration delay 0 … 100000 µs. Timers that are armed stay as they are.
   * @returns 0, or EINVAL
   */
  setPool(parameters: CreditPoolParameters): number {
    const { state } = this;
    const changed = changedParameters(state.parameters, parameters, state.version);
    if (typeof changed === 'number') return changed;
    state.parameters = changed;
    state.credit = changed.creditsPerSlice * state.pcpuTotal;
    return 0;
  }

  capture(): CreditSnapshot {
    return captureState(this.state);
  }

  restore(snapshot: unknown): void {
    restoreState(this.state, snapshot as CreditSnapshot);
  }
}
