/** The reading and writing of a thin CLI connection, piece by piece as the client sends. */
import type { Socket } from 'node:net';
import { ThinCliDecoder, type ThinCliItem } from '@xenolith/wire';
import { ConnectionError } from '@xenolith/xe';

/** Of a request's head, as Node's own limit for HTTP. */
const headBytesMax = 16 * 1024;
/** What a client sends besides files are answers of a few bytes. */
const limits = { payloadBytesMax: 4096, chunkBytesMax: 16 * 1024 * 1024 };
/** Output that the client has not taken: what is longer is no list of anything. */
const backlogBytesMax = 256 * 1024 * 1024;

export class ThinCliSocket {
  readonly socket: Socket;
  readonly #pieces: AsyncIterator<Buffer>;
  readonly #decoder = new ThinCliDecoder(limits);
  readonly #items: ThinCliItem[] = [];
  /** What has come and is still to be read. */
  #kept = Buffer.alloc(0);
  #limit: NodeJS.Timeout | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    this.#pieces = (socket as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    socket.once('close', () => clearTimeout(this.#limit));
  }

  /** Ends the connection after so long, unless another limit is set before that; 0 for none. */
  limitTime(ms: number): void {
    clearTimeout(this.#limit);
    this.#limit = ms === 0 ? undefined : setTimeout(() => this.socket.destroy(), ms);
  }

  async #piece(): Promise<Buffer> {
    const { done, value } = await this.#pieces.next().catch(() => ({ done: true as const, value: undefined }));
    if (done === true) throw new ConnectionError('the client left');
    return value;
  }

  /** The head of the request, with the empty line that ends it. Throws ConnectionError. */
  async head(): Promise<string> {
    for (;;) {
      const end = this.#kept.indexOf('\r\n\r\n');
      if (end >= 0) {
        const head = this.#kept.subarray(0, end + 4).toString('latin1');
        this.#kept = this.#kept.subarray(end + 4);
        return head;
      }
      if (this.#kept.length > headBytesMax) throw new ConnectionError('the head of the request is too long');
      this.#kept = Buffer.concat([this.#kept, await this.#piece()]);
    }
  }

  /** So many bytes after the head. Throws ConnectionError. */
  async body(bytes: number): Promise<Buffer> {
    while (this.#kept.length < bytes) this.#kept = Buffer.concat([this.#kept, await this.#piece()]);
    const body = this.#kept.subarray(0, bytes);
    this.#kept = this.#kept.subarray(bytes);
    return body;
  }

  /** What comes next. Throws ConnectionError when nothing does, WireError. */
  async item(): Promise<ThinCliItem> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) return item;
      const piece = this.#kept.length > 0 ? this.#kept : await this.#piece();
      this.#kept = Buffer.alloc(0);
      this.#items.push(...this.#decoder.push(piece));
    }
  }

  /** OK or Failed, which may be long in coming. */
  async response(): Promise<'ok' | 'failed'> {
    for (;;) {
      const { kind } = await this.item();
      if (kind === 'ok' || kind === 'failed') return kind;
      if (kind !== 'wait') throw new ConnectionError(`the client sent ${kind} where an answer was awaited`);
    }
  }

  /** A file, to its end. Throws ConnectionError for one above the limit. */
  async blob(bytesMax: number): Promise<Buffer> {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for (;;) {
      const item = await this.item();
      if (item.kind === 'end') return Buffer.concat(pieces);
      if (item.kind === 'chunk') bytes += item.bytes;
      else if (item.kind === 'data') pieces.push(item.bytes);
      else throw new ConnectionError(`the client sent ${item.kind} in the middle of a file`);
      if (bytes > bytesMax) throw new ConnectionError(`the client sent a file of more than ${bytesMax} bytes`);
    }
  }

  send(data: Uint8Array | string): void {
    if (this.socket.writableLength > backlogBytesMax) this.socket.destroy();
    if (!this.socket.destroyed) this.socket.write(data);
  }

  /** Ends our side; the client has so long to take what it was sent, and to end its own. */
  end(ms: number): void {
    this.limitTime(ms);
    this.socket.end();
    this.socket.resume();
  }
}
