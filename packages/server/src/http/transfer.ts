/**
 * Disks and VMs as streams over HTTP, each as a task: what the paths of import and export have in common (PROTOCOL.md §8).
 * XAPI: ocaml/xapi/xapi_http.ml, export.ml, import.ml.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';
import { runHttpWork, XapiError, type Call, type HttpAction, type Log, type Task, type Xapi } from '@xenolith/xapi';
import { disposable, type Disposable } from '@xenolith/base';
import { authenticate } from './authenticate.ts';
import type { HttpLimits } from './limits.ts';
import { refuse, refuseUnread } from './refuse.ts';
import type { Route, Target } from './router.ts';
import { originOf } from './rpc.ts';

export interface TransferOptions {
  readonly xapi: Xapi;
  readonly limits: HttpLimits;
  readonly log: Log;
}

/** A request that data comes or goes with. */
export interface Transfer {
  readonly xapi: Xapi;
  readonly task: Task;
  /** As whom, for calls that are made of it. */
  readonly call: Call;
  readonly query: URLSearchParams;
  /**
   * The body, once; its first bytes are asked for when it is begun to be read. A client of HTTP/1.0 hears 200 at that
   * moment, before it sends any, as stock clients wait for that; its task alone tells how it went on.
   * @throws XapiError IMPORT_ERROR_PREMATURE_EOF when the client leaves
   */
  readonly body: AsyncIterable<Uint8Array>;
  /** Length of the body, when the client said it. */
  readonly bodyBytes: number | undefined;
  /**
   * Sends data as the answer, no faster than the client takes it.
   * @throws XapiError CLIENT_ERROR when the client leaves
   */
  readonly send: (headers: Readonly<Record<string, string | number>>, data: AsyncIterable<Uint8Array>) => Promise<void>;
}

/** What a path does: gives the XML-RPC text of the task's result. */
export interface TransferPath {
  readonly method: 'GET' | 'PUT';
  readonly path: string;
  readonly action: HttpAction;
  /** What its task is called. */
  readonly label: string;
  readonly serve: (transfer: Transfer) => Promise<string>;
}

/** The routes of such a path; clients also ask for it with a slash at its end. */
export function transferRoutes(options: TransferOptions, paths: readonly TransferPath[]): readonly Route[] {
  return paths.flatMap((path) => {
    const handler: Route['handler'] = (request, response, target) => {
      serve(options, path, { request, response, target }).catch((error: unknown) => {
        options.log.error('a transfer failed by a mistake of the program', { error: String(error) });
        request.socket.destroy();
      });
    };
    const { method } = path;
    return [path.path, `${path.path}/`].map((prefix) => ({ method, prefix, exact: true, takesLong: true, handler }));
  });
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: Target;
}

async function serve(options: TransferOptions, path: TransferPath, exchange: Exchange): Promise<void> {
  const { xapi, limits } = options;
  const { request, response, target } = exchange;
  const refused = (status: number, reason: string): void => {
    if (path.method === 'PUT') refuseUnread(request, status, reason, limits.lingerMs);
    else refuse(response, status, reason);
  };
  const caller = await authenticate(xapi, request, target);
  if (caller === undefined) {
    refused(401, 'A session_id (cookie or query) or a user and password are needed.');
    return;
  }
  try {
    // What a browser sends by itself is no consent of its user to a write.
    if (path.method === 'PUT' && caller.ambient && request.headers.origin !== undefined) {
      refused(403, 'A page may not use these credentials.');
      return;
    }
    request.socket.setTimeout(limits.transferSilenceMs);
    const { session, rights } = caller;
    const { action, label } = path;
    const taskId = target.query.get('task_id') ?? undefined;
    const { error } = await runHttpWork({ xapi, session, rights, action, label, taskId }, async (task) => {
      const cancelling = task.onCancel(() => request.socket.destroy());
      try {
        response.setHeader('task-id', task.ref);
        return await path.serve(
          transferOf({ xapi, session, rights, task, origin: originOf(request), onClientGone }, exchange),
        );
      } finally {
        cancelling.dispose();
      }
    });
    request.socket.setTimeout(0);
    if (error === undefined) finish(response);
    // Of what has begun, only the end of the connection tells that it is not whole.
    else if (response.headersSent || response.destroyed) request.socket.destroy();
    else refused(statusOf(error), error.join(' '));
  } finally {
    caller.release();
  }
}

function finish(response: ServerResponse): void {
  if (response.writableEnded || response.destroyed) return;
  if (!response.headersSent) response.writeHead(200, { 'Content-Length': 0 });
  response.end();
}

function statusOf([code]: readonly string[]): number {
  switch (code) {
    case 'RBAC_PERMISSION_DENIED':
      return 403;
    case 'HANDLE_INVALID':
    case 'UUID_INVALID':
      return 404;
    case 'INTERNAL_ERROR':
    case 'CANNOT_CONTACT_HOST':
    case 'HOST_OFFLINE':
    case 'OUT_OF_SPACE':
      return 500;
    default:
      return 400;
  }
}

/** Who leaves is noticed by the stream that breaks. */
const onClientGone = (): Disposable => disposable(() => undefined);

function transferOf(call: Call, { request, response, target }: Exchange): Transfer {
  const length = request.headers['content-length'];
  return {
    xapi: call.xapi,
    task: call.task,
    call,
    query: target.query,
    body: bodyOf(request, response),
    bodyBytes: length === undefined ? undefined : Number(length),
    send: (headers, data) => send(request, response, headers, data),
  };
}

async function* bodyOf(request: IncomingMessage, response: ServerResponse): AsyncGenerator<Uint8Array> {
  if (request.headers.expect !== undefined) response.writeContinue();
  if (request.httpVersion === '1.0') {
    response.writeHead(200, { Connection: 'close' });
    response.flushHeaders();
  }
  try {
    // The connection outlives a refusal in the middle: the client is to hear it.
    yield* request.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Uint8Array>;
  } catch {
    throw new XapiError('IMPORT_ERROR_PREMATURE_EOF');
  }
}

async function send(
  request: IncomingMessage,
  response: ServerResponse,
  headers: Readonly<Record<string, string | number>>,
  data: AsyncIterable<Uint8Array>,
): Promise<void> {
  const begin = (): void => {
    response.writeHead(200, { ...headers, 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' });
  };
  if (request.method === 'HEAD') {
    begin();
    return;
  }
  for await (const part of data) {
    // Not before there is something: what is refused until then is refused in words.
    if (!response.headersSent) begin();
    if (response.destroyed) throw new XapiError('CLIENT_ERROR', 'the client left');
    if (!response.write(part)) await roomIn(response);
  }
  if (response.destroyed) throw new XapiError('CLIENT_ERROR', 'the client left');
}

/** Resolves when the client has taken what waits, or has left. */
async function roomIn(response: ServerResponse): Promise<void> {
  const leave = new AbortController();
  try {
    await Promise.race([
      once(response, 'drain', { signal: leave.signal }),
      once(response, 'close', { signal: leave.signal }),
    ]);
  } finally {
    leave.abort();
  }
}
