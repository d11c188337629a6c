/**
 * Tasks: work that others can watch, wait for and cancel. XAPI: ocaml/xapi/taskHelpers.ml and xapi_task.ml.
 */
import { nullRef, Signal, type Clock, type Disposable, type Ref } from '@xenolith/base';
import { formatDateTime } from '@xenolith/wire';
import type { Database } from '../database/database.ts';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';

/** Finished tasks stay readable for this long (`Xapi_globs.completed_task_timeout`). */
export const finishedTaskLifeMs = 65 * 60 * 1000;
/** Tasks that a client made and never finished go after this long (`Xapi_globs.pending_task_timeout`). */
export const pendingTaskLifeMs = 24 * 60 * 60 * 1000;
/**
 * Tasks at once: a client that makes them without end must not fill the memory. The oldest finished one makes room;
 * when all of them are still at work, the call is refused.
 */
export const tasksMax = 10_000;

/** The side of a task that the work itself holds. */
export interface Task {
  readonly ref: Ref<'task'>;
  /** @param fraction from 0 to 1 */
  setProgress(fraction: number): void;
  readonly cancelled: boolean;
  /** Other work took away what it works on, as a hard shutdown does: what goes wrong from then on is no surprise. */
  readonly overtaken: boolean;
  /** @throws XapiError TASK_CANCELLED when somebody asked for it. */
  throwIfCancelled(): void;
  /** Rings when the task is cancelled, at once when it was already. Makes the task cancellable until disposed. */
  onCancel(action: () => void): Disposable;
}

/** A task for work that nobody needs to watch. */
export const noTask: Task = {
  ref: nullRef(),
  setProgress() {},
  cancelled: false,
  overtaken: false,
  throwIfCancelled() {},
  onCancel: () => ({ dispose() {} }),
};

export interface TaskOptions {
  readonly description?: string;
  readonly session?: Ref<'session'>;
  readonly subtaskOf?: Ref<'task'>;
  readonly residentOn?: Ref<'host'>;
}

/** Who a task belongs to: may cancel and destroy it without further rights, also from another login. */
interface Owner {
  readonly session: Ref<'session'>;
  readonly userName: string;
}

interface Running {
  cancelled: boolean;
  overtaken: boolean;
  readonly cancel: Signal<undefined>;
}

export class Tasks {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #owners = new Map<Ref<'task'>, Owner>();
  readonly #running = new Map<Ref<'task'>, Running>();
  /** When tasks without work behind them go; each map is in the order of time. */
  readonly #finished = new Map<Ref<'task'>, number>();
  readonly #pending = new Map<Ref<'task'>, number>();
  #sweep: { readonly atMs: number; readonly timer: Disposable } | undefined;

  constructor(db: Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** How much of the server's own work is under way. */
  get runningCount(): number {
    return this.#running.size;
  }

  /** Begins a task of the server's own work. @throws XapiError TOO_MANY_PENDING_TASKS */
  begin(label: string, options: TaskOptions = {}): Task {
    const ref = this.#create(label, options);
    const running: Running = { cancelled: false, overtaken: false, cancel: new Signal() };
    this.#running.set(ref, running);
    return this.#handle(ref, running);
  }

  /** A task that a client makes, and sees to itself. @throws XapiError TOO_MANY_PENDING_TASKS */
  createForClient(label: string, options: TaskOptions): Ref<'task'> {
    const ref = this.#create(label, options);
    this.#pending.set(ref, this.#clock.now() + pendingTaskLifeMs);
    this.#planSweep();
    return ref;
  }

  /**
   * Takes a task that a client made for work of the server's own, which is about to begin.
   * @throws XapiError OPERATION_NOT_ALLOWED when it has ended, or is worked on already
   */
  adopt(ref: Ref<'task'>): Task {
    if (!this.#pending.delete(ref)) {
      throw new XapiError('OPERATION_NOT_ALLOWED', `task ${ref} has ended, or is at work already`);
    }
    const running: Running = { cancelled: false, overtaken: false, cancel: new Signal() };
    this.#running.set(ref, running);
    return this.#handle(ref, running);
  }

  #create(label: string, options: TaskOptions): Ref<'task'> {
    this.#makeRoom();
    const session = options.session ?? nullRef<'session'>();
    // `session` is a column that clients never see: `session.tasks` follows from it.
    const fields: Partial<RecordOf<'task'>> & { readonly session: Ref<'session'> } = {
      session,
      name_label: label,
      name_description: options.description ?? '',
      created: formatDateTime(this.#clock.now()),
      status: 'pending',
      subtask_of: options.subtaskOf ?? nullRef(),
      resident_on: options.residentOn ?? this.#coordinator(),
      type: '<none/>',
    };
    const ref = this.#db.create('task', fields);
    this.#owners.set(ref, { session, userName: this.#db.find('session', session)?.auth_user_name ?? '' });
    return ref;
  }

  /** The work is this server's, and the pool's coordinator stands for it; null while the pool has no host. */
  #coordinator(): Ref<'host'> {
    const [pool] = this.#db.refs('pool');
    return pool === undefined ? nullRef() : this.#db.get('pool', pool).master;
  }

  #makeRoom(): void {
    if (this.#db.count('task') < tasksMax) return;
    const [oldest] = this.#finished.keys();
    if (oldest === undefined) throw new XapiError('TOO_MANY_PENDING_TASKS');
    this.destroy(oldest);
  }

