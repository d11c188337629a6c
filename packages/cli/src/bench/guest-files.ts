/** The files of this machine that guests find in their root file system: a cpio archive in front of their ramdisk. */
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { GuestFile } from '@xenolith/experiments/campaign';
import { writeCpio, type CpioEntry } from '@xenolith/wire';
import { BenchError } from './bench-error.ts';
import type { Place } from './place.ts';
import { mustRun, shell } from './workspace.ts';

export interface GuestArchive {
  /** Padded as the Linux kernel wants an archive that another one follows (Documentation/driver-api/early-userspace/buffer-format.rst). */
  readonly cpio: Uint8Array;
  /** Of each file by its path, as it is kept with samples. */
  readonly hashes: Readonly<Record<string, string>>;
}

const makeLimitSeconds = 10 * 60;
/** It goes to the host in one piece, and into the memory of each guest. */
const sizeMax = 64 * 1024 * 1024;

/**
 * Reads the files, and makes those that are to be made.
 * @param place this machine: what makes a file ends with the campaign
 * @param directory of the definition
 * @throws BenchError, BenchInterrupted
 */
export async function guestArchive(
  place: Place,
  files: readonly GuestFile[],
  directory: string,
): Promise<GuestArchive> {
  const entries: CpioEntry[] = [];
  const directories = new Set<string>();
  const hashes: Record<string, string> = {};
  for (const { path, from } of files) {
    const { content, mode } =
      from.kind === 'file' ? await read(directory, path, from.path) : await make(place, directory, path, from.command);
    const name = path.slice(1);
    const parts = name.split('/');
    for (let depth = 1; depth < parts.length; depth++) directories.add(parts.slice(0, depth).join('/'));
    entries.push({ kind: 'file', path: name, mode, content });
    hashes[path] = `sha256:${createHash('sha256').update(content).digest('hex')}`;
  }
  const cpio = writeCpio([...[...directories].map((each) => ({ kind: 'directory' as const, path: each })), ...entries]);
  if (cpio.length > sizeMax) throw new BenchError(`files: ${cpio.length} bytes; the most are ${sizeMax}`);
  return { cpio, hashes };
}

interface Content {
  readonly content: Buffer;
  readonly mode: number;
}

async function read(directory: string, path: string, name: string): Promise<Content> {
  const from = resolve(directory, name);
  const failed = (cause: unknown): never => {
    throw new BenchError(`${path} of the guest: ${from} cannot be read`, { cause });
  };
  const content = await readFile(from).catch(failed);
  return { content, mode: (await stat(from).catch(failed)).mode & 0o777 };
}

async function make(place: Place, directory: string, path: string, command: string): Promise<Content> {
  const made = await mkdtemp(join(tmpdir(), 'xenolith-make-'));
  try {
    const out = join(made, 'out');
    await mustRun(place, `making ${path} of the guest`, shell(command, { OUT: out }, directory, makeLimitSeconds));
    const content = await readFile(out).catch((cause: unknown) => {
      throw new BenchError(`making ${path} of the guest: ${command} wrote nothing to $OUT`, { cause });
    });
    return { content, mode: 0o755 };
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}
