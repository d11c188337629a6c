/**
 * SEDF, simple earliest deadline first (xen/common/sched_sedf.c of Xen 4.2; removed in 4.6). Each unit has a slice of
 * time in each period, on the pCPU it is bound to; what time is left there goes to those that want extra time: first
 * to those that lost time of their slice by blocking (the penalty queue, L0), then to all by weight (the utilisation
 * queue, L1). Nothing limits what is promised: with too much, deadlines are missed.
 */
import type { SchedCore } from '../core.ts';
import * as pcpuMask from '../pcpu-mask.ts';
import type { PcpuMask } from '../pcpu-mask.ts';
import type { Scheduler } from '../scheduler.ts';
import { adjustDomain, domainParametersOf, type SedfParameters } from './sedf-parameters.ts';
import { SedfQueues } from './sedf-queues.ts';
import { growUnits, initialUnits, resetUnit, runsExtra, sedfStatus, type SedfUnits } from './sedf-units.ts';

/** The least extra time that is given, and how much at once (`EXTRA_QUANTUM`). */
const extraQuantumNs = 500_000;
/** How long a pCPU with no units sleeps. */
const nothingToDoNs = 1_000_000_000;
/** The L1 score of a unit of extra weight 1: a full real-time unit is worth weight 128 (in 10 bits of fraction). */
const extraWeightScore = 1 << 17;

export class Sedf implements Scheduler {
  readonly name = 'sedf';
  /** How often a unit that could run was found past its deadline, or beyond its slice. */
  deadlineMisses = 0;
  /** For those who look on. */
  readonly units: SedfUnits;
  readonly queues: SedfQueues;
  readonly #core: SchedCore;
  readonly #valid: PcpuMask;
  /** By pCPU: when the present slice ends (`current_slice_expires`). */
  readonly #sliceEndNs: Float64Array;
  readonly #scratch: PcpuMask;

  constructor(core: SchedCore, valid: PcpuMask) {
    this.#core = core;
    this.#valid = valid;
    this.units = initialUnits(core.unitCapacity);
    this.queues = new SedfQueues(core, this.units);
    this.#sliceEndNs = new Float64Array(core.pcpuCount);
    this.#scratch = pcpuMask.emptyMask(core.words);
  }

  grow(unitCapacity: number): void {
    if (unitCapacity <= this.units.status.length) return;
    growUnits(this.units, unitCapacity);
    this.queues.grow(unitCapacity);
  }

  growDomains(): void {}

  addPcpu(pcpu: number): void {
    this.#sliceEndNs[pcpu] = 0;
  }

  removePcpu(): void {}

  addDomain(): void {}

  removeDomain(): void {}

  addUnit(unit: number): void {
    resetUnit(this.units, unit);
  }

  removeUnit(): void {}

  /** `sedf_insert_vcpu()`: a new unit sleeps, and is on no queue until it is woken. */
  insert(): void {}

  remove(): void {}

