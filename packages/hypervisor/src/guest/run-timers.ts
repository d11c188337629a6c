import { grownFloat64, grownInt32 } from '../engine/timer-heap.ts';

/**
 * Timers of vCPUs that are on pCPUs and come to something every microsecond, as kernels with spinlocks do. They are as
 * few as there are pCPUs, and nearly always armed anew for soon: a short sorted list is faster than any heap.
 */
export class RunTimers {
  /** Units that are armed, the one that is due first at the end; of several the lowest. */
  #units: Int32Array = new Int32Array(8);
  #count = 0;
  /** By unit: when it is due, -1 when it is not armed. */
  #dueNs: Float64Array;

  constructor(unitCapacity: number) {
    this.#dueNs = new Float64Array(unitCapacity).fill(-1);
  }

  grow(unitCapacity: number): void {
    const before = this.#dueNs.length;
    if (unitCapacity > before) this.#dueNs = grownFloat64(this.#dueNs, unitCapacity).fill(-1, before);
  }

  isArmed(unit: number): boolean {
    return this.#dueNs[unit]! >= 0;
  }

  /** When an armed timer is due. */
  dueNs(unit: number): number {
    return this.#dueNs[unit]!;
  }

  arm(unit: number, dueNs: number): void {
    const dues = this.#dueNs;
    if (dues[unit]! >= 0) this.disarm(unit);
    if (this.#count === this.#units.length) this.#units = grownInt32(this.#units, this.#count * 2, -1);
    const units = this.#units;
    dues[unit] = dueNs;
    let place = this.#count++;
    while (place > 0) {
      const other = units[place - 1]!;
      const otherNs = dues[other]!;
      if (otherNs > dueNs || (otherNs === dueNs && other > unit)) break;
      units[place--] = other;
    }
    units[place] = unit;
  }

  /** Nothing happens to one that is not armed. */
  disarm(unit: number): void {
    if (this.#dueNs[unit]! < 0) return;
    this.#dueNs[unit] = -1;
    const units = this.#units;
    const last = --this.#count;
    let place = last;
    let moved = units[place]!;
    while (moved !== unit) {
      const next = units[--place]!;
      units[place] = moved;
      moved = next;
    }
  }

  /** The unit that is due first, -1 for none. */
  get first(): number {
    return this.#count === 0 ? -1 : this.#units[this.#count - 1]!;
  }

  /** Units and when they are due, for {@link restore}. */
  capture(): RunTimersState {
    const units = this.#units.slice(0, this.#count);
    return { units, dueNs: Float64Array.from(units, (unit) => this.#dueNs[unit]!) };
  }

  restore({ units, dueNs }: RunTimersState): void {
    this.#dueNs.fill(-1);
    this.#count = 0;
    for (const [index, unit] of units.entries()) this.arm(unit, dueNs[index]!);
  }
}

/** {@link RunTimers} at one moment. */
export interface RunTimersState {
  readonly units: Int32Array;
  readonly dueNs: Float64Array;
}
