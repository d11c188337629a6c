/** The connection of xe to a server: JSON-RPC 2.0 over node:http, one login for the run of a command. */
import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import { builtinHttp, builtinHttps } from './builtin-http.ts';
import type { WireValue } from '@xenolith/wire';

/** A refusal of the server: code and parameters as in PROTOCOL.md §2. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: string;
  readonly params: readonly string[];

  constructor(description: readonly string[]) {
    super(description.join(' '));
    this.code = description[0] ?? 'INTERNAL_ERROR';
    this.params = description.slice(1);
  }
}

/** The server cannot be spoken to. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
}

export interface Rpc {
  readonly url: string;
  /** Reference of the session, for what does not go through `call`. */
  readonly session: string;
  /** Calls a method with the session put first. */
  call(method: string, ...params: readonly WireValue[]): Promise<WireValue>;
  close(): Promise<void>;
}

/** More than the server ever answers: what is longer is not from it. */
const answerBytesMax = 512 * 1024 * 1024;
/** Longer than `event.from` waits at most. */
const silenceMs = 600_000;

type Post = (body: string) => Promise<string>;

/**
 * Logs in.
 * @throws ConnectionError when nothing that speaks HTTP answers, ApiError when the login is refused
 */
export async function connect(url: string, user: string, password: string): Promise<Rpc> {
  const { post, end } = poster(url);
  let id = 0;
  const raw = async (method: string, params: readonly WireValue[]): Promise<WireValue> => {
    const text = await post(JSON.stringify({ jsonrpc: '2.0', method, params, id: ++id }));
    return readAnswer(text);
  };
  const session = await raw('session.login_with_password', [user, password, '2.0', 'xe']).catch((error: unknown) => {
    end();
    throw error;
  });
  if (typeof session !== 'string') throw new ConnectionError(`${url} does not speak the XenAPI`);
  return {
    url,
    session,
    call: (method, ...params) => raw(method, [session, ...params]),
    async close() {
      // The session ends by itself if this is lost.
      await raw('session.logout', [session]).catch(() => {});
      end();
    },
  };
}

/** Integers beyond what a double holds stay the text that they are. */
function keepBigIntegers(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  return context?.source !== undefined && /^-?\d+$/.test(context.source) ? context.source : value;
}

/** The result in the text of an answer. Throws ApiError for a refusal, ConnectionError for what is no answer. */
export function readAnswer(text: string): WireValue {
  let answer: unknown;
  try {
    answer = JSON.parse(text, /\d{16}/.test(text) ? keepBigIntegers : undefined);
  } catch {
    throw new ConnectionError('the server did not answer in JSON');
  }
  if (typeof answer !== 'object' || answer === null) throw new ConnectionError('the server did not answer in JSON-RPC');
  const { result, error } = answer as {
    readonly result?: WireValue;
    readonly error?: { readonly message?: unknown; readonly data?: unknown } | null;
  };
  if (error !== undefined && error !== null) {
    const params: readonly unknown[] = Array.isArray(error.data) ? error.data : [];
    throw new ApiError([String(error.message), ...params.map(String)]);
  }
  if (result === undefined) throw new ConnectionError('the server answered without a result');
  return result;
}

function poster(url: string): { readonly post: Post; readonly end: () => void } {
  const target = new URL('/jsonrpc', url);
  const isTls = target.protocol === 'https:';
  const { request } = isTls ? builtinHttps() : builtinHttp();
  const keep = { keepAlive: true, maxSockets: 4 };
  const agent: Agent = isTls
    ? // As xe does: the servers of a pool have certificates that they made themselves.
      new (builtinHttps().Agent)({ ...keep, rejectUnauthorized: false })
    : new (builtinHttp().Agent)(keep);
  const post: Post = (body) =>
    new Promise((resolve, reject) => {
      const fail = (error: Error): void =>
        reject(error instanceof ConnectionError ? error : new ConnectionError(problem(error, url), { cause: error }));
      const sent: ClientRequest = request(
        target,
        {
          method: 'POST',
          agent,
          timeout: silenceMs,
          headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        },
        (response) => {
          answerText(response, url).then(resolve, fail);
        },
      );
      sent.on('error', fail);
      sent.on('timeout', () => sent.destroy(new Error('no answer')));
      sent.end(body);
    });
  return { post, end: () => agent.destroy() };
}

async function answerText(response: IncomingMessage, url: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > answerBytesMax) throw new Error('the answer is too long');
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  if (response.statusCode === 200) return text;
  throw new ConnectionError(`${url} answered ${response.statusCode}: ${text.trim().slice(0, 200)}`);
}

function problem(error: Error, url: string): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ECONNREFUSED':
      return `nobody listens at ${url}: is xenolithd running (npm start), and is the address right?`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${new URL(url).hostname} is not known`;
    case 'ECONNRESET':
      return `${url} closed the connection`;
    default:
      return `${url}: ${error.message}`;
  }
}
