/** From times that only grow to shares of time, as `utilisation` fields have them. */
import type { Clock, Ns } from '@xenolith/base';

/** A share is told to a thousandth: what changes less is no news. */
const steps = 1000;
const nsPerMs = 1e6;

/** Remembers how long things have been busy, and says which share of the time since. */
export class CpuUse<K> {
  readonly #clock: Clock;
  readonly #before = new Map<K, { readonly atMs: number; readonly timesNs: readonly Ns[] }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Shares of the time since the times before, 0 … 1 each, by the same numbers; undefined for the first times, for
   * times that began anew, and while no time has passed.
   * @param timeNs the time now of whatever is busy, where it is not the clock's
   */
  since(key: K, timesNs: readonly Ns[], timeNs?: Ns): readonly number[] | undefined {
    const atMs = timeNs === undefined ? this.#clock.now() : timeNs / nsPerMs;
    const before = this.#before.get(key);
    if (before !== undefined && before.atMs === atMs) return undefined;
    this.#before.set(key, { atMs, timesNs });
    if (before === undefined || atMs < before.atMs) return undefined;
    if (timesNs.some((busyNs, index) => busyNs < (before.timesNs[index] ?? 0))) return undefined;
    const passedNs = (atMs - before.atMs) * nsPerMs;
    return timesNs.map((busyNs, index) => {
      const share = (busyNs - (before.timesNs[index] ?? 0)) / passedNs;
      return Math.round(Math.min(1, share) * steps) / steps;
    });
  }
}
