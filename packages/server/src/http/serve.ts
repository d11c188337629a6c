/** The XenAPI on the network: which path is answered by what. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Log, Xapi } from '@xenolith/xapi';
import type { AuditFile } from '../start/audit-file.ts';
import type { BlobFiles } from '../start/blob-files.ts';
import { blobRoutes } from './blob.ts';
import { auditLogHandler } from './audit-log.ts';
import { consolePath, consoleServer, type OpenConsole } from './console.ts';
import { defaultHttpLimits, type HttpLimits } from './limits.ts';
import { listen, type HttpHandlers, type Listener } from './listener.ts';
import { healthHandler, welcomeHandler } from './pages.ts';
import { refuse, refuseTunnel, refuseUnread } from './refuse.ts';
import { parseTarget, Router } from './router.ts';
import { rawVdiPaths } from './raw-vdi.ts';
import { corsHandler, jsonRpcHandler, xmlRpcHandler, type CallXapi } from './rpc.ts';
import { transferRoutes } from './transfer.ts';
import { xvaPaths } from './xva.ts';
import { thinCliPath, thinCliServer } from './thin-cli.ts';

export interface HandlerOptions {
  readonly xapi: Xapi;
  readonly openConsole: OpenConsole;
  readonly log: Log;
  /** Carries requests out in place of {@link Xapi.call}. */
  readonly call?: CallXapi;
  /** The audit log; without one there is no `/audit_log`. */
  readonly audit?: AuditFile;
  /** The data of blobs; without it there is no `/blob`. */
  readonly blobs?: BlobFiles;
}

export interface ServeOptions extends HandlerOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: { readonly key: string; readonly certificate: string };
  readonly limits?: Partial<HttpLimits>;
}

/** Binds and begins to answer. @throws the system's error when it cannot bind */
export function serveXapi(options: ServeOptions): Promise<Listener> {
  const limits = { ...defaultHttpLimits, ...options.limits };
  const { host, port, tls, log } = options;
  return listen({ host, port, tls, limits, log, handlers: httpHandlers(options, limits) });
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/** HEAD is GET without the body, which Node leaves out by itself. */
const methodOf = ({ method = '' }: IncomingMessage): string => (method === 'HEAD' ? 'GET' : method);

/** What is answered for one control plane. */
export function httpHandlers(options: HandlerOptions, limits: HttpLimits): HttpHandlers {
  const { xapi, log } = options;
  const rpc = { call: options.call ?? xapi.call.bind(xapi), limits, log };
  const xml = xmlRpcHandler(rpc);
  const router = new Router([
    { method: 'POST', prefix: '/', handler: xml },
    { method: 'POST', prefix: '/jsonrpc', handler: jsonRpcHandler(rpc) },
    {
      method: 'POST',
      prefix: thinCliPath,
      exact: true,
      handler: (message) => refuseUnread(message, 400, 'The thin CLI begins a connection of its own.', limits.lingerMs),
    },
    // Also of `*`, which is the server as a whole.
    { method: 'OPTIONS', prefix: '', handler: corsHandler },
    { method: 'GET', prefix: '/', exact: true, handler: welcomeHandler(xapi) },
    { method: 'GET', prefix: '/healthz', exact: true, handler: healthHandler(xapi) },
    ...(options.audit === undefined
      ? []
      : [{ method: 'GET', prefix: '/audit_log', exact: true, handler: auditLogHandler(xapi, options.audit, log) }]),
    ...transferRoutes({ xapi, limits, log }, [...rawVdiPaths, ...xvaPaths]),
    ...(options.blobs === undefined ? [] : blobRoutes({ xapi, blobs: options.blobs, limits, log })),
    {
      method: 'GET',
      prefix: consolePath,
      handler: (_request, response) => refuse(response, 400, 'A console is a WebSocket.'),
    },
  ]);
  const serveConsole = consoleServer({ xapi, openConsole: options.openConsole, limits, log });

  const request = (message: IncomingMessage, response: ServerResponse): void => {
    if (message.headers.host === undefined && message.httpVersion !== '1.0') {
      refuseUnread(message, 400, 'A request names its Host.', limits.lingerMs);
      return;
    }
    const target = parseTarget(message.url ?? '/');
    const method = methodOf(message);
    const route = router.find(method, target.path);
    const reason = route === 501 ? `There is no ${method} here.` : 'There is no such page.';
    if (typeof route === 'object') route.handler(message, response, target);
    else if (hasBody(message)) refuseUnread(message, route, reason, limits.lingerMs);
    else refuse(response, route, reason);
  };

  const takesLong = (message: IncomingMessage): boolean => {
    const route = router.find(methodOf(message), parseTarget(message.url ?? '/').path);
    return typeof route === 'object' && route.takesLong === true;
  };

  const expectation = (message: IncomingMessage, response: ServerResponse): void => {
    // A body that would be refused is refused now, before the client sends it; a transfer says itself when it is to come.
    const length = Number(message.headers['content-length'] ?? 0);
    if (length <= limits.rpcBodyBytesMax && !takesLong(message)) response.writeContinue();
    request(message, response);
  };

  const unmet = (message: IncomingMessage): void => {
    refuseUnread(message, 417, 'Nothing but 100-continue can be expected.', limits.lingerMs);
  };

  const isConsole = ({ url = '' }: IncomingMessage): boolean => parseTarget(url).path === consolePath;

  const upgrades = (message: IncomingMessage): boolean =>
    message.headers.upgrade?.toLowerCase() === 'websocket' && isConsole(message);

  const tunnel = (message: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (!isConsole(message)) {
      refuseTunnel(socket, 404, 'Only /console can be connected to.');
      return;
    }
    serveConsole(message, socket, head).catch((error: unknown) => {
      log.error('a console failed by a mistake of the program', { error: String(error) });
      if (!socket.destroyed) refuseTunnel(socket, 500, 'The console failed.');
    });
  };

  return { request, expectation, unmet, takesLong, upgrades, tunnel, thinCli: thinCliServer({ xapi, ...rpc }) };
}
