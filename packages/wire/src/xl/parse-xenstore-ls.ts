import { decodeUtf8 } from '../utf8.ts';
import { WireError } from '../wire-error.ts';
import { outputLines } from './lines.ts';
import { XlParseError } from './xl-parse-error.ts';

/** What a domain may do with a node: nothing, read, write, both. */
export type XenstoreAccess = 'n' | 'r' | 'w' | 'b';

/** One permission of a node. The first of a node names its owner, whose access is always full, and everybody else's access. */
export interface XenstorePermission {
  readonly domid: number;
  readonly access: XenstoreAccess;
}

/** A node of xenstore. */
export interface XenstoreEntry {
  readonly path: string;
  /** The value as text; bytes that are not UTF-8 are given one character each (Latin-1). */
  readonly value: string;
  /** With -p; absent without. */
  readonly permissions: readonly XenstorePermission[] | undefined;
}

const command = 'xenstore-ls -f';
const row = /^([^"]*?) = "(.*)"(?:\s+\(([a-z]\d+(?:,[a-z]\d+)*)\))?$/;
const permission = /^([nrwb])(\d+)$/;
const escape = /\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))/g;
const letters: { readonly [letter: string]: string } = { n: '\n', r: '\r', t: '\t', '\\': '\\', '"': '"' };

/**
 * Reads `xenstore-ls -f` and `-f -p`: `path = "value"`, with -p `   (n0,r1)` behind it (do_ls in tools/xenstore/xenstore_client.c).
 * In values what is not printable ASCII is escaped with a backslash, quotes are not. @throws XlParseError
 */
export function parseXenstoreLs(text: string): readonly XenstoreEntry[] {
  return outputLines(command, text)
    .filter((line) => line !== '')
    .map((line) => {
      const match = row.exec(line);
      if (match === null) throw new XlParseError(command, 'not a node', line);
      const [, path = '', value = '', permissions] = match;
      return {
        path,
        value: unescapeValue(value, line),
        permissions:
          permissions === undefined ? undefined : permissions.split(',').map((word) => permissionOf(word, line)),
      };
    });
}

function permissionOf(word: string, line: string): XenstorePermission {
  const match = permission.exec(word);
  if (match === null) throw new XlParseError(command, 'not a permission', line);
  return { access: match[1] as XenstoreAccess, domid: Number(match[2]) };
}

function unescapeValue(value: string, line: string): string {
  if (!value.includes('\\')) return value;
  const text = value.replaceAll(escape, (whole: string, octal?: string, hex?: string, letter?: string) => {
    if (octal !== undefined) return String.fromCharCode(parseInt(octal, 8) & 0xff);
    if (hex !== undefined) return String.fromCharCode(parseInt(hex, 16));
    const known = letter !== undefined && Object.hasOwn(letters, letter) ? letters[letter] : undefined;
    if (known === undefined) throw new XlParseError(command, `unknown escape ${whole}`, line);
    return known;
  });
  return asUtf8(text);
}

/** Characters that stand for bytes, as the text that the bytes are. */
function asUtf8(text: string): string {
  const codes = Array.from(text, (character) => character.charCodeAt(0));
  if (!codes.some((code) => code >= 0x80) || codes.some((code) => code > 0xff)) return text;
  try {
    return decodeUtf8(Uint8Array.from(codes));
  } catch (error) {
    if (error instanceof WireError) return text;
    throw error;
  }
}
