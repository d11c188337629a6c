import { assert } from '@xenolith/base';

const none = -1;

/** How much of the time to come one slot of the wheel has, and how many there are: 16.8 ms, a slice of most schedulers. */
const slotNs = 2 ** 14;
const slots = 1024;
/** A timer that is due no later than this from now has its slot in the turn that begins now, wherever in its slot now is. */
const turnNs = (slots - 1) * slotNs;

/** The slot of a time. `&` cuts off what is no whole number, cheaper than a floor. */
const slotOf = (timeNs: number): number => (timeNs / slotNs) & (slots - 1);

/**
 * Numbered timers, ordered by (deadline, number of the arming). Arming an armed timer moves it and gives it a new arm
 * number, as taking it out and putting it in again would. Xen has a heap a pCPU (xen/common/timer.c); one for all gives
 * every event of the machine its place in one order.
 *
 * Timers of the next milliseconds, nearly all of a busy machine's, are in a wheel of slots, each a short sorted list: it
 * does not matter how many others there are. The others are in a binary heap until they are due, or armed anew.
 *
 * A timer that is stopped, or armed for later, stays where it is, under its old key, and is seen to when that comes
 * first: so a slice that is cut short, as most are, costs nothing. Keys of the heap lie in heap order, not by timer:
 * sifting reads neighbours.
 */
export class TimerHeap {
  // By place in the heap.
  #keyNs: Float64Array = new Float64Array(0);
  #keyNumber: Float64Array = new Float64Array(0);
  #timerAt: Int32Array = new Int32Array(0);
  #places = 0;
  // By slot of the wheel, and after those by timer: rings, of which a slot is the beginning; -1 for no ring.
  #next: Int32Array = new Int32Array(0);
  #previous: Int32Array = new Int32Array(0);
  /** A bit for each slot that has timers. */
  readonly #occupied = new Int32Array(slots / 32);
  #near = 0;
  // By timer.
  /** Its key in the wheel. */
  #nearNs: Float64Array = new Float64Array(0);
  #nearNumber: Float64Array = new Float64Array(0);
  /**
   * When each timer is due that is armed, or was until just now; and where its deadline is put before {@link armDue}. A
   * time that is passed to or from a function is allocated, unless the function is compiled into its caller.
   */
  declare dueNs: Float64Array;
  /** The number of its arming, -1 when it is not armed. */
  #armNumber: Float64Array = new Float64Array(0);
  /** Its place in the heap, where it may be under an older key; -1 for none. */
  #place: Int32Array = new Int32Array(0);
  #armed = 0;
  #armings = 0;
  /** The time of its owner, not after any timer's: a deadline before it is one of now, behind others of now. */
  nowNs = 0;

  constructor(capacity = 64) {
    this.#keyNs = new Float64Array(capacity);
    this.#keyNumber = new Float64Array(capacity);
    this.#timerAt = new Int32Array(capacity);
    this.dueNs = new Float64Array(capacity);
    this.#armNumber = new Float64Array(capacity).fill(none);
    this.#place = new Int32Array(capacity).fill(none);
    this.#next = new Int32Array(slots + capacity).fill(none);
    this.#previous = new Int32Array(slots + capacity).fill(none);
    for (let slot = 0; slot < slots; slot++) this.#next[slot] = this.#previous[slot] = slot;
    this.#nearNs = new Float64Array(capacity);
    this.#nearNumber = new Float64Array(capacity);
  }

  /** Number of armed timers. */
  get size(): number {
    return this.#armed;
  }

  /** Makes room for timers 0 … count-1. */
  reserve(count: number): void {
    const before = this.#place.length;
    if (count <= before) return;
    const capacity = Math.max(count, before * 2);
    this.#keyNs = grownFloat64(this.#keyNs, capacity);
    this.#keyNumber = grownFloat64(this.#keyNumber, capacity);
    this.#timerAt = grownInt32(this.#timerAt, capacity, 0);
    this.dueNs = grownFloat64(this.dueNs, capacity);
    this.#armNumber = grownFloat64(this.#armNumber, capacity).fill(none, before);
    this.#place = grownInt32(this.#place, capacity, none);
    this.#next = grownInt32(this.#next, slots + capacity, none);
    this.#previous = grownInt32(this.#previous, slots + capacity, none);
    this.#nearNs = grownFloat64(this.#nearNs, capacity);
    this.#nearNumber = grownFloat64(this.#nearNumber, capacity);
  }

  /** How often a timer was armed so far. */
  get armings(): number {
    return this.#armings;
  }

  isArmed(timer: number): boolean {
    return this.#armNumber[timer]! >= 0;
  }

  /** When the next timer is due, Infinity when none is armed. */
  get nextDeadlineNs(): number {
    const timer = this.#first();
    return timer < 0 ? Infinity : this.dueNs[timer]!;
  }

  /** Arms a timer, or arms it anew. */
  arm(timer: number, dueNs: number): void {
    this.dueNs[timer] = dueNs;
    this.armDue(timer);
  }

