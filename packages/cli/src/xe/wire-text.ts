/** Values of the wire as plain text. */
import type { WireValue } from '@xenolith/wire';

/** A text as it is, numbers and truth values in digits and words, nothing as empty text, the rest as JSON. */
export function textOf(value: WireValue | undefined): string {
  if (typeof value === 'string') return value;
  if (value === undefined || value === null) return '';
  return JSON.stringify(value);
}
