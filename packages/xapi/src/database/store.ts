/**
 * Where the database is kept. The live database is in memory, as in any xapi; a store makes its changes durable.
 * Implementations are in the room `server`; one crash suite says that they keep what they acknowledged.
 */
import type { WireValue } from '@xenolith/wire';

/** A row as it is stored: the fields that persist, by wire name. */
export interface StoredRow {
  readonly ref: string;
  readonly class: string;
  readonly fields: Readonly<Record<string, WireValue>>;
}

/** Everything that changed since the batch before; applied whole or not at all. */
export interface Batch {
  readonly puts: readonly StoredRow[];
  readonly deletes: readonly string[];
  readonly settings: Readonly<Record<string, string>>;
  /** The database generation after this batch; rises from batch to batch. */
  readonly generation: number;
}

export interface Store {
  load(): {
    readonly rows: Iterable<StoredRow>;
    readonly settings: Readonly<Record<string, string>>;
    readonly generation: number;
  };
  /** Resolves when the batch is on disk. A batch that fails leaves the one before it. */
  commit(batch: Batch): Promise<void>;
  /**
   * Calls `action` when the present burst of work has had its turn: the longer a store's commit takes, the more
   * changes ride on one.
   */
  soon(action: () => void): void;
  close(): Promise<void>;
}

/** A store that forgets: for tests and throw-away pools. */
export class MemoryStore implements Store {
  readonly #rows = new Map<string, StoredRow>();
  readonly #settings: Record<string, string> = {};
  #generation = 0;

  load(): ReturnType<Store['load']> {
    return { rows: [...this.#rows.values()], settings: { ...this.#settings }, generation: this.#generation };
  }

  commit(batch: Batch): Promise<void> {
    for (const row of batch.puts) this.#rows.set(row.ref, row);
    for (const ref of batch.deletes) this.#rows.delete(ref);
    Object.assign(this.#settings, batch.settings);
    this.#generation = batch.generation;
    return Promise.resolve();
  }

  soon(action: () => void): void {
    void Promise.resolve().then(action);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
