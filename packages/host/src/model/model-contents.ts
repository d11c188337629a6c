/** The contents of a modelled image: blocks that are not zeros, never changed once they are there, so that copies share them. */
import { isAllZero } from '@xenolith/base';
import type { ImagePiece } from '@xenolith/xapi';

const blockBytes = 64 * 1024;

/** What an image holds; where there is no block, zeros. */
export interface ModelContents {
  readonly blocks: ReadonlyMap<number, Uint8Array>;
  /** What the blocks take. */
  readonly bytes: number;
}

export const noContents: ModelContents = { blocks: new Map(), bytes: 0 };

/** Contents that pieces are written into: its blocks are its own, those of `before` stay as they are. */
export class ContentsDraft {
  readonly #blocks: Map<number, Uint8Array>;
  /** Blocks that were made here, and may be changed in place. */
  readonly #fresh = new Set<number>();

  constructor(before: ModelContents) {
    this.#blocks = new Map(before.blocks);
  }

  /** What it takes now. */
  get bytes(): number {
    return this.#blocks.size * blockBytes;
  }

  write(piece: ImagePiece): void {
    const length = 'data' in piece ? piece.data.length : piece.zeroBytes;
    for (let done = 0; done < length;) {
      const offset = piece.offset + done;
      const [index, start] = [Math.floor(offset / blockBytes), offset % blockBytes];
      const count = Math.min(blockBytes - start, length - done);
      const part = 'data' in piece ? piece.data.subarray(done, done + count) : undefined;
      this.#writeBlock(index, start, count, part);
      done += count;
    }
  }

  /** @param part the bytes; zeros when absent */
  #writeBlock(index: number, start: number, count: number, part: Uint8Array | undefined): void {
    const old = this.#blocks.get(index);
    if (part === undefined || (count === blockBytes && isAllZero(part))) {
      if (old === undefined) return;
      if (count === blockBytes) {
        this.#blocks.delete(index);
        this.#fresh.delete(index);
        return;
      }
    }
    let block = old;
    if (block === undefined || !this.#fresh.has(index)) {
      block = new Uint8Array(blockBytes);
      if (old !== undefined) block.set(old);
      this.#blocks.set(index, block);
      this.#fresh.add(index);
    }
    if (part === undefined) block.fill(0, start, start + count);
    else block.set(part, start);
  }

  /** What it holds now. The draft is of no further use. */
  finish(): ModelContents {
    for (const index of this.#fresh)
      if (isAllZero(this.#blocks.get(index) ?? new Uint8Array())) this.#blocks.delete(index);
    return { blocks: this.#blocks, bytes: this.bytes };
  }
}

const zeros = new Uint8Array(blockBytes);

/** The bytes of an image of so many, block by block. */
export function* readContents({ blocks }: ModelContents, sizeBytes: number): Generator<Uint8Array> {
  for (let offset = 0; offset < sizeBytes; offset += blockBytes) {
    const block = blocks.get(offset / blockBytes) ?? zeros;
    yield block.subarray(0, Math.min(blockBytes, sizeBytes - offset));
  }
}

/** What the file of a saved domain begins with: its memory is not modelled, but the file is known as what it is. */
const savedMark = new TextEncoder().encode('saved by a modelled host');

/** What the file of a saved domain holds. */
export const savedContents: ModelContents = (() => {
  const draft = new ContentsDraft(noContents);
  draft.write({ offset: 0, data: savedMark });
  return draft.finish();
})();

/** Whether a file holds that. */
export const isSaved = (contents: ModelContents = noContents): boolean =>
  savedMark.every((byte, index) => contents.blocks.get(0)?.[index] === byte);
