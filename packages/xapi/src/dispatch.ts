/**
 * From a method's name and values off the wire to an answer: finding the method, checking session, rights, number
 * and types of arguments, running it under a task, and waiting until what it wrote is durable.
 * XAPI: ocaml/xapi/server_helpers.ml and the generated dispatcher.
 */
import { AssertionError, nullRef, ref as makeRef, type Ref } from '@xenolith/base';
import { encodeXmlValue, type WireValue } from '@xenolith/wire';
import type { Call, Origin } from './call/call.ts';
import { calls } from './call/calls.ts';
import { decodeValue, parseDataType, toWireType, type DataType } from './datamodel/data-type.ts';
import { methods, type Method } from './datamodel/registry.ts';
import { XapiError } from './errors.ts';
import { callGeneric } from './generic.ts';
import { HostError } from './host-driver.ts';
import { assertPermitted, type Rights } from './session/rbac.ts';
import { noTask, type Task } from './task/tasks.ts';
import type { Xapi } from './xapi.ts';

export interface Request {
  readonly method: string;
  readonly params: readonly WireValue[];
  readonly origin: Origin;
}

export type Answer =
  | { readonly ok: true; readonly type: DataType; readonly value: unknown; readonly bare?: boolean }
  | { readonly ok: false; readonly error: readonly string[] };

type Mode = 'sync' | 'async';
type Handler = (call: Call, args: Readonly<Record<string, WireValue>>) => unknown;

/** Classes whose calls never make tasks (`noTaskFor`), and sessions: a task for a login would outlive nobody. */
const taskless = new Set(['task', 'event', 'session']);
const anonymous: Rights = { superuser: false, role: 'read-only' };

export async function dispatch(xapi: Xapi, request: Request): Promise<Answer> {
  try {
    const answer = await route(xapi, request);
    await xapi.db.durable();
    return answer;
  } catch (error) {
    const description = describeError(xapi, request.method, error);
    // What was written before the failure is also seen by others from now on.
    await xapi.db.durable().catch(() => undefined);
    return { ok: false, error: description };
  }
}

/** The wire form of whatever was thrown. A driver's words reach the client; a mistake of ours is logged whole. */
export function describeError(xapi: Xapi, what: string, error: unknown): readonly string[] {
  if (error instanceof XapiError) return error.description;
  if (error instanceof HostError) return ['INTERNAL_ERROR', error.message];
  const message = error instanceof Error ? error.message : String(error);
  xapi.log.error('call failed by a mistake of the program', {
    method: what,
    error: error instanceof Error ? (error.stack ?? message) : message,
  });
  return ['INTERNAL_ERROR', error instanceof AssertionError ? `assertion failed: ${message}` : message];
}

async function route(xapi: Xapi, request: Request): Promise<Answer> {
  const special = systemMethod(request);
  if (special !== undefined) return special;
  const { method, mode } = findMethod(request.method);
  if (method.removed) throw new XapiError('MESSAGE_REMOVED');
  const given = method.session ? request.params.slice(1) : request.params;
  if (
    (method.session && request.params.length === 0) ||
    given.length < method.requiredCount ||
    given.length > method.params.length
  ) {
    const received = Math.max(0, given.length);
    throw new XapiError(
      'MESSAGE_PARAMETER_COUNT_MISMATCH',
      request.method,
      String(method.requiredCount),
      String(received),
    );
  }
  let session = nullRef<'session'>();
  let rights = anonymous;
  if (method.session) {
    const [first] = request.params;
    if (typeof first !== 'string') throw new XapiError('SESSION_INVALID', String(first));
    session = makeRef<'session'>(first);
    rights = xapi.sessions.use(session);
  }
  if (mode === 'async' && !method.async)
    return { ok: false, error: ['Fault', `${request.method} is not asynchronous`] };
  const args = decodeArguments(method, given);
  if (method.session) assertPermitted(rights, method, typeof args['key'] === 'string' ? args['key'] : undefined);
  const call = { xapi, session, rights, origin: request.origin };
  return mode === 'async' ? runAsync(method, call, args) : runSync(method, call, args);
}