  /** Arms a timer, or arms it anew, for what is in {@link dueNs}. */
  armDue(timer: number): void {
    let dueNs = this.dueNs[timer]!;
    if (dueNs < this.nowNs) this.dueNs[timer] = dueNs = this.nowNs;
    const numbers = this.#armNumber;
    if (numbers[timer]! < 0) this.#armed++;
    numbers[timer] = this.#armings++;
    if (this.#next[slots + timer]! >= 0) {
      if (dueNs >= this.#nearNs[timer]!) return;
      this.#unlink(timer);
      this.#put(timer);
      return;
    }
    const place = this.#place[timer]!;
    if (place < 0) this.#put(timer);
    else if (dueNs < this.#keyNs[place]!) this.#siftUp(place, timer);
  }

  /** Stops a timer; nothing happens to one that is not armed. */
  disarm(timer: number): void {
    if (this.#armNumber[timer]! < 0) return;
    this.#armNumber[timer] = none;
    this.#armed--;
  }

  /** Takes the timer that is due first, and unarms it. */
  pop(): number {
    const timer = this.popBefore(Infinity);
    assert(timer >= 0, 'a timer is armed');
    return timer;
  }

  /** Takes the timer that is due first, and unarms it; -1 when none is due before `untilNs`. */
  popBefore(untilNs: number): number {
    const timer = this.#first();
    if (timer < 0 || this.dueNs[timer]! >= untilNs) return none;
    if (this.#next[slots + timer]! >= 0) this.#unlink(timer);
    this.#armNumber[timer] = none;
    this.#armed--;
    return timer;
  }

  /** Everything in it, in the order of being due, for {@link restore}. */
  capture(): TimerHeapState {
    const dues = this.dueNs;
    const numbers = this.#armNumber;
    const timer = Int32Array.from(numbers.keys()).filter((one) => numbers[one]! >= 0);
    timer.sort((a, b) => dues[a]! - dues[b]! || numbers[a]! - numbers[b]!);
    return {
      deadlineNs: Float64Array.from(timer, (one) => dues[one]!),
      armNumber: Float64Array.from(timer, (one) => numbers[one]!),
      timer,
      armings: this.#armings,
    };
  }

  restore(state: TimerHeapState): void {
    this.#next.fill(none, slots);
    for (let slot = 0; slot < slots; slot++) this.#next[slot] = this.#previous[slot] = slot;
    this.#occupied.fill(0);
    this.#near = 0;
    this.#place.fill(none);
    this.#armNumber.fill(none);
    this.#places = this.#armed = state.timer.length;
    this.#armings = state.armings;
    // What is sorted is a heap.
    this.#keyNs.set(state.deadlineNs);
    this.#keyNumber.set(state.armNumber);
    this.#timerAt.set(state.timer);
    for (const [place, timer] of state.timer.entries()) {
      this.#place[timer] = place;
      this.dueNs[timer] = state.deadlineNs[place]!;
      this.#armNumber[timer] = state.armNumber[place]!;
    }
  }

  /** The armed timer that is due first, -1 for none. */
  #first(): number {
    // Each of the two may hand the other one a timer, which has a new key there.
    if (this.#places > 0) this.#settle();
    const near = this.#firstNear();
    if (this.#places === 0) return near;
    const far = this.#timerAt[0]!;
    if (near < 0) return far;
    const apartNs = this.dueNs[near]! - this.dueNs[far]!;
    return apartNs < 0 || (apartNs === 0 && this.#armNumber[near]! < this.#armNumber[far]!) ? near : far;
  }

  /** The armed timer of the wheel that is due first, under its key; -1 for none. */
  #firstNear(): number {
    while (this.#near > 0) {
      const timer = this.#next[this.#firstSlot()]! - slots;
      const number = this.#armNumber[timer]!;
      if (number === this.#nearNumber[timer]!) return timer;
      this.#unlink(timer);
      if (number >= 0) this.#put(timer);
    }
    return none;
  }

  /** The first slot from now on that has timers; there is one. */
  #firstSlot(): number {
    const occupied = this.#occupied;
    const from = slotOf(this.nowNs);
    let word = from >>> 5;
    let bits = occupied[word]! & (-1 << (from & 31));
    while (bits === 0) {
      word = (word + 1) & (slots / 32 - 1);
      bits = occupied[word]!;
    }
    return (word << 5) + 31 - Math.clz32(bits & -bits);
  }

  /** Puts a timer in that is nowhere, under its key. */
  #put(timer: number): void {
    const dueNs = this.dueNs[timer]!;
    if (dueNs - this.nowNs > turnNs) {
      this.#siftUp(this.#places++, timer);
      return;
    }
    const next = this.#next;
    const previous = this.#previous;
    const keys = this.#nearNs;
    const slot = slotOf(dueNs);
    const numbers = this.#nearNumber;
    const number = this.#armNumber[timer]!;
    let before = previous[slot]!;
    while (before >= slots) {
      const keyNs = keys[before - slots]!;
      if (keyNs < dueNs || (keyNs === dueNs && numbers[before - slots]! < number)) break;
      before = previous[before]!;
    }
    const node = slots + timer;
    const after = next[before]!;
    next[before] = node;
    previous[node] = before;
    next[node] = after;
    previous[after] = node;
    keys[timer] = dueNs;
    numbers[timer] = number;
    this.#occupied[slot >>> 5]! |= 1 << (slot & 31);
    this.#near++;
  }

  /** Takes a timer out of the wheel. */
  #unlink(timer: number): void {
    const next = this.#next;
    const node = slots + timer;
    const before = this.#previous[node]!;
    const after = next[node]!;
    next[before] = after;
    this.#previous[after] = before;
    next[node] = none;
    // Only a slot follows on itself.
    if (before === after) this.#occupied[before >>> 5]! &= ~(1 << (before & 31));
    this.#near--;
  }

  /** Brings an armed timer to the top of the heap, under its key. */
  #settle(): void {
    const numbers = this.#armNumber;
    while (this.#places > 0) {
      const timer = this.#timerAt[0]!;
      const number = numbers[timer]!;
      if (number === this.#keyNumber[0]!) return;
      if (number >= 0 && !this.#isNear(timer)) {
        this.#siftDown(timer);
        continue;
      }
      this.#dropTop();
      if (number >= 0) this.#put(timer);
    }
  }

  /** Whether a timer is for the wheel. */
  #isNear(timer: number): boolean {
    return this.dueNs[timer]! - this.nowNs <= turnNs;
  }

  /** Takes the timer at the top of the heap out. */
  #dropTop(): void {
    const timers = this.#timerAt;
    this.#place[timers[0]!] = none;
    while (--this.#places > 0) {
      const last = timers[this.#places]!;
      if (this.#armNumber[last]! >= 0) {
        this.#siftDown(last);
        return;
      }
      this.#place[last] = none;
    }
  }

  /** Puts a timer into the heap under its key: at a place, or above. */
  #siftUp(from: number, timer: number): void {
    const keys = this.#keyNs;
    const numbers = this.#keyNumber;
    const timers = this.#timerAt;
    const places = this.#place;
    const dueNs = this.dueNs[timer]!;
    const number = this.#armNumber[timer]!;
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const keyNs = keys[parent]!;
      if (keyNs < dueNs || (keyNs === dueNs && numbers[parent]! < number)) break;
      keys[place] = keyNs;
      numbers[place] = numbers[parent]!;
      const moved = timers[parent]!;
      timers[place] = moved;
      places[moved] = place;
      place = parent;
    }
    keys[place] = dueNs;
    numbers[place] = number;
    timers[place] = timer;
    places[timer] = place;
  }

