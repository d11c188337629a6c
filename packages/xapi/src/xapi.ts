/** The control plane of a pool: its database, its hosts and its calls in one object, with every effect handed in. */
import type { Clock, Random } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import type { BlobStore } from './call/blob.ts';
import { snapshotWork } from './call/vmss.ts';
import { Database } from './database/database.ts';
import type { Store } from './database/store.ts';
import { methods, type Method } from './datamodel/registry.ts';
import { Surface, type SurfaceOptions } from './datamodel/surface.ts';
import { dispatch, hasBehaviour, type Answer, type Request } from './dispatch.ts';
import { Events } from './event/events.ts';
import type { OpenHost } from './host-driver.ts';
import { Hosts } from './host/hosts.ts';
import type { Log } from './log.ts';
import { Messages } from './message/messages.ts';
import { Audit, type AuditSink } from './session/audit.ts';
import type { Directory } from './session/directory.ts';
import { Sessions, type Passwords } from './session/sessions.ts';
import { UnfinishedDisks } from './storage/unfinished-disks.ts';
import { Tasks } from './task/tasks.ts';
import { SnapshotSchedules } from './vm/snapshot-schedules.ts';
import { setConsoleLocation } from './vm/console-location.ts';
import { ensurePool } from './pool/ensure-pool.ts';

/**
 * Is asked before a call is carried out, once its session, rights and arguments are good: may hold it up, or fail it as
 * the work itself would (in its task, when it is asynchronous). @throws XapiError, HostError
 */
export type BeforeCall = (method: Method, args: Readonly<Record<string, WireValue>>) => Promise<void> | undefined;

export interface XapiOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Makes references and UUIDs; may be seeded. */
  readonly random: Random;
  /** Makes session references and other secrets; never seeded outside of tests. */
  readonly secrets: Random;
  readonly passwords: Passwords;
  /** Sources of users beside root and the pool's own; none when absent. */
  readonly directories?: readonly Directory[];
  readonly openHost: OpenHost;
  readonly log: Log;
  /** Where the audit log goes; there is none when absent. */
  readonly audit?: AuditSink;
  /** Where the data of blobs is kept; there are none when absent. */
  readonly blobs?: BlobStore;
  /** Version of Xenolith, x.y.z. */
  readonly version: string;
  /** For simulations. */
  readonly beforeCall?: BeforeCall;
  /** What clients are shown; everything when absent. */
  readonly surface?: SurfaceOptions;
}

export class Xapi {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly version: string;
  readonly surface: Surface;
  readonly tasks: Tasks;
  readonly audit: Audit;
  readonly sessions: Sessions;
  readonly events: Events;
  readonly messages: Messages;
  readonly hosts: Hosts;
  readonly disks: UnfinishedDisks;
  readonly blobs: BlobStore | undefined;
  readonly beforeCall: BeforeCall | undefined;
  readonly schedules: SnapshotSchedules;
  #publicAddress = '127.0.0.1';
  readonly #store: Store;

  constructor(options: XapiOptions) {
    this.#store = options.store;
    this.clock = options.clock;
    this.random = options.random;
    this.log = options.log;
    this.version = options.version;
    this.db = new Database(options.store, options.random);
    this.db.storeFailed.listen((error) => {
      this.log.error('the database cannot be written; every call fails from now on', { error: String(error) });
    });
    this.surface = new Surface(options.surface);
    this.tasks = new Tasks(this.db, options.clock);
    this.audit = new Audit(this.db, options.clock, options.audit);
    this.sessions = new Sessions(
      this.db,
      options.clock,
      options.secrets,
      options.passwords,
      options.directories,
      this.audit,
    );
    this.events = new Events(this.db, options.clock, this.sessions, this.surface);
    this.messages = new Messages(this.db, options.clock);
    this.hosts = new Hosts(this, options.openHost);
    this.disks = new UnfinishedDisks(this);
    this.blobs = options.blobs;
    this.beforeCall = options.beforeCall;
    this.schedules = new SnapshotSchedules(this, snapshotWork);
  }

  /** Makes the pool record when there is none, and begins to follow the hosts that the records name. */
  async start(): Promise<void> {
    ensurePool(this);
    await this.hosts.start();
    this.schedules.plan();
    await this.db.durable();
  }

  /** `host:port` under which clients reach this server. */
  get publicAddress(): string {
    return this.#publicAddress;
  }

  /** The server listens: consoles of VMs that were started before, or by an earlier server, are under this address too. */
  listensAt(publicAddress: string): void {
    this.#publicAddress = publicAddress;
    for (const console of this.db.refs('console')) setConsoleLocation(this, console);
  }

  /** Carries out one request. Never throws: whatever goes wrong is an answer. */
  call(request: Request): Promise<Answer> {
    return dispatch(this, request);
  }

  /** Whether a call of that name does anything here. */
  implements(method: string): boolean {
    const found = methods().get(method);
    return found !== undefined && hasBehaviour(found);
  }

  /** Stops following the hosts and makes durable what is not. The hosts themselves go on. */
  async close(): Promise<void> {
    this.schedules.close();
    await this.hosts.close();
    this.tasks.close();
    await this.db.durable();
    await this.#store.close();
  }
}
