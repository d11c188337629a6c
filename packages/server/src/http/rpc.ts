/** XML-RPC and JSON-RPC over HTTP (PROTOCOL.md §1 and §2): a body in, a call, a body out. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Disposable } from '@xenolith/base';
import {
  jsonRpcFailure,
  jsonRpcSuccess,
  jsonRpcUnreadable,
  parseJsonRpcRequest,
  parseXmlRpcCall,
  WireError,
  xmlRpcBare,
  xmlRpcFailure,
  xmlRpcSuccess,
} from '@xenolith/wire';
import type { Answer, Log, Origin, Request } from '@xenolith/xapi';
import { jsonEncoding, xmlEncoding, type Encoding } from './encode.ts';
import type { HttpLimits } from './limits.ts';
import { refuse, refuseUnread } from './refuse.ts';
import type { Handler } from './router.ts';

/** Carries out a request; never throws. */
export type CallXapi = (request: Request) => Promise<Answer>;

/** A call as it was read, and how its answer is written. */
interface ReadCall {
  readonly method: string;
  readonly params: Request['params'];
  success(valueText: string, bare: boolean): string;
  failure(errorDescription: readonly string[]): string;
}

interface Dialect {
  /** Exactly this: clients compare the header as a whole. */
  readonly contentType: string;
  readonly encoding: Encoding;
  /** @throws WireError */
  read(body: Uint8Array): ReadCall;
  /** The answer to a body that is no call, or undefined for HTTP's own 400. */
  unreadable(error: WireError): string | undefined;
}

const xmlRpc: Dialect = {
  contentType: 'text/xml',
  encoding: xmlEncoding,
  read(body) {
    const { methodName, params } = parseXmlRpcCall(body);
    return {
      method: methodName,
      params,
      success: (text, bare) => (bare ? xmlRpcBare(text) : xmlRpcSuccess(text)),
      failure: xmlRpcFailure,
    };
  },
  // Text that is not UTF-8 is an API error; what is no call at all has no place for one.
  unreadable: (error) =>
    error.code === 'bad-utf8' ? xmlRpcFailure(['INVALID_VALUE', 'request', error.message]) : undefined,
};

const jsonRpc: Dialect = {
  contentType: 'application/json',
  encoding: jsonEncoding,
  read(body) {
    const request = parseJsonRpcRequest(body);
    return {
      method: request.method,
      params: request.params,
      success: (text) => jsonRpcSuccess(request, text),
      failure: (errorDescription) => jsonRpcFailure(request, errorDescription),
    };
  },
  unreadable: jsonRpcUnreadable,
};

/** Headers of every RPC answer, and of the answer to OPTIONS (PROTOCOL.md §1). */
const cors = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Headers': 'X-Requested-With' };
const corsHeaders = Object.entries(cors).flat();

export interface RpcOptions {
  readonly call: CallXapi;
  readonly limits: HttpLimits;
  readonly log: Log;
}

export const xmlRpcHandler = (options: RpcOptions): Handler => rpcHandler(xmlRpc, options);
export const jsonRpcHandler = (options: RpcOptions): Handler => rpcHandler(jsonRpc, options);

/** Answers OPTIONS, for pages of another origin. */
export const corsHandler: Handler = (_request, response) => {
  response.writeHead(200, [...corsHeaders, 'Content-Length', '0']);
  response.end();
};

/** The status that refuses a body before it is read, or its length. */
export function bodyLength(request: IncomingMessage, bytesMax: number): { readonly bytes: number } | 411 | 413 {
  const text = request.headers['content-length'];
  // The parser has made sure that it is a number and that there is no other framing beside it.
  if (text === undefined) return 411;
  const bytes = Number(text);
  return bytes > bytesMax ? 413 : { bytes };
}

function rpcHandler(dialect: Dialect, options: RpcOptions): Handler {
  const { limits } = options;
  return (request, response) => {
    const length = bodyLength(request, limits.rpcBodyBytesMax);
    if (length === 411) {
      refuseUnread(request, 411, 'A call needs a Content-Length.', limits.lingerMs);
    } else if (length === 413) {
      refuseUnread(request, 413, `A call has at most ${limits.rpcBodyBytesMax} bytes.`, limits.lingerMs);
    } else {
      readBody(request, (body) => void respond(dialect, options, { request, response, body }));
    }
  };
}

