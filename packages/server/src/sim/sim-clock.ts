/**
 * The clock of a simulated pool. Its time is the model's own; what moves it is one of three modes:
 *
 * - `auto`: it stands still, and jumps from event to event while a call or a task is under way. A call that waits for a
 *   guest takes no time of anybody's, and the same calls one after the other give the same times. While nothing but
 *   `event.from` or `event.next` waits it goes as the wall clock does, or those would never hear of anything.
 * - `run`: as the wall clock, at a speed.
 * - `paused`: only {@link SimClock.advance} and {@link SimClock.step} move it.
 */
import { setImmediate as nextMacrotask } from 'node:timers/promises';
import { epochMs, type EpochMs, type ManualClock } from '@xenolith/base';

export type ClockMode =
  | { readonly kind: 'auto' }
  /** `speed` in model seconds per second. */
  | { readonly kind: 'run'; readonly speed: number }
  | { readonly kind: 'paused' };

/** Who waits for time to pass: calls and tasks, those that wait for events alone, or nobody. */
export type Demand = 'work' | 'events' | 'none';

/** A call that has waited for so much model time waits for something else than time. */
const jumpMsMax = 24 * 60 * 60 * 1000;
/** The longest sleep between two looks. */
const sleepMsMax = 1000;

export class SimClock {
  readonly #demand: () => Demand;
  #clock: ManualClock;
  #mode: ClockMode;
  #driving = false;
  #closed = false;
  /** Model time and wall-clock time that belong together, while the one follows the other. */
  #anchor: { readonly modelMs: number; readonly wallMs: number; readonly speed: number } | undefined;
  #jumpsSinceMs: number;
  #endSleep: () => void = () => undefined;

  constructor(clock: ManualClock, mode: ClockMode, demand: () => Demand) {
    this.#clock = clock;
    this.#mode = mode;
    this.#demand = demand;
    this.#jumpsSinceMs = clock.now();
  }

  now(): EpochMs {
    return this.#clock.now();
  }

  /** When the next thing happens by itself; undefined when nothing does. */
  nextDueMs(): EpochMs | undefined {
    return this.#clock.nextDueMs();
  }

  get mode(): ClockMode {
    return this.#mode;
  }

  setMode(mode: ClockMode): void {
    this.#mode = mode;
    this.#anchor = undefined;
    this.wake();
  }

  /** Another pool's time from now on; what the old one had planned does not happen. */
  replace(clock: ManualClock): void {
    this.#clock = clock;
    this.#anchor = undefined;
    this.wake();
  }

  /** Somebody began to wait, or ceased to. */
  wake(): void {
    this.#jumpsSinceMs = this.#clock.now();
    this.#endSleep();
    if (!this.#driving) void this.#drive();
  }

  /** Brings the time to where the wall clock says it is, in a mode that follows it. */
  async catchUp(): Promise<void> {
    const clock = this.#clock;
    const anchor = this.#anchor;
    if (anchor === undefined) return;
    const aimMs = anchor.modelMs + (performance.now() - anchor.wallMs) * anchor.speed;
    await this.#fireUntil(clock, aimMs);
  }

  /** Lets so much time pass, with everything that happens in it, as fast as that can be. */
  async advance(durationMs: number): Promise<void> {
    const clock = this.#clock;
    await this.#fireUntil(clock, clock.now() + durationMs);
    this.#anchor = undefined;
  }

  /** Goes to the next thing that happens by itself. @returns when it happened; undefined when there is none */
  async step(): Promise<EpochMs | undefined> {
    await nextMacrotask();
    const happened = this.#clock.fireNext(Infinity);
    await nextMacrotask();
    this.#anchor = undefined;
    return happened ? this.#clock.now() : undefined;
  }

  close(): void {
    this.#closed = true;
    this.#endSleep();
  }

  async #fireUntil(clock: ManualClock, untilMs: number): Promise<void> {
    do await nextMacrotask();
    while (clock.fireNext(untilMs));
    clock.advance(Math.max(0, untilMs - clock.now()));
    await nextMacrotask();
  }

  async #drive(): Promise<void> {
    this.#driving = true;
    while (await this.#turn());
    this.#driving = false;
    this.#anchor = undefined;
  }

  /** Lets everything happen that needs no time, and then some time pass. @returns whether to go on */
  async #turn(): Promise<boolean> {
    await nextMacrotask();
    if (this.#closed || this.#mode.kind === 'paused') return false;
    const demand = this.#demand();
    if (this.#mode.kind === 'auto') {
      if (demand === 'none') return false;
      if (demand === 'work' && this.#clock.now() - this.#jumpsSinceMs < jumpMsMax) {
        this.#anchor = undefined;
        return this.#clock.fireNext(Infinity);
      }
    }
    const speed = this.#mode.kind === 'run' ? this.#mode.speed : 1;
    this.#anchor ??= { modelMs: this.#clock.now(), wallMs: performance.now(), speed };
    await this.catchUp();
    const nextMs = this.#clock.nextDueMs();
    const waitMs = nextMs === undefined ? sleepMsMax : (nextMs - this.#clock.now()) / speed;
    if (waitMs > 0) await this.#sleep(Math.min(sleepMsMax, waitMs));
    return true;
  }

  /** Sleeps until woken; a pool that nobody waits for does not keep the process alive. */
  #sleep(durationMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, durationMs);
      timer.unref();
      this.#endSleep = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** When the time of every simulated pool begins: 2026-01-01T00:00:00Z. */
export const simStartMs = epochMs(Date.UTC(2026, 0, 1));
