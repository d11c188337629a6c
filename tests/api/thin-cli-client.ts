/**
 * A client of the thin CLI protocol, from what PROTOCOL.md §10 says of the stock `xe` and from nothing of ours: it does
 * what the server tells it, and keeps what it printed.
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface ThinCliEnd {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
  /** Commands to the client that print nothing, such as `load f`. */
  readonly asked: readonly string[];
}

export interface ThinCliAsk {
  readonly url: string;
  /** A line each: command, key=value…, username=, password=. */
  readonly lines: readonly string[];
  /** Files that the client gives when it is asked for them. */
  readonly files?: Readonly<Record<string, string>>;
  /** Files that the server has the client write end up here. */
  readonly got?: Map<string, string>;
  /** What is typed at a prompt. */
  readonly typed?: string;
  /** As the connection for HttpConnect answers. */
  readonly joins?: (url: string) => Promise<boolean>;
  /** How the bytes to the server are cut. */
  readonly pieceBytes?: number;
}

const int = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
};
const frame = (...numbers: readonly number[]): Buffer =>
  Buffer.concat([int(numbers.length * 4), ...numbers.map((number) => int(number))]);
const ok = frame(10, 5);
const failed = frame(10, 6);
const end = frame(11, 8);
const magic = 'XenSource thin CLI protocol';

class Reader {
  #received = Buffer.alloc(0);
  #wake = (): void => {};
  #ended = false;

  constructor(socket: Socket) {
    socket.on('data', (data: Buffer) => {
      this.#received = Buffer.concat([this.#received, data]);
      this.#wake();
    });
    socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
    socket.on('error', () => {});
  }

  async take(bytes: number): Promise<Buffer> {
    while (this.#received.length < bytes) {
      if (this.#ended) throw new Error(`the server ended after ${JSON.stringify(this.#received.toString('latin1'))}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const taken = this.#received.subarray(0, bytes);
    this.#received = this.#received.subarray(bytes);
    return taken;
  }

  /** Resolves with what came besides when the server has ended the connection. */
  async rest(): Promise<string> {
    while (!this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#received.toString();
  }
}

async function open(url: string): Promise<Socket> {
  const { hostname, port, protocol } = new URL(url);
  const isTls = protocol === 'https:';
  const socket = isTls
    ? connectTls({ host: hostname, port: Number(port), rejectUnauthorized: false })
    : connect({ host: hostname, port: Number(port) });
  await new Promise<void>((resolve, reject) => {
    socket.once(isTls ? 'secureConnect' : 'connect', resolve);
    socket.once('error', reject);
  });
  return socket;
}

/** The request of `xe` with these arguments. */
export function cliRequest(lines: readonly string[]): Buffer {
  const body = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  const head = `POST /cli HTTP/1.0\r\nUser-agent: xe-cli/Unix/0.2\r\noriginator: cli\r\ncontent-length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** Sends bytes that need be no protocol, and gives what the server sends until it ends the connection. */
export async function rawCli(url: string, ...pieces: readonly (string | Buffer)[]): Promise<string> {
  const socket = await open(url);
  const reader = new Reader(socket);
  for (const piece of pieces) socket.write(piece);
  return reader.rest();
}

/** As the program does it: HTTP/1.0, and the answer is read before anything is sent. */
async function byHttp(ask: ThinCliAsk, path: string, text: string | undefined, file: string): Promise<boolean> {
  const socket = await open(ask.url);
  const reader = new Reader(socket);
  const length = text === undefined ? '' : `content-length: ${Buffer.byteLength(text)}\r\n`;
  socket.write(`${text === undefined ? 'GET' : 'PUT'} ${path} HTTP/1.0\r\n${length}\r\n`);
  let head = '';
  while (!head.endsWith('\r\n\r\n')) head += (await reader.take(1)).toString('latin1');
  const isGood = /^HTTP\/1\.[01] 200 /.test(head);
  if (isGood && text !== undefined) socket.write(text);
  // The program does not wait for what the server makes of it.
  if (isGood && text === undefined) ask.got?.set(file, await reader.rest());
  socket.end();
  return isGood;
}

/** Runs one command. Rejects when the server does not keep to the protocol. */
export async function thinCli(ask: ThinCliAsk): Promise<ThinCliEnd> {
  const socket = await open(ask.url);
  try {
    return await converse(socket, ask);
  } finally {
    socket.destroy();
  }
}

async function converse(socket: Socket, ask: ThinCliAsk): Promise<ThinCliEnd> {
  const reader = new Reader(socket);
  const send = (bytes: Buffer): void => {
    const step = ask.pieceBytes ?? bytes.length;
    for (let at = 0; at < bytes.length; at += step) socket.write(bytes.subarray(at, at + step));
  };
  send(cliRequest(ask.lines));
  const hello = await reader.take(magic.length + 8);
  if (hello.toString('latin1', 0, magic.length) !== magic) throw new Error('no magic');
  if (hello.readInt32LE(magic.length) !== 0) throw new Error('another major version');
  send(Buffer.concat([Buffer.from(magic), int(0), int(2)]));
  let stdout = '';
  let stderr = '';
  const asked: string[] = [];
  for (;;) {
    const payload = await reader.take((await reader.take(4)).readInt32LE());
    if (payload.readInt32LE(0) !== 9) throw new Error(`no command but ${payload.readInt32LE(0)}`);
    let at = 8;
    const string = (): string => {
      const length = payload.readInt32LE(at);
      at += 4 + length;
      if (at > payload.length) throw new Error('a string beyond its frame');
      return payload.toString('utf8', at - length, at);
    };
    const tag = payload.readInt32LE(4);
    if (tag === 0) stdout += `${string()}\n`;
    else if (tag === 16) stderr += string();
    else if (tag === 4) return { stdout, stderr, code: payload.readInt32LE(8), asked };
    else if (tag === 1) {
      const file = string();
      asked.push(`load ${file}`);
      const text = ask.files?.[file];
      // As the program does it: what was not named on the command line is not given.
      if (text === undefined || !ask.lines.some((line) => line.endsWith(`=${file}`))) send(failed);
      else send(Buffer.concat([ok, frame(11, 7, Buffer.byteLength(text)), Buffer.from(text), end]));
    } else if (tag === 3) {
      asked.push('prompt');
      const line = `${ask.typed ?? ''}\n`;
      send(Buffer.concat([frame(11, 7, line.length), Buffer.from(line), end]));
    } else if (tag === 12 || tag === 13) {
      const file = string();
      const path = string();
      asked.push(`${tag === 12 ? 'get' : 'put'} ${file} ${path.replace(/=[^&]*/g, '=…')}`);
      const text = ask.files?.[file];
      const isNamed = ask.lines.some((line) => line.endsWith(`=${file}`));
      if (!isNamed || (tag === 13) === (text === undefined)) send(failed);
      else send((await byHttp(ask, path, text, file)) ? ok : failed);
    } else if (tag === 17) {
      const url = string();
      asked.push(`connect ${url.replace(/=[^&]*/g, '=…')}`);
      send((await ask.joins?.(url)) === true ? ok : failed);
    } else throw new Error(`command ${tag}`);
  }
}
