import { WireError } from './wire-error.ts';

/** The standard decoder of browsers and Node; declared here because the pure rooms see neither's types. */
declare const TextDecoder: new (
  label: 'utf-8',
  options: { readonly fatal: boolean },
) => { decode(input: Uint8Array): string };

/** And their encoder. */
declare const TextEncoder: new () => { encode(text: string): Uint8Array<ArrayBuffer> };

const encoder = new TextEncoder();

const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * The text of a document: UTF-8 bytes (a byte order mark is dropped), or text that must have no lone surrogates.
 * @throws WireError `too-large` over `maxLength`, `bad-utf8`.
 */
export function documentText(input: string | Uint8Array, maxLength: number): string {
  if (input.length > maxLength) throw new WireError('too-large', `document of ${input.length}, limit ${maxLength}`);
  if (typeof input === 'string') {
    if (!input.isWellFormed()) throw new WireError('bad-utf8', 'lone surrogate', firstLoneSurrogate(input));
    return input;
  }
  return decodeUtf8(input);
}

/** Text as UTF-8; a lone surrogate becomes U+FFFD. */
export const encodeUtf8 = (text: string): Uint8Array<ArrayBuffer> => encoder.encode(text);

/** Text of UTF-8 bytes. @throws WireError `bad-utf8` with the offset of the first wrong byte. */
export function decodeUtf8(input: Uint8Array): string {
  try {
    return decoder.decode(input);
  } catch {
    throw new WireError('bad-utf8', 'invalid UTF-8', firstBadByte(input));
  }
}

function firstLoneSurrogate(text: string): number {
  let offset = 0;
  for (const character of text) {
    if (!character.isWellFormed()) return offset;
    offset += character.length;
  }
  return offset;
}

/** Offset of the first sequence that is not UTF-8 (Unicode table 3-7), or the length when all are. */
function firstBadByte(input: Uint8Array): number {
  let at = 0;
  while (at < input.length) {
    const length = sequenceLength(input, at);
    if (length === 0) return at;
    at += length;
  }
  return at;
}

function sequenceLength(input: Uint8Array, at: number): number {
  const first = input[at] ?? 0;
  if (first < 0x80) return 1;
  const length =
    first >= 0xc2 && first <= 0xdf ? 2 : first >= 0xe0 && first <= 0xef ? 3 : first >= 0xf0 && first <= 0xf4 ? 4 : 0;
  if (length === 0) return 0;
  const second = input[at + 1] ?? 0;
  const lowest = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const highest = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return 0;
  for (let i = 2; i < length; i++) {
    const next = input[at + i] ?? 0;
    if (next < 0x80 || next > 0xbf) return 0;
  }
  return length;
}
