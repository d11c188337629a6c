/**
 * What changed, in order of generation: for `event.from` to tell each waiter what is new to it at a cost that grows
 * with the changes, not with the database.
 */
export type ChangeKind = 'put' | 'del';

export interface Change {
  readonly generation: number;
  readonly ref: string;
  readonly class: string;
  readonly kind: ChangeKind;
  /** Generation in which the object came to be. */
  readonly created: number;
}

/** Deletions remembered; who asks about a time before the youngest forgotten one has lost events. */
export const tombstonesMax = 20_000;

export class ChangeLog {
  #entries: Change[] = [];
  readonly #latest = new Map<string, Change>();
  #tombstones = 0;
  #completeSince: number;
  readonly #tombstonesMax: number;

  /**
   * @param generation the generation of the database when the log begins
   * @param tombstones deletions remembered at most; when there are more, the older half goes
   */
  constructor(generation: number, tombstones = tombstonesMax) {
    this.#completeSince = generation;
    this.#tombstonesMax = tombstones;
  }

  /** Changes after this generation are all known. */
  get completeSince(): number {
    return this.#completeSince;
  }

  /** Changes held, those that later ones have overtaken included. */
  get length(): number {
    return this.#entries.length;
  }

  /** Adds a change; its generation is higher than that of the one before. */
  record(change: Change): void {
    if (this.#latest.get(change.ref)?.kind === 'del') this.#tombstones--;
    this.#latest.set(change.ref, change);
    this.#entries.push(change);
    if (change.kind === 'del') this.#tombstones++;
    const superfluous = this.#entries.length - this.#latest.size;
    if (superfluous > 1024 && superfluous > this.#latest.size) this.#compact();
    else if (this.#tombstones > this.#tombstonesMax) this.#compact();
  }

  /** The last change of every object that changed after `generation`, oldest first. */
  since(generation: number): readonly Change[] {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle]?.generation ?? 0) <= generation) low = middle + 1;
      else high = middle;
    }
    const changes: Change[] = [];
    for (let i = low; i < this.#entries.length; i++) {
      const change = this.#entries[i];
      if (change !== undefined && this.#latest.get(change.ref) === change) changes.push(change);
    }
    return changes;
  }

  /** Remembers nothing of what was until now: everybody who waits for what comes after an older time has lost events. */
  forget(): void {
    this.#completeSince = Math.max(this.#completeSince, this.#entries.at(-1)?.generation ?? 0);
  }

  #compact(): void {
    const limit = this.#tombstonesMax;
    let forget = this.#tombstones > limit ? this.#tombstones - Math.floor(limit / 2) : 0;
    this.#entries = this.#entries.filter((change) => {
      if (this.#latest.get(change.ref) !== change) return false;
      if (change.kind === 'del' && forget > 0) {
        forget--;
        this.#tombstones--;
        this.#latest.delete(change.ref);
        this.#completeSince = Math.max(this.#completeSince, change.generation);
        return false;
      }
      return true;
    });
  }
}
