/**
 * Waiting for changes: `event.from` and the older `event.next`. XAPI: ocaml/xapi/xapi_event.ml; PROTOCOL.md §5.
 *
 * Nothing is queued for anybody. A client says how far it has come, and the change log tells what is new since then:
 * one event an object, however often it changed, at a cost that grows with the changes. Who finds nothing waits for
 * the database's bell.
 */
import { nullRef, ref as makeRef, type Clock, type Disposable, type Ref } from '@xenolith/base';
import type { Call } from '../call/call.ts';
import { classTables } from '../datamodel/classes.ts';
import type { ClassTable } from '../datamodel/schema.ts';
import { Surface } from '../datamodel/surface.ts';
import type { Change } from '../database/change-log.ts';
import type { Database } from '../database/database.ts';
import { XapiError } from '../errors.ts';
import type { Sessions } from '../session/sessions.ts';
import type { EventBatch, EventRecord } from './event-record.ts';
import { eventClasses, Subscription } from './subscription.ts';
import { formatToken, parseToken } from './token.ts';

/**
 * A session is answered at most once in this time, with all that happened since: a busy pool would have it asking without
 * end. Who waits for a change hears of it at once when the answer before is longer ago; who waits for tasks only, always.
 * XAPI waits as long before each answer (ocaml/xapi/xapi_event.ml, `event_from_delay`).
 */
export const answerIntervalMs = 50;
/** The longest that `event.from` waits, whatever was asked for. */
export const timeoutMaxMs = 3600 * 1000;
/** How often a silent `event.next` is shown a sign of life: a change of the pool that is none. */
export const heartbeatMs = 30 * 1000;
/** Calls that may wait at once. */
export const waitersPerSessionMax = 64;
export const waitersMax = 4096;

/** Who asks. */
export type Listener = Pick<Call, 'session' | 'onClientGone'>;

/** A call that waits. */
interface Waiter {
  readonly session: Ref<'session'>;
  readonly subscription: Subscription;
  /** Called at the first change that the subscription covers. */
  readonly heard: (change: Change) => void;
  readonly sessionEnded: () => void;
}

/** What there is to tell, and the state of the database that it was read from. */
interface Told {
  readonly events: readonly EventRecord[];
  readonly counts: Readonly<Record<string, number>>;
  readonly generation: number;
}

/** What one session has going on. */
interface Listening {
  waiters: number;
  /** When a call of this session that is paced was last answered with something. */
  answeredMs: number;
  /** The subscription of event.register, and how far event.next has told of it. */
  registered?: { readonly subscription: Subscription; generation: number };
}

export class Events {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #surface: Surface;
  readonly #hidden: ReadonlySet<string>;
  readonly #sessions = new Map<Ref<'session'>, Listening>();
  readonly #waiters = new Set<Waiter>();
  /** One object for all who are told the same numbers, so that its text is made once. */
  #counts: Readonly<Record<string, number>> | undefined;

