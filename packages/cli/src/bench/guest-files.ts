/** The files of this machine that guests find in their root file system: a cpio archive in front of their ramdisk. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { GuestFile } from '@xenolith/experiments/campaign';
import { writeCpio, type CpioEntry } from '@xenolith/wire';
import { BenchError } from './bench-error.ts';

export interface GuestArchive {
  /** Padded as the Linux kernel wants an archive that another one follows (Documentation/driver-api/early-userspace/buffer-format.rst). */
  readonly cpio: Uint8Array;
  /** Of each file by its path, as it is kept with samples. */
  readonly hashes: Readonly<Record<string, string>>;
}

const makeLimitMs = 10 * 60_000;
/** It goes to the host in one piece, and into the memory of each guest. */
const sizeMax = 64 * 1024 * 1024;

/**
 * Reads the files, and makes those that are to be made.
 * @param directory of the definition
 * @throws BenchError
 */
export async function guestArchive(files: readonly GuestFile[], directory: string): Promise<GuestArchive> {
  const entries: CpioEntry[] = [];
  const directories = new Set<string>();
  const hashes: Record<string, string> = {};
  for (const { path, from } of files) {
    const { content, mode } =
      from.kind === 'file' ? await read(directory, from.path) : await make(directory, from.command);
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

async function read(directory: string, path: string): Promise<{ readonly content: Buffer; readonly mode: number }> {
  const from = resolve(directory, path);
  return { content: await readFile(from), mode: (await stat(from)).mode & 0o777 };
}

async function make(directory: string, command: string): Promise<{ readonly content: Buffer; readonly mode: number }> {
  const made = await mkdtemp(join(tmpdir(), 'xenolith-make-'));
  try {
    const out = join(made, 'out');
    await promisify(execFile)('/bin/sh', ['-c', command], {
      cwd: directory,
      env: { ...process.env, OUT: out },
      timeout: makeLimitMs,
    }).catch((error: unknown) => {
      const words = error instanceof Error && 'stderr' in error ? String(error.stderr).trim().slice(-2000) : '';
      throw new BenchError(`${command} failed\n${words}`, { cause: error });
    });
    return { content: await readFile(out), mode: 0o755 };
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}
