import type { Clock, Disposable } from '@xenolith/base';

/** One timer whose time stands still while its domain is paused. */
export class PausableTimer {
  readonly #clock: Clock;
  #leftMs = 0;
  #startedMs = 0;
  #action: (() => void) | undefined;
  #running: Disposable | undefined;
  #held: boolean;

  constructor(clock: Clock, held: boolean) {
    this.#clock = clock;
    this.#held = held;
  }

  /** Calls `action` once after `delayMs` of time in which the domain is not paused; replaces what was set before. */
  set(delayMs: number, action: () => void): void {
    this.cancel();
    this.#leftMs = delayMs;
    this.#action = action;
    if (!this.#held) this.#run();
  }

  /** Stops time. */
  hold(): void {
    if (this.#held) return;
    this.#held = true;
    if (this.#running === undefined) return;
    this.#running.dispose();
    this.#running = undefined;
    this.#leftMs = Math.max(0, this.#leftMs - (this.#clock.now() - this.#startedMs));
  }

  /** Lets time go on. */
  resume(): void {
    if (!this.#held) return;
    this.#held = false;
    if (this.#action !== undefined) this.#run();
  }

  cancel(): void {
    this.#running?.dispose();
    this.#running = undefined;
    this.#action = undefined;
  }

  #run(): void {
    this.#startedMs = this.#clock.now();
    this.#running = this.#clock.after(this.#leftMs, () => {
      const action = this.#action;
      this.#running = undefined;
      this.#action = undefined;
      action?.();
    });
  }
}