  #handle(ref: Ref<'task'>, running: Running): Task {
    const db = this.#db;
    return {
      ref,
      setProgress(fraction) {
        if (db.has('task', ref)) db.update('task', ref, { progress: Math.min(1, Math.max(0, fraction)) });
      },
      get cancelled() {
        return running.cancelled;
      },
      get overtaken() {
        return running.overtaken;
      },
      throwIfCancelled() {
        if (running.cancelled) throw new XapiError('TASK_CANCELLED', ref);
      },
      onCancel: (action) => {
        if (running.cancelled) action();
        const listening = running.cancel.listen(action);
        this.#showCancellable(ref, !running.cancelled);
        return {
          dispose: () => {
            listening.dispose();
            this.#showCancellable(ref, !running.cancelled && running.cancel.listenerCount > 0);
          },
        };
      },
    };
  }

  #showCancellable(ref: Ref<'task'>, cancellable: boolean): void {
    if (this.#running.has(ref) && this.#db.has('task', ref)) {
      this.#db.update('task', ref, { allowed_operations: cancellable ? ['cancel'] : [] });
    }
  }

  /** Asks a task to stop; asking again does nothing more. @throws XapiError OPERATION_NOT_ALLOWED when it cannot. */
  cancel(ref: Ref<'task'>): void {
    const running = this.#running.get(ref);
    if (running?.cancelled === true) return;
    if (running === undefined || running.cancel.listenerCount === 0) {
      throw new XapiError('OPERATION_NOT_ALLOWED', `task ${ref} cannot be cancelled`);
    }
    running.cancelled = true;
    if (this.#db.has('task', ref)) this.#db.update('task', ref, { status: 'cancelling', allowed_operations: [] });
    running.cancel.emit(undefined);
  }

  /** Says that a task's work is {@link Task.overtaken}; one that has ended is not. */
  overtake(ref: Ref<'task'>): void {
    const running = this.#running.get(ref);
    if (running !== undefined) running.overtaken = true;
  }

  /** @param resultXml the XML-RPC text of the value, as `task.result` shows it. */
  succeed(task: Task, resultXml: string): void {
    this.#finish(task.ref, { status: 'success', result: resultXml });
  }

  fail(task: Task, description: readonly string[]): void {
    const cancelled = description[0] === 'TASK_CANCELLED';
    this.#finish(task.ref, { status: cancelled ? 'cancelled' : 'failure', error_info: description });
  }

  #finish(ref: Ref<'task'>, outcome: Partial<RecordOf<'task'>>): void {
    this.#running.delete(ref);
    if (!this.#db.has('task', ref)) return;
    this.#db.update('task', ref, { ...outcome, progress: 1, allowed_operations: [], current_operations: {} });
    this.#markFinished(ref);
  }

  /**
   * Sets the status of a task that a client made. A task of the server's own tells the truth by itself.
   * @throws XapiError OPERATION_NOT_ALLOWED for a task that the server works on
   */
  setStatus(ref: Ref<'task'>, status: RecordOf<'task'>['status']): void {
    this.setByClient(ref, { status });
    if (status !== 'pending' && status !== 'cancelling') this.#markFinished(ref);
  }

  /** Writes fields of a task that a client made. @throws XapiError OPERATION_NOT_ALLOWED as {@link setStatus} */
  setByClient(ref: Ref<'task'>, fields: Partial<RecordOf<'task'>>): void {
    if (this.#running.has(ref)) {
      throw new XapiError('OPERATION_NOT_ALLOWED', `task ${ref} is the server's own and still at work`);
    }
    this.#db.update('task', ref, fields);
  }

  #markFinished(ref: Ref<'task'>): void {
    if (this.#finished.has(ref)) return;
    const now = this.#clock.now();
    this.#db.update('task', ref, { finished: formatDateTime(now) });
    this.#pending.delete(ref);
    this.#finished.set(ref, now + finishedTaskLifeMs);
    this.#planSweep();
  }

  /** Removes a task. Work that is under way goes on unseen. */
  destroy(ref: Ref<'task'>): void {
    this.#owners.delete(ref);
    this.#finished.delete(ref);
    this.#pending.delete(ref);
    this.#db.destroy('task', ref);
  }

  /** Ends a task that only its own call watched: it disappears with the answer. */
  vanish(task: Task): void {
    this.#running.delete(task.ref);
    this.destroy(task.ref);
  }

  /** Whether a session began a task, or another session of the same user did. */
  isOwn(ref: Ref<'task'>, session: Ref<'session'>): boolean {
    const owner = this.#owners.get(ref);
    if (owner === undefined) return false;
    if (owner.session === session) return true;
    return owner.userName !== '' && this.#db.find('session', session)?.auth_user_name === owner.userName;
  }

  /** One timer for all: for the task that goes next. */
  #planSweep(): void {
    const [finishedAt] = this.#finished.values();
    const [pendingAt] = this.#pending.values();
    const nextMs = Math.min(finishedAt ?? Infinity, pendingAt ?? Infinity);
    if (nextMs >= (this.#sweep?.atMs ?? Infinity)) return;
    this.#sweep?.timer.dispose();
    const timer = this.#clock.after(Math.max(0, nextMs - this.#clock.now()), () => {
      this.#sweep = undefined;
      this.#removeDue(this.#finished);
      this.#removeDue(this.#pending);
      this.#planSweep();
    });
    this.#sweep = { atMs: nextMs, timer };
  }

  #removeDue(due: ReadonlyMap<Ref<'task'>, number>): void {
    const now = this.#clock.now();
    for (const [ref, atMs] of due) {
      if (atMs > now) break;
      this.destroy(ref);
    }
  }

  /** Stops the timer. */
  close(): void {
    this.#sweep?.timer.dispose();
  }
}
