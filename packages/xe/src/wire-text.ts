/**
 * Values of the wire as xe needs them. Of @xenolith/wire only types are used here: its readers and writers would take
 * a tenth of the time that a command may take to load.
 */
import type { WireStruct, WireValue } from '@xenolith/wire';

export const isArray = (value: WireValue | undefined): value is readonly WireValue[] => Array.isArray(value);

export const isStruct = (value: WireValue | undefined): value is WireStruct =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A text as it is, numbers and truth values in digits and words, nothing as empty text, the rest as JSON. */
export function textOf(value: WireValue | undefined): string {
  if (typeof value === 'string') return value;
  if (value === undefined || value === null) return '';
  return JSON.stringify(value);
}

/** Integers beyond what a double holds stay the text that they are. */
function keepBigIntegers(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  return context?.source !== undefined && /^-?\d+$/.test(context.source) ? context.source : value;
}

/** JSON as a server writes it; integers beyond what a double holds are their digits. Throws SyntaxError. */
export const parseJson = (text: string): unknown => JSON.parse(text, /\d{16}/.test(text) ? keepBigIntegers : undefined);
