/**
 * From a method's name and values off the wire to an answer: finding the method, checking session, rights, number
 * and types of arguments, running it under a task, and waiting until what it wrote is durable.
 * XAPI: ocaml/xapi/server_helpers.ml and the generated dispatcher; PROTOCOL.md §2 and §6.
 */
import { AssertionError, nullRef, ref as makeRef, type Ref } from '@xenolith/base';
import { encodeXmlValue, type WireValue } from '@xenolith/wire';
import { ShapedResult, type Call, type OnClientGone, type Origin } from './call/call.ts';
import { calls } from './call/calls.ts';
import { callPoolExtension } from './call/host-programs.ts';
import type { AnyRecord } from './database/record-shape.ts';
import { decodeValue, parseDataType, toWireType, type DataType } from './datamodel/data-type.ts';
import { methods, type Method } from './datamodel/registry.ts';
import { XapiError } from './errors.ts';
import { callGeneric, checkedCreation } from './generic.ts';
import { HostError } from './host-driver.ts';
import { hostRefusal } from './host-error.ts';
import { isAudited } from './session/audit.ts';
import { allows, assertPermitted, type Rights } from './session/rbac.ts';
import { noTask, type Task } from './task/tasks.ts';
import type { Xapi } from './xapi.ts';

export interface Request {
  readonly method: string;
  readonly params: readonly WireValue[];
  readonly origin: Origin;
  readonly onClientGone?: OnClientGone;
}

export type Answer =
  | { readonly ok: true; readonly type: DataType; readonly value: unknown; readonly bare?: boolean }
  | { readonly ok: false; readonly error: readonly string[] };

type Arguments = Readonly<Record<string, WireValue>>;
type Handler = (call: Call, args: Arguments) => unknown;

/** A method under one of its names, with everything worked out that a request does not change. */
interface Route {
  readonly method: Method;
  readonly mode: 'sync' | 'async';
  readonly handler: Handler | undefined;
  /** Whether a plain call shows a task while it runs. */
  readonly showsTask: boolean;
  /** Whether it is a line in the audit log. */
  readonly audited: boolean;
}

/**
 * Classes whose plain calls make no tasks: `noTaskFor` of XAPI, and what never takes time. A task for a login would
 * belong to nobody.
 */
const taskless = new Set(['task', 'event', 'session', 'message', 'role', 'secret']);
const neverGone: OnClientGone = () => ({ dispose() {} });
const anonymous: Rights = { superuser: false, role: 'read-only' };

/** Carries out one request. Never throws: whatever goes wrong is an answer. */
export async function dispatch(xapi: Xapi, request: Request): Promise<Answer> {
  try {
    const outcome = route(xapi, request);
    const answer = outcome instanceof Promise ? await outcome : outcome;
    if (!xapi.db.isDurable) await xapi.db.durable();
    return answer;
  } catch (error) {
    const description = describeError(xapi, request.method, error);
    // What was written before the failure is also seen by others from now on.
    await xapi.db.durable().catch(() => undefined);
    return { ok: false, error: description };
  }
}

/** The wire form of a refusal; undefined for anything else. */
function describeKnown(error: unknown): readonly string[] | undefined {
  if (error instanceof XapiError) return error.description;
  return error instanceof HostError ? hostRefusal(error).description : undefined;
}

/** The wire form of whatever was thrown. A driver's words reach the client; a mistake of ours is logged whole. */
export function describeError(xapi: Xapi, what: string, error: unknown): readonly string[] {
  const known = describeKnown(error);
  if (known !== undefined) return known;
  const message = error instanceof Error ? error.message : String(error);
  xapi.log.error('call failed by a mistake of the program', {
    method: what,
    error: error instanceof Error ? (error.stack ?? message) : message,
  });
  return ['INTERNAL_ERROR', error instanceof AssertionError ? `assertion failed: ${message}` : message];
}