  /** `sedf_pick_cpu()`: always the lowest; load is nothing to it. */
  pick(unit: number): number {
    pcpuMask.intersect(this.#scratch, this.#core.hard[unit]!, this.#valid);
    return pcpuMask.first(this.#scratch);
  }

  migrate(unit: number, pcpu: number): void {
    this.#core.pcpu[unit] = pcpu;
  }

  yield(): void {}

  adjustAffinity(): void {}

  contextSaved(): void {}

  fire(): void {}

  /** `sedf_sleep()`. */
  sleep(unit: number): void {
    const core = this.#core;
    this.units.status[unit]! |= sedfStatus.asleep;
    const pcpu = core.pcpu[unit]!;
    if (core.current[pcpu] === unit) {
      core.raise(pcpu);
      return;
    }
    this.queues.removeFromAll(unit);
  }

  /**
   * `sedf_wake()`. A unit that is still on a queue, since its pCPU has not decided again, is left alone, and so stays
   * asleep: it leaves at that decision, and only another wake brings it back.
   */
  wake(unit: number): void {
    if (this.queues.periods.isOn(unit)) return;
    const { now } = this.#core;
    const { status, deadlineNs, periodNs, sliceNs, usedNs } = this.units;
    status[unit]! &= ~sedfStatus.asleep;
    if (deadlineNs[unit] === 0) deadlineNs[unit] = now + sliceNs[unit]!;
    if (now < deadlineNs[unit]! - periodNs[unit]!) {
      // It blocked in extra time; what it is owed it is owed still.
      if ((status[unit]! & sedfStatus.wantsPenalty) !== 0) this.queues.toPenaltyQueue(unit);
    } else if (now < deadlineNs[unit]!) {
      this.#resumeInPeriod(unit);
    } else {
      deadlineNs[unit] = now + periodNs[unit]!;
      usedNs[unit] = 0;
    }
    if ((status[unit]! & sedfStatus.extraAware) !== 0) this.queues.toUtilQueue(unit, 0);
    if (deadlineNs[unit]! - periodNs[unit]! > now) this.queues.toWaitQueue(unit);
    else this.queues.toRunQueue(unit);
    if (this.#shouldSwitch(unit)) this.#core.raise(this.#core.pcpu[unit]!);
  }

  /**
   * `unblock_short_extra_support()`: who blocked and wakes in the same period gets no more of it, but what was left of
   * the slice is a penalty that extra time makes up for.
   */
  #resumeInPeriod(unit: number): void {
    const { status, deadlineNs, periodNs, sliceNs, usedNs, blockedNs, penaltyScore } = this.units;
    deadlineNs[unit]! += periodNs[unit]!;
    if (blockedNs[unit] !== 0) {
      const lostNs = sliceNs[unit]! - usedNs[unit]!;
      if (lostNs > 0) {
        // A 32-bit number in C too: short losses of long periods wrap.
        penaltyScore[unit] = (periodNs[unit]! * 1024) / lostNs;
        status[unit]! |= sedfStatus.wantsPenalty;
        this.queues.toPenaltyQueue(unit);
      }
    }
    usedNs[unit] = 0;
  }

  /** `should_switch()`: whether a unit that woke is a reason for its pCPU to decide. */
  #shouldSwitch(unit: number): boolean {
    const core = this.#core;
    const { status, deadlineNs, periodNs, penaltyScore } = this.units;
    const pcpu = core.pcpu[unit]!;
    if (deadlineNs[unit]! - periodNs[unit]! < this.#sliceEndNs[pcpu]!) return true;
    const current = core.current[pcpu]!;
    if (core.isIdle(current)) return true;
    const wantsPenalty = (status[unit]! & sedfStatus.wantsPenalty) !== 0;
    if ((status[current]! & sedfStatus.runsPenalty) !== 0)
      return wantsPenalty && penaltyScore[unit]! < penaltyScore[current]!;
    return (status[current]! & sedfStatus.runsUtil) !== 0 && wantsPenalty;
  }

  /** `sedf_do_schedule()`. */
  schedule(pcpu: number): number {
    const core = this.#core;
    const { now } = core;
    const { status, sliceNs, usedNs, deadlineNs, periodNs, startNs, blockedNs } = this.units;
    const current = core.current[pcpu]!;
    if (!core.isIdle(current)) {
      if (!core.isRunnable(current)) status[current]! |= sedfStatus.asleep;
      if ((status[current]! & sedfStatus.asleep) !== 0) blockedNs[current] = now;
      if ((status[current]! & runsExtra) !== 0) this.#endExtraTime(current);
      else this.#endSlice(current);
    }
    this.#updateQueues(pcpu);
    const ready = this.queues.periods.first(pcpu * 2);
    const waiting = this.queues.periods.first(pcpu * 2 + 1);
    const nextBeginNs = waiting < 0 ? Infinity : deadlineNs[waiting]! - periodNs[waiting]!;
    let next = pcpu;
    let timeNs = nothingToDoNs;
    if (pcpuMask.has(this.#valid, pcpu)) {
      if (ready >= 0) {
        next = ready;
        timeNs = Math.min(sliceNs[ready]! - usedNs[ready]!, nextBeginNs - now);
      } else if (waiting >= 0) {
        next = this.#pickExtraTime(pcpu, nextBeginNs - now);
        timeNs = next === pcpu ? nextBeginNs - now : extraQuantumNs;
      }
    }
    // Parameters changed meanwhile can leave less than nothing of a slice.
    if (timeNs < 0) timeNs = extraQuantumNs;
    startNs[next] = now;
    this.#sliceEndNs[pcpu] = now + timeNs;
    core.sliceNs = timeNs;
    return next;
  }

  /** `sedf_do_extra_schedule()`: who gets the time until the next period begins; the idle unit if nobody. */
  #pickExtraTime(pcpu: number, leftNs: number): number {
    if (leftNs < extraQuantumNs) return pcpu;
    const { status } = this.units;
    const owed = this.queues.penalty.first(pcpu);
    if (owed >= 0) {
      status[owed]! |= sedfStatus.runsPenalty;
      return owed;
    }
    const next = this.queues.util.first(pcpu);
    if (next < 0) return pcpu;
    status[next]! |= sedfStatus.runsUtil;
    return next;
  }

  /** `desched_edf_dom()`: a unit has run in its slice. */
  #endSlice(unit: number): void {
    const { status, deadlineNs, periodNs, sliceNs, periodOrigNs, sliceOrigNs, usedNs, startNs } = this.units;
    usedNs[unit]! += this.#core.now - startNs[unit]!;
    const isAwake = (status[unit]! & sedfStatus.asleep) === 0;
    if (usedNs[unit]! < sliceNs[unit]! && isAwake) return;
    this.queues.periods.remove(unit);
    if (usedNs[unit]! >= sliceNs[unit]!) {
      usedNs[unit]! -= sliceNs[unit]!;
      // The period is shorter than its original when extra weight replaced real-time parameters of a longer one.
      if (periodNs[unit]! < periodOrigNs[unit]!) {
        periodNs[unit]! *= 2;
        sliceNs[unit]! *= 2;
        if (periodNs[unit]! > periodOrigNs[unit]! || sliceNs[unit]! > sliceOrigNs[unit]!) {
          periodNs[unit] = periodOrigNs[unit]!;
          sliceNs[unit] = sliceOrigNs[unit]!;
        }
      }
      deadlineNs[unit]! += periodNs[unit]!;
    }
    if (isAwake) {
      this.queues.toWaitQueue(unit);
    } else {
      this.queues.penalty.remove(unit);
      this.queues.util.remove(unit);
    }
  }

  /**
   * `desched_extra_dom()`: a unit has run in extra time. Run on the penalty queue, it is owed no more, however much it
   * got: the test that would go on is compiled out.
   */
  #endExtraTime(unit: number): void {
    const { status, periodNs, sliceNs, usedNs, extraWeight, utilScore } = this.units;
    const ranUtil = (status[unit]! & sedfStatus.runsUtil) !== 0;
    status[unit]! &= ~runsExtra;
    usedNs[unit] = 0;
    const oldScore = utilScore[unit]!;
    if (ranUtil) {
      this.queues.util.remove(unit);
      if (extraWeight[unit] !== 0) utilScore[unit] = extraWeightScore / extraWeight[unit]!;
      // Weights that leave nothing give a slice of 0, by which Xen divides and dies; here the score stays.
      else if (sliceNs[unit] !== 0) utilScore[unit] = (periodNs[unit]! * 1024) / sliceNs[unit]!;
    } else {
      this.queues.penalty.remove(unit);
      status[unit]! &= ~sedfStatus.wantsPenalty;
    }
    if ((status[unit]! & sedfStatus.asleep) !== 0) {
      this.queues.removeFromAll(unit);
    } else if (ranUtil && (status[unit]! & sedfStatus.extraAware) !== 0) {
      this.queues.toUtilQueue(unit, oldScore);
    }
  }

