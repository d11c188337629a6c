/** Reading the JSON objects that the control of a simulation is given: every member known, every value in its range. */
import { BadRequest } from './bad-request.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** Longest text in a request of control. */
const textMax = 1000;

/** @throws BadRequest when there is anything in it */
export function assertEmpty(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.keys(value).length > 0) {
    throw new BadRequest('there is nothing to say here');
  }
}

/** Looks at the members of an object one by one. */
export class Fields {
  readonly #object: JsonObject;
  readonly #known: readonly string[];

  /** @throws BadRequest when it is no object, or has a member that is not known */
  constructor(value: unknown, known: readonly string[]) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new BadRequest('expected a JSON object');
    }
    this.#object = value as JsonObject;
    this.#known = known;
    for (const name of Object.keys(value)) {
      if (!known.includes(name)) throw new BadRequest(`there is no "${name}" here; known are ${known.join(', ')}`);
    }
  }

  has(name: string): boolean {
    return this.#value(name) !== undefined;
  }

  /** A text that must be there. */
  text(name: string): string {
    return this.optionalText(name) ?? missing(name);
  }

  optionalText(name: string): string | undefined {
    const value = this.#value(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'string' || value === '' || value.length > textMax) {
      throw new BadRequest(`"${name}" is a text of 1 to ${textMax} characters`);
    }
    return value;
  }

  /** One of some words. */
  word<W extends string>(name: string, words: readonly W[]): W {
    const text = this.text(name);
    const found = words.find((word) => word === text);
    if (found === undefined) throw new BadRequest(`"${name}" is one of ${words.join(', ')}`);
    return found;
  }

  optionalNumber(name: string, min: number, max: number): number | undefined {
    const value = this.#value(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'number' || !(value >= min && value <= max)) {
      throw new BadRequest(`"${name}" is a number from ${min} to ${max}`);
    }
    return value;
  }

  number(name: string, min: number, max: number): number {
    return this.optionalNumber(name, min, max) ?? missing(name);
  }

  optionalCount(name: string, max: number): number | undefined {
    const value = this.optionalNumber(name, 1, max);
    if (value !== undefined && !Number.isInteger(value)) throw new BadRequest(`"${name}" is a whole number`);
    return value;
  }

  optionalTexts(name: string): readonly string[] | undefined {
    const value = this.#value(name);
    if (value === undefined) return undefined;
    const good = Array.isArray(value) && value.length > 0 && value.length <= 20;
    if (!good || !value.every((item) => typeof item === 'string' && item.length <= textMax)) {
      throw new BadRequest(`"${name}" is a list of texts`);
    }
    return value as readonly string[];
  }

  #value(name: string): unknown {
    if (!this.#known.includes(name)) throw new Error(`${name} is not read here`);
    return Object.hasOwn(this.#object, name) ? this.#object[name] : undefined;
  }
}

function missing(name: string): never {
  throw new BadRequest(`"${name}" is missing`);
}

/** The pattern of method names: `VM.start`, `VM.*`, `*`. @returns what tells whether a name is meant */
export function methodPattern(pattern: string): (method: string) => boolean {
  if (!/^[A-Za-z0-9_.*]{1,100}$/.test(pattern) || pattern.split('*').length > 4) {
    throw new BadRequest(`"${pattern.slice(0, 100)}" is no pattern of methods, such as VM.start, VM.* or *`);
  }
  const regular = new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`);
  return (method) => regular.test(method);
}
