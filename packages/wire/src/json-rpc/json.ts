import { documentText } from '../utf8.ts';
import { WireError } from '../wire-error.ts';
import type { WireLimits } from '../wire-limits.ts';
import { newStruct, type WireValue } from '../wire-value.ts';

/** Sixteen digits or three of an exponent may be a number that cannot be held; most documents have none. */
const longNumber = /\d{16}|[eE]\+?\d{3}/;

/** What becomes of half a surrogate pair in a string, which JSON can spell and which is no text. */
export type HalfPairs = 'refused' | 'kept';

/**
 * Reads a JSON text within limits. Integers that a number cannot hold exactly, and numbers that it cannot hold at all,
 * stay the text that they were written as.
 * @throws WireError `bad-json`, `bad-utf8`, `too-deep`, `too-large`.
 */
export function parseJson(input: string | Uint8Array, limits: WireLimits, halfPairs: HalfPairs = 'refused'): WireValue {
  const text = documentText(input, limits.maxLength);
  assertNesting(text, limits.maxDepth);
  try {
    const value = longNumber.test(text) ? JSON.parse(text, exactNumber) : JSON.parse(text);
    return adopt(value as unknown, { nodes: 0, limits, halfPairs });
  } catch (error) {
    if (error instanceof WireError) throw error;
    throw new WireError('bad-json', error instanceof Error ? error.message : 'not JSON');
  }
}

interface ReviverContext {
  readonly source?: string;
}

function exactNumber(_key: string, value: unknown, context?: ReviverContext): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const source = context?.source;
  return source !== undefined && (!Number.isFinite(value) || /^-?\d+$/.test(source)) ? source : value;
}

/** The literal of a number that is a member of the outermost object of a JSON text; undefined when it is none. */
export function memberNumber(input: string | Uint8Array, member: string, limits: WireLimits): string | undefined {
  const sources = new WeakMap<object, string | undefined>();
  const root: unknown = JSON.parse(
    documentText(input, limits.maxLength),
    function (this: object, key: string, value: unknown, context?: ReviverContext) {
      if (key === member) sources.set(this, typeof value === 'number' ? context?.source : undefined);
      return value;
    },
  );
  return typeof root === 'object' && root !== null ? sources.get(root) : undefined;
}

/** Refuses nesting before parsing, so that no parser, reviver or walker recurses further than the limit. */
function assertNesting(text: string, maxDepth: number): void {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      at = endOfString(text, at);
    } else if (code === 0x5b || code === 0x7b) {
      depth++;
      if (depth > maxDepth) throw new WireError('too-deep', `nested deeper than ${maxDepth}`, at);
    } else if (code === 0x5d || code === 0x7d) {
      depth--;
    }
  }
}

/** Offset of the quote that ends the string which starts at `start`; the text's length when none does. */
function endOfString(text: string, start: number): number {
  let at = start;
  for (;;) {
    at = text.indexOf('"', at + 1);
    if (at < 0) return text.length;
    let backslashes = 0;
    while (text.charCodeAt(at - 1 - backslashes) === 0x5c) backslashes++;
    if (backslashes % 2 === 0) return at;
  }
}

interface Count {
  nodes: number;
  readonly limits: WireLimits;
  readonly halfPairs: HalfPairs;
}

/** The same value with every object rebuilt without prototype. */
function adopt(value: unknown, count: Count): WireValue {
  count.nodes++;
  if (count.nodes > count.limits.maxNodes)
    throw new WireError('too-large', `more than ${count.limits.maxNodes} values`);
  if (typeof value === 'string') {
    if (count.halfPairs === 'refused' && !value.isWellFormed())
      throw new WireError('bad-utf8', 'a string with half a surrogate pair');
    return value;
  }
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => adopt(item, count));
  const struct = newStruct();
  for (const [key, member] of Object.entries(value as { readonly [key: string]: unknown })) {
    if (count.halfPairs === 'refused' && !key.isWellFormed())
      throw new WireError('bad-utf8', 'a name with half a surrogate pair');
    struct[key] = adopt(member, count);
  }
  return struct;
}
