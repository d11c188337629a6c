/**
 * Tasks: work that others can watch, wait for and cancel. XAPI: ocaml/xapi/taskHelpers.ml and xapi_task.ml.
 */
import { nullRef, Signal, type Clock, type Disposable, type Ref } from '@xenolith/base';
import { formatDateTime, type WireValue } from '@xenolith/wire';
import type { Database } from '../database/database.ts';
import { XapiError } from '../errors.ts';

/** Finished tasks stay readable for this long (`Xapi_globs.completed_task_timeout`). */
export const finishedTaskLifeMs = 65 * 60 * 1000;
/** More tasks than this at once are refused: a client that makes them without end must not fill the memory. */
export const tasksMax = 10_000;

/** The side of a task that the work itself holds. */
export interface Task {
  readonly ref: Ref<'task'>;
  /** @param fraction from 0 to 1 */
  setProgress(fraction: number): void;
  readonly cancelled: boolean;
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
  throwIfCancelled() {},
  onCancel: () => ({ dispose() {} }),
};

export interface TaskOptions {
  readonly description?: string;
  readonly session?: Ref<'session'>;
  readonly subtaskOf?: Ref<'task'>;
  readonly residentOn?: Ref<'host'>;
}

interface Running {
  /** Who began it: may cancel and destroy it without further rights. */
  readonly session: Ref<'session'>;
  cancelled: boolean;
  readonly cancel: Signal<undefined>;
}

export class Tasks {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #running = new Map<Ref<'task'>, Running>();

  constructor(db: Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** Begins a task. @throws XapiError INTERNAL_ERROR when there are too many. */
  begin(label: string, options: TaskOptions = {}): Task {
    if (this.#db.count('task') >= tasksMax) throw new XapiError('INTERNAL_ERROR', `more than ${tasksMax} tasks`);
    const ref = this.#db.create('task', {
      name_label: label,
      name_description: options.description ?? '',
      created: formatDateTime(this.#clock.now()),
      status: 'pending',
      progress: 0,
      subtask_of: options.subtaskOf ?? nullRef(),
      resident_on: options.residentOn ?? nullRef(),
      type: '<none/>',
      backtrace: '()',
    });
    const running: Running = { session: options.session ?? nullRef(), cancelled: false, cancel: new Signal() };
    this.#running.set(ref, running);
    return this.#handle(ref, running);
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
      throwIfCancelled() {
        if (running.cancelled) throw new XapiError('TASK_CANCELLED', ref);
      },
      onCancel: (action) => {
        if (running.cancelled) action();
        const listening = running.cancel.listen(action);
        this.#showCancellable(ref, true);
        return {
          dispose: () => {
            listening.dispose();
            this.#showCancellable(ref, running.cancel.listenerCount > 0);
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

  /** Asks a task to stop. @throws XapiError OPERATION_NOT_ALLOWED when it cannot be stopped. */
  cancel(ref: Ref<'task'>): void {
    const running = this.#running.get(ref);
    if (running === undefined || running.cancel.listenerCount === 0) {
      throw new XapiError('OPERATION_NOT_ALLOWED', `task ${ref} cannot be cancelled`);
    }
    running.cancelled = true;
    this.#db.update('task', ref, { status: 'cancelling' });
    running.cancel.emit(undefined);
  }

  /** @param resultXml the XML-RPC text of the value, as `task.result` shows it. */
  succeed(task: Task, resultXml: string): void {
    this.#finish(task.ref, { status: 'success', progress: 1, result: resultXml });
  }

  fail(task: Task, description: readonly string[]): void {
    const cancelled = description[0] === 'TASK_CANCELLED';
    this.#finish(task.ref, { status: cancelled ? 'cancelled' : 'failure', progress: 1, error_info: description });
  }

  #finish(ref: Ref<'task'>, outcome: Readonly<Record<string, WireValue>>): void {
    this.#running.delete(ref);
    if (!this.#db.has('task', ref)) return;
    this.#db.updateAny('task', ref, {
      ...outcome,
      finished: formatDateTime(this.#clock.now()),
      allowed_operations: [],
      current_operations: {},
    });
    this.#clock.after(finishedTaskLifeMs, () => {
      this.#db.destroy('task', ref);
    });
  }

  /** Ends a task that only its own call watched: it disappears with the answer. */
  vanish(task: Task): void {
    this.#running.delete(task.ref);
    this.#db.destroy('task', task.ref);
  }

  /** The session that began a task which still runs. */
  ownerOf(ref: Ref<'task'>): Ref<'session'> | undefined {
    return this.#running.get(ref)?.session;
  }

  isRunning(ref: Ref<'task'>): boolean {
    return this.#running.has(ref);
  }
}
