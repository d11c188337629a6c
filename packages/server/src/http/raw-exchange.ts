/** HTTP by hand, for tests: what is sent is exactly what is written, and an answer is taken apart without a library. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface RawAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A connection and what came over it that nobody has read yet. */
export class RawConnection {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    const wake = (): void => this.#wake?.();
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      wake();
    });
    for (const event of ['end', 'close', 'error']) {
      socket.on(event, () => {
        this.#ended = true;
        wake();
      });
    }
  }

  static async open(port: number): Promise<RawConnection> {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    await once(socket, 'connect');
    return new RawConnection(socket);
  }

  static async openTls(port: number): Promise<RawConnection> {
    const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    return new RawConnection(socket);
  }

  write(data: string | Uint8Array): void {
    this.socket.write(data);
  }

  /** Bytes until `test` finds what it wants in them, giving how many to take. */
  async #take(test: (received: Buffer) => number | undefined): Promise<Buffer> {
    for (;;) {
      const length = test(this.#received);
      if (length !== undefined) {
        const taken = this.#received.subarray(0, length);
        this.#received = this.#received.subarray(length);
        return taken;
      }
      if (this.#ended) throw new Error(`the connection ended after ${JSON.stringify(this.#received.toString())}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Reads exactly one answer. */
  async answer(): Promise<RawAnswer> {
    const head = (
      await this.#take((received) => {
        const end = received.indexOf('\r\n\r\n');
        return end < 0 ? undefined : end + 4;
      })
    ).toString('latin1');
    const [statusLine = '', ...lines] = head.trimEnd().split('\r\n');
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    const length = Number(headers['content-length'] ?? 0);
    const body = await this.#take((received) => (received.length < length ? undefined : length));
    return { status: Number(statusLine.split(' ')[1]), headers, body: body.toString() };
  }

  /** Bytes until they contain `text`. */
  async until(text: string): Promise<string> {
    const taken = await this.#take((received) => {
      const at = received.indexOf(text);
      return at < 0 ? undefined : at + Buffer.byteLength(text);
    });
    return taken.toString();
  }

  /** Resolves when the other side has ended the connection. */
  async end(): Promise<void> {
    while (!this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    this.socket.destroy();
  }
}

/** A request on a connection of its own. */
export async function exchange(port: number, request: string | Uint8Array): Promise<RawAnswer> {
  const connection = await RawConnection.open(port);
  try {
    connection.write(request);
    return await connection.answer();
  } finally {
    connection.close();
  }
}

/** A POST, with the headers that every client sends. */
export function post(path: string, body: string | Uint8Array, headers: readonly string[] = []): Uint8Array {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const head = [`POST ${path} HTTP/1.1`, 'Host: test', `Content-Length: ${bytes.length}`, ...headers, '', ''].join(
    '\r\n',
  );
  return Buffer.concat([Buffer.from(head), bytes]);
}
