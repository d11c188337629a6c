/** The connection of xe to a server: JSON-RPC 2.0 over node:http, one login for the run of a command. */
import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import { builtinHttp, builtinHttps } from './builtin-http.ts';
import type { WireValue } from '@xenolith/wire';
import { ApiError, ConnectionError, parseJson, type Rpc } from '@xenolith/xe';

/** Where a server is, and whom to believe that it is the one. */
export interface ServerAddress {
  readonly url: string;
  readonly verify: boolean;
  /** PEM: the only certificates to trust, instead of those that the system trusts. */
  readonly ca?: Buffer;
}

/** Options of node:tls for a server. */
export const tlsOptions = ({ verify, ca }: ServerAddress): { rejectUnauthorized: boolean; ca?: Buffer } => ({
  rejectUnauthorized: verify,
  ...(ca === undefined ? {} : { ca }),
});

/** A session on a server that is somewhere else. */
export interface ServerRpc extends Rpc {
  readonly server: ServerAddress;
  /** Reference of the session, for what does not go through `call`. */
  readonly session: string;
  close(): Promise<void>;
}

/** More than the server ever answers: what is longer is not from it. */
const answerBytesMax = 512 * 1024 * 1024;
/** Longer than `event.from` waits at most. */
const silenceMs = 600_000;

/** A login is answered at once, also by a server that has much to do. */
const loginMs = 30_000;

type Post = (body: string, timeoutMs: number) => Promise<string>;

/**
 * Logs in.
 * @throws ConnectionError when nothing that speaks HTTP answers, ApiError when the login is refused
 */
export async function connect(server: ServerAddress, user: string, password: string): Promise<ServerRpc> {
  const { url } = server;
  const { post, end } = poster(server);
  let id = 0;
  const raw = async (
    method: string,
    params: readonly WireValue[],
    timeoutMs: number = silenceMs,
  ): Promise<WireValue> => {
    const text = await post(JSON.stringify({ jsonrpc: '2.0', method, params, id: ++id }), timeoutMs);
    return readAnswer(text);
  };
  const login = raw('session.login_with_password', [user, password, '2.0', 'xe'], loginMs);
  const session = await login.catch((error: unknown) => {
    end();
    throw error;
  });
  if (typeof session !== 'string') throw new ConnectionError(`${url} does not speak the XenAPI`);
  return {
    server,
    session,
    call: (method, ...params) => raw(method, [session, ...params]),
    async close() {
      // The session ends by itself if this is lost.
      await raw('session.logout', [session], loginMs).catch(() => {});
      end();
    },
  };
}

/** The result in the text of an answer. Throws ApiError for a refusal, ConnectionError for what is no answer. */
export function readAnswer(text: string): WireValue {
  let answer: unknown;
  try {
    answer = parseJson(text);
  } catch {
    throw new ConnectionError('the server did not answer in JSON');
  }
  if (typeof answer !== 'object' || answer === null) throw new ConnectionError('the server did not answer in JSON-RPC');
  const { result, error } = answer as {
    readonly result?: WireValue;
    readonly error?: { readonly message?: unknown; readonly data?: unknown } | null;
  };
  if (error !== undefined && error !== null) {
    if (typeof error.message !== 'string') throw new ConnectionError('the server did not answer in JSON-RPC');
    const params: readonly unknown[] = Array.isArray(error.data) ? error.data : [];
    throw new ApiError([error.message, ...params.map(String)]);
  }
  if (result === undefined) throw new ConnectionError('the server answered without a result');
  return result;
}

function poster(server: ServerAddress): { readonly post: Post; readonly end: () => void } {
  const { url } = server;
  const target = new URL('/jsonrpc', url);
  const isTls = target.protocol === 'https:';
  const { request } = isTls ? builtinHttps() : builtinHttp();
  const keep = { keepAlive: true, maxSockets: 4 };
  const agent: Agent = isTls
    ? new (builtinHttps().Agent)({ ...keep, ...tlsOptions(server) })
    : new (builtinHttp().Agent)(keep);
  const post: Post = (body, timeoutMs) =>
    new Promise((resolve, reject) => {
      const fail = (error: Error): void =>
        reject(error instanceof ConnectionError ? error : new ConnectionError(problem(error, url), { cause: error }));
      const sent: ClientRequest = request(
        target,
        {
          method: 'POST',
          agent,
          timeout: timeoutMs,
          headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        },
        (response) => {
          answerText(response, url).then(resolve, fail);
        },
      );
      sent.on('error', fail);
      sent.on('timeout', () => sent.destroy(new Error(`no answer for ${timeoutMs / 1000} s`)));
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
  const words = text.trim().replaceAll(/\s+/g, ' ').slice(0, 200);
  throw new ConnectionError(`${url} answered ${response.statusCode}${words === '' ? '' : `: ${words}`}`);
}

/** Why a server could not be spoken to. */
export function problem(error: Error, url: string): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ECONNREFUSED':
      return `nobody listens at ${url}: is xenolithd running (npm start), and is the address right?`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${new URL(url).hostname} is not known`;
    case 'ECONNRESET':
      return `${url} closed the connection`;
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return `${url} has a certificate that is not trusted: --ca FILE says which one is`;
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `the certificate of ${url} is for another name`;
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
      return `${url} does not speak TLS, or no version that we do`;
    case undefined:
      return `${url}: ${error.message}`;
    default:
      if ((error as NodeJS.ErrnoException).code?.startsWith('HPE_') === true) return `${url} does not speak HTTP`;
      return `${url}: ${error.message}`;
  }
}
