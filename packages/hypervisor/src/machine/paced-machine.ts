import { disposable, type Clock, type Disposable } from '@xenolith/base';
import type { Machine } from './machine.ts';

const nsPerMs = 1e6;

/** Longest stretch of model time that is made up for; what a stopped process missed beyond it did not happen. */
const catchUpMaxNs = 10_000_000_000;

/** How much model time comes due between two turns at most, and the wall-clock time between them. */
const turnNs = 1_000_000_000;
const turnMsMin = 1;
const turnMsMax = 20;
/** A turn stops after so much wall-clock time, looking at the clock after each step of model time. */
const turnWorkMs = 5;
const stepNs = 100_000_000;

export interface Pace {
  readonly clock: Clock;
  /** Model seconds per second of the clock, above 0. */
  readonly speed: number;
}

/**
 * A machine in step with a clock, at a speed. Whoever asks for it has it with everything done that is due, or, while it
 * keeps up by itself ({@link keepUp}), as its last turn left it.
 */
export class PacedMachine {
  readonly #pace: Pace;
  #machine: Machine;
  /** What the machine's time is to be at a time of the clock. */
  #anchorNs = 0;
  #anchorMs = 0;
  #keepers = 0;

  constructor(machine: Machine, pace: Pace) {
    this.#pace = pace;
    this.#machine = machine;
    this.#anchor();
  }

  /** Another machine takes its place, from now. */
  replace(machine: Machine): void {
    this.#machine = machine;
    this.#anchor();
  }

  /** Lets everything happen that is due, where that does not happen by itself. */
  caughtUp(): Machine {
    if (this.#keepers === 0) this.#machine.run(this.#due(catchUpMaxNs));
    return this.#machine;
  }

  /**
   * Lets time pass also when nobody asks, until disposed: every few milliseconds a turn that ends soon, so that the
   * process has time for others. What the processor cannot keep up with does not happen: the machine is slower then.
   * At the clock's own speed and below nothing is needed: it is cheap to make up for what is due once somebody asks.
   */
  keepUp(): Disposable {
    const { clock, speed } = this.#pace;
    if (speed <= 1) return disposable(() => undefined);
    const everyMs = Math.max(turnMsMin, Math.min(turnMsMax, turnNs / nsPerMs / speed));
    let timer: Disposable;
    const turn = (): void => {
      this.#turn();
      timer = clock.after(everyMs, turn);
    };
    timer = clock.after(everyMs, turn);
    this.#keepers++;
    return disposable(() => {
      timer.dispose();
      this.#keepers--;
    });
  }

  #turn(): void {
    const { clock } = this.#pace;
    const endMs = clock.now() + turnWorkMs;
    for (let dueNs = this.#due(catchUpMaxNs); dueNs > 0; dueNs -= stepNs) {
      this.#machine.run(Math.min(stepNs, dueNs));
      if (clock.now() >= endMs) break;
    }
    this.#due(turnNs);
  }

  /** How much is due; what is beyond `maxNs` is not, from now on. */
  #due(maxNs: number): number {
    const { clock, speed } = this.#pace;
    const aimNs = this.#anchorNs + (clock.now() - this.#anchorMs) * speed * nsPerMs;
    const dueNs = Math.floor(aimNs) - this.#machine.core.now;
    if (dueNs > maxNs) this.#anchorNs -= dueNs - maxNs;
    return Math.max(0, Math.min(dueNs, maxNs));
  }

  #anchor(): void {
    this.#anchorNs = this.#machine.core.now;
    this.#anchorMs = this.#pace.clock.now();
  }
}
