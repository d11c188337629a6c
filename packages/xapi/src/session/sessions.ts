/** Logins. XAPI: ocaml/xapi/xapi_session.ml. */
import { nullRef, randomUuid, ref as makeRef, Signal, type Clock, type Random, type Ref } from '@xenolith/base';
import { formatDateTime } from '@xenolith/wire';
import type { Database } from '../database/database.ts';
import { XapiError } from '../errors.ts';
import type { Rights } from './rbac.ts';

/** A session nobody used for this long is over (`Xapi_globs.inactive_session_timeout`). */
export const sessionIdleMs = 24 * 60 * 60 * 1000;
/** `last_active` is written at most this often, so that reading costs no write. */
const lastActiveStepMs = 10 * 60 * 1000;
/** Sessions that one originator, and that one user name, may have; the one unused for longest makes room. */
export const sessionsMax = 500;
/** Passwords looked at at once, and logins that may wait for their turn: hashing one is work on purpose. */
const verifyingMax = 4;
const waitingMax = 200;

/** Hashing of the root password, done outside of this room (scrypt on the server). */
export interface Passwords {
  hash(password: string): Promise<string>;
  verify(password: string, hash: string): Promise<boolean>;
}

interface Live {
  lastUsedMs: number;
  lastWrittenMs: number;
  readonly rights: Rights;
  readonly originator: string;
  readonly userName: string;
}

/** The setting that holds the hash of root's password. */
const rootPasswordKey = 'root-password-hash';
const superuser: Rights = { superuser: true, role: 'pool-admin' };

export class Sessions {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #secrets: Random;
  readonly #passwords: Passwords;
  readonly #live = new Map<Ref<'session'>, Live>();
  #verifying = 0;
  readonly #waiting: (() => void)[] = [];

  /** Rings with a session that has ended, for whoever waits on its behalf. */
  readonly ended = new Signal<Ref<'session'>>();

  /** @param secrets a source of secrets: a session reference is one. */
  constructor(db: Database, clock: Clock, secrets: Random, passwords: Passwords) {
    this.#db = db;
    this.#clock = clock;
    this.#secrets = secrets;
    this.#passwords = passwords;
  }

  get hasRootPassword(): boolean {
    return this.#db.setting(rootPasswordKey) !== undefined;
  }

  async setRootPassword(password: string): Promise<void> {
    this.#db.setSetting(rootPasswordKey, await this.#passwords.hash(password));
  }

  /** @throws XapiError TOO_BUSY when too many wait for the same */
  async isRootPassword(password: string): Promise<boolean> {
    const hash = this.#db.setting(rootPasswordKey);
    if (hash === undefined) return false;
    if (this.#verifying >= verifyingMax) {
      if (this.#waiting.length >= waitingMax) throw new XapiError('TOO_BUSY');
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    } else this.#verifying++;
    try {
      return await this.#passwords.verify(password, hash);
    } finally {
      // The turn passes on; only when nobody waits is it given back.
      const next = this.#waiting.shift();
      if (next === undefined) this.#verifying--;
      else next();
    }
  }

  /** @throws XapiError SESSION_AUTHENTICATION_FAILED [uname, text] */
  async loginWithPassword(userName: string, password: string, originator: string): Promise<Ref<'session'>> {
    const good = await this.isRootPassword(password);
    if (!good || userName !== 'root') {
      throw new XapiError('SESSION_AUTHENTICATION_FAILED', userName, 'Authentication failure');
    }
    return this.open(userName, originator, superuser);
  }

  /** Opens a session for somebody whose identity is beyond doubt. */
  open(userName: string, originator: string, rights: Rights): Ref<'session'> {
    this.#closeIdle();
    this.#makeRoom((live) => live.originator === originator);
    this.#makeRoom((live) => live.userName === userName);
    const now = this.#clock.now();
    const ref = makeRef<'session'>(`OpaqueRef:${randomUuid(this.#secrets)}`);
    const time = formatDateTime(now);
    const host = this.#db.refs('pool').map((pool) => this.#db.get('pool', pool).master)[0] ?? nullRef<'host'>();
    this.#db.create(
      'session',
      {
        // session.get_by_uuid gives the reference, so the uuid is as much of a secret.
        uuid: randomUuid(this.#secrets),
        this_host: host,
        last_active: time,
        validation_time: time,
        is_local_superuser: rights.superuser,
        auth_user_name: userName,
        originator,
      },
      ref,
    );
    this.#live.set(ref, { lastUsedMs: now, lastWrittenMs: now, rights, originator, userName });
    return ref;
  }

  #closeIdle(): void {
    const now = this.#clock.now();
    for (const [ref, live] of this.#live) if (now - live.lastUsedMs > sessionIdleMs) this.close(ref);
  }

  #makeRoom(alike: (live: Live) => boolean): void {
    const same = [...this.#live].filter(([, live]) => alike(live));
    if (same.length < sessionsMax) return;
    const oldest = same.reduce((a, b) => (b[1].lastUsedMs < a[1].lastUsedMs ? b : a));
    this.close(oldest[0]);
  }

  /** The rights of a session, which counts as used. @throws XapiError SESSION_INVALID [ref] */
  use(ref: Ref<'session'>): Rights {
    const live = this.#live.get(ref);
    const now = this.#clock.now();
    if (live !== undefined && now - live.lastUsedMs > sessionIdleMs) this.close(ref);
    else if (live !== undefined) {
      live.lastUsedMs = now;
      if (now - live.lastWrittenMs > lastActiveStepMs) {
        live.lastWrittenMs = now;
        this.#db.update('session', ref, { last_active: formatDateTime(now) });
      }
      return live.rights;
    }
    throw new XapiError('SESSION_INVALID', ref);
  }

  /** Ends a session. No error when it is over. */
  close(ref: Ref<'session'>): void {
    if (!this.#live.delete(ref)) return;
    this.#db.destroy('session', ref);
    this.ended.emit(ref);
  }
}
