/** Jobs that programs take one after the other, when each comes, and what became of them. */
import { grownFloat64 } from '../../engine/timer-heap.ts';
import { Histogram, type HistogramState } from './histogram.ts';

/**
 * Where the jobs of a vCPU come from. They queue without limit in the order of their coming, of which only the next
 * one is kept. Times in whole nanoseconds.
 */
export type JobSource =
  /** One at the beginning, and one each period, whether or not the one before is done; late when not done in time. */
  | { readonly kind: 'periodic'; readonly periodNs: number; readonly deadlineNs: number }
  /** The next one comes so long after the last was done, evenly drawn: a user at a terminal. */
  | { readonly kind: 'thinking'; readonly fromNs: number; readonly toNs: number }
  /** They come independently of each other, with exponential gaps: a crowd of users (Poisson). */
  | { readonly kind: 'poisson'; readonly meanGapNs: number }
  /** As `poisson` while it is on, nothing while it is off, by turns. */
  | { readonly kind: 'bursts'; readonly meanGapNs: number; readonly onNs: number; readonly offNs: number };

/** The jobs of all vCPUs, by unit. */
export class Jobs {
  /** Units of work done. */
  declare completed: Float64Array;
  /** Jobs that were done after their deadline. */
  declare missed: Float64Array;
  /** From the coming of a job to its end; undefined of a unit that never had one. */
  readonly responseNs: (Histogram | undefined)[] = [];
  /** When the source began, -1 before. */
  #beganNs: Float64Array = new Float64Array(0);
  /** How far the source has come since then, counting only time in which it is on. */
  #clockNs: Float64Array = new Float64Array(0);
  /** When the job that is worked on came, -1 for none, and when it is late. */
  #releaseNs: Float64Array = new Float64Array(0);
  #deadlineNs: Float64Array = new Float64Array(0);
  /** Its period, Infinity for none. */
  #periodNs: Float64Array = new Float64Array(0);
  #random: Uint32Array = new Uint32Array(0);

  constructor(unitCapacity: number) {
    this.completed = new Float64Array(unitCapacity);
    this.missed = new Float64Array(unitCapacity);
    this.#beganNs = new Float64Array(unitCapacity);
    this.#clockNs = new Float64Array(unitCapacity);
    this.#releaseNs = new Float64Array(unitCapacity);
    this.#deadlineNs = new Float64Array(unitCapacity);
    this.#periodNs = new Float64Array(unitCapacity);
    this.#random = new Uint32Array(unitCapacity);
  }

