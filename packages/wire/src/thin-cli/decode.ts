import { decodeUtf8 } from '../utf8.ts';
import { WireError } from '../wire-error.ts';
import { familyTag, kindTag, thinCliMagic, type ThinCliMessage } from './message.ts';

/** Something that came: the other side's version, a message, or bytes of the chunk that was announced. */
export type ThinCliItem =
  | { readonly kind: 'hello'; readonly major: number; readonly minor: number }
  | ThinCliMessage
  | { readonly kind: 'data'; readonly bytes: Uint8Array };

export interface ThinCliLimits {
  /** Of a frame's payload. */
  readonly payloadBytesMax: number;
  /** Of one chunk. */
  readonly chunkBytesMax: number;
}

/** Far above what either program sends: chunks of files are 16 KiB there. */
export const defaultThinCliLimits: ThinCliLimits = { payloadBytesMax: 1 << 20, chunkBytesMax: 64 << 20 };

const helloBytes = thinCliMagic.length + 8;

/**
 * Reads what one side sends, piece by piece as it comes. What it keeps is at most one frame, and the rest of the piece.
 * After an error it is of no further use.
 */
export class ThinCliDecoder {
  readonly #limits: ThinCliLimits;
  #kept = new Uint8Array(0);
  #greeted = false;
  /** Bytes of the announced chunk that are still to come. */
  #chunkLeft = 0;

  constructor(limits: Partial<ThinCliLimits> = {}) {
    this.#limits = { ...defaultThinCliLimits, ...limits };
  }

  /**
   * Takes the next piece and gives what is whole by now.
   * @throws WireError `bad-request` for what is not of the protocol, `too-large`, `bad-utf8`
   */
  push(piece: Uint8Array): readonly ThinCliItem[] {
    this.#keep(piece);
    const items: ThinCliItem[] = [];
    for (let item = this.#next(); item !== undefined; item = this.#next()) items.push(item);
    return items;
  }

  #keep(piece: Uint8Array): void {
    if (this.#kept.length === 0) {
      this.#kept = new Uint8Array(piece);
      return;
    }
    const all = new Uint8Array(this.#kept.length + piece.length);
    all.set(this.#kept);
    all.set(piece, this.#kept.length);
    this.#kept = all;
  }

  #take(length: number): Uint8Array {
    const taken = this.#kept.subarray(0, length);
    this.#kept = this.#kept.subarray(length);
    return taken;
  }

  #next(): ThinCliItem | undefined {
    if (!this.#greeted) return this.#hello();
    if (this.#chunkLeft > 0) {
      if (this.#kept.length === 0) return undefined;
      const bytes = this.#take(Math.min(this.#chunkLeft, this.#kept.length));
      this.#chunkLeft -= bytes.length;
      return { kind: 'data', bytes };
    }
    if (this.#kept.length < 4) return undefined;
    const length = int32At(this.#kept, 0);
    if (length < 0) throw new WireError('bad-request', `a frame of ${length} bytes`);
    if (length > this.#limits.payloadBytesMax) throw new WireError('too-large', `a frame of ${length} bytes`);
    if (this.#kept.length < 4 + length) return undefined;
    this.#take(4);
    const message = readPayload(this.#take(length));
    if (message.kind === 'chunk') {
      if (message.bytes > this.#limits.chunkBytesMax) {
        throw new WireError('too-large', `a chunk of ${message.bytes} bytes`);
      }
      this.#chunkLeft = message.bytes;
    }
    return message;
  }

  #hello(): ThinCliItem | undefined {
    // What is something else is refused at its first wrong byte: it may never send as much as a greeting.
    const known = Math.min(this.#kept.length, thinCliMagic.length);
    for (let i = 0; i < known; i++) {
      if (this.#kept[i] !== thinCliMagic.charCodeAt(i)) throw new WireError('bad-request', 'no thin CLI', i);
    }
    if (this.#kept.length < helloBytes) return undefined;
    this.#greeted = true;
    const hello = this.#take(helloBytes);
    return {
      kind: 'hello',
      major: int32At(hello, thinCliMagic.length),
      minor: int32At(hello, thinCliMagic.length + 4),
    };
  }
}

const int32At = (bytes: Uint8Array, at: number): number =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getInt32(at, true);

/** A payload that is read from its front to its end. */
class Payload {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  int(): number {
    if (this.#at + 4 > this.#bytes.length) throw new WireError('bad-request', 'the frame ends in a number', this.#at);
    this.#at += 4;
    return int32At(this.#bytes, this.#at - 4);
  }

  string(): string {
    const length = this.int();
    if (length < 0 || this.#at + length > this.#bytes.length) {
      throw new WireError('bad-request', `a string of ${length} bytes`, this.#at);
    }
    this.#at += length;
    return decodeUtf8(this.#bytes.subarray(this.#at - length, this.#at));
  }

  strings(): readonly string[] {
    const count = this.int();
    // Each takes four bytes at least.
    if (count < 0 || count * 4 > this.#bytes.length - this.#at) {
      throw new WireError('bad-request', `${count} strings`, this.#at);
    }
    return Array.from({ length: count }, () => this.string());
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new WireError('bad-request', 'the frame goes on', this.#at);
  }
}

function readPayload(bytes: Uint8Array): ThinCliMessage {
  const payload = new Payload(bytes);
  const family = payload.int();
  const tag = payload.int();
  const message =
    family === familyTag.command
      ? readCommand(payload, tag)
      : family === familyTag.response
        ? readResponse(tag)
        : family === familyTag.blob
          ? readBlob(payload, tag)
          : undefined;
  if (message === undefined) throw new WireError('bad-request', `a message ${family} ${tag}`);
  payload.end();
  return message;
}

function readCommand(payload: Payload, tag: number): ThinCliMessage | undefined {
  switch (tag) {
    case kindTag.print:
      return { kind: 'print', text: payload.string() };
    case kindTag['print-stderr']:
      return { kind: 'print-stderr', text: payload.string() };
    case kindTag.debug:
      return { kind: 'debug', text: payload.string() };
    case kindTag.load:
      return { kind: 'load', file: payload.string() };
    case kindTag.prompt:
      return { kind: 'prompt' };
    case kindTag.exit:
      return { kind: 'exit', code: payload.int() };
    case kindTag.error:
      return { kind: 'error', code: payload.string(), params: payload.strings() };
    case kindTag['http-get']:
      return { kind: 'http-get', file: payload.string(), url: payload.string() };
    case kindTag['http-put']:
      return { kind: 'http-put', file: payload.string(), url: payload.string() };
    case kindTag['http-connect']:
      return { kind: 'http-connect', url: payload.string() };
    default:
      return undefined;
  }
}

function readResponse(tag: number): ThinCliMessage | undefined {
  switch (tag) {
    case kindTag.ok:
      return { kind: 'ok' };
    case kindTag.failed:
      return { kind: 'failed' };
    case kindTag.wait:
      return { kind: 'wait' };
    default:
      return undefined;
  }
}

function readBlob(payload: Payload, tag: number): ThinCliMessage | undefined {
  if (tag === kindTag.end) return { kind: 'end' };
  if (tag !== kindTag.chunk) return undefined;
  const bytes = payload.int();
  if (bytes < 0) throw new WireError('bad-request', `a chunk of ${bytes} bytes`);
  return { kind: 'chunk', bytes };
}
