/**
 * A small HTTP/1.1 client on bare sockets: the load must cost less than the server under it, or every server looks
 * alike. It knows keep-alive answers with a Content-Length, and nothing else.
 */
import { connect, type Socket } from 'node:net';

export interface Target {
  readonly port: number;
  readonly path: string;
  readonly body: string;
}

const requestText = ({ path, body }: Target): string =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

class Connection {
  readonly #socket: Socket;
  #received: Buffer[] = [];
  #size = 0;
  #settle: { resolve: (body: Buffer) => void; reject: (error: Error) => void } | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.#received.push(chunk);
      this.#size += chunk.length;
      this.#deliver();
    });
    socket.on('error', (error) => this.#settle?.reject(error));
    socket.on('close', () => this.#settle?.reject(new Error('connection closed')));
  }

  exchange(text: string): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#socket.write(text);
    });
  }

  close(): void {
    this.#settle = undefined;
    this.#socket.destroy();
  }

  #deliver(): void {
    const [head] = this.#received;
    if (head === undefined) return;
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) {
      if (this.#received.length > 1) this.#received = [Buffer.concat(this.#received)];
      return;
    }
    const length = Number(/content-length: *(\d+)/i.exec(head.toString('latin1', 0, end))?.[1]);
    if (this.#size < end + 4 + length) return;
    const whole = this.#received.length === 1 ? head : Buffer.concat(this.#received);
    this.#received = [];
    this.#size = 0;
    this.#settle?.resolve(whole.subarray(end + 4));
  }
}

const open = (port: number): Promise<Connection> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      resolve(new Connection(socket));
    });
    socket.once('error', reject);
  });

/** One request and its answer's body. */
export async function post(target: Target): Promise<Buffer> {
  const connection = await open(target.port);
  try {
    return await connection.exchange(requestText(target));
  } finally {
    connection.close();
  }
}

/** Sends `count` requests over `connections` kept-alive connections. Gives requests a second. */
export async function load(target: Target, count: number, connections: number): Promise<number> {
  const text = requestText(target);
  const connected = await Promise.all(Array.from({ length: connections }, () => open(target.port)));
  let left = count;
  const begin = performance.now();
  await Promise.all(
    connected.map(async (connection) => {
      while (left-- > 0) await connection.exchange(text);
    }),
  );
  const seconds = (performance.now() - begin) / 1000;
  for (const connection of connected) connection.close();
  return count / seconds;
}

/** A kept-alive connection to one path, for one request at a time. */
export async function exchanger(
  port: number,
  path: string,
): Promise<{ readonly post: (body: string) => Promise<Buffer>; readonly close: () => void }> {
  const connection = await open(port);
  return {
    post: (body) => connection.exchange(requestText({ port, path, body })),
    close: () => connection.close(),
  };
}
