import { grownInt32 } from '../engine/timer-heap.ts';

/**
 * Timers of vCPUs that are on pCPUs and come to something every microsecond, as kernels with spinlocks do. They are as
 * few as there are pCPUs, and nearly always armed anew: a list without order is faster than any heap.
 */
export class RunTimers {
  // By place in the list.
  #units: Int32Array = new Int32Array(8);
  /** When each is due. */
  #dues = new Float64Array(8);
  #count = 0;
  /** By unit: its place in the list, -1 when it is not armed. */
  #place: Int32Array;

  constructor(unitCapacity: number) {
    this.#place = new Int32Array(unitCapacity).fill(-1);
  }

  grow(unitCapacity: number): void {
    if (unitCapacity > this.#place.length) this.#place = grownInt32(this.#place, unitCapacity, -1);
  }

  isArmed(unit: number): boolean {
    return this.#place[unit]! >= 0;
  }

  /** When an armed timer is due. */
  dueNs(unit: number): number {
    return this.#dues[this.#place[unit]!]!;
  }

  arm(unit: number, dueNs: number): void {
    let place = this.#place[unit]!;
    if (place < 0) {
      place = this.#count++;
      if (place === this.#units.length) this.#growList();
      this.#place[unit] = place;
      this.#units[place] = unit;
    }
    this.#dues[place] = dueNs;
  }

  /** Nothing happens to one that is not armed. */
  disarm(unit: number): void {
    const place = this.#place[unit]!;
    if (place < 0) return;
    this.#place[unit] = -1;
    const last = --this.#count;
    if (place === last) return;
    const moved = this.#units[last]!;
    this.#units[place] = moved;
    this.#dues[place] = this.#dues[last]!;
    this.#place[moved] = place;
  }

  /** The unit that is due first, of several the lowest; -1 when none is due before `untilNs`. */
  firstBefore(untilNs: number): number {
    const units = this.#units;
    const dues = this.#dues;
    const count = this.#count;
    let unit = -1;
    let firstNs = untilNs;
    for (let place = 0; place < count; place++) {
      const dueNs = dues[place]!;
      if (dueNs < firstNs || (dueNs === firstNs && unit >= 0 && units[place]! < unit)) {
        firstNs = dueNs;
        unit = units[place]!;
      }
    }
    return unit;
  }

  /** Units and when they are due, for {@link restore}. */
  capture(): RunTimersState {
    return { units: this.#units.slice(0, this.#count), dueNs: this.#dues.slice(0, this.#count) };
  }

  restore({ units, dueNs }: RunTimersState): void {
    this.#place.fill(-1);
    this.#count = 0;
    for (const [index, unit] of units.entries()) this.arm(unit, dueNs[index]!);
  }

  #growList(): void {
    const dues = new Float64Array(this.#dues.length * 2);
    dues.set(this.#dues);
    this.#dues = dues;
    this.#units = grownInt32(this.#units, dues.length, -1);
  }
}

/** {@link RunTimers} at one moment. */
export interface RunTimersState {
  readonly units: Int32Array;
  readonly dueNs: Float64Array;
}
