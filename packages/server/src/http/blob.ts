/** `GET` and `PUT /blob?ref=…` or `?uuid=…`: the data of blobs. XAPI: ocaml/xapi/xapi_blob.ml. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ref as makeRef, type Ref } from '@xenolith/base';
import { formatDateTime } from '@xenolith/wire';
import type { Log, Xapi } from '@xenolith/xapi';
import { BlobTooLarge, type BlobFiles } from '../start/blob-files.ts';
import { authenticate, type Caller } from './authenticate.ts';
import type { HttpLimits } from './limits.ts';
import { refuse, refuseUnread } from './refuse.ts';
import type { Route, Target } from './router.ts';

export interface BlobOptions {
  readonly xapi: Xapi;
  readonly blobs: BlobFiles;
  readonly limits: HttpLimits;
  readonly log: Log;
}

/** The routes of blobs. A public one is for everybody to read, and nobody's to write. */
export function blobRoutes(options: BlobOptions): readonly Route[] {
  const guarded =
    (serve: (request: IncomingMessage, response: ServerResponse, target: Target) => Promise<void>): Route['handler'] =>
    (request, response, target) => {
      serve(request, response, target).catch((error: unknown) => {
        options.log.info('a blob was not served to its end', { error: String(error) });
        if (response.headersSent) response.destroy();
        else refuseUnread(request, 500, 'The blob cannot be read or written.', options.limits.lingerMs);
      });
    };
  const get = guarded((request, response, target) => serveGet(options, request, response, target));
  const put = guarded((request, response, target) => servePut(options, request, response, target));
  return [
    { method: 'GET', prefix: '/blob', exact: true, handler: get },
    { method: 'PUT', prefix: '/blob', exact: true, handler: put },
  ];
}

function blobOf({ db }: Xapi, { query }: Target): Ref<'blob'> | undefined {
  const uuid = query.get('uuid');
  const found = uuid === null ? makeRef<'blob'>(query.get('ref') ?? '') : db.byUuid('blob', uuid);
  return found !== undefined && db.has('blob', found) ? found : undefined;
}

const noCredentials = 'A session_id (cookie or query) or a user and password are needed.';

async function serveGet(
  { xapi, blobs }: BlobOptions,
  request: IncomingMessage,
  response: ServerResponse,
  target: Target,
): Promise<void> {
  const blob = blobOf(xapi, target);
  const isPublic = blob !== undefined && xapi.db.get('blob', blob).public;
  if (!isPublic) {
    const caller = await authenticate(xapi, request, target);
    if (caller === undefined) return refuse(response, 401, noCredentials);
    caller.release();
  }
  if (blob === undefined || !xapi.db.has('blob', blob)) return refuse(response, 404, 'There is no such blob.');
  const { uuid, mime_type: type } = xapi.db.get('blob', blob);
  const { size, data } = (await blobs.read(uuid)) ?? { size: 0, data: Readable.from([]) };
  response.writeHead(200, {
    'Content-Type': type,
    'Content-Length': size,
    // Whatever it says it is, no browser is to take it for a page of ours.
    'Content-Security-Policy': 'sandbox',
    'Content-Disposition': 'attachment',
    'X-Content-Type-Options': 'nosniff',
  });
  await pipeline(data, response);
}

async function servePut(
  options: BlobOptions,
  request: IncomingMessage,
  response: ServerResponse,
  target: Target,
): Promise<void> {
  const { xapi, limits } = options;
  const refused = (status: number, reason: string): void => refuseUnread(request, status, reason, limits.lingerMs);
  const caller = await authenticate(xapi, request, target);
  if (caller === undefined) return refused(401, noCredentials);
  try {
    // What a browser sends by itself is no consent of its user to a write.
    if (caller.ambient && request.headers.origin !== undefined) {
      return refused(403, 'A page may not use these credentials.');
    }
    if (!mayWrite(caller)) return refused(403, 'Writing a blob needs the role vm-power-admin.');
    const blob = blobOf(xapi, target);
    if (blob === undefined) return refused(404, 'There is no such blob.');
    await takeData(options, request, response, blob, caller);
  } finally {
    caller.release();
  }
}

/** `put_blob` of the table of HTTP actions. */
const mayWrite = ({ rights }: Caller): boolean =>
  rights.superuser || ['pool-admin', 'pool-operator', 'vm-power-admin'].includes(rights.role);

async function takeData(
  { xapi, blobs, limits }: BlobOptions,
  request: IncomingMessage,
  response: ServerResponse,
  blob: Ref<'blob'>,
  caller: Caller,
): Promise<void> {
  const { uuid } = xapi.db.get('blob', blob);
  // The stock xe, which speaks HTTP/1.0, sends nothing before it has heard that.
  const answersFirst = request.httpVersion === '1.0';
  if (answersFirst) {
    response.writeHead(200, { Connection: 'close' });
    response.flushHeaders();
  }
  // The stock xe ends its session as soon as it has sent everything.
  const who = xapi.sessions.subjectOf(caller.session);
  let size: number;
  try {
    size = await blobs.write(uuid, request);
  } catch (error) {
    if (!(error instanceof BlobTooLarge) || answersFirst) throw error;
    refuseUnread(request, 413, `A blob has ${error.message.replace('more than', 'at most')}.`, limits.lingerMs);
    return;
  }
  if (!xapi.db.has('blob', blob)) {
    // Destroyed while its data came.
    blobs.remove(uuid);
    if (answersFirst) response.destroy();
    else refuse(response, 404, 'There is no such blob any more.');
    return;
  }
  xapi.db.update('blob', blob, { size, last_updated: formatDateTime(xapi.clock.now()) });
  xapi.audit.http(who, 'put_blob', { ref: blob });
  await xapi.db.durable();
  if (!answersFirst) response.writeHead(200, { 'Content-Length': 0 });
  response.end();
}
