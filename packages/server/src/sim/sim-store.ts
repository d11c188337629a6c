/** The store of a simulated pool: rows in memory, which a snapshot is a copy of, and on disk as well when that is asked for. */
import type { Batch, Store, StoredRow } from '@xenolith/xapi';

/** All that a store has. Rows are never changed, only replaced. */
export interface StoreContent {
  readonly rows: ReadonlyMap<string, StoredRow>;
  readonly settings: Readonly<Record<string, string>>;
}

export const emptyContent: StoreContent = { rows: new Map(), settings: {} };

export class SimStore implements Store {
  readonly #rows: Map<string, StoredRow>;
  readonly #settings: Record<string, string>;
  /** What else is kept with each commit. */
  readonly #extras: () => Readonly<Record<string, string>>;
  #disk: Store | undefined;
  #generation: number;

  /**
   * @param generation what the database begins above: tokens of earlier pools in this process are to be older
   * @param disk keeps every commit too; is not closed with this store
   */
  constructor(
    content: StoreContent,
    options: {
      readonly generation: number;
      readonly extras: () => Readonly<Record<string, string>>;
      readonly disk?: Store | undefined;
    },
  ) {
    this.#rows = new Map(content.rows);
    this.#settings = { ...content.settings };
    this.#generation = options.generation;
    this.#extras = options.extras;
    this.#disk = options.disk;
  }

  load(): ReturnType<Store['load']> {
    return { rows: [...this.#rows.values()], settings: { ...this.#settings }, generation: this.#generation };
  }

  async commit(batch: Batch): Promise<void> {
    const settings = { ...batch.settings, ...this.#extras() };
    for (const row of batch.puts) this.#rows.set(row.ref, row);
    for (const ref of batch.deletes) this.#rows.delete(ref);
    Object.assign(this.#settings, settings);
    this.#generation = batch.generation;
    await this.#disk?.commit({ ...batch, settings });
  }

  /** What is committed by now. */
  content(): StoreContent {
    return { rows: new Map(this.#rows), settings: { ...this.#settings, ...this.#extras() } };
  }

  /** Leaves the disk to another store: what is still written here is forgotten. */
  detach(): void {
    this.#disk = undefined;
  }

  soon(action: () => void): void {
    void Promise.resolve().then(action);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Everything that a store has on disk. */
export function contentOf(store: Store): StoreContent & { readonly generation: number } {
  const { rows, settings, generation } = store.load();
  return { rows: new Map([...rows].map((row) => [row.ref, row])), settings, generation };
}

/** The batch that makes a store of one content one of another; settings that are too many stay. */
export function replacement(before: StoreContent, after: StoreContent, generation: number): Batch {
  return {
    puts: [...after.rows.values()].filter((row) => before.rows.get(row.ref) !== row),
    deletes: [...before.rows.keys()].filter((ref) => !after.rows.has(ref)),
    settings: after.settings,
    generation,
  };
}