/** Gives the whole body, whose length is known to be within limits. A client that goes away is forgotten. */
function readBody(request: IncomingMessage, done: (body: Uint8Array) => void): void {
  let first: Buffer | undefined;
  let more: Buffer[] | undefined;
  request.on('data', (chunk: Buffer) => {
    if (first === undefined) first = chunk;
    else (more ??= [first]).push(chunk);
  });
  request.on('end', () => {
    done(more === undefined ? (first ?? new Uint8Array()) : Buffer.concat(more));
  });
  request.on('error', () => undefined);
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Uint8Array;
}

async function respond(dialect: Dialect, options: RpcOptions, { request, response, body }: Exchange): Promise<void> {
  let read: ReadCall;
  try {
    read = dialect.read(body);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    const text = dialect.unreadable(error);
    if (text === undefined) refuse(response, 400, `The body is no XML-RPC call: ${error.message}.`, cors);
    else send(response, dialect, options.limits, text);
    return;
  }
  const answer = await options.call({
    method: read.method,
    params: read.params,
    origin: originOf(request),
    onClientGone: (action) => onClosed(request.socket, action),
  });
  send(response, dialect, options.limits, answerText(dialect, options.log, read, answer));
}

/** The connection is asked, not the response: one that waits behind another of its connection hears of no end. */
function onClosed(socket: Socket, action: () => void): Disposable {
  if (socket.destroyed) {
    action();
    return { dispose() {} };
  }
  // As many as a client may have waiting, and that has a limit of its own.
  socket.setMaxListeners(0);
  socket.once('close', action);
  return {
    dispose() {
      socket.off('close', action);
    },
  };
}

function answerText(dialect: Dialect, log: Log, read: ReadCall, answer: Answer): string {
  if (!answer.ok) return read.failure(answer.error);
  try {
    return read.success(dialect.encoding.value(answer.type, answer.value), answer.bare === true);
  } catch (error) {
    // A value of another type than its table says is a mistake of ours: the client still gets an answer.
    log.error('an answer cannot be encoded', { method: read.method, error: String(error) });
    return read.failure(['INTERNAL_ERROR', `the answer of ${read.method} cannot be written: ${String(error)}`]);
  }
}

/** Above this, text is encoded once into a buffer of its own instead of being joined with the headers first. */
const largeLength = 16 * 1024;

function send(response: ServerResponse, { contentType }: Dialect, limits: HttpLimits, text: string): void {
  if (response.destroyed) return;
  const body = text.length > largeLength ? Buffer.from(text) : text;
  const bytes = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
  response.writeHead(200, ['Content-Type', contentType, 'Content-Length', String(bytes), ...corsHeaders]);
  response.end(body);
  if (!response.writableFinished && bytes > largeLength) limitSending(response, bytes, limits);
}

/** Lets go of a client that does not take its answer: it would hold the text in memory for ever. */
function limitSending(response: ServerResponse, bytes: number, limits: HttpLimits): void {
  const allowedMs = limits.answerMs + (1000 * bytes) / limits.answerBytesPerSecondMin;
  const timer = setTimeout(() => response.destroy(), allowedMs);
  response.once('close', () => clearTimeout(timer));
}

/** Where a request came from, as the calls see it. */
export function originOf(request: IncomingMessage): Origin {
  const { socket, headers } = request;
  const address = socket.remoteAddress ?? '';
  const { originator } = headers;
  return {
    address: address.startsWith('::ffff:') ? address.slice(7) : address,
    tls: socket instanceof TLSSocket,
    ...(headers['user-agent'] === undefined ? {} : { userAgent: headers['user-agent'] }),
    ...(typeof originator === 'string' ? { originator } : {}),
    ...(headers.host === undefined ? {} : { host: headers.host }),
  };
}
