import { disposable, type Disposable } from './disposable.ts';
import { epochMs, type EpochMs } from './brand.ts';
import { assert } from './assert.ts';

/**
 * Time as the pure rooms see it: handed in, so that a whole control plane can run under a virtual clock.
 */
export interface Clock {
  /** Wall-clock time, milliseconds since 1970. */
  now(): EpochMs;
  /** Calls `action` once after `delayMs` (≥ 0) milliseconds, unless disposed before. */
  after(delayMs: number, action: () => void): Disposable;
}

/** A clock that begins with another one's time and then goes `speed` (above 0) times as fast. */
export function scaledClock(clock: Clock, speed: number): Clock {
  const beginMs = clock.now();
  return {
    now: () => epochMs(beginMs + (clock.now() - beginMs) * speed),
    after: (delayMs, action) => clock.after(delayMs / speed, action),
  };
}

/** Resolves after `delayMs` milliseconds of the given clock. */
export const delay = (clock: Clock, delayMs: number): Promise<void> =>
  new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });

interface Timer {
  readonly dueMs: number;
  readonly order: number;
  readonly action: () => void;
  live: boolean;
}

const comesBefore = (a: Timer, b: Timer): boolean => a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);

/** Timers disposed of that are kept at most, for each that lives, until they are swept out. */
const deadPerLive = 1;

/**
 * A clock that moves only when told to. Timers fire in order of (due time, order of asking), so a run is
 * the same every time.
 */
export class ManualClock implements Clock {
  #nowMs: number;
  #order = 0;
  /** A binary heap, the first to fire at its top; those disposed of stay until they come up or are swept out. */
  #timers: Timer[] = [];
  #live = 0;

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
  }

  now(): EpochMs {
    return epochMs(this.#nowMs);
  }

  after(delayMs: number, action: () => void): Disposable {
    assert(delayMs >= 0, `delay of ${delayMs} ms`);
    const timer: Timer = { dueMs: this.#nowMs + delayMs, order: this.#order++, action, live: true };
    this.#live++;
    this.#push(timer);
    return disposable(() => {
      if (!timer.live) return;
      timer.live = false;
      this.#live--;
      if (this.#timers.length > 64 + (1 + deadPerLive) * this.#live) this.#sweep();
    });
  }

  /** When the next timer fires; undefined when there is none. */
  nextDueMs(): EpochMs | undefined {
    const next = this.#first();
    return next === undefined ? undefined : epochMs(Math.max(this.#nowMs, next.dueMs));
  }

  /** Moves time forward by `durationMs`, firing what falls due on the way, also what those actions ask for. */
  advance(durationMs: number): void {
    const untilMs = this.#nowMs + durationMs;
    while (this.fireNext(untilMs));
    this.#nowMs = untilMs;
  }

  /**
   * Like {@link advance}, but lets promise reactions run between timers, so that asynchronous code that waits on
   * this clock proceeds in step with it.
   */
  async advanceAsync(durationMs: number): Promise<void> {
    const untilMs = this.#nowMs + durationMs;
    do await settle();
    while (this.fireNext(untilMs));
    // Several may advance it at once, each waiting for something of its own: it never goes back.
    this.#nowMs = Math.max(this.#nowMs, untilMs);
    await settle();
  }

  /** Moves time to the next timer that falls due by `untilMs`, and fires it alone. @returns whether there was one */
  fireNext(untilMs: number): boolean {
    const next = this.#first();
    if (next === undefined || next.dueMs > untilMs) return false;
    this.#pop();
    this.#live--;
    this.#nowMs = Math.max(this.#nowMs, next.dueMs);
    next.live = false;
    next.action();
    return true;
  }

  #first(): Timer | undefined {
    while (this.#timers[0]?.live === false) this.#pop();
    return this.#timers[0];
  }

  #push(timer: Timer): void {
    const heap = this.#timers;
    let at = heap.length;
    heap.push(timer);
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      const above = heap[parent];
      if (above === undefined || !comesBefore(timer, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#timers;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const [left, right] = [heap[child], heap[child + 1]];
      if (left === undefined) break;
      let smaller = left;
      if (right !== undefined && comesBefore(right, left)) {
        smaller = right;
        child++;
      }
      if (!comesBefore(smaller, last)) break;
      heap[at] = smaller;
      at = child;
    }
    heap[at] = last;
  }

  #sweep(): void {
    const living = this.#timers.filter((timer) => timer.live);
    this.#timers = [];
    for (const timer of living) this.#push(timer);
  }
}

/** Rounds of promise reactions that {@link ManualClock.advanceAsync} lets run before it looks at its timers again. */
const settleRounds = 64;

async function settle(): Promise<void> {
  for (let round = 0; round < settleRounds; round++) await Promise.resolve();
}
