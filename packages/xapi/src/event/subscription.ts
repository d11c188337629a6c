/** What a client wants to hear of. XAPI: ocaml/xapi/xapi_event.ml, module Subscription; PROTOCOL.md §5. */
import { classTables } from '../datamodel/classes.ts';
import { hasRows } from '../datamodel/registry.ts';
import type { ClassTable } from '../datamodel/schema.ts';
import { XapiError } from '../errors.ts';

/** The classes that have events, and what events call them. */
export const eventClasses: ReadonlyMap<string, string> = new Map(
  (Object.values(classTables) as readonly ClassTable[])
    .filter((table) => table.events && hasRows(table))
    .map((table) => [table.name, table.name.toLowerCase()]),
);

/** Set of subscriptions: everything, whole classes, single objects (`vm/OpaqueRef:…`). */
export class Subscription {
  #everything = false;
  readonly #classes = new Set<string>();
  readonly #objects = new Set<string>();

  readonly #hidden: ReadonlySet<string>;

  /**
   * @param hidden classes that clients are not to hear of, as the tables spell them
   * @throws XapiError EVENT_SUBSCRIPTION_PARSE_FAILURE [text]
   */
  constructor(texts: readonly string[], hidden: ReadonlySet<string> = new Set()) {
    this.#hidden = hidden;
    this.add(texts);
  }

  /** @throws XapiError EVENT_SUBSCRIPTION_PARSE_FAILURE [text]; then nothing was added */
  add(texts: readonly string[]): void {
    for (const entry of texts.map(parseEntry)) {
      if (entry.class === '*') this.#everything = true;
      else if (entry.ref === undefined) this.#classes.add(entry.class);
      else this.#objects.add(`${entry.class}/${entry.ref}`);
    }
  }

  /** Takes back what was added by the same texts. @throws XapiError EVENT_SUBSCRIPTION_PARSE_FAILURE [text] */
  remove(texts: readonly string[]): void {
    for (const entry of texts.map(parseEntry)) {
      if (entry.class === '*') this.#everything = false;
      else if (entry.ref === undefined) this.#classes.delete(entry.class);
      else this.#objects.delete(`${entry.class}/${entry.ref}`);
    }
  }

  get isEmpty(): boolean {
    return !this.#everything && this.#classes.size === 0 && this.#objects.size === 0;
  }

  /** Whether only tasks are asked for: who waits for work to end is told at once. */
  get onlyTasks(): boolean {
    if (this.#everything) return false;
    for (const name of this.#classes) if (name !== 'task') return false;
    for (const name of this.#objects) if (!name.startsWith('task/')) return false;
    return true;
  }

  /** @param className the class as the tables spell it */
  covers(className: string, ref: string): boolean {
    const eventClass = eventClasses.get(className);
    if (eventClass === undefined || this.#hidden.has(className)) return false;
    if (this.#everything || this.#classes.has(eventClass)) return true;
    return this.#objects.size > 0 && this.#objects.has(`${eventClass}/${ref}`);
  }

  /** The classes of which anything may be covered, as the tables spell them. */
  get tables(): readonly string[] {
    return [...eventClasses]
      .filter(
        ([, eventClass]) =>
          this.#everything ||
          this.#classes.has(eventClass) ||
          [...this.#objects].some((object) => object.startsWith(`${eventClass}/`)),
      )
      .map(([name]) => name);
  }
}

interface Entry {
  readonly class: string;
  readonly ref: string | undefined;
}

function parseEntry(text: string): Entry {
  const [className = '', ref, ...more] = text.split('/');
  if (className === '' || ref === '' || more.length > 0 || (className === '*' && ref !== undefined)) {
    throw new XapiError('EVENT_SUBSCRIPTION_PARSE_FAILURE', text);
  }
  return { class: className.toLowerCase(), ref };
}