  /** Puts a timer into the heap under its key: at the top, or below. */
  #siftDown(timer: number): void {
    const keys = this.#keyNs;
    const numbers = this.#keyNumber;
    const timers = this.#timerAt;
    const places = this.#place;
    const size = this.#places;
    const dueNs = this.dueNs[timer]!;
    const number = this.#armNumber[timer]!;
    let place = 0;
    for (;;) {
      const left = 2 * place + 1;
      if (left >= size) break;
      let child = left;
      const right = left + 1;
      if (right < size) {
        const leftNs = keys[left]!;
        const rightNs = keys[right]!;
        // Which of the two is first is up to chance: no branch, which would be foretold wrongly every second time.
        child += Number(rightNs < leftNs);
        if (rightNs === leftNs && numbers[right]! < numbers[left]!) child = right;
      }
      const earliestNs = keys[child]!;
      if (dueNs < earliestNs || (dueNs === earliestNs && number < numbers[child]!)) break;
      keys[place] = earliestNs;
      numbers[place] = numbers[child]!;
      const moved = timers[child]!;
      timers[place] = moved;
      places[moved] = place;
      place = child;
    }
    keys[place] = dueNs;
    numbers[place] = number;
    timers[place] = timer;
    places[timer] = place;
  }
}

/** A {@link TimerHeap} at one moment. */
export interface TimerHeapState {
  readonly deadlineNs: Float64Array;
  readonly armNumber: Float64Array;
  readonly timer: Int32Array;
  readonly armings: number;
}

/** A copy with room for `capacity` numbers. */
export function grownFloat64(array: Float64Array, capacity: number): Float64Array {
  const grown = new Float64Array(capacity);
  grown.set(array);
  return grown;
}

/** A copy with room for `capacity` numbers; the new ones are `filler`. */
export function grownInt32(array: Int32Array, capacity: number, filler: number): Int32Array {
  const grown = new Int32Array(capacity).fill(filler);
  grown.set(array);
  return grown;
}

/** A copy with room for `capacity` numbers. */
export function grownUint8(array: Uint8Array, capacity: number): Uint8Array {
  const grown = new Uint8Array(capacity);
  grown.set(array);
  return grown;
}
