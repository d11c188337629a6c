import type { SchedCore } from '../core.ts';
import { UnitLists } from '../unit-lists.ts';
import { runsExtra, sedfStatus, type SedfUnits } from './sedf-units.ts';

/**
 * SEDF's queues of each pCPU. All that can run are on {@link periods}; those of them that may have extra time are on
 * {@link util} too, and on {@link penalty} while they are owed some. Equals come in order of joining.
 */
export class SedfQueues {
  /** 2 × pCPU: units in their period, by deadline; 2 × pCPU + 1: those whose period is to come, by its beginning. */
  readonly periods: UnitLists;
  /** By pCPU: L0, those that are owed time of their slice, lowest score first. */
  readonly penalty: UnitLists;
  /** By pCPU: L1, those that would have extra time, lowest score first. */
  readonly util: UnitLists;
  readonly #core: SchedCore;
  readonly #units: SedfUnits;

  constructor(core: SchedCore, units: SedfUnits) {
    this.#core = core;
    this.#units = units;
    this.periods = new UnitLists(core.pcpuCount * 2, core.unitCapacity);
    this.penalty = new UnitLists(core.pcpuCount, core.unitCapacity);
    this.util = new UnitLists(core.pcpuCount, core.unitCapacity);
  }

  grow(unitCapacity: number): void {
    this.periods.grow(unitCapacity);
    this.penalty.grow(unitCapacity);
    this.util.grow(unitCapacity);
  }

  toRunQueue(unit: number): void {
    const { periods } = this;
    const { deadlineNs } = this.#units;
    let at = periods.first(this.#core.pcpu[unit]! * 2);
    while (at >= 0 && deadlineNs[at]! <= deadlineNs[unit]!) at = periods.next(at);
    periods.insertBefore(unit, at);
  }

  toWaitQueue(unit: number): void {
    const { periods } = this;
    const { deadlineNs, periodNs } = this.#units;
    const beginNs = deadlineNs[unit]! - periodNs[unit]!;
    let at = periods.first(this.#core.pcpu[unit]! * 2 + 1);
    while (at >= 0 && deadlineNs[at]! - periodNs[at]! <= beginNs) at = periods.next(at);
    periods.insertBefore(unit, at);
  }

  toPenaltyQueue(unit: number): void {
    const { penalty } = this;
    const { penaltyScore } = this.#units;
    let at = penalty.first(this.#core.pcpu[unit]!);
    while (at >= 0 && penaltyScore[at]! <= penaltyScore[unit]!) at = penalty.next(at);
    penalty.insertBefore(unit, at);
  }

  /**
   * `extraq_add_sort_update()`. The scores of all others are lowered by that which the unit ran with: so they stay
   * small, and what is waited for counts.
   */
  toUtilQueue(unit: number, lowerBy: number): void {
    const { util } = this;
    const { utilScore } = this.#units;
    let place: number | undefined;
    let at = util.first(this.#core.pcpu[unit]!);
    for (; at >= 0; at = util.next(at)) {
      utilScore[at]! -= lowerBy;
      if (place === undefined && utilScore[unit]! < utilScore[at]!) {
        place = at;
        if (lowerBy === 0) break;
      }
    }
    util.insertBefore(unit, place ?? at);
  }

  /** `extraq_check()`: after a unit may have begun or ceased to want extra time. */
  checkUtilQueue(unit: number): void {
    const status = this.#units.status[unit]!;
    const isAware = (status & sedfStatus.extraAware) !== 0;
    if (this.util.isOn(unit)) {
      if (!isAware && (status & runsExtra) === 0) this.util.remove(unit);
    } else if (isAware && (status & sedfStatus.asleep) === 0) {
      this.toUtilQueue(unit, 0);
    }
  }

  removeFromAll(unit: number): void {
    this.periods.remove(unit);
    this.util.remove(unit);
    this.penalty.remove(unit);
  }

  /** The arrays that are all their state. */
  arrays(): readonly Int32Array[] {
    return [...this.periods.arrays(), ...this.penalty.arrays(), ...this.util.arrays()];
  }
}
