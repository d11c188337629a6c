/** What a client is told by `event.from`, asked in a loop over the client's own transport, in the order in which it is told. */
import type { Xapi as Client } from 'xen-api';

export interface HeardEvent {
  /** Events of one answer were told together: their order says little, that of answers everything. */
  readonly batch: number;
  readonly class: string;
  readonly operation: 'add' | 'mod' | 'del';
  readonly ref: string;
  /** Empty for what is gone. */
  readonly snapshot: Readonly<Record<string, unknown>>;
}

interface EventBatch {
  readonly events: readonly (Omit<HeardEvent, 'batch' | 'snapshot'> & { readonly snapshot?: HeardEvent['snapshot'] })[];
  readonly token: string;
}

/** Seconds that one call waits; with a fraction, as the XML-RPC of the client would else send an integer. */
const waitS = 1.1;

export class EventJournal {
  readonly #events: HeardEvent[] = [];
  readonly #client: Client;
  readonly #classes: readonly string[];
  readonly #listeners = new Set<() => void>();
  #stopped = false;
  #loop: Promise<void> = Promise.resolve();

  private constructor(client: Client, classes: readonly string[]) {
    this.#client = client;
    this.#classes = classes;
  }

  /** Begins to listen; what there is already is left out. */
  static async begin(client: Client, classes: readonly string[]): Promise<EventJournal> {
    const journal = new EventJournal(client, classes);
    const { token } = await journal.#ask('');
    journal.#loop = journal.#listen(token);
    return journal;
  }

  async #ask(token: string): Promise<EventBatch> {
    return (await this.#client.call('event.from', this.#classes, token, waitS)) as EventBatch;
  }

  async #listen(from: string): Promise<void> {
    let token = from;
    for (let batch = 1; !this.#stopped; batch++) {
      const told = await this.#ask(token);
      ({ token } = told);
      for (const { class: name, operation, ref, snapshot } of told.events) {
        this.#events.push({ batch, class: name, operation, ref, snapshot: snapshot ?? {} });
      }
      if (told.events.length > 0) for (const listener of this.#listeners) listener();
    }
  }

  /** How many events there are so far, for {@link since}. */
  get length(): number {
    return this.#events.length;
  }

  since(mark: number): readonly HeardEvent[] {
    return this.#events.slice(mark);
  }

  /** Resolves once an event from `mark` on is as `test` says; fails when the listening does. */
  heard(mark: number, test: (event: HeardEvent) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!this.since(mark).some(test)) return;
        this.#listeners.delete(look);
        resolve();
      };
      this.#listeners.add(look);
      this.#loop.catch(reject);
      look();
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loop;
  }
}

/** Without what is told twice in a row. */
export const distinct = (texts: readonly string[]): readonly string[] =>
  texts.filter((text, index) => text !== texts[index - 1]);

/**
 * Whether what was seen is the path without some of its steps: changes that follow each other within the time of one
 * batch are told as one. The last step is always seen.
 */
export function followsPath(seen: readonly string[], path: readonly string[]): boolean {
  let at = 0;
  for (const step of seen) {
    const found = path.indexOf(step, at);
    if (found < 0) return false;
    at = found + 1;
  }
  return seen.at(-1) === path.at(-1);
}
