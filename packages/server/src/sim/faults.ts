/** Faults that a simulated pool is told to have: calls that fail or take their time, and operations that fail on a host. */
import { delay, SeededRandom, type Clock } from '@xenolith/base';
import { modelOperations, type ModelOperation } from '@xenolith/host';
import { HostError, isErrorCode, XapiError, type Database, type Method } from '@xenolith/xapi';
import { BadRequest } from './bad-request.ts';
import { Fields, methodPattern } from './read-fields.ts';

/** Rules at once. */
const faultsMax = 1000;
const delaySMax = 24 * 60 * 60;

/** What goes wrong, and when. */
export interface FaultRule {
  /** The calls that are meant, their asynchronous form included: `VM.start`, `VM.*`, `*`. Either this or `operation`. */
  readonly method?: string;
  /** What a host is asked to do: `create`, `save`, `files` and so on. It fails as the command there would. */
  readonly operation?: ModelOperation;
  /** Only calls on this object: the ref, uuid or name of one of their arguments; for operations the name of the host. */
  readonly object?: string;
  /** Of each time that is meant; drawn from the pool's seed. 1 when absent. */
  readonly probability?: number;
  /** How many times; without end when absent. */
  readonly count?: number;
  /** Model seconds that it takes first. Only of calls. */
  readonly delayS?: number;
  /** An error code of XenAPI and its parameters. For operations only the words of the failure matter. */
  readonly error?: readonly string[];
}

export interface Fault extends FaultRule {
  readonly id: string;
  /** How often it struck. */
  readonly hits: number;
}

/** @throws BadRequest saying what is wrong */
export function readFaultRule(value: unknown): FaultRule {
  const members = ['method', 'operation', 'object', 'probability', 'count', 'delayS', 'error'];
  const fields = new Fields(value, members);
  const method = fields.optionalText('method');
  if (method !== undefined) methodPattern(method);
  const operation = fields.has('operation') ? fields.word('operation', modelOperations) : undefined;
  if ((method === undefined) === (operation === undefined)) {
    throw new BadRequest('a fault needs either "method" or "operation"');
  }
  const error = fields.optionalTexts('error');
  const delayS = fields.optionalNumber('delayS', 0, delaySMax);
  if (method !== undefined && error === undefined && delayS === undefined) {
    throw new BadRequest('a fault of calls needs an "error", a "delayS" or both');
  }
  if (operation !== undefined && delayS !== undefined) throw new BadRequest('an operation has no "delayS"');
  if (method !== undefined && error?.[0] !== undefined && !isErrorCode(error[0])) {
    throw new BadRequest(`XenAPI has no error code ${error[0]}`);
  }
  const object = fields.optionalText('object');
  const probability = fields.optionalNumber('probability', 0, 1);
  const count = fields.optionalCount('count', 1_000_000);
  return {
    ...(method === undefined ? {} : { method }),
    ...(operation === undefined ? {} : { operation }),
    ...(object === undefined ? {} : { object }),
    ...(probability === undefined ? {} : { probability }),
    ...(count === undefined ? {} : { count }),
    ...(delayS === undefined ? {} : { delayS }),
    ...(error === undefined ? {} : { error }),
  };
}

interface Rule {
  readonly id: string;
  readonly rule: FaultRule;
  readonly means: (method: string) => boolean;
  hits: number;
}

export class Faults {
  #rules: Rule[] = [];
  #number = 0;
  #random: SeededRandom;
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new SeededRandom(seed);
  }

  /** @throws BadRequest when the rule is none, or there are too many */
  add(rule: FaultRule): Fault {
    const checked = readFaultRule(rule);
    if (this.#rules.length >= faultsMax) throw new BadRequest(`there are ${faultsMax} faults already`);
    const means = checked.method === undefined ? () => false : methodPattern(checked.method);
    const entry: Rule = { id: String(++this.#number), rule: checked, means, hits: 0 };
    this.#rules.push(entry);
    return asFault(entry);
  }

  list(): readonly Fault[] {
    return this.#rules.map(asFault);
  }

  /** @throws BadRequest when there is none */
  remove(id: string): void {
    const left = this.#rules.filter((entry) => entry.id !== id);
    if (left.length === this.#rules.length) throw new BadRequest(`there is no fault ${id}`);
    this.#rules = left;
  }

  /** None any more, and chance begins anew. */
  clear(): void {
    this.#rules = [];
    this.#random = new SeededRandom(this.#seed);
  }

  /** Lets the first fault strike that means this call. @throws XapiError */
  strikeCall(
    pool: { readonly db: Database; readonly clock: Clock },
    method: Method,
    args: Readonly<Record<string, unknown>>,
  ): Promise<void> | undefined {
    if (this.#rules.length === 0) return undefined;
    const rule = this.#strike(
      (entry) => entry.means(method.fullName) && meansObject(pool.db, entry.rule.object, method, args),
    );
    if (rule === undefined) return undefined;
    const fail = (): void => {
      const [code, ...params] = rule.error ?? [];
      if (code !== undefined && isErrorCode(code)) throw new XapiError(code, ...params);
    };
    const { delayS = 0 } = rule;
    if (delayS > 0) return delay(pool.clock, delayS * 1000).then(fail);
    fail();
    return undefined;
  }

  /** The failure of an operation of a host, if one is to strike now. */
  strikeOperation(hostname: string, operation: ModelOperation): HostError | undefined {
    if (this.#rules.length === 0) return undefined;
    const rule = this.#strike(
      (entry) => entry.rule.operation === operation && (entry.rule.object ?? hostname) === hostname,
    );
    return rule === undefined
      ? undefined
      : new HostError('command-failed', rule.error?.join(' ') ?? `${operation} was told to fail`);
  }

  #strike(means: (entry: Rule) => boolean): FaultRule | undefined {
    for (const entry of this.#rules) {
      const { rule, hits } = entry;
      if (hits >= (rule.count ?? Infinity) || !means(entry)) continue;
      if (rule.probability !== undefined && this.#random.nextUint32() >= rule.probability * 2 ** 32) continue;
      entry.hits++;
      return rule;
    }
    return undefined;
  }
}

const asFault = ({ id, rule, hits }: Rule): Fault => ({ id, ...rule, hits });

/** Whether an argument of a call is the object: by ref, uuid or name. */
function meansObject(
  db: Database,
  object: string | undefined,
  method: Method,
  args: Readonly<Record<string, unknown>>,
): boolean {
  if (object === undefined) return true;
  return method.params.some(({ name, type }) => {
    const value = args[name];
    if (typeof value !== 'string') return false;
    if (value === object) return true;
    if (type.kind !== 'ref') return false;
    const record = db.findAny(type.class, value);
    return record !== undefined && (record['uuid'] === object || record['name_label'] === object);
  });
}
