/** The audit log as files: `audit.log`, and older ones as `audit.log.1` and so on, the oldest of which are dropped. */
import { closeSync, createReadStream, existsSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import type { AuditSink, Log } from '@xenolith/xapi';

export const auditFile = 'audit.log';
/** A file is put aside when it has this much, and so many of those are kept: what the log may take of the disk. */
export const auditFileBytesMax = 10 * 1024 * 1024;
export const auditFilesMax = 5;

export interface AuditFile extends AuditSink {
  /** The lines from a moment on (`20260101T00:00:00Z`; empty for all), oldest first. */
  lines(since: string): AsyncGenerator<string>;
  close(): void;
}

/**
 * Opens the audit log of a data directory, for its owner alone. A line that cannot be written is told to the server's
 * own log, once until one can be again.
 * @param bytesMax size at which a file is put aside
 * @throws the system's error
 */
export function openAuditFile(directory: string, log: Log, bytesMax = auditFileBytesMax): AuditFile {
  const path = join(directory, auditFile);
  let file = openSync(path, 'a', 0o600);
  let size = fstatSync(file).size;
  let isFailing = false;
  let isClosed = false;

  const putAside = (): void => {
    closeSync(file);
    for (let n = auditFilesMax - 1; n >= 1; n--) {
      if (existsSync(`${path}.${n}`)) renameSync(`${path}.${n}`, `${path}.${n + 1}`);
    }
    renameSync(path, `${path}.1`);
    file = openSync(path, 'a', 0o600);
    size = 0;
  };

  return {
    append(line) {
      // Its number may be another file's by now.
      if (isClosed) return;
      try {
        if (size >= bytesMax) putAside();
        size += writeSync(file, `${line}\n`);
        isFailing = false;
      } catch (error) {
        if (!isFailing) log.error('the audit log cannot be written', { error: String(error) });
        isFailing = true;
      }
    },
    async *lines(since) {
      const older = Array.from({ length: auditFilesMax }, (_, n) => `${path}.${auditFilesMax - n}`);
      for (const each of [...older, path]) {
        if (!existsSync(each)) continue;
        const reader = createInterface({ input: createReadStream(each, 'utf8'), crlfDelay: Infinity });
        // The time is the first thing on a line, in a form that sorts as text.
        for await (const line of reader) if (line.slice(1, 1 + since.length) >= since) yield line;
      }
    },
    close() {
      if (!isClosed) closeSync(file);
      isClosed = true;
    },
  };
}
