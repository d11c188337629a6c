/** A simulated pool that listens: for a test in this process, or as the program `xenolith sim`. */
import type { Answer, Log, Store } from '@xenolith/xapi';
import type { WireValue } from '@xenolith/wire';
import { silentLog } from '@xenolith/xapi';
import { defaultHttpLimits } from '../http/limits.ts';
import { listen, type HttpHandlers } from '../http/listener.ts';
import { httpHandlers } from '../http/serve.ts';
import { passingCertificate } from '../tls/certificate.ts';
import { serverUrl, serverVersion } from '../xenolithd.ts';
import { answerControl, controlPath } from './control.ts';
import { contentFrom, type Inventory } from './inventory.ts';
import type { ClockMode } from './sim-clock.ts';
import { SimPool } from './sim-pool.ts';

export interface CreatePoolOptions {
  /** 2 when absent, at most 256. */
  readonly hosts?: number;
  /** 10 when absent, at most 100,000. */
  readonly vms?: number;
  /** 1 when absent; a whole number from 0 to 2^31 - 1. */
  readonly seed?: number;
  /** `auto` when absent. */
  readonly clock?: ClockMode;
  /** Root's password; `xenolith` when absent. */
  readonly password?: string;
  /** A captured pool in place of hosts and VMs made for the seed. */
  readonly inventory?: Inventory;
  /** Address to listen on; loopback when absent. */
  readonly host?: string;
  /** Port to listen on; a free one when absent. */
  readonly port?: number;
  readonly log?: Log;
  /** Keeps the pool over a restart. */
  readonly disk?: Store;
}

/** A simulated pool, for as long as it is not disposed of. */
export interface SimulatedPool extends AsyncDisposable {
  /** `http://HOST:PORT`, without a slash at the end; `https` works on the same port, with a certificate of its own making. */
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** A call as root, not through the network; the session comes by itself. @throws CallRefused with the error description */
  call<T = string>(method: string, ...params: readonly WireValue[]): Promise<T>;
  /** Clock, faults, scenarios, snapshots, the log of calls. */
  readonly control: SimPool;
  close(): Promise<void>;
}

export const usualSimPassword = 'xenolith';

/** Makes a pool and listens. @throws the system's error when it cannot bind */
export async function createPool(options: CreatePoolOptions = {}): Promise<SimulatedPool> {
  const { host = '127.0.0.1', port = 0, password = usualSimPassword, seed = 1, log = silentLog } = options;
  const [control, tls] = await Promise.all([
    SimPool.open({
      hosts: options.hosts ?? 2,
      vms: options.vms ?? 10,
      seed,
      clock: options.clock ?? { kind: 'auto' },
      password,
      log,
      version: serverVersion(),
      content: options.inventory === undefined ? undefined : contentFrom(options.inventory, seed),
      disk: options.disk,
    }),
    passingCertificate(host),
  ]);
  try {
    const listener = await listen({
      host,
      port,
      tls,
      limits: defaultHttpLimits,
      log,
      handlers: handlersOf(control, log),
    });
    const url = serverUrl(host, listener.port);
    const close = async (): Promise<void> => {
      listener.stopAccepting();
      await control.close();
      await listener.close();
    };
    return {
      url,
      username: 'root',
      password,
      control,
      call: <T>(method: string, ...params: readonly WireValue[]) => control.call(method, ...params) as Promise<T>,
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await control.close();
    throw error;
  }
}

/** The XenAPI of the pool's present life, and its control. */
function handlersOf(pool: SimPool, log: Log): HttpHandlers {
  let known: { readonly of: SimPool['xapi']; readonly handlers: HttpHandlers } | undefined;
  const present = (): HttpHandlers => {
    const { xapi } = pool;
    if (known?.of !== xapi) {
      const call = (request: Parameters<SimPool['request']>[0]): Promise<Answer> => pool.request(request);
      const openConsole = xapi.hosts.openConsole.bind(xapi.hosts);
      known = { of: xapi, handlers: httpHandlers({ xapi, openConsole, log, call }, defaultHttpLimits) };
    }
    return known.handlers;
  };
  const isControl = (url = ''): boolean => /^\/_sim(?:[/?]|$)/.test(url);
  return {
    request(request, response) {
      if (isControl(request.url)) void answerControl(pool, request, response);
      else present().request(request, response);
    },
    expectation(request, response) {
      if (isControl(request.url)) {
        response.writeContinue();
        void answerControl(pool, request, response);
      } else present().expectation(request, response);
    },
    unmet: (request) => present().unmet(request),
    takesLong: (request) => !isControl(request.url) && present().takesLong(request),
    upgrades: (request) => present().upgrades(request),
    tunnel: (request, socket, head) => present().tunnel(request, socket, head),
    thinCli: (socket) => present().thinCli(socket),
  };
}

export { controlPath };
