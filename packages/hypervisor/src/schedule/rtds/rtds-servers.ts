import { grownFloat64 } from '../../engine/timer-heap.ts';
import type { SchedCore } from '../core.ts';
import { rtdsDefaults } from './rtds-parameters.ts';

/** `RTDS_MAX_PRIORITY_LEVEL`. */
const levelMax = 0xffff_ffff;

/** Flags of a server (`svc->flags`). */
export const serverFlag = {
  /** Left its pCPU while runnable: to be queued once its context is saved (`RTDS_delayed_runq_add`). */
  delayedAdd: 1,
  /** Ran out of budget, and was not replenished since (`RTDS_depleted`). */
  depleted: 2,
  extratime: 4,
  /** In the depleted queue, which has no order and so is not kept as one. */
  isInDepletedQueue: 8,
} as const;

/** The deferrable servers that the units of a pool are: what each has, and has left, of its period (`struct rt_unit`). */
export class RtdsServers {
  readonly #core: SchedCore;
  declare periodNs: Float64Array;
  declare budgetNs: Float64Array;
  /** What is left of the budget (`cur_budget`). */
  declare leftNs: Float64Array;
  /** Since when its running has not been taken off the budget. */
  declare lastStartNs: Float64Array;
  declare deadlineNs: Float64Array;
  /** How many budgets it has used up in its period by extra time; those with fewer go first. */
  declare level: Uint32Array;
  declare flags: Uint8Array;

  constructor(core: SchedCore) {
    const capacity = core.unitCapacity;
    this.#core = core;
    this.periodNs = new Float64Array(capacity);
    this.budgetNs = new Float64Array(capacity);
    this.leftNs = new Float64Array(capacity);
    this.lastStartNs = new Float64Array(capacity);
    this.deadlineNs = new Float64Array(capacity);
    this.level = new Uint32Array(capacity);
    this.flags = new Uint8Array(capacity);
  }

  grow(capacity: number): void {
    if (capacity <= this.periodNs.length) return;
    this.periodNs = grownFloat64(this.periodNs, capacity);
    this.budgetNs = grownFloat64(this.budgetNs, capacity);
    this.leftNs = grownFloat64(this.leftNs, capacity);
    this.lastStartNs = grownFloat64(this.lastStartNs, capacity);
    this.deadlineNs = grownFloat64(this.deadlineNs, capacity);
    const level = new Uint32Array(capacity);
    level.set(this.level);
    this.level = level;
    const flags = new Uint8Array(capacity);
    flags.set(this.flags);
    this.flags = flags;
  }

  /** `rt_alloc_udata()`. */
  reset(unit: number): void {
    this.reserve(unit, rtdsDefaults.periodUs, rtdsDefaults.budgetUs);
    this.leftNs[unit] = 0;
    this.lastStartNs[unit] = 0;
    this.deadlineNs[unit] = 0;
    this.level[unit] = 0;
    this.flags[unit] = serverFlag.extratime;
  }

  /** Period and budget from the next replenishment on. */
  reserve(unit: number, periodUs: number, budgetUs: number): void {
    this.periodNs[unit] = periodUs * 1000;
    this.budgetNs[unit] = budgetUs * 1000;
  }

  has(unit: number, flag: number): boolean {
    return (this.flags[unit]! & flag) !== 0;
  }

  /**
   * Over 0 when `a` goes before `b`, under 0 when after, 0 when they are equal (`compare_unit_priority()`). Quirk: the
   * difference of the levels is a signed 32-bit number.
   */
  comparePriority(a: number, b: number): number {
    const levels = (this.level[b]! - this.level[a]!) | 0;
    if (levels !== 0) return levels;
    const aNs = this.deadlineNs[a]!;
    const bNs = this.deadlineNs[b]!;
    return Number(aNs < bNs) - Number(bNs < aNs);
  }

  /** The period that contains now, with all its budget (`rt_update_deadline()`); the deadline has passed. */
  replenish(unit: number): void {
    const { now } = this.#core;
    const periodNs = this.periodNs[unit]!;
    // Upstream adds periods one by one, or with a division when they are more than 1024: the same.
    const deadlineNs = this.deadlineNs[unit]!;
    this.deadlineNs[unit] = deadlineNs + (Math.floor((now - deadlineNs) / periodNs) + 1) * periodNs;
    this.lastStartNs[unit] = now;
    this.leftNs[unit] = this.budgetNs[unit]!;
    this.level[unit] = 0;
  }

  /**
   * Takes the time that a unit has run off its budget (`burn_budget()`).
   * @param wraps the level goes from the lowest priority to the highest, as it did before 4.23
   */
  burn(unit: number, wraps: boolean): void {
    const { now } = this.#core;
    const leftNs = this.leftNs[unit]! - (now - this.lastStartNs[unit]!);
    this.lastStartNs[unit] = now;
    this.leftNs[unit] = leftNs;
    if (leftNs > 0) return;
    if (!this.has(unit, serverFlag.extratime)) {
      this.leftNs[unit] = 0;
      this.flags[unit]! |= serverFlag.depleted;
      return;
    }
    if (wraps || this.level[unit]! < levelMax) this.level[unit]!++;
    this.leftNs[unit] = this.budgetNs[unit]!;
  }

  /** The arrays that are all its state. */
  arrays(): readonly (Float64Array | Uint32Array | Uint8Array)[] {
    const { periodNs, budgetNs, leftNs, lastStartNs, deadlineNs, level, flags } = this;
    return [periodNs, budgetNs, leftNs, lastStartNs, deadlineNs, level, flags];
  }
}