function route(xapi: Xapi, request: Request): Answer | Promise<Answer> {
  const found = findRoute(request.method);
  if (found === undefined || xapi.surface.hidesMethod(found.method)) return systemMethod(xapi, request);
  const { method, mode } = found;
  if (method.removed) throw new XapiError('MESSAGE_REMOVED');
  if (mode === 'async' && !method.async) {
    return { ok: false, error: ['Fault', `${method.fullName} is not asynchronous`] };
  }
  const given = method.session ? request.params.slice(1) : request.params;
  const most = xapi.surface.parameterCount(method);
  if ((method.session && request.params.length === 0) || given.length < method.requiredCount || given.length > most) {
    const expected = given.length > most ? most : method.requiredCount;
    throw new XapiError('MESSAGE_PARAMETER_COUNT_MISMATCH', request.method, String(expected), String(given.length));
  }
  let session = nullRef<'session'>();
  let rights = anonymous;
  if (method.session) {
    const [first] = request.params;
    if (typeof first !== 'string') throw new XapiError('SESSION_INVALID', JSON.stringify(first));
    session = makeRef<'session'>(first);
    rights = xapi.sessions.use(session);
  }
  const args = decodeArguments(method, given);
  if (method.session) {
    try {
      assertPermitted(rights, method, typeof args['key'] === 'string' ? args['key'] : undefined);
    } catch (error) {
      xapi.audit.denied(xapi.sessions.subjectOf(session), method, args);
      throw error;
    }
  }
  if (method.poolInternal) throw new XapiError('INTERNAL_ERROR', `${method.fullName} is a call between hosts`);
  const call = { xapi, session, rights, origin: request.origin, onClientGone: neverGone };
  // Work in the background goes on without the client that began it.
  if (mode === 'async') return runAsync(found, call, args);
  return runSync(found, { ...call, onClientGone: request.onClientGone ?? neverGone }, args);
}

/** Methods outside of the data model: what the server has, and whether it is there. */
function systemMethod(xapi: Xapi, request: Request): Answer | Promise<Answer> {
  if (request.method === 'system.listMethods') {
    const shown = [...methods().values()].filter((method) => !method.removed && !xapi.surface.hidesMethod(method));
    const names = shown.map((method) => method.fullName);
    return { ok: true, type: parseDataType('set(string)'), value: names, bare: true };
  }
  if (request.method.startsWith('system.isAlive:')) {
    return { ok: true, type: { kind: 'any' }, value: request.params[0] ?? '' };
  }
  return extensionMethod(xapi, request);
}

/**
 * A method that is in no table may be an extension of the coordinator, for who may call those; to all others it is as
 * unknown as if there were none.
 */
async function extensionMethod(xapi: Xapi, { method, params }: Request): Promise<Answer> {
  const [session] = params;
  const call = methods().get('host.call_extension');
  if (typeof session === 'string' && call !== undefined && xapi.sessions.isOpen(makeRef<'session'>(session))) {
    const rights = xapi.sessions.use(makeRef<'session'>(session));
    if (allows(rights, call.role)) {
      const end = xapi.audit.begin(xapi.sessions.subjectOf(makeRef<'session'>(session)), call, { call: method });
      try {
        const value = await callPoolExtension(xapi, method, params);
        if (value !== undefined) {
          end();
          return { ok: true, type: { kind: 'any' }, value };
        }
      } catch (error) {
        end(describeKnown(error)?.[0] ?? 'INTERNAL_ERROR');
        throw error;
      }
    }
  }
  throw new XapiError('MESSAGE_METHOD_UNKNOWN', method);
}

/** Every name that was asked for and exists; names that do not are looked for anew each time. */
const routes = new Map<string, Route>();

function findRoute(name: string): Route | undefined {
  const known = routes.get(name);
  if (known !== undefined) return known;
  const found = findMethod(name);
  if (found === undefined) return undefined;
  const handler = handlerOf(found.method);
  const fresh = { ...found, handler, showsTask: showsTask(found.method, handler), audited: isAudited(found.method) };
  routes.set(name, fresh);
  return fresh;
}

/** Finds `Class.method`, `Async.Class.method` or the old spelling `Class_method`. */
function findMethod(name: string): Pick<Route, 'method' | 'mode'> | undefined {
  const table = methods();
  const prefix = name.startsWith('Async.') ? 'Async.' : '';
  const method = table.get(name.slice(prefix.length));
  if (method !== undefined) return { method, mode: prefix === '' ? 'sync' : 'async' };
  if (prefix !== '' || name.length > methodNameMax) return undefined;
  for (let i = name.indexOf('_'); i > 0; i = name.indexOf('_', i + 1)) {
    const old = table.get(`${name.slice(0, i)}.${name.slice(i + 1)}`);
    if (old !== undefined) return { method: old, mode: 'sync' };
  }
  return undefined;
}

