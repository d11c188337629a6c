/** A manager of a pool, from its data directory to its port. */
import { chmodSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { seedModelPool, Xapi, type Log, type SurfaceOptions } from '@xenolith/xapi';
import type { HttpLimits } from './http/limits.ts';
import type { Listener } from './http/listener.ts';
import { serveXapi } from './http/serve.ts';
import { blobFiles } from './start/blob-files.ts';
import { openAuditFile, type AuditFile } from './start/audit-file.ts';
import { hostOpener } from './start/host-opener.ts';
import { openLog } from './start/log.ts';
import { scryptPasswords } from './start/passwords.ts';
import { rootPassword } from './start/root-password.ts';
import { StartError } from './start/start-error.ts';
import { systemClock, systemRandom } from './start/system-clock.ts';
import { databaseFile, openStore } from './store/open-sqlite-store.ts';
import { StoreError, type SqliteStore } from './store/sqlite-store.ts';
import { serverCertificate, type ServerCertificate } from './tls/certificate.ts';

export interface XenolithdOptions {
  /** Address to listen on; loopback when absent. */
  readonly host?: string;
  /** Port to listen on, 0 (also when absent) for a free one. */
  readonly port?: number;
  /** The data directory; made when missing. */
  readonly data: string;
  /** Whether a first start makes the small model pool; yes when absent. */
  readonly modelPool?: boolean;
  /** How fast the time of modelled hosts goes (`parseModelSpeed`); as the wall clock when absent. */
  readonly modelSpeed?: number;
  /** Where this machine has the plugins and extensions of modelled hosts; they have none when absent. */
  readonly programDirectory?: string;
  /** What clients are shown: the release that is answered as, and whether what is ours is left out. */
  readonly surface?: SurfaceOptions;
  readonly log?: Log;
  /** Replaces some of the limits of HTTP: for tests. */
  readonly limits?: Partial<HttpLimits>;
}

/** A running manager. */
export interface Xenolithd {
  /** `http://HOST:PORT`, without a slash at the end; `https` works on the same port. */
  readonly url: string;
  readonly user: string;
  /** Root's password, when it is still the one that the first start made. */
  readonly password: string | undefined;
  readonly xapi: Xapi;
  /** Ends it: no more connections, everything durable, every connection closed. Hosts and their domains go on. */
  close(): Promise<void>;
}

/** The setting that says that a start on this data directory came to its end. */
const startedSetting = 'started';

/** The version of xenolithd, x.y.z. */
export function serverVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return (manifest as { readonly version: string }).version;
}

/**
 * Starts a manager on a data directory.
 * @throws StartError saying what is in the way: the directory, its database, the certificate, the address
 */
export async function startXenolithd(options: XenolithdOptions): Promise<Xenolithd> {
  const { data, host = '127.0.0.1', port = 0, log = openLog('silent') } = options;
  prepareDirectory(data);
  // The lock on the database is the lock on the directory: nothing else is touched before it is held.
  const store = openDatabase(data);
  let xapi: Xapi | undefined;
  let listener: Listener | undefined;
  let audit: AuditFile | undefined;
  try {
    audit = openAudit(data, log);
    const blobs = blobFiles(data, log);
    const random = systemRandom();
    const certificate = certificateIn(data, host);
    const control = new Xapi({
      store,
      clock: systemClock,
      random,
      secrets: random,
      passwords: scryptPasswords(),
      openHost: hostOpener(systemClock, options.modelSpeed, options.programDirectory),
      log,
      audit,
      blobs,
      ...(options.surface === undefined ? {} : { surface: options.surface }),
      version: serverVersion(),
    });
    xapi = control;
    const [password, tls] = await Promise.all([fill(control, options), certificate]);
    warnOfExpiry(tls, log);
    listener = await serveXapi({
      xapi: control,
      openConsole: (vm) => control.hosts.openConsole(vm),
      host,
      port,
      tls,
      log,
      audit,
      blobs,
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    }).catch((error: unknown) => {
      throw new StartError(listenProblem(error, host, port), { cause: error });
    });
    const url = serverUrl(host, listener.port);
    control.listensAt(url.slice('http://'.length));
    await control.db.durable();
    log.info('ready', { url, data });
    return { url, user: 'root', password, xapi: control, close: closer(control, listener, audit) };
  } catch (error) {
    await listener?.close();
    if (xapi === undefined) await store.close();
    else await xapi.close().catch(() => store.close());
    audit?.close();
    throw error;
  }
}

