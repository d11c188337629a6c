/**
 * `POST /cli`: the thin CLI protocol, by which the stock `xe` has its commands run here (PROTOCOL.md §10). The request
 * is HTTP, what follows it is not: the connection is ours from its first byte.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { encodeThinCli, thinCliHello, thinCliVersion, WireError, type ThinCliMessage } from '@xenolith/wire';
import type { Log, Origin, Xapi } from '@xenolith/xapi';
import {
  ApiError,
  ConnectionError,
  helpText,
  preparedCommand,
  report,
  runCommand,
  UsageError,
  type Exchange,
  type ServerPath,
  type Terminal,
} from '@xenolith/xe';
import type { HttpLimits } from './limits.ts';
import { rawRefusal } from './refuse.ts';
import type { CallXapi } from './rpc.ts';
import { parseThinCliBody, type ThinCliRequest } from './thin-cli-arguments.ts';
import { ThinCliSocket } from './thin-cli-socket.ts';
import { localSession, type LocalSession } from './local-session.ts';

export const thinCliPath = '/cli';

export interface ThinCliOptions {
  readonly xapi: Xapi;
  /** Carries requests out. */
  readonly call: CallXapi;
  readonly limits: HttpLimits;
  readonly log: Log;
}

/** More than any file that a command takes whole. */
const fileBytesMax = 16 * 1024 * 1024;

/** Takes over connections that begin with `POST /cli`. */
export function thinCliServer(options: ThinCliOptions): (socket: Socket) => void {
  return (socket) => {
    socket.on('error', () => socket.destroy());
    serve(options, new ThinCliSocket(socket)).catch((error: unknown) => {
      // Who left in the middle, or spoke something else, is owed no answer.
      if (error instanceof WireError || error instanceof ConnectionError) {
        options.log.info('a thin CLI connection came to nothing', { error: error.message });
      } else {
        options.log.error('a thin CLI command failed by a mistake of the program', { error: String(error) });
      }
      socket.destroySoon();
    });
  };
}

async function serve(options: ThinCliOptions, wire: ThinCliSocket): Promise<void> {
  const { limits } = options;
  wire.limitTime(limits.requestMs);
  const request = await readRequest(wire, limits);
  if (request === undefined) return;
  wire.send(thinCliHello());
  const hello = await wire.item();
  if (hello.kind !== 'hello' || hello.major !== thinCliVersion.major) {
    throw new ConnectionError('the client speaks another version of the thin CLI');
  }
  wire.limitTime(0);
  const code = await run(options, wire, request);
  tell(wire, { kind: 'exit', code });
  wire.end(limits.answerMs);
}

/** The request, or undefined when it was refused in HTTP's words. */
async function readRequest(wire: ThinCliSocket, limits: HttpLimits): Promise<ThinCliRequest | undefined> {
  const head = await wire.head();
  const length = /^content-length:[ \t]*(\d{1,9})[ \t]*$/im.exec(head)?.[1];
  const bytes = Number(length);
  if (length === undefined || bytes > limits.rpcBodyBytesMax) {
    wire.send(rawRefusal(length === undefined ? 411 : 413, 'The arguments come as a body of known length.'));
    wire.end(limits.lingerMs);
    return undefined;
  }
  const originator = /^originator:[ \t]*(.*?)[ \t]*$/im.exec(head)?.[1];
  const userAgent = /^user-agent:[ \t]*(.*?)[ \t]*$/im.exec(head)?.[1];
  const { remoteAddress = '' } = wire.socket;
  const origin: Origin = {
    address: remoteAddress.startsWith('::ffff:') ? remoteAddress.slice(7) : remoteAddress,
    tls: wire.socket instanceof TLSSocket,
    ...(userAgent === undefined ? {} : { userAgent }),
    originator: originator ?? 'cli',
  };
  return parseThinCliBody(await wire.body(bytes), origin);
}

const tell = (wire: ThinCliSocket, message: ThinCliMessage): void => wire.send(encodeThinCli(message));

/** Runs the command; what it prints and why it fails goes to the client. Gives the exit code: 0, or 1 as xe's. */
async function run(options: ThinCliOptions, wire: ThinCliSocket, request: ThinCliRequest): Promise<number> {
  const lines = new Lines(wire);
  let session: LocalSession | undefined;
  try {
    const line = request.line();
    if (line.command === 'help') {
      lines.write(await helpText(line.values.has('all') ? ['all'] : line.words));
      return 0;
    }
    session = await localSession(options, request.login, request.origin);
    const command = await preparedCommand(line.command, line);
    await runCommand(command, line, session, terminal(wire, lines, session));
    return 0;
  } catch (error) {
    if (error instanceof ConnectionError || error instanceof WireError) throw error;
    const { text } = await report(error, false);
    lines.flush();
    tell(wire, { kind: 'print-stderr', text: `${text}\n` });
    return 1;
  } finally {
    lines.flush();
    await session?.close();
  }
}

/** Text as the lines that the client prints: it adds their ends. */
class Lines {
  readonly #wire: ThinCliSocket;
  #rest = '';

  constructor(wire: ThinCliSocket) {
    this.#wire = wire;
  }

  write(text: string): void {
    const whole = (this.#rest + text).split('\n');
    this.#rest = whole.pop() ?? '';
    if (whole.length > 0) tell(this.#wire, { kind: 'print', text: whole.join('\n') });
  }

  flush(): void {
    if (this.#rest !== '') this.write('\n');
  }
}

function terminal(wire: ThinCliSocket, lines: Lines, session: LocalSession): Terminal {
  return {
    // What control characters do there is the client's to know, as it is with the stock server.
    outIsTerminal: false,
    write: (text) => lines.write(text),
    progress: () => undefined,
    interrupts(onInterrupt) {
      wire.socket.once('close', onInterrupt);
      return () => {
        wire.socket.off('close', onInterrupt);
      };
    },
    exchange: exchangeOver(wire, lines, session),
  };
}

/** A path with its parameters; the client comes by itself, and says nothing more of who it is. */
const pathText = ({ path, query }: ServerPath, session: LocalSession): string =>
  `${path}?${new URLSearchParams({ session_id: session.ref, ...query }).toString()}`;

function exchangeOver(wire: ThinCliSocket, lines: Lines, session: LocalSession): Exchange {
  return {
    async readFile(path) {
      lines.flush();
      tell(wire, { kind: 'load', file: path });
      if ((await wire.response()) !== 'ok') throw new UsageError(`${path}: the file cannot be read`);
      return (await wire.blob(fileBytesMax)).toString('utf8');
    },
    async upload(to, file) {
      lines.flush();
      tell(wire, { kind: 'http-put', file, url: pathText(to, session) });
      if ((await wire.response()) !== 'ok') throw new ApiError(['CLIENT_ERROR', `${file} could not be sent`]);
    },
    async download(from, file) {
      lines.flush();
      tell(wire, { kind: 'http-get', file, url: pathText(from, session) });
      if ((await wire.response()) !== 'ok') throw new ApiError(['CLIENT_ERROR', `${file} could not be written`]);
    },
    async ask() {
      lines.flush();
      tell(wire, { kind: 'prompt' });
      return (await wire.blob(fileBytesMax)).toString('utf8');
    },
    async attach(vm) {
      lines.flush();
      const query = `ref=${encodeURIComponent(vm)}&session_id=${encodeURIComponent(session.ref)}`;
      tell(wire, { kind: 'http-connect', url: `/console?${query}` });
      if ((await wire.response()) !== 'ok') throw new ApiError(['INTERNAL_ERROR', 'the console could not be joined']);
    },
  };
}
