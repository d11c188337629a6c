/** Archives of the form ustar (POSIX.1-1988), as far as an XVA needs them: plain files, one after the other. */
import { WireError } from '../wire-error.ts';

/** Everything in an archive is in blocks of so many bytes. */
export const tarBlockBytes = 512;

export interface TarEntry {
  readonly name: string;
  readonly sizeBytes: number;
}

/** The bytes that fill up a file's last block. */
export const tarPadding = (sizeBytes: number): number => (tarBlockBytes - (sizeBytes % tarBlockBytes)) % tarBlockBytes;

/** The two blocks of zeros that end an archive. */
export const tarEnd = (): Uint8Array => new Uint8Array(2 * tarBlockBytes);

const nameMax = 100;
/** Eleven octal digits. */
const sizeMax = 8 ** 11 - 1;
const checksumAt = 148;

function put(block: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) block[at + i] = text.charCodeAt(i);
}

const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0');

/** The sum of a header's bytes, with blanks where the sum itself is. */
function sumOf(block: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < tarBlockBytes; i++) sum += i >= checksumAt && i < checksumAt + 8 ? 32 : (block[i] ?? 0);
  return sum;
}

/**
 * The block before a file.
 * @throws WireError too-large for a name of more than 100 ASCII characters, or 8 GiB or more
 */
export function formatTarHeader({ name, sizeBytes }: TarEntry, mtimeSeconds: number): Uint8Array {
  if (name.length > nameMax || sizeBytes > sizeMax) throw new WireError('too-large', `${name} does not fit into a tar`);
  const block = new Uint8Array(tarBlockBytes);
  put(block, 0, name);
  put(block, 100, `${octal(0o644, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0`);
  put(block, 124, `${octal(sizeBytes, 11)}\0${octal(Math.floor(mtimeSeconds), 11)}\0`);
  put(block, 156, '0ustar\x0000');
  put(block, checksumAt, `${octal(sumOf(block), 6)}\0 `);
  return block;
}

function textAt(block: Uint8Array, at: number, length: number): string {
  let text = '';
  for (let i = at; i < at + length && block[i] !== 0; i++) text += String.fromCharCode(block[i] ?? 0);
  return text;
}

/**
 * Reads the block before a file; undefined for one of zeros, which ends the archive.
 * @throws WireError bad-request for what is no header, or none of a plain file
 */
export function parseTarHeader(block: Uint8Array): TarEntry | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  const sum = Number.parseInt(textAt(block, checksumAt, 8).trim(), 8);
  if (sum !== sumOf(block)) throw new WireError('bad-request', 'not a tar archive');
  const kind = block[156];
  const name = textAt(block, 0, nameMax);
  if (kind !== 0 && kind !== 0x30) throw new WireError('bad-request', `${name} is no plain file`);
  const size = textAt(block, 124, 12).trim();
  if (!/^[0-7]+$/.test(size)) throw new WireError('bad-request', `${name} has no size`);
  return { name, sizeBytes: Number.parseInt(size, 8) };
}
