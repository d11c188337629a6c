/**
 * Takes changes to the store, many at a time: while one commit is under way, everything that is written meanwhile
 * gathers for the next (group commit).
 */
import { Signal } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import type { Batch, Store } from './store.ts';

/** Makes a batch of the present state of rows and settings that changed. */
export type MakeBatch = (rows: ReadonlySet<string>, settings: ReadonlySet<string>) => Batch;

const done = Promise.resolve();

export class Keeper {
  readonly #store: Store;
  readonly #makeBatch: MakeBatch;
  #rows = new Set<string>();
  #settings = new Set<string>();
  /** A start commits once, if only the number that it begins with: the next start must begin higher. */
  #begun = false;
  /** The commit that has taken its batch. */
  #current: Promise<void> | undefined;
  /** The commit that has not, and so will hold whatever is written until then. */
  #next: Promise<void> | undefined;
  #failure: XapiError | undefined;

  /** Rings once, with the reason, when a commit fails. */
  readonly failed = new Signal<unknown>();

  constructor(store: Store, makeBatch: MakeBatch) {
    this.#store = store;
    this.#makeBatch = makeBatch;
  }

  keepRow(ref: string): void {
    this.#rows.add(ref);
  }

  keepSetting(key: string): void {
    this.#settings.add(key);
  }

  get #pending(): boolean {
    return this.#rows.size > 0 || this.#settings.size > 0 || !this.#begun;
  }

  soon(action: () => void): void {
    this.#store.soon(action);
  }

  /** Whether all is kept, so that {@link kept} would resolve at once. */
  get isIdle(): boolean {
    return !this.#pending && this.#current === undefined && this.#failure === undefined;
  }

  /** Resolves when everything written until now is in the store. @throws XapiError once a commit has failed. */
  kept(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (!this.#pending) return this.#current ?? done;
    if (this.#next === undefined) {
      this.#next = this.#commitAfter(this.#current ?? done);
      // Whoever waits hears of a failure; that nobody may be waiting is no reason to end the process.
      this.#next.catch(() => undefined);
    }
    return this.#next;
  }

  async #commitAfter(before: Promise<void>): Promise<void> {
    await before;
    await new Promise<void>((resolve) => {
      this.#store.soon(resolve);
    });
    this.#current = this.#next;
    this.#next = undefined;
    try {
      const batch = this.#makeBatch(this.#rows, this.#settings);
      this.#rows = new Set();
      this.#settings = new Set();
      this.#begun = true;
      await this.#store.commit(batch);
      this.#current = undefined;
    } catch (error) {
      this.#failure = new XapiError('INTERNAL_ERROR', `the database cannot be written: ${String(error)}`);
      this.failed.emit(error);
      throw this.#failure;
    }
  }
}
