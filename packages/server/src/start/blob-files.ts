/** The data of blobs, a file each in the directory `blobs` of the data directory. */
import { mkdirSync, rmSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { isUuid } from '@xenolith/base';
import type { BlobStore, Log } from '@xenolith/xapi';

/** What one blob may have. */
export const blobBytesMax = 64 * 1024 * 1024;

/** More came than a blob may have. */
export class BlobTooLarge extends Error {
  override readonly name = 'BlobTooLarge';
}

export interface BlobFiles extends BlobStore {
  /**
   * Replaces the data of a blob, whole or not at all, and on disk when this comes back with its size.
   * @throws BlobTooLarge, the system's error
   */
  write(uuid: string, data: Readable): Promise<number>;
  /** The data of a blob and its size; nothing for one that has none yet. */
  read(uuid: string): Promise<{ readonly size: number; readonly data: Readable } | undefined>;
}

export function blobFiles(directory: string, log: Log, bytesMax = blobBytesMax): BlobFiles {
  const root = join(directory, 'blobs');
  let count = 0;
  const fileOf = (uuid: string): string => {
    if (!isUuid(uuid)) throw new Error(`${uuid} is no uuid`);
    return join(root, uuid);
  };
  return {
    async write(uuid, data) {
      const path = fileOf(uuid);
      mkdirSync(root, { recursive: true, mode: 0o700 });
      const temporary = `${path}.${++count}.new`;
      const file = await open(temporary, 'w', 0o600);
      try {
        let size = 0;
        // The connection outlives a refusal, so that it can be told.
        for await (const chunk of data.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
          size += chunk.length;
          if (size > bytesMax) throw new BlobTooLarge(`more than ${bytesMax} bytes`);
          await file.writeFile(chunk);
        }
        await file.sync();
        await rename(temporary, path);
        return size;
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      } finally {
        await file.close();
      }
    },
    async read(uuid) {
      try {
        // By its handle: what is read is whole, also when the data is replaced meanwhile.
        const file = await open(fileOf(uuid));
        return { size: (await file.stat()).size, data: file.createReadStream() };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    },
    remove(uuid) {
      try {
        rmSync(fileOf(uuid), { force: true });
      } catch (error) {
        log.error('the data of a blob cannot be removed', { uuid, error: String(error) });
      }
    },
  };
}
