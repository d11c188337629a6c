/** The log of the calls that clients made of a simulated pool, for tests to assert on. Bounded: the oldest go first. */
import type { WireValue } from '@xenolith/wire';
import { methods, type Answer, type Request } from '@xenolith/xapi';
import { methodPattern } from './read-fields.ts';

/** Calls that are kept. */
export const callsMax = 10_000;
/** What is kept of the arguments of one call: so many characters of their JSON. */
const argumentsMax = 4096;

export interface LoggedCall {
  /** Counts from 1, and goes on over a reset. */
  readonly number: number;
  /** As the client wrote it, `Async.` included. */
  readonly method: string;
  /**
   * The arguments without the session; secrets are `"(secret)"`. A single text that says so when they are too long.
   */
  readonly args: readonly WireValue[];
  /** Whose session it was; empty for a call without one, or with one that is over. */
  readonly user: string;
  readonly address: string;
  readonly outcome: 'success' | 'failure' | 'pending';
  /** Present after a failure. */
  readonly error?: readonly string[];
  /** The task of an asynchronous call, which has its outcome. */
  readonly task?: string;
  /** Model time, ISO 8601. */
  readonly at: string;
  /** Model time from call to answer. */
  readonly durationMs: number;
}

export const secretWord = '(secret)';
/** Parameters that hold secrets, by the names that the tables have. */
const secretParameters = new Set(['pwd', 'old_pwd', 'new_pwd', 'password', 'psk', 'private_key']);
const secretClasses = new Set(['secret']);

/** The arguments that may be told. */
export function withoutSecrets(request: Pick<Request, 'method' | 'params'>): readonly WireValue[] {
  const method = methods().get(request.method.replace(/^Async\./, ''));
  if (method === undefined) return [];
  const given = method.session ? request.params.slice(1) : request.params;
  const told = given.map((value, at) => {
    const { name = '' } = method.params[at] ?? {};
    const secret = secretParameters.has(name) || (secretClasses.has(method.className) && name !== 'self');
    return secret ? secretWord : hideMembers(value);
  });
  const length = JSON.stringify(told).length;
  return length <= argumentsMax ? told : [`(${length} characters)`];
}

const secretMember = /passw|secret|^pwd$/i;

/** Maps such as `device_config` may have a password among them. */
function hideMembers(value: WireValue): WireValue {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Uint8Array) return value;
  const members = Object.entries(value).map(([name, member]) => [
    name,
    secretMember.test(name) && typeof member === 'string' ? secretWord : member,
  ]);
  return Object.fromEntries(members) as WireValue;
}

export class CallLog {
  #calls: LoggedCall[] = [];
  #number = 0;

  /** Enters a call that begins. @returns what enters its answer */
  begin(
    call: Pick<LoggedCall, 'method' | 'args' | 'user' | 'address'>,
    nowMs: number,
  ): (answer: Answer, nowMs: number) => void {
    const entry: LoggedCall = {
      number: ++this.#number,
      ...call,
      outcome: 'pending',
      at: new Date(nowMs).toISOString(),
      durationMs: 0,
    };
    this.#calls.push(entry);
    if (this.#calls.length > callsMax + 1000) this.#calls = this.#calls.slice(-callsMax);
    return (answer, endMs) => {
      const durationMs = endMs - nowMs;
      const at = this.#calls.lastIndexOf(entry);
      if (at === -1) return;
      const asynchronous = entry.method.startsWith('Async.');
      this.#calls[at] = answer.ok
        ? { ...entry, outcome: 'success', durationMs, ...(asynchronous ? { task: String(answer.value) } : {}) }
        : { ...entry, outcome: 'failure', durationMs, error: answer.error };
    };
  }

  /**
   * The calls, oldest first.
   * @param filter.method a pattern: `VM.*` also finds `Async.VM.start`
   * @param filter.after those with a higher number
   */
  list(
    filter: { readonly method?: string | undefined; readonly after?: number | undefined } = {},
  ): readonly LoggedCall[] {
    const wanted = filter.method === undefined ? () => true : methodPattern(filter.method);
    return this.#calls
      .slice(-callsMax)
      .filter(
        ({ number, method }) =>
          number > (filter.after ?? 0) && (wanted(method) || wanted(method.replace(/^Async\./, ''))),
      );
  }

  clear(): void {
    this.#calls = [];
  }
}