  /** `update_queues()`: begins periods, and ends those that are over. */
  #updateQueues(pcpu: number): void {
    const { queues } = this;
    const { periods } = queues;
    const { now } = this.#core;
    const { deadlineNs, periodNs, sliceNs, usedNs } = this.units;
    for (let unit = periods.first(pcpu * 2 + 1); unit >= 0;) {
      if (deadlineNs[unit]! - periodNs[unit]! > now) break;
      const next = periods.next(unit);
      periods.remove(unit);
      this.queues.toRunQueue(unit);
      unit = next;
    }
    for (let unit = periods.first(pcpu * 2); unit >= 0;) {
      // The one after it is taken note of before it moves: where it goes behind that, it is met once more.
      const next = periods.next(unit);
      const hasSlice = sliceNs[unit] !== 0;
      if (hasSlice && deadlineNs[unit]! >= now && usedNs[unit]! <= sliceNs[unit]!) break;
      periods.remove(unit);
      const period = periodNs[unit]!;
      deadlineNs[unit]! += period;
      if (hasSlice) {
        this.deadlineMisses++;
        const lateNs = now - deadlineNs[unit]!;
        if (lateNs > 0) deadlineNs[unit]! += Math.floor((lateNs + period - 1) / period) * period;
        usedNs[unit] = 0;
        if (deadlineNs[unit]! - period > now) this.queues.toWaitQueue(unit);
        else this.queues.toRunQueue(unit);
      } else {
        const lateNs = now - (deadlineNs[unit]! - period);
        if (lateNs > 0) deadlineNs[unit]! += Math.floor((lateNs + period - 1) / period) * period;
        this.queues.toWaitQueue(unit);
      }
      unit = next;
    }
  }

  /**
   * Sets the parameters of all vCPUs of a domain (`sedf_adjust()`). @returns 0 or EINVAL
   */
  setDomain(domain: number, parameters: SedfParameters): number {
    const core = this.#core;
    const own = core.domainEntry(domain).units;
    const all: number[] = [];
    for (const entry of core.domains) if (entry?.pool.scheduler === this) all.push(...entry.units);
    const rc = adjustDomain(this.units, own, all, core, parameters);
    if (rc !== 0) return rc;
    const { status, latencyNs } = this.units;
    for (const unit of own) {
      status[unit] = (status[unit]! & ~sedfStatus.extraAware) | (parameters.extratime ? sedfStatus.extraAware : 0);
      latencyNs[unit] = parameters.latencyNs;
      this.queues.checkUtilQueue(unit);
    }
    return 0;
  }

  /** The parameters of a domain: those of its first vCPU, undefined when it has none. */
  domainParameters(domain: number): SedfParameters | undefined {
    const unit = this.#core.domainEntry(domain).units[0];
    return unit === undefined ? undefined : domainParametersOf(this.units, unit);
  }

  capture(): SedfState {
    return { arrays: this.#arrays().map((array) => array.slice()), deadlineMisses: this.deadlineMisses };
  }

  restore(state: unknown): void {
    const { arrays, deadlineMisses } = state as SedfState;
    for (const [index, array] of this.#arrays().entries()) array.set(arrays[index]!);
    this.deadlineMisses = deadlineMisses;
  }

  /** All of its state that is in arrays. */
  #arrays(): readonly StateArray[] {
    return [...Object.values<StateArray>({ ...this.units }), ...this.queues.arrays(), this.#sliceEndNs];
  }
}

type StateArray = Float64Array | Int32Array | Int16Array | Uint8Array;

interface SedfState {
  readonly arrays: readonly StateArray[];
  readonly deadlineMisses: number;
}
