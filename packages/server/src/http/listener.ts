/**
 * HTTP and TLS on one port: the first byte of a connection tells them apart, as a TLS client begins with a handshake
 * record (0x16) and an HTTP client with a letter. Both end in one `http.Server`, whose time limits hold for both.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import type { Duplex } from 'node:stream';
import type { Log } from '@xenolith/xapi';
import { tellApart } from './first-line.ts';
import type { HttpLimits } from './limits.ts';
import { rawRefusal } from './refuse.ts';

/** What is done with what comes in. */
export interface HttpHandlers {
  request(request: IncomingMessage, response: ServerResponse): void;
  /** A request whose body waits for our word (`Expect: 100-continue`). */
  expectation(request: IncomingMessage, response: ServerResponse): void;
  /** A request that expects something else of us (`Expect: tea`). */
  unmet(request: IncomingMessage): void;
  /** Whether the body of a request may take any time. */
  takesLong(request: IncomingMessage): boolean;
  /**
   * Whether a request that offers `Upgrade` is to be a tunnel; otherwise it is answered as if it offered nothing, as
   * HTTP wants it: clients offer `h2c` with any request.
   */
  upgrades(request: IncomingMessage): boolean;
  /** `CONNECT`, or an `Upgrade` that is taken: the connection is the handler's from here on. */
  tunnel(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** A connection that begins with `POST /cli`, paused, from its first byte: what follows is no HTTP. */
  thinCli(socket: Socket): void;
}

export interface ListenerOptions {
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** PEM. */
  readonly tls: { readonly key: string; readonly certificate: string };
  readonly limits: HttpLimits;
  readonly handlers: HttpHandlers;
  readonly log: Log;
}

export interface Listener {
  readonly port: number;
  /** Takes no more connections, and ends those between requests. */
  stopAccepting(): void;
  /** Ends every connection. */
  close(): Promise<void>;
}

const tlsHandshakeRecord = 0x16;

/** Binds and begins to serve. @throws the system's error (EADDRINUSE, EACCES, …) when it cannot bind */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const { handlers, limits, log } = options;
  const server = createServer({
    headersTimeout: limits.headersMs,
    // Ours (`limitBody`), as not all requests have the same.
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: Math.min(5000, limits.headersMs),
    noDelay: true,
    // The handlers refuse a request without one, with a page.
    requireHostHeader: false,
    shouldUpgradeCallback: handlers.upgrades.bind(handlers),
  });
  server.maxConnections = limits.connectionsMax;
  server.on('request', (request, response) => {
    limitBody(request, options);
    handlers.request(request, response);
  });
  server.on('checkContinue', (request, response) => {
    limitBody(request, options);
    handlers.expectation(request, response);
  });
  server.on('checkExpectation', handlers.unmet.bind(handlers));
  server.on('connect', handlers.tunnel.bind(handlers));
  server.on('upgrade', handlers.tunnel.bind(handlers));
  server.on('clientError', refuseUnreadable);
  const sockets = divert(server, options);
  // A crowd is one line in the log, not one for each who is sent away.
  let isCrowded = false;
  server.on('connection', () => {
    if (sockets.size <= limits.connectionsMax / 2) isCrowded = false;
  });
  server.on('drop', () => {
    if (!isCrowded) log.warn('too many connections', { max: limits.connectionsMax });
    isCrowded = true;
  });
  await bind(server, options);
  return {
    port: (server.address() as AddressInfo).port,
    stopAccepting() {
      server.close();
      server.closeIdleConnections();
    },
    async close() {
      const closed = new Promise<void>((resolve) => {
        if (server.listening) server.close(() => resolve());
        else resolve();
      });
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function bind(server: Server, { host, port }: ListenerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Puts the look at the first byte before the server's own reading. Gives the set of open connections. */
function divert(server: Server, options: ListenerOptions): ReadonlySet<Socket> {
  const { handlers, limits, tls, log } = options;
  const [serveHttp] = server.listeners('connection') as ((socket: Socket) => void)[];
  server.removeAllListeners('connection');
  const giveHttp = (socket: Socket): void => {
    socket.setTimeout(0);
    socket.removeAllListeners('timeout');
    serveHttp?.call(server, socket);
    socket.resume();
  };
  const giveThinCli = (socket: Socket): void => {
    socket.setTimeout(0);
    socket.removeAllListeners('timeout');
    handlers.thinCli(socket);
  };
  const tlsServer: TlsServer = createTlsServer(
    {
      key: tls.key,
      cert: tls.certificate,
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: limits.firstByteMs,
    },
    (secured) => {
      secured.setTimeout(limits.firstByteMs, () => secured.destroy());
      tellApart(secured, { http: () => giveHttp(secured), thinCli: () => giveThinCli(secured) });
    },
  );
  tlsServer.on('tlsClientError', (error, socket) => {
    log.info('TLS handshake failed', { error: error.message });
    socket.destroy();
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.setTimeout(limits.firstByteMs, () => socket.destroy());
    // An http.Server's connections may be half open: one that its client gave up would keep its place until the time
    // for the first byte is over.
    const giveUp = (): void => {
      socket.destroy();
    };
    socket.once('end', giveUp);
    socket.once('data', (chunk: Buffer) => {
      // Paused, so that the byte waits for its reader; TLS takes what has come with the connection itself.
      socket.pause();
      socket.unshift(chunk);
      if (chunk[0] === tlsHandshakeRecord) {
        socket.off('end', giveUp);
        socket.setTimeout(0);
        socket.removeAllListeners('timeout');
        tlsServer.emit('connection', socket);
        return;
      }
      tellApart(socket, {
        http: () => {
          socket.off('end', giveUp);
          giveHttp(socket);
        },
        thinCli: () => {
          socket.off('end', giveUp);
          giveThinCli(socket);
        },
      });
    });
  });
  return sockets;
}

/** Ends a request whose body is not there in time. */
function limitBody(request: IncomingMessage, { limits, handlers }: ListenerOptions): void {
  const { headers, socket } = request;
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  if (!hasBody || handlers.takesLong(request)) return;
  const timer = setTimeout(() => {
    const late: NodeJS.ErrnoException = new Error('the body did not come in time');
    late.code = 'ERR_HTTP_REQUEST_TIMEOUT';
    refuseUnreadable(late, socket);
  }, limits.requestMs);
  request.once('end', () => clearTimeout(timer));
  request.once('close', () => clearTimeout(timer));
}

/** What cannot be read as HTTP, or does not come in time, gets a small page and the end. */
function refuseUnreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
  const [status, reason] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ([431, 'The headers are too large.'] as const)
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ([408, 'The request did not come in time.'] as const)
        : ([400, 'This is no HTTP request.'] as const);
  if (!socket.writable || error.code === 'ECONNRESET' || error.code === 'EPIPE') {
    socket.destroy();
    return;
  }
  socket.end(rawRefusal(status, reason), () => socket.destroy());
}
