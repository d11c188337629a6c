/** The files of an XVA one after the other, and the blocks of its disks. */
import { isAllZero } from '@xenolith/base';
import {
  decodeUtf8,
  parseTarHeader,
  tarBlockBytes,
  tarPadding,
  WireError,
  xxHash64,
  type TarEntry,
} from '@xenolith/wire';
import { XapiError } from '../errors.ts';
import type { ImagePiece } from '../host-driver.ts';
import type { Sha1 } from './export-vm.ts';
import type { ByteReader } from './stream.ts';

/** Blocks have a mebibyte; others have been seen with less. */
const blockBytesMax = 16 * 1024 * 1024;
const checksumBytesMax = 256;

/** Reads an archive file by file. */
export class TarReader {
  readonly #bytes: ByteReader;
  #entry: TarEntry | undefined;
  /** Of the present file, with what fills its last block up. */
  #left = 0;
  #ended = false;

  constructor(bytes: ByteReader) {
    this.#bytes = bytes;
  }

  /** The present file, whose bytes have not been taken, or undefined at the end. @throws XapiError IMPORT_ERROR, IMPORT_ERROR_PREMATURE_EOF */
  async peek(): Promise<TarEntry | undefined> {
    if (this.#entry !== undefined || this.#ended) return this.#entry;
    while (this.#left > 0) {
      const part = await this.#bytes.some(this.#left);
      if (part.length === 0) throw new XapiError('IMPORT_ERROR_PREMATURE_EOF');
      this.#left -= part.length;
    }
    const header = await this.#bytes.exactly(tarBlockBytes);
    try {
      this.#entry = parseTarHeader(header);
    } catch (error) {
      throw error instanceof WireError ? new XapiError('IMPORT_ERROR', error.message) : error;
    }
    this.#ended = this.#entry === undefined;
    if (this.#entry !== undefined) this.#left = this.#entry.sizeBytes + tarPadding(this.#entry.sizeBytes);
    return this.#entry;
  }

  /** Goes past the present file. */
  skip(): void {
    this.#entry = undefined;
  }

  /** All bytes of the present file, and goes past it. @throws XapiError IMPORT_ERROR above `bytesMax` */
  async take(bytesMax: number): Promise<Uint8Array> {
    const entry = await this.peek();
    if (entry === undefined) throw new XapiError('IMPORT_ERROR_PREMATURE_EOF');
    if (entry.sizeBytes > bytesMax)
      throw new XapiError('IMPORT_ERROR', `${entry.name} has more than ${bytesMax} bytes`);
    const data = await this.#bytes.exactly(entry.sizeBytes);
    this.#left -= data.length;
    this.#entry = undefined;
    return data;
  }
}

export interface BlockOptions {
  /** The size of the disk: nothing may be beyond it. */
  readonly sizeBytes: number;
  readonly sha1: Sha1;
  /** Whether blocks are taken whatever their checksums say. */
  readonly force: boolean;
}

const isOf = (disk: string, name: string): boolean => name.startsWith(`${disk}/`);

/**
 * The blocks of a disk, up to the first file that is none of it; those of zeros are left out, as the disk is new. A number that
 * is missing stands for as many zeros as the first block has bytes; a block without bytes only keeps a connection alive.
 * @throws XapiError IMPORT_ERROR, IMPORT_ERROR_SOME_CHECKSUMS_FAILED, IMPORT_ERROR_UNEXPECTED_FILE
 */
export async function* diskPieces(tar: TarReader, disk: string, options: BlockOptions): AsyncGenerator<ImagePiece> {
  let firstBytes = 0;
  let last = -1;
  let offset = 0;
  for (;;) {
    const entry = await tar.peek();
    if (entry === undefined || !isOf(disk, entry.name)) return;
    const { name } = entry;
    const number = /^\d{8,15}$/.test(name.slice(disk.length + 1)) ? Number(name.slice(disk.length + 1)) : -1;
    if (number <= last) throw new XapiError('IMPORT_ERROR_UNEXPECTED_FILE', `${disk}/NUMBER`, name);
    const data = await tar.take(blockBytesMax);
    await checkBlock(tar, name, data, options);
    offset += (number - last - 1) * firstBytes;
    last = number;
    if (offset + data.length > options.sizeBytes)
      throw new XapiError('IMPORT_ERROR', `${name} is beyond the end of its disk`);
    if (firstBytes === 0) firstBytes = data.length;
    if (!isAllZero(data)) yield { offset, data };
    offset += data.length;
  }
}

/** Takes the checksum that follows a block. */
async function checkBlock(
  tar: TarReader,
  name: string,
  data: Uint8Array,
  { sha1, force }: BlockOptions,
): Promise<void> {
  const found = await tar.peek();
  const hash = found?.name === `${name}.xxhash` ? xxHash64 : found?.name === `${name}.checksum` ? sha1 : undefined;
  if (hash === undefined) {
    if (data.length === 0) return;
    throw new XapiError('IMPORT_ERROR_UNEXPECTED_FILE', `${name}.checksum`, found?.name ?? '');
  }
  const said = decodeUtf8(await tar.take(checksumBytesMax)).trim();
  if (!force && said.toLowerCase() !== hash(data).toLowerCase())
    throw new XapiError('IMPORT_ERROR_SOME_CHECKSUMS_FAILED');
}
