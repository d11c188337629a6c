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

/**
 * A clock that moves only when told to. Timers fire in order of (due time, order of asking), so a run is
 * the same every time.
 */
export class ManualClock implements Clock {
  #nowMs: number;
  #order = 0;
  #timers: Timer[] = [];

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
  }

  now(): EpochMs {
    return epochMs(this.#nowMs);
  }

  after(delayMs: number, action: () => void): Disposable {
    assert(delayMs >= 0, `delay of ${delayMs} ms`);
    const timer: Timer = { dueMs: this.#nowMs + delayMs, order: this.#order++, action, live: true };
    this.#timers.push(timer);
    return disposable(() => {
      timer.live = false;
    });
  }

  /** Moves time forward by `durationMs`, firing what falls due on the way, also what those actions ask for. */
  advance(durationMs: number): void {
    const untilMs = this.#nowMs + durationMs;
    for (;;) {
      const next = this.#earliest(untilMs);
      if (next === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.live = false;
      next.action();
    }
    this.#nowMs = untilMs;
  }

  /**
   * Like {@link advance}, but lets promise reactions run between timers, so that asynchronous code that waits on
   * this clock proceeds in step with it.
   */
  async advanceAsync(durationMs: number): Promise<void> {
    const untilMs = this.#nowMs + durationMs;
    for (;;) {
      await settle();
      const next = this.#earliest(untilMs);
      if (next === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.live = false;
      next.action();
    }
    // Several may advance it at once, each waiting for something of its own: it never goes back.
    this.#nowMs = Math.max(this.#nowMs, untilMs);
    await settle();
  }

  #earliest(untilMs: number): Timer | undefined {
    this.#timers = this.#timers.filter((timer) => timer.live);
    let best: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs > untilMs) continue;
      if (best === undefined || timer.dueMs < best.dueMs || (timer.dueMs === best.dueMs && timer.order < best.order)) {
        best = timer;
      }
    }
    return best;
  }
}

/** Rounds of promise reactions that {@link ManualClock.advanceAsync} lets run before it looks at its timers again. */
const settleRounds = 64;

async function settle(): Promise<void> {
  for (let round = 0; round < settleRounds; round++) await Promise.resolve();
}
