import { HostError } from '@xenolith/xapi';

/** How many may wait for a turn; more is a sign of a caller gone wild. */
const maxWaiting = 1000;

/** Lets only so many through at a time; the others wait in order of coming. */
export class Turnstile {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(places: number) {
    this.#free = places;
  }

  /**
   * Waits for a turn. The caller calls what it is given when its turn is over.
   * @throws HostError command-failed when too many wait already.
   */
  async enter(): Promise<() => void> {
    if (this.#free > 0) {
      this.#free--;
    } else {
      if (this.#waiting.length >= maxWaiting) {
        throw new HostError('command-failed', `${maxWaiting} commands wait for this host already`);
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    };
  }
}