  constructor(db: Database, clock: Clock, sessions: Sessions, surface = new Surface()) {
    this.#surface = surface;
    this.#hidden = surface.hiddenClasses;
    this.#db = db;
    this.#clock = clock;
    db.changed.listen((change) => {
      if (change.kind === 'del' || change.created === change.generation) this.#counts = undefined;
      for (const waiter of this.#waiters) {
        if (waiter.subscription.covers(change.class, change.ref)) waiter.heard(change);
      }
    });
    sessions.ended.listen((session) => {
      this.#sessions.delete(session);
      for (const waiter of this.#waiters) if (waiter.session === session) waiter.sessionEnded();
    });
  }

  /**
   * What changed since a token, waiting for something to change when nothing has.
   * @param timeoutS seconds to wait at most; the answer then has no events
   * @throws XapiError EVENT_SUBSCRIPTION_PARSE_FAILURE, EVENT_FROM_TOKEN_PARSE_FAILURE; EVENTS_LOST when the token is
   *   from before what is remembered; SESSION_INVALID when the session ends meanwhile; TOO_BUSY
   */
  async from(caller: Listener, classes: readonly string[], token: string, timeoutS: number): Promise<EventBatch> {
    const subscription = new Subscription(classes, this.#hidden);
    const since = parseToken(token);
    const waitMs = Math.min(timeoutMaxMs, Math.max(0, timeoutS * 1000) || 0);
    const told =
      since === 0
        ? this.#told(this.#everything(subscription))
        : await this.#changes(caller, subscription, since, this.#clock.now() + waitMs);
    return { events: told.events, valid_ref_counts: told.counts, token: formatToken(told.generation) };
  }

  /** Events together with the numbers of the same moment: a change between the two would never be told. */
  #told(events: readonly EventRecord[]): Told {
    this.#counts ??= Object.fromEntries(
      countedClasses
        .filter(([name]) => !this.#hidden.has(name))
        .map(([name, eventName]) => [eventName, this.#db.count(name)]),
    );
    return { events, counts: this.#counts, generation: this.#db.generation };
  }

  /** Every object that there is, as new. */
  #everything(subscription: Subscription): readonly EventRecord[] {
    const events: EventRecord[] = [];
    for (const className of subscription.tables) {
      for (const ref of this.#db.refs(className as keyof typeof classTables)) {
        if (subscription.covers(className, ref)) events.push(this.#put(className, ref, 'add', '0.0'));
      }
    }
    return events;
  }

  /** The events after `since`; when there are none, those of the first changes before `deadlineMs`. */
  async #changes(
    caller: Listener,
    subscription: Subscription,
    since: number,
    deadlineMs: number,
    timestamp = '0.0',
  ): Promise<Told> {
    const listening = this.#listening(caller.session);
    const isPaced = !subscription.onlyTasks;
    const holdMs = Math.min(deadlineMs, listening.answeredMs + answerIntervalMs) - this.#clock.now();
    if (isPaced && holdMs > 0) await this.#wait(caller, new Subscription([]), holdMs);
    let from = since;
    for (;;) {
      const events = this.#since(subscription, from, timestamp);
      const leftMs = deadlineMs - this.#clock.now();
      if (isPaced && events.length > 0) listening.answeredMs = this.#clock.now();
      if (events.length > 0 || leftMs <= 0) return this.#told(events);
      // Nothing until now concerns this subscription, so the log may forget it.
      from = this.#db.generation;
      const first = await this.#wait(caller, subscription, leftMs);
      from = Math.max(from, (first?.generation ?? this.#db.generation) - 1);
    }
  }

  /** The changes after a generation, objects that came first and those that went last. */
  #since(subscription: Subscription, since: number, timestamp: string): readonly EventRecord[] {
    const { log, generation } = this.#db;
    // A number from the future is one from before a restart.
    if (since < log.completeSince || since > generation) throw new XapiError('EVENTS_LOST');
    const added: Change[] = [];
    const modified: EventRecord[] = [];
    const deleted: EventRecord[] = [];
    for (const change of log.since(since)) {
      if (!subscription.covers(change.class, change.ref)) continue;
      const isNew = change.created > since;
      if (change.kind === 'put' && isNew) added.push(change);
      else if (change.kind === 'put') modified.push(this.#put(change.class, change.ref, 'mod', timestamp));
      else if (!isNew) {
        deleted.push({
          id: change.class === 'message' ? '0' : String(change.generation),
          timestamp,
          class: eventName(change.class),
          operation: 'del',
          ref: change.ref,
        });
      }
    }
    added.sort((a, b) => a.created - b.created);
    return [...added.map((change) => this.#put(change.class, change.ref, 'add', timestamp)), ...modified, ...deleted];
  }

  #put(className: string, ref: string, operation: 'add' | 'mod', timestamp: string): EventRecord {
    const record = this.#db.getAny(className, ref);
    return {
      id: className === 'message' ? '0' : String(this.#db.history(ref)?.modified ?? 0),
      timestamp,
      class: eventName(className),
      operation,
      ref,
      snapshot: { type: this.#surface.recordType(className), value: record },
    };
  }

  #listening(session: Ref<'session'>): Listening {
    let listening = this.#sessions.get(session);
    if (listening === undefined) this.#sessions.set(session, (listening = { waiters: 0, answeredMs: 0 }));
    return listening;
  }

  /**
   * Waits at most `leftMs` for a change that the subscription covers, and until all that is written with it is.
   * Gives the change; undefined when there was none.
   * @throws XapiError TASK_CANCELLED when the client has left, which nobody hears: its place is for others
   */
  #wait({ session, onClientGone }: Listener, subscription: Subscription, leftMs: number): Promise<Change | undefined> {
    const listening = this.#listening(session);
    if (listening.waiters >= waitersPerSessionMax || this.#waiters.size >= waitersMax) throw new XapiError('TOO_BUSY');
    return new Promise((resolve, reject) => {
      let first: Change | undefined;
      let leaving: Disposable | undefined;
      const end = (settle: () => void): void => {
        deadline.dispose();
        leaving?.dispose();
        if (this.#waiters.delete(waiter)) {
          listening.waiters--;
          settle();
        }
      };
      const done = (): void => {
        end(() => {
          resolve(first);
        });
      };
      const waiter: Waiter = {
        session,
        subscription,
        heard: (change) => {
          if (first !== undefined) return;
          first = change;
          this.#db.soon(done);
        },
        sessionEnded: () => {
          end(() => {
            reject(new XapiError('SESSION_INVALID', session));
          });
        },
      };
      const deadline = this.#clock.after(leftMs, done);
      listening.waiters++;
      this.#waiters.add(waiter);
      leaving = onClientGone(() => {
        end(() => {
          reject(new XapiError('TASK_CANCELLED', nullRef()));
        });
      });
    });
  }

  // ---- the old form: one subscription a session -----------------------------------------------------------------

  /** Begins to listen for `event.next`. @throws XapiError EVENT_SUBSCRIPTION_PARSE_FAILURE [text] */
  register(session: Ref<'session'>, classes: readonly string[]): void {
    const listening = this.#listening(session);
    const subscription = new Subscription(classes, this.#hidden);
    if (listening.registered === undefined) {
      listening.registered = { subscription, generation: this.#db.generation };
    } else listening.registered.subscription.add(classes);
  }

  /** Takes back what was registered. @throws XapiError EVENT_SUBSCRIPTION_PARSE_FAILURE [text] */
  unregister(session: Ref<'session'>, classes: readonly string[]): void {
    const listening = this.#listening(session);
    listening.registered?.subscription.remove(classes);
    if (listening.registered?.subscription.isEmpty === true) delete listening.registered;
  }

  /**
   * What changed since the call before, waiting until something does.
   * @throws XapiError SESSION_NOT_REGISTERED [session]; EVENTS_LOST when more went by than is remembered, after which
   *   it goes on from now; SESSION_INVALID when the session ends meanwhile; TOO_BUSY
   */
  async next(caller: Listener): Promise<readonly EventRecord[]> {
    const { session } = caller;
    const registered = this.#sessions.get(session)?.registered;
    if (registered === undefined) throw new XapiError('SESSION_NOT_REGISTERED', session);
    const { subscription } = registered;
    for (;;) {
      const now = this.#clock.now();
      const timestamp = `${Math.floor(now / 1000)}.0`;
      let told: Told;
      try {
        told = await this.#changes(caller, subscription, registered.generation, now + heartbeatMs, timestamp);
      } catch (error) {
        if (error instanceof XapiError && error.code === 'EVENTS_LOST') registered.generation = this.#db.generation;
        throw error;
      }
      registered.generation = told.generation;
      if (told.events.length > 0) return told.events;
      const [pool] = this.#db.refs('pool');
      if (pool !== undefined && subscription.covers('pool', pool)) return [this.#put('pool', pool, 'mod', timestamp)];
    }
  }

  // ---- both -----------------------------------------------------------------------------------------------------

  /**
   * Counts an object as changed, and gives the token from just before: whoever goes on from there hears of this
   * object and of everything since. @throws XapiError HANDLE_INVALID [class, ref]
   */
  inject(className: string, ref: string): string {
    return formatToken(this.#db.bump(className, makeRef(ref)));
  }

  /** The number of the last change. */
  get currentId(): number {
    return this.#db.generation;
  }

  /** Calls that wait at present. */
  get waiting(): number {
    return this.#waiters.size;
  }
}

/** What is counted for clients: the classes of XAPI's database, so no messages. */
const countedClasses: readonly (readonly [name: string, eventName: string])[] = (
  Object.values(classTables) as readonly ClassTable[]
)
  .filter((table) => table.inDatabase)
  .map((table) => [table.name, table.name.toLowerCase()]);

const eventName = (className: string): string => eventClasses.get(className) ?? className.toLowerCase();