  grow(unitCapacity: number): void {
    this.completed = grownFloat64(this.completed, unitCapacity);
    this.missed = grownFloat64(this.missed, unitCapacity);
    this.#beganNs = grownFloat64(this.#beganNs, unitCapacity);
    this.#clockNs = grownFloat64(this.#clockNs, unitCapacity);
    this.#releaseNs = grownFloat64(this.#releaseNs, unitCapacity);
    this.#deadlineNs = grownFloat64(this.#deadlineNs, unitCapacity);
    this.#periodNs = grownFloat64(this.#periodNs, unitCapacity);
    const random = new Uint32Array(unitCapacity);
    random.set(this.#random);
    this.#random = random;
  }

  /** A unit begins a new life. */
  reset(unit: number, seed: number): void {
    this.completed[unit] = 0;
    this.missed[unit] = 0;
    this.responseNs[unit] = undefined;
    this.#beganNs[unit] = -1;
    this.#clockNs[unit] = 0;
    this.#releaseNs[unit] = -1;
    // Neighbouring seeds must not give neighbouring draws (the finaliser of MurmurHash3); 0 would stay 0.
    let x = Math.imul(seed ^ (seed >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    this.#random[unit] = (x ^ (x >>> 16)) >>> 0 || 1;
  }

  /** The source begins anew at `nowNs`. */
  begin(unit: number, nowNs: number): void {
    this.#beganNs[unit] = nowNs;
    this.#clockNs[unit] = 0;
  }

  /** Takes the next job. @returns when it comes or came, which may be before `nowNs` */
  take(unit: number, source: JobSource, nowNs: number): number {
    if (this.#beganNs[unit]! < 0) this.begin(unit, nowNs);
    const releaseNs = this.#nextOf(unit, source, nowNs);
    this.#releaseNs[unit] = releaseNs;
    const isPeriodic = source.kind === 'periodic';
    this.#deadlineNs[unit] = isPeriodic ? releaseNs + source.deadlineNs : Infinity;
    this.#periodNs[unit] = isPeriodic ? source.periodNs : Infinity;
    this.responseNs[unit] ??= new Histogram();
    return releaseNs;
  }

  /** The job that was taken is not done. */
  drop(unit: number): void {
    this.#releaseNs[unit] = -1;
  }

  /** The job that was taken is done. */
  finish(unit: number, nowNs: number): void {
    const releaseNs = this.#releaseNs[unit]!;
    if (releaseNs < 0) return;
    this.#releaseNs[unit] = -1;
    this.completed[unit]!++;
    this.responseNs[unit]!.add(nowNs - releaseNs);
    if (nowNs > this.#deadlineNs[unit]!) this.missed[unit]!++;
  }

  /** Jobs that have come, are not done and are late: the one that is worked on, and those of the periods after it. */
  overdue(unit: number, nowNs: number): number {
    const lateNs = nowNs - this.#deadlineNs[unit]!;
    if (this.#releaseNs[unit]! < 0 || lateNs <= 0) return 0;
    return Math.ceil(lateNs / this.#periodNs[unit]!);
  }

  /** Everything in it, for {@link restore}. */
  capture(): JobsState {
    return {
      completed: this.completed.slice(),
      missed: this.missed.slice(),
      responseNs: Array.from(this.responseNs, (histogram) => histogram?.capture()),
      beganNs: this.#beganNs.slice(),
      clockNs: this.#clockNs.slice(),
      releaseNs: this.#releaseNs.slice(),
      deadlineNs: this.#deadlineNs.slice(),
      periodNs: this.#periodNs.slice(),
      random: this.#random.slice(),
    };
  }

  restore(state: JobsState): void {
    this.completed = state.completed.slice();
    this.missed = state.missed.slice();
    this.responseNs.length = 0;
    for (const histogram of state.responseNs) this.responseNs.push(histogram && Histogram.restored(histogram));
    this.#beganNs = state.beganNs.slice();
    this.#clockNs = state.clockNs.slice();
    this.#releaseNs = state.releaseNs.slice();
    this.#deadlineNs = state.deadlineNs.slice();
    this.#periodNs = state.periodNs.slice();
    this.#random = state.random.slice();
  }

  #nextOf(unit: number, source: JobSource, nowNs: number): number {
    const beganNs = this.#beganNs[unit]!;
    const clockNs = this.#clockNs[unit]!;
    switch (source.kind) {
      case 'periodic':
        this.#clockNs[unit] = clockNs + source.periodNs;
        return beganNs + clockNs;
      case 'thinking':
        return nowNs + source.fromNs + (this.#word(unit) % (source.toNs - source.fromNs + 1));
      case 'poisson':
        return beganNs + this.#advance(unit, source.meanGapNs);
      default: {
        const onNs = this.#advance(unit, source.meanGapNs);
        return beganNs + onNs + Math.floor(onNs / source.onNs) * source.offNs;
      }
    }
  }

  /** Lets an exponential gap pass on the clock of a source, of whole nanoseconds. @returns where the clock is */
  #advance(unit: number, meanGapNs: number): number {
    const even = (this.#word(unit) + 1) / 2 ** 32;
    const clockNs = this.#clockNs[unit]! + Math.round(-Math.log(even) * meanGapNs);
    this.#clockNs[unit] = clockNs;
    return clockNs;
  }

  /** xorshift32 of Marsaglia. */
  #word(unit: number): number {
    let x = this.#random[unit]!;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    x >>>= 0;
    this.#random[unit] = x;
    return x;
  }
}

/** {@link Jobs} at one moment. */
export interface JobsState {
  readonly completed: Float64Array;
  readonly missed: Float64Array;
  readonly responseNs: readonly (HistogramState | undefined)[];
  readonly beganNs: Float64Array;
  readonly clockNs: Float64Array;
  readonly releaseNs: Float64Array;
  readonly deadlineNs: Float64Array;
  readonly periodNs: Float64Array;
  readonly random: Uint32Array;
}
