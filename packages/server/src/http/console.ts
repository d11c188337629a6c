/**
 * `/console`: the text console of a VM as a stream of bytes, by `CONNECT` or over a WebSocket (PROTOCOL.md §8).
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { ref, type Ref } from '@xenolith/base';
import { HostError, XapiError, type HostConsole, type Log, type Xapi } from '@xenolith/xapi';
import type { WebSocket, WebSocketServer } from 'ws';
import { authenticate, type Caller } from './authenticate.ts';
import type { HttpLimits } from './limits.ts';
import { refuseTunnel } from './refuse.ts';
import { parseTarget, type Target } from './router.ts';

export const consolePath = '/console';

/** Opens the text console of a VM that runs. */
export type OpenConsole = (vm: Ref<'VM'>) => Promise<HostConsole>;

export interface ConsoleOptions {
  readonly xapi: Xapi;
  readonly openConsole: OpenConsole;
  readonly limits: HttpLimits;
  readonly log: Log;
}

/** Why there is no console, in HTTP's terms. */
interface Refusal {
  readonly status: number;
  readonly reason: string;
}

const isRefusal = (value: Ref<'VM'> | Refusal): value is Refusal => typeof value === 'object';

/** Takes over the connection of a request to `/console`. */
export type ServeConsole = (request: IncomingMessage, socket: Duplex, head: Buffer) => Promise<void>;

export function consoleServer(options: ConsoleOptions): ServeConsole {
  const state = { ...options, open: new Map<Ref<'VM'>, number>() };
  return (request, socket, head) => serveConsole(state, request, socket, head);
}

interface ConsoleState extends ConsoleOptions {
  /** How many streams of each VM's console there are. */
  readonly open: Map<Ref<'VM'>, number>;
}

async function serveConsole(
  options: ConsoleState,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  socket.on('error', () => socket.destroy());
  const target = parseTarget(request.url ?? '');
  const caller = await authenticate(options.xapi, request, target);
  if (caller === undefined) {
    refuseTunnel(socket, 401, 'A session_id (cookie or query) or a user and password are needed.');
    return;
  }
  try {
    await serveCaller(options, { request, socket, head, target, caller });
  } finally {
    caller.release();
  }
}

interface Tunnel {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly target: Target;
  readonly caller: Caller;
}

async function serveCaller(options: ConsoleState, tunnel: Tunnel): Promise<void> {
  const { request, socket, caller } = tunnel;
  if (caller.ambient && !sameOrigin(request)) {
    refuseTunnel(socket, 403, 'A page of another origin may not use these credentials.');
    return;
  }
  const vm = findVm(options.xapi, tunnel.target, caller);
  if (isRefusal(vm)) {
    refuseTunnel(socket, vm.status, vm.reason);
    return;
  }
  const before = options.open.get(vm) ?? 0;
  if (before > 0 && isLimited(options.xapi)) {
    refuseTunnel(socket, 503, 'This pool allows one console session a VM, and there is one.');
    return;
  }
  options.open.set(vm, before + 1);
  try {
    await serveVm(options, tunnel, vm);
  } finally {
    const left = (options.open.get(vm) ?? 1) - 1;
    if (left > 0) options.open.set(vm, left);
    else options.open.delete(vm);
  }
}

const isLimited = ({ db }: Xapi): boolean =>
  db.refs('pool').some((pool) => db.get('pool', pool).limit_console_sessions);

async function serveVm(options: ConsoleOptions, tunnel: Tunnel, vm: Ref<'VM'>): Promise<void> {
  const { request, socket, caller } = tunnel;
  let opened: HostConsole;
  try {
    opened = await options.openConsole(vm);
  } catch (error) {
    if (!(error instanceof XapiError || error instanceof HostError)) throw error;
    const reason = error instanceof XapiError ? error.description.join(' ') : error.message;
    refuseTunnel(socket, error instanceof XapiError ? 409 : 503, reason);
    return;
  }
  if (socket.destroyed) {
    // The client left while the console was being opened: nothing would ever end this stream.
    opened.close();
    return;
  }
  // A session that ends takes its consoles with it.
  const ended = options.xapi.sessions.ended.listen((session) => {
    if (session === caller.session) opened.close();
  });
  try {
    if (request.method === 'CONNECT') await streamRaw(options, tunnel, opened);
    else await streamWebSocket(options, tunnel, opened);
  } finally {
    ended.dispose();
    opened.close();
  }
}

