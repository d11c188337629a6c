/** Streams of images on their way: counted, watched by a task, cut into pieces. */
import { isAllZero, mibBytes } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import type { ImagePiece } from '../host-driver.ts';
import type { Task } from '../task/tasks.ts';

/** A task's progress is written this many times at most. */
const progressSteps = 100;

/** Shows how much of a whole is done: in whole percents, as each is a change that everybody hears of. */
export function progressOf(task: Task, totalBytes: number): (doneBytes: number) => void {
  let shown = 0;
  return (doneBytes) => {
    const step = Math.floor((progressSteps * doneBytes) / Math.max(1, totalBytes));
    if (step <= shown) return;
    shown = step;
    task.setProgress(step / progressSteps);
  };
}

/** Bytes as they come, as long as the task is not cancelled. @throws XapiError TASK_CANCELLED */
export async function* watched(
  task: Task,
  data: AsyncIterable<Uint8Array>,
  done: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const part of data) {
    task.throwIfCancelled();
    yield part;
    bytes += part.length;
    done(bytes);
  }
}

/** Zeros are told from other bytes in blocks of this size: what file systems leave holes of is a multiple of it. */
const blockBytes = 64 * 1024;

/** Bytes of an image as pieces of at most a mebibyte, runs of zeros as one piece however long they are. */
export async function* piecesOf(data: AsyncIterable<Uint8Array>): AsyncGenerator<ImagePiece> {
  let at = 0;
  let zeros = 0;
  for await (const block of blocksOf(data, blockBytes)) {
    if (isAllZero(block)) zeros += block.length;
    else {
      if (zeros > 0) yield { offset: at - zeros, zeroBytes: zeros };
      zeros = 0;
      yield { offset: at, data: block };
    }
    at += block.length;
  }
  if (zeros > 0) yield { offset: at - zeros, zeroBytes: zeros };
}

/** The same bytes in blocks of one size, the last one shorter: parts of what came where a whole block did, else copied together. */
export async function* blocksOf(data: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let block = new Uint8Array(size);
  let filled = 0;
  for await (const part of data) {
    for (let taken = 0; taken < part.length;) {
      if (filled === 0 && part.length - taken >= size) {
        yield part.subarray(taken, taken + size);
        taken += size;
        continue;
      }
      const count = Math.min(size - filled, part.length - taken);
      block.set(part.subarray(taken, taken + count), filled);
      filled += count;
      taken += count;
      if (filled < size) continue;
      yield block;
      block = new Uint8Array(size);
      filled = 0;
    }
  }
  if (filled > 0) yield block.subarray(0, filled);
}

/** Takes bytes from a stream by number. */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #kept = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Some bytes, at most `most`; none at the end. */
  async some(most: number): Promise<Uint8Array> {
    while (this.#kept.length === 0) {
      const { done, value } = await this.#source.next();
      if (done === true) return new Uint8Array(0);
      this.#kept = value as Uint8Array<ArrayBuffer>;
    }
    const taken = this.#kept.subarray(0, most);
    this.#kept = this.#kept.subarray(taken.length);
    return taken;
  }

  /** Exactly so many, which are kept in memory. @throws XapiError IMPORT_ERROR_PREMATURE_EOF */
  async exactly(count: number): Promise<Uint8Array> {
    const all = new Uint8Array(count);
    for (let filled = 0; filled < count;) {
      const part = await this.some(count - filled);
      if (part.length === 0) throw new XapiError('IMPORT_ERROR_PREMATURE_EOF');
      all.set(part, filled);
      filled += part.length;
    }
    return all;
  }
}

/**
 * The chunked form of raw imports: records of offset (64 bits), length (32 bits), both little endian, and as many bytes;
 * one of offset 0 and length 0 ends them. XAPI's vhd-tool has the form (`Chunked`).
 * @param sizeBytes of the image: nothing may be beyond it
 * @throws XapiError IMPORT_ERROR_PREMATURE_EOF, and what `beyond` gives
 */
export async function* chunkedPieces(
  data: AsyncIterable<Uint8Array>,
  sizeBytes: number,
  beyond: (endBytes: number) => XapiError,
): AsyncGenerator<ImagePiece> {
  const reader = new ByteReader(data);
  for (;;) {
    const head = await reader.exactly(12);
    const view = new DataView(head.buffer, head.byteOffset, head.length);
    let offset = Number(view.getBigUint64(0, true));
    let left = view.getUint32(8, true);
    if (offset === 0 && left === 0) return;
    if (offset + left > sizeBytes) throw beyond(offset + left);
    while (left > 0) {
      const part = await reader.exactly(Math.min(left, mibBytes));
      yield { offset, data: part };
      offset += part.length;
      left -= part.length;
    }
  }
}
