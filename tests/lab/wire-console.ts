/** A VM's console as a client has it: from the `location` of its record, over TLS, with the session's id. */
import { once } from 'node:events';
import { request } from 'node:https';
import type { Duplex } from 'node:stream';
import { WebSocket, createWebSocketStream } from 'ws';

export class WireConsole {
  readonly #stream: Duplex;
  #text = '';

  private constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on('data', (data: Buffer) => {
      this.#text += data.toString('latin1');
    });
    stream.on('error', () => undefined);
  }

  /** By HTTP's CONNECT, as the clients of XAPI's own consoles do. */
  static async connect(location: string, sessionId: string): Promise<WireConsole> {
    const { hostname, port, pathname, search } = new URL(location);
    const asked = request({
      method: 'CONNECT',
      host: hostname,
      port,
      path: `${pathname}${search}&session_id=${encodeURIComponent(sessionId)}`,
      rejectUnauthorized: false,
    });
    const answered = new Promise<WireConsole>((resolve, reject) => {
      asked.once('error', reject);
      asked.once('connect', ({ statusCode }, socket, head) => {
        if (statusCode !== 200) {
          socket.destroy();
          reject(new Error(`the console was refused with ${statusCode}`));
          return;
        }
        if (head.length > 0) socket.unshift(head);
        resolve(new WireConsole(socket));
      });
    });
    asked.end();
    return answered;
  }

  /** Over a WebSocket, as browsers do. */
  static async webSocket(location: string, sessionId: string): Promise<WireConsole> {
    const socket = new WebSocket(location.replace(/^https:/, 'wss:'), ['binary'], {
      rejectUnauthorized: false,
      headers: { cookie: `session_id=${encodeURIComponent(sessionId)}` },
    });
    // Before it is open: the first bytes may come with the answer.
    const stream = createWebSocketStream(socket);
    await once(socket, 'open');
    return new WireConsole(stream);
  }

  /** All text so far, once `marker` is in it. */
  until(marker: string, timeoutMs: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        this.#stream.off('data', look);
        this.#stream.off('close', closed);
        settle();
      };
      const fail = (why: string): void => end(() => reject(new Error(`${why} without ${marker}:\n${this.#text}`)));
      const timer = setTimeout(() => fail(`${timeoutMs} ms went by`), timeoutMs);
      const closed = (): void => fail('the console ended');
      const look = (): void => {
        if (this.#text.includes(marker)) end(() => resolve(this.#text));
      };
      this.#stream.on('data', look);
      this.#stream.once('close', closed);
      look();
    });
  }

  type(text: string): void {
    this.#stream.write(text);
  }

  close(): void {
    this.#stream.destroy();
  }
}
