/** A pool without hosts for the tests of this room: its clock moves when told to, its store forgets. */
import { ManualClock, SeededRandom, type Ref } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import type { BlobStore } from '../call/blob.ts';
import { MemoryStore, type Store } from '../database/store.ts';
import type { SurfaceOptions } from '../datamodel/surface.ts';
import type { Answer } from '../dispatch.ts';
import { HostError, type OpenHost } from '../host-driver.ts';
import { silentLog, type Log } from '../log.ts';
import type { AuditSink } from '../session/audit.ts';
import type { Directory } from '../session/directory.ts';
import type { Rights } from '../session/rbac.ts';
import { Xapi } from '../xapi.ts';

const noHosts: OpenHost = () => {
  throw new HostError('unreachable', 'no hosts here');
};

export interface PoolOptions {
  readonly store?: Store;
  readonly openHost?: OpenHost;
  readonly log?: Log;
  readonly clock?: ManualClock;
  readonly seed?: number;
  readonly secretSeed?: number;
  readonly directories?: readonly Directory[];
  readonly audit?: AuditSink;
  readonly surface?: SurfaceOptions;
  readonly blobs?: BlobStore;
}

/** A running control plane, with root logged in. */
export class OpenPool {
  readonly clock: ManualClock;
  readonly xapi: Xapi;
  session: Ref<'session'>;

  private constructor(xapi: Xapi, clock: ManualClock) {
    this.xapi = xapi;
    this.clock = clock;
    this.session = xapi.sessions.open('root', 'test', { superuser: true, role: 'pool-admin' });
  }

  static async start(options: PoolOptions = {}): Promise<OpenPool> {
    const clock = options.clock ?? new ManualClock();
    const seed = options.seed ?? 1;
    const xapi = new Xapi({
      store: options.store ?? new MemoryStore(),
      clock,
      random: new SeededRandom(seed),
      secrets: new SeededRandom(options.secretSeed ?? seed + 1000),
      passwords: {
        hash: (password) => Promise.resolve(`hashed ${password}`),
        verify: (password, hash) => Promise.resolve(hash === `hashed ${password}`),
      },
      directories: options.directories ?? [],
      ...(options.audit === undefined ? {} : { audit: options.audit }),
      ...(options.blobs === undefined ? {} : { blobs: options.blobs }),
      ...(options.surface === undefined ? {} : { surface: options.surface }),
      openHost: options.openHost ?? noHosts,
      log: options.log ?? silentLog,
      version: '0.1.0',
    });
    await xapi.start();
    return new OpenPool(xapi, clock);
  }

  /** A session of a role, or of the local superuser. */
  login(rights: Rights['role'] | 'root', userName: string = rights): Ref<'session'> {
    return rights === 'root'
      ? this.xapi.sessions.open(userName, 'test', { superuser: true, role: 'pool-admin' })
      : this.xapi.sessions.open(userName, 'test', { superuser: false, role: rights });
  }

  /** Calls a method with exactly these parameters. */
  raw(method: string, ...params: readonly WireValue[]): Promise<Answer> {
    return this.xapi.call({ method, params, origin: { address: '127.0.0.1' } });
  }

  /** Calls a method as a session and gives its value. @throws Error with the error description */
  async as(session: Ref<'session'>, method: string, ...params: readonly WireValue[]): Promise<unknown> {
    const answer = await this.raw(method, session, ...params);
    if (answer.ok) return answer.value;
    throw new Error(answer.error.join(' '));
  }

  /** Calls a method as root and gives its value. @throws Error with the error description */
  call(method: string, ...params: readonly WireValue[]): Promise<unknown> {
    return this.as(this.session, method, ...params);
  }

  /** The error description of a call as root that is refused. */
  async refusal(method: string, ...params: readonly WireValue[]): Promise<readonly string[]> {
    const answer = await this.raw(method, this.session, ...params);
    return answer.ok ? ['no refusal'] : answer.error;
  }
}
