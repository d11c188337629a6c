/**
 * Work that a client asks for by an HTTP request of its own: under a right, a task and a line in the audit log, as calls
 * are. XAPI: ocaml/xapi/xapi_http.ml (`with_context`).
 */
import { ref as makeRef, type Ref } from '@xenolith/base';
import { describeError } from '../dispatch.ts';
import { XapiError } from '../errors.ts';
import { assertMayOverHttp, type HttpAction } from '../session/http-actions.ts';
import { allows, type Rights } from '../session/rbac.ts';
import type { Task } from '../task/tasks.ts';
import type { Xapi } from '../xapi.ts';

export interface HttpWork {
  readonly xapi: Xapi;
  readonly session: Ref<'session'>;
  readonly rights: Rights;
  readonly action: HttpAction;
  /** What a task that is made for it is called. */
  readonly label: string;
  /** A task of the client's (`task_id`) that is to show how it goes; one is made when absent. */
  readonly taskId: string | undefined;
}

/** How work ended: its value, or why it came to nothing, in the form of `ErrorDescription`. */
export type HttpOutcome = { readonly error?: undefined } | { readonly error: readonly string[] };

/**
 * Does the work, and tells its task how it ended. Never throws.
 * @param work gives the XML-RPC text of its result, which the task shows
 */
export async function runHttpWork(given: HttpWork, work: (task: Task) => Promise<string>): Promise<HttpOutcome> {
  const { xapi, session, action } = given;
  const subject = xapi.sessions.subjectOf(session);
  let task: Task | undefined;
  try {
    task = taskOf(given);
    assertMayOverHttp(given.rights, action);
    const result = await work(task);
    // A task that says success must not be forgotten work.
    await xapi.db.durable();
    xapi.tasks.succeed(task, result);
    xapi.audit.http(subject, action);
    return {};
  } catch (error) {
    // Whatever else was torn down by it, it was the cancelling that ended it.
    const cause = task?.cancelled === true ? new XapiError('TASK_CANCELLED', task.ref) : error;
    const description = describeError(xapi, `http/${action}`, cause);
    if (task !== undefined) xapi.tasks.fail(task, description);
    xapi.audit.http(subject, action, {}, description[0]);
    return { error: description };
  }
}

/** @throws XapiError HANDLE_INVALID, RBAC_PERMISSION_DENIED for another user's task, OPERATION_NOT_ALLOWED for one that has ended */
function taskOf({ xapi, session, rights, label, taskId }: HttpWork): Task {
  if (taskId === undefined) return xapi.tasks.begin(label, { session });
  const task = makeRef<'task'>(taskId);
  xapi.db.get('task', task);
  if (!xapi.tasks.isOwn(task, session) && !allows(rights, 'pool-operator')) {
    throw new XapiError('RBAC_PERMISSION_DENIED', 'task.destroy/any', "another user's task");
  }
  return xapi.tasks.adopt(task);
}