/** Methods outside of the data model: what the server has, and whether it is there. */
function systemMethod(request: Request): Answer | undefined {
  if (request.method === 'system.listMethods') {
    const names = [...methods().values()].filter((method) => !method.removed).map((method) => method.fullName);
    return { ok: true, type: parseDataType('set(string)'), value: names, bare: true };
  }
  if (request.method.startsWith('system.isAlive:')) {
    return { ok: true, type: { kind: 'any' }, value: request.params[0] ?? '' };
  }
  return undefined;
}

/** Finds `Class.method`, `Async.Class.method` or the old spelling `Class_method`. */
export function findMethod(name: string): { readonly method: Method; readonly mode: Mode } {
  const table = methods();
  const prefix = /^(?:Internal)?Async\./.exec(name)?.[0] ?? '';
  const method = table.get(name.slice(prefix.length));
  if (method !== undefined) return { method, mode: prefix === '' ? 'sync' : 'async' };
  for (let i = name.indexOf('_'); i > 0 && prefix === ''; i = name.indexOf('_', i + 1)) {
    const old = table.get(`${name.slice(0, i)}.${name.slice(i + 1)}`);
    if (old !== undefined) return { method: old, mode: 'sync' };
  }
  throw new XapiError('MESSAGE_METHOD_UNKNOWN', name);
}

function decodeArguments(method: Method, given: readonly WireValue[]): Readonly<Record<string, WireValue>> {
  const args: Record<string, WireValue> = {};
  for (const [index, param] of method.params.entries()) {
    const value = given[index];
    args[param.name] = value === undefined ? (param.default ?? null) : decodeValue(param.type, value, param.name);
  }
  return args;
}

function handlerOf(method: Method): Handler | undefined {
  const table = (calls as Readonly<Record<string, Readonly<Record<string, Handler>> | undefined>>)[method.className];
  return table !== undefined && Object.hasOwn(table, method.name) ? table[method.name] : undefined;
}

/** Whether a method does anything here: what the coverage page lists. */
export const hasBehaviour = (method: Method): boolean => method.kind !== 'declared' || handlerOf(method) !== undefined;

function invoke(method: Method, call: Call, args: Readonly<Record<string, WireValue>>): unknown {
  const handler = handlerOf(method);
  return handler === undefined ? callGeneric(call.xapi.db, method, args) : handler(call, args);
}

/** Calls that may take time or change something get a task; plain reads would only make noise. */
const wantsTask = (method: Method): boolean =>
  !taskless.has(method.className) &&
  handlerOf(method) !== undefined &&
  !method.name.startsWith('get_') &&
  method.session;

async function runSync(
  method: Method,
  call: Omit<Call, 'task'>,
  args: Readonly<Record<string, WireValue>>,
): Promise<Answer> {
  if (!wantsTask(method)) {
    const value = await invoke(method, { ...call, task: noTask }, args);
    return { ok: true, type: method.result, value };
  }
  const task = call.xapi.tasks.begin(method.fullName, { session: call.session });
  try {
    const value = await invoke(method, { ...call, task }, args);
    return { ok: true, type: method.result, value };
  } finally {
    call.xapi.tasks.vanish(task);
  }
}

/** Starts the work and answers its task at once. */
function runAsync(method: Method, call: Omit<Call, 'task'>, args: Readonly<Record<string, WireValue>>): Answer {
  const task = call.xapi.tasks.begin(`Async.${method.fullName}`, { session: call.session });
  void finishAsync(method, { ...call, task }, args, task);
  return { ok: true, type: parseDataType('ref(task)'), value: task.ref satisfies Ref<'task'> };
}

async function finishAsync(
  method: Method,
  call: Call,
  args: Readonly<Record<string, WireValue>>,
  task: Task,
): Promise<void> {
  const { xapi } = call;
  try {
    const value = await invoke(method, call, args);
    // A task that says success must not be forgotten work.
    await xapi.db.durable();
    xapi.tasks.succeed(task, method.result.kind === 'void' ? '' : encodeXmlValue(toWireType(method.result), value));
  } catch (error) {
    xapi.tasks.fail(task, describeError(xapi, method.fullName, error));
  }
}
