/** Columns of numbers in text, as ministat reads them. */
import { assert, err, ok, type Result } from '@xenolith/base';
import { strtod } from './strtod.ts';

export interface DataOptions {
  /** Which column, from 1. */
  readonly column: number;
  /** The characters between columns, as bytes of UTF-8; any number of them in a row are one gap. */
  readonly delimiters: Uint8Array;
}

/** A line whose column holds something that is no finite number; lines count from 1. */
export interface InvalidLine {
  readonly line: number;
}

/** ministat reads lines into a buffer of 8 KiB: what is longer counts as several lines. */
const lineBytesMax = 8191;

/** The standard decoder of browsers and Node; declared here because the pure rooms see neither's types. */
declare const TextDecoder: new (label: 'latin1') => { decode(input: Uint8Array): string };

/** How much becomes text at once: many lines, and the longest in any case. */
const blockBytes = 1 << 16;

const byte = { newline: 10, hash: 35, plus: 43, minus: 45, point: 46, zero: 48, nine: 57 } as const;

/** White space in C's own locale. */
const isSpace = (code: number): boolean => code === 32 || (code >= 9 && code <= 13);

/** Powers of ten that a double holds exactly. */
const powersOfTen = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/**
 * The numbers of a column, in the order of the lines. A line without the column has none, nor has one where a column that
 * begins with `#` comes before it or is it; what follows the column is not looked at.
 */
export function parseData(bytes: Uint8Array, { column, delimiters }: DataOptions): Result<Float64Array, InvalidLine> {
  assert(Number.isSafeInteger(column) && column > 0, `a column ${column}`);
  const isDelimiter = new Uint8Array(256);
  for (const code of delimiters) isDelimiter[code] = 1;
  const textOf = textReader(bytes);
  let values = new Float64Array(1024);
  let n = 0;
  let line = 0;
  for (let at = 0; at < bytes.length;) {
    line++;
    const next = lineEnd(bytes, at);
    const end = textEnd(bytes, at, next);
    let begin = at;
    let stop = at;
    for (let left = column; left > 0; left--) {
      begin = stop;
      while (begin < end && isDelimiter[bytes[begin]!] === 1) begin++;
      stop = begin;
      if (begin === end || bytes[begin] === byte.hash) break;
      while (stop < end && isDelimiter[bytes[stop]!] === 0) stop++;
    }
    at = next;
    // Nothing is left where the column should be, or a comment.
    if (stop === begin) continue;
    const value = readField(bytes, begin, stop, textOf);
    if (value === undefined) return err({ line });
    if (n === values.length) values = doubled(values);
    values[n++] = value;
  }
  return ok(values.subarray(0, n));
}

function doubled(values: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(values.length * 2);
  larger.set(values);
  return larger;
}

/** Where the next line begins. */
function lineEnd(bytes: Uint8Array, begin: number): number {
  const last = Math.min(begin + lineBytesMax, bytes.length);
  for (let at = begin; at < last; at++) if (bytes[at] === byte.newline) return at + 1;
  return last;
}

/** Where a line's text ends: at a NUL, as strings do in C, or else before the white space at its end. */
function textEnd(bytes: Uint8Array, begin: number, next: number): number {
  let end = begin;
  while (end < next && bytes[end] !== 0) end++;
  while (end > begin && isSpace(bytes[end - 1]!)) end--;
  return end;
}

/** The number in a field; short decimal ones, which are nearly all, without making a text of them. */
function readField(bytes: Uint8Array, begin: number, end: number, textOf: TextOf): number | undefined {
  let at = begin;
  const isNegative = bytes[at] === byte.minus;
  if (isNegative || bytes[at] === byte.plus) at++;
  let point = -1;
  let whole = 0;
  const first = at;
  for (; at < end; at++) {
    const code = bytes[at]!;
    if (code >= byte.zero && code <= byte.nine) whole = whole * 10 + (code - byte.zero);
    else if (code === byte.point && point < 0) point = at;
    else return strtod(textOf(begin, end));
  }
  const isDecimal = end - first > (point < 0 ? 0 : 1);
  if (!isDecimal) return undefined;
  // Two numbers that are exact: their quotient is rounded once, as it should be.
  const scale = point < 0 ? 0 : end - point - 1;
  if (whole > Number.MAX_SAFE_INTEGER || scale >= powersOfTen.length) return finite(Number(textOf(begin, end)));
  const magnitude = whole / powersOfTen[scale]!;
  return isNegative ? -magnitude : magnitude;
}

const finite = (value: number): number | undefined => (Number.isFinite(value) ? value : undefined);

type TextOf = (begin: number, end: number) => string;

/** Gives parts of the bytes as text, a character for each byte; made of many bytes at once, as they are asked for in their order. */
function textReader(bytes: Uint8Array): TextOf {
  const decoder = new TextDecoder('latin1');
  let text = '';
  let textBegin = 0;
  return (begin, end) => {
    if (begin < textBegin || end > textBegin + text.length) {
      text = decoder.decode(bytes.subarray(begin, begin + blockBytes));
      textBegin = begin;
    }
    return text.slice(begin - textBegin, end - textBegin);
  };
}
