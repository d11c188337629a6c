import { grownInt32 } from '../engine/timer-heap.ts';

const off = -1;

/**
 * Lists of units (`struct list_head` in each unit), linked through arrays: a unit is on one list of them at most. What
 * {@link first} and {@link next} give at the end of a list is a negative number that stands for that end, and that
 * {@link insertBefore} takes as a place.
 */
export class UnitLists {
  /** The lists' heads come first, then the units. */
  readonly #heads: number;
  #next: Int32Array = new Int32Array(0);
  #previous: Int32Array = new Int32Array(0);

  constructor(lists: number, unitCapacity: number) {
    this.#heads = lists;
    this.#next = new Int32Array(lists + unitCapacity).fill(off);
    this.#previous = new Int32Array(lists + unitCapacity).fill(off);
    for (let list = 0; list < lists; list++) this.#next[list] = this.#previous[list] = list;
  }

  grow(unitCapacity: number): void {
    const size = this.#heads + unitCapacity;
    if (size <= this.#next.length) return;
    this.#next = grownInt32(this.#next, size, off);
    this.#previous = grownInt32(this.#previous, size, off);
  }

  /** The unit at the head of a list, negative when it is empty. */
  first(list: number): number {
    return this.#next[list]! - this.#heads;
  }

  /** The unit after one that is on a list, negative at the end. */
  next(unit: number): number {
    return this.#next[this.#heads + unit]! - this.#heads;
  }

  isOn(unit: number): boolean {
    return this.#next[this.#heads + unit] !== off;
  }

  /** Puts a unit that is on no list before another one, or at the end of a list. */
  insertBefore(unit: number, place: number): void {
    const node = this.#heads + unit;
    const after = this.#heads + place;
    const before = this.#previous[after]!;
    this.#next[node] = after;
    this.#previous[node] = before;
    this.#next[before] = node;
    this.#previous[after] = node;
  }

  /** Takes a unit off its list; nothing happens to one that is on none. */
  remove(unit: number): void {
    const node = this.#heads + unit;
    const after = this.#next[node]!;
    if (after === off) return;
    const before = this.#previous[node]!;
    this.#next[before] = after;
    this.#previous[after] = before;
    this.#next[node] = this.#previous[node] = off;
  }

  /** The units of a list in order, for those who look on. */
  unitsOf(list: number): number[] {
    const units: number[] = [];
    for (let unit = this.first(list); unit >= 0; unit = this.next(unit)) units.push(unit);
    return units;
  }

  /** The arrays that are all its state. */
  arrays(): readonly Int32Array[] {
    return [this.#next, this.#previous];
  }
}