function prepareDirectory(path: string): void {
  try {
    // It holds passwords and keys.
    if (mkdirSync(path, { recursive: true, mode: 0o700 }) !== undefined) chmodSync(path, 0o700);
  } catch (error) {
    throw new StartError(`the data directory ${path} cannot be made: ${words(error)}`, { cause: error });
  }
}

function openAudit(data: string, log: Log): AuditFile {
  try {
    return openAuditFile(data, log);
  } catch (error) {
    throw new StartError(`the audit log in ${data} cannot be written: ${words(error)}`, { cause: error });
  }
}

const words = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function openDatabase(data: string): SqliteStore {
  try {
    const store = openStore(data);
    const { rows, settings } = store.load();
    if (settings[startedSetting] !== undefined || [...rows].length === 0) return store;
    // A first start that never came to its end: nothing in it was shown to anybody, so it begins anew.
    void store.close();
    for (const suffix of ['', '-wal', '-journal']) rmSync(join(data, databaseFile + suffix), { force: true });
    return openStore(data);
  } catch (error) {
    if (error instanceof StoreError) throw new StartError(error.message, { cause: error });
    throw error;
  }
}

async function certificateIn(data: string, host: string): Promise<ServerCertificate> {
  try {
    return await serverCertificate(data, host);
  } catch (error) {
    throw new StartError(`no TLS: ${words(error)}`, { cause: error });
  }
}

/** Starts the control plane; the first time ever it also gets its hosts and root's password. */
async function fill(xapi: Xapi, { data, modelPool = true }: XenolithdOptions): Promise<string | undefined> {
  const isFirst = xapi.db.setting(startedSetting) === undefined;
  await xapi.start();
  if (isFirst && modelPool) await seedModelPool(xapi);
  let password: string | undefined;
  try {
    password = await rootPassword(xapi, data, systemRandom());
  } catch (error) {
    throw new StartError(`root's password cannot be kept in ${data}: ${words(error)}`, { cause: error });
  }
  if (isFirst) {
    xapi.db.setSetting(startedSetting, '1');
    await xapi.db.durable();
  }
  return password;
}

function warnOfExpiry({ validUntil }: ServerCertificate, log: Log): void {
  if (validUntil.getTime() < Date.now())
    log.warn('the certificate has expired', { validUntil: validUntil.toISOString() });
}

/** Where a server that listens on an address is reached. */
export function serverUrl(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${isIPv6(reachable) ? `[${reachable}]` : reachable}:${port}`;
}

function listenProblem(error: unknown, host: string, port: number): string {
  const address = `${host}:${port}`;
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE':
      return `${address} is in use by another program; --listen HOST:0 takes a free port`;
    case 'EACCES':
      return `no right to listen on ${address}`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${host} is no address of this machine`;
    default:
      return `cannot listen on ${address}: ${words(error)}`;
  }
}

function closer(xapi: Xapi, listener: Listener, audit: AuditFile): () => Promise<void> {
  let closing: Promise<void> | undefined;
  return () => {
    closing ??= (async () => {
      listener.stopAccepting();
      // What was acknowledged is durable before the connections go, and what fails to be does not hold them.
      try {
        await xapi.close();
      } finally {
        await listener.close();
        audit.close();
      }
    })();
    return closing;
  };
}