/** Longer names are none: no need to try each underscore of a text of any length. */
const methodNameMax = 200;

function decodeArguments(method: Method, given: readonly WireValue[]): Arguments {
  const args: Record<string, WireValue> = {};
  const { params } = method;
  for (let i = 0; i < params.length; i++) {
    const param = params[i];
    if (param === undefined) continue;
    const value = given[i];
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

/** Calls that may take time or change something get a task; plain reads would only make noise. */
const showsTask = (method: Method, handler: Handler | undefined): boolean =>
  handler !== undefined && method.session && !taskless.has(method.className) && !method.name.startsWith('get_');

/** Carries a method out. What is given to create is checked here, for every class alike. */
function invoke(route: Route, call: Call, given: Arguments): unknown {
  const held = call.xapi.beforeCall?.(route.method, given);
  return held === undefined ? perform(route, call, given) : held.then(() => perform(route, call, given));
}

function perform({ method, handler }: Route, call: Call, given: Arguments): unknown {
  const { db } = call.xapi;
  const args =
    method.kind === 'create' ? { args: checkedCreation(db, method.className, given['args'] as AnyRecord) } : given;
  return handler === undefined ? callGeneric(db, method, args) : handler(call, args);
}

/** Carries a method out, and writes down that it was. */
function carryOut(found: Route, call: Call, args: Arguments): unknown {
  const { audit, sessions } = call.xapi;
  if (!found.audited || !found.method.session || !audit.isOn) return invoke(found, call, args);
  const end = audit.begin(sessions.subjectOf(call.session), found.method, args);
  const failed = (error: unknown): never => {
    end(describeKnown(error)?.[0] ?? 'INTERNAL_ERROR');
    throw error;
  };
  try {
    const value = invoke(found, call, args);
    if (value instanceof Promise) {
      return value.then((result: unknown) => {
        end();
        return result;
      }, failed);
    }
    end();
    return value;
  } catch (error) {
    return failed(error);
  }
}

const answerOf = (xapi: Xapi, method: Method, value: unknown): Answer =>
  value instanceof ShapedResult
    ? { ok: true, type: value.type, value: value.value }
    : { ok: true, type: xapi.surface.shown(method.result), value };

function runSync(found: Route, call: Omit<Call, 'task'>, args: Arguments): Answer | Promise<Answer> {
  if (found.showsTask) return runShown(found, call, args);
  const value = carryOut(found, { ...call, task: noTask }, args);
  return value instanceof Promise
    ? value.then((result) => answerOf(call.xapi, found.method, result))
    : answerOf(call.xapi, found.method, value);
}

/** Runs a call under a task that lives as long as the call. */
async function runShown(found: Route, call: Omit<Call, 'task'>, args: Arguments): Promise<Answer> {
  const task = call.xapi.tasks.begin(found.method.fullName, { session: call.session });
  try {
    return answerOf(call.xapi, found.method, await carryOut(found, { ...call, task }, args));
  } finally {
    call.xapi.tasks.vanish(task);
  }
}

/** Starts the work and answers its task at once. */
function runAsync(found: Route, call: Omit<Call, 'task'>, args: Arguments): Answer {
  if (!hasBehaviour(found.method)) throw new XapiError('NOT_IMPLEMENTED', found.method.fullName);
  const task = call.xapi.tasks.begin(`Async.${found.method.fullName}`, { session: call.session });
  void finishAsync(found, { ...call, task }, args, task);
  return { ok: true, type: parseDataType('ref(task)'), value: task.ref satisfies Ref<'task'> };
}

async function finishAsync(found: Route, call: Call, args: Arguments, task: Task): Promise<void> {
  const { xapi } = call;
  const { result, fullName } = found.method;
  try {
    const value = await carryOut(found, call, args);
    // A task that says success must not be forgotten work.
    await xapi.db.durable();
    xapi.tasks.succeed(
      task,
      result.kind === 'void' ? '' : encodeXmlValue(toWireType(xapi.surface.shown(result)), value),
    );
  } catch (error) {
    xapi.tasks.fail(task, describeError(xapi, fullName, error));
  }
}
