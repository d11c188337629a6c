import { assert } from '@xenolith/base';

/** An entry of an initramfs: everything is owned by root, which is why an ordinary user can write one. */
export type CpioEntry =
  | { readonly kind: 'directory'; readonly path: string; readonly mode?: number }
  | { readonly kind: 'file'; readonly path: string; readonly mode: number; readonly content: Uint8Array }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }
  | {
      readonly kind: 'device';
      readonly path: string;
      readonly mode: number;
      readonly major: number;
      readonly minor: number;
    };

const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
const S_IFCHR = 0o020000;
const ALIGNMENT = 4;

type Header = {
  readonly inode: number;
  readonly mode: number;
  readonly nlink: number;
  readonly name: string;
  readonly content: Uint8Array;
  readonly major: number;
  readonly minor: number;
};

/** Bytes up to the next multiple of four. */
const padding = (length: number): Uint8Array => new Uint8Array((ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT);

/** A pure room has no TextEncoder; names of an initramfs need none. */
function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => {
    const code = character.charCodeAt(0);
    assert(code < 0x80, 'names in an archive are ASCII');
    return code;
  });
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function record(header: Header): Uint8Array {
  const name = ascii(`${header.name}\0`);
  assert(header.content.length < 2 ** 32, 'a file of the newc format has less than 4 GiB');
  const fields = [
    header.inode,
    header.mode,
    0, // uid
    0, // gid
    header.nlink,
    0, // mtime: a fixed one, so that equal inputs give equal archives
    header.content.length,
    0, // device of the file, major
    0, // and minor
    header.major,
    header.minor,
    name.length,
    0, // checksum, unused in this format
  ];
  const head = ascii(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
  const headAndName = joined([head, name]);
  return joined([headAndName, padding(headAndName.length), header.content, padding(header.content.length)]);
}

/**
 * Writes a cpio archive in the "newc" format the Linux kernel reads as initramfs (Documentation/driver-api/early-userspace/buffer-format.rst).
 * Directories must come before what is in them; paths have no leading slash, and paths and targets are ASCII.
 */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const empty = new Uint8Array(0);
  const records = entries.map((entry, index) => {
    const common = { inode: index + 1, name: entry.path, major: 0, minor: 0, nlink: 1, content: empty };
    switch (entry.kind) {
      case 'directory':
        return record({ ...common, mode: S_IFDIR | (entry.mode ?? 0o755), nlink: 2 });
      case 'file':
        return record({ ...common, mode: S_IFREG | entry.mode, content: entry.content });
      case 'symlink':
        return record({ ...common, mode: S_IFLNK | 0o777, content: ascii(entry.target) });
      case 'device':
        break;
    }
    return record({ ...common, mode: S_IFCHR | entry.mode, major: entry.major, minor: entry.minor });
  });
  const trailer = record({ inode: 0, mode: 0, nlink: 1, name: 'TRAILER!!!', content: empty, major: 0, minor: 0 });
  return joined([...records, trailer]);
}