/** Whether the page that asks, if it is one, came from here. */
function sameOrigin({ headers }: IncomingMessage): boolean {
  if (headers.origin === undefined) return true;
  return URL.canParse(headers.origin) && new URL(headers.origin).host === headers.host;
}

/** The VM whose console is meant, by reference or uuid of either, once the caller may see it. */
function findVm({ db }: Xapi, { query }: Target, { rights }: Caller): Ref<'VM'> | Refusal {
  const given = ref<'VM' | 'console'>(query.get('ref') ?? '');
  const uuid = query.get('uuid') ?? '';
  const consoleRef = db.has('console', given) ? (given as Ref<'console'>) : db.byUuid('console', uuid);
  const vm =
    consoleRef !== undefined
      ? db.get('console', consoleRef).VM
      : db.has('VM', given)
        ? (given as Ref<'VM'>)
        : db.byUuid('VM', uuid);
  const record = vm === undefined ? undefined : db.find('VM', vm);
  if (vm === undefined || record === undefined) return { status: 404, reason: 'There is no such console.' };
  const mayUse = rights.superuser || rights.role === 'pool-admin';
  if (record.is_control_domain && !mayUse) {
    return { status: 403, reason: 'The console of a control domain is for pool-admin.' };
  }
  if (rights.role === 'read-only' && !rights.superuser) {
    return { status: 403, reason: 'A console needs the role vm-operator.' };
  }
  if (record.power_state !== 'Running' && record.power_state !== 'Paused') {
    return { status: 409, reason: `VM_BAD_POWER_STATE ${vm} running ${record.power_state.toLowerCase()}` };
  }
  return vm;
}

/** Bytes both ways until either side ends. */
function streamRaw({ limits }: ConsoleOptions, { socket, head }: Tunnel, opened: HostConsole): Promise<void> {
  return new Promise((resolve) => {
    socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\nCache-Control: no-cache, no-store\r\n\r\n');
    if (head.length > 0) opened.write(head);
    socket.on('data', (data: Buffer) => opened.write(data));
    socket.on('end', () => socket.end());
    socket.on('close', resolve);
    opened.onData((data) => {
      // The console cannot be asked to wait: a client that does not read is let go instead of buffered without end.
      if (socket.writableLength > limits.consoleBacklogBytesMax) socket.destroy();
      else socket.write(data);
    });
    opened.onClose(() => socket.end());
  });
}

/** The largest message that a client may send: a terminal sends keystrokes, or what was pasted. */
const messageBytesMax = 1024 * 1024;

let webSockets: Promise<WebSocketServer> | undefined;

/** The library is loaded when the first WebSocket comes, not at start. */
async function webSocketServer(): Promise<WebSocketServer> {
  webSockets ??= import('ws').then(
    (ws) =>
      new ws.WebSocketServer({
        noServer: true,
        clientTracking: false,
        perMessageDeflate: false,
        maxPayload: messageBytesMax,
        handleProtocols: (offered) => (offered.has('binary') ? 'binary' : false),
      }),
  );
  return webSockets;
}

async function streamWebSocket(
  { limits }: ConsoleOptions,
  { request, socket, head }: Tunnel,
  opened: HostConsole,
): Promise<void> {
  const server = await webSocketServer();
  if (socket.destroyed) return;
  await new Promise<void>((resolve) => {
    // Also when the handshake is refused: then the socket closes without a WebSocket.
    socket.once('close', () => resolve());
    server.handleUpgrade(request, socket, head, (client: WebSocket) => {
      client.on('message', (data) => opened.write(bytesOf(data)));
      client.on('error', () => client.terminate());
      opened.onData((data) => {
        if (client.bufferedAmount > limits.consoleBacklogBytesMax) client.terminate();
        else client.send(data, { binary: true });
      });
      opened.onClose(() => client.close(1000));
    });
  });
}

function bytesOf(data: Buffer | ArrayBuffer | Buffer[]): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data;
}
