import { decodeUtf8 } from '../utf8.ts';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const sextets = new Map(Array.from(alphabet, (character, index) => [character.charCodeAt(0), index]));

/**
 * The text that base64 (RFC 4648, white space allowed anywhere) holds, `undefined` when it is not base64.
 * @throws WireError `bad-utf8` when the bytes are not text.
 */
export function decodeBase64(encoded: string): string | undefined {
  const text = encoded.replaceAll(/[ \t\r\n]+/g, '');
  const digits = text.replace(/={1,2}$/, '');
  if (digits.length % 4 === 1 || (text.length !== digits.length && text.length % 4 !== 0)) return undefined;
  const bytes = new Uint8Array(Math.floor((digits.length * 3) / 4));
  let bits = 0;
  let buffer = 0;
  let length = 0;
  for (let i = 0; i < digits.length; i++) {
    const sextet = sextets.get(digits.charCodeAt(i));
    if (sextet === undefined) return undefined;
    buffer = ((buffer << 6) | sextet) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[length++] = (buffer >> bits) & 0xff;
    }
  }
  return decodeUtf8(bytes);
}
