/** Logins. XAPI: ocaml/xapi/xapi_session.ml. */
import { nullRef, randomUuid, ref as makeRef, Signal, type Clock, type Random, type Ref } from '@xenolith/base';
import { formatDateTime } from '@xenolith/wire';
import type { Database } from '../database/database.ts';
import { roleNames } from '../datamodel/schema.ts';
import { XapiError } from '../errors.ts';
import type { Audit, AuditSubject } from './audit.ts';
import { ExternalAuth, type Directory } from './directory.ts';
import { LocalUsers } from './local-users.ts';
import { permissionsOf } from './permissions.ts';
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

/** Hashing of passwords, done outside of this room (scrypt on the server). */
export interface Passwords {
  hash(password: string): Promise<string>;
  verify(password: string, hash: string): Promise<boolean>;
}

interface Live {
  lastUsedMs: number;
  lastWrittenMs: number;
  rights: Rights;
  readonly originator: string;
  readonly userName: string;
  /** Who logged in, and that one's groups, as a directory names them; none for root. */
  readonly identifiers: readonly string[];
  /** Stands for the session in the audit log. */
  readonly trackId: string;
}

/** Somebody of a directory, as a session remembers it: the own identifier first, then those of groups. */
export interface Login {
  readonly identifiers: readonly string[];
}

/** The setting that holds the hash of root's password. */
const rootPasswordKey = 'root-password-hash';
const superuser: Rights = { superuser: true, role: 'pool-admin' };
const nobody: Login = { identifiers: [] };

const refused = (userName: string, why: string): XapiError =>
  new XapiError('SESSION_AUTHENTICATION_FAILED', userName, why);

const namesOfPermissions = ({ role }: Rights): readonly string[] => permissionsOf(role).map(({ name }) => name);

export class Sessions {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #secrets: Random;
  readonly #passwords: Passwords;
  readonly #audit: Audit | undefined;
  readonly #live = new Map<Ref<'session'>, Live>();
  #verifying = 0;
  readonly #waiting: (() => void)[] = [];

  /** The users that the pool itself knows. */
  readonly users: LocalUsers;
  readonly externalAuth: ExternalAuth;

  /** Rings with a session that has ended, for whoever waits on its behalf. */
  readonly ended = new Signal<Ref<'session'>>();

  /**
   * @param secrets a source of secrets: a session reference is one.
   * @param directories sources of users beside the pool's own
   */
  constructor(
    db: Database,
    clock: Clock,
    secrets: Random,
    passwords: Passwords,
    directories: readonly Directory[] = [],
    audit?: Audit,
  ) {
    this.#db = db;
    this.#clock = clock;
    this.#secrets = secrets;
    this.#passwords = passwords;
    this.#audit = audit;
    this.users = new LocalUsers(db, (password, hash) => this.#verify(password, hash));
    this.externalAuth = new ExternalAuth(db, [this.users, ...directories]);
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
    return hash !== undefined && (await this.#verify(password, hash));
  }

  /** Sets the password of a local user; sessions that are open go on. @throws XapiError HANDLE_INVALID */
  async setUserPassword(user: Ref<'user'>, password: string): Promise<void> {
    this.#db.get('user', user);
    this.users.setPasswordHash(user, await this.#passwords.hash(password));
  }

  async #verify(password: string, hash: string): Promise<boolean> {
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
    try {
      return await this.#login(userName, password, originator);
    } catch (error) {
      const who = { trackId: '', isSuperuser: false, identifier: '', userName };
      this.#audit?.session(who, 'session.create', error instanceof XapiError ? error.code : 'INTERNAL_ERROR');
      throw error;
    }
  }

  async #login(userName: string, password: string, originator: string): Promise<Ref<'session'>> {
    const { directory } = this.externalAuth;
    if (userName === 'root' || directory === undefined) {
      const good = await this.isRootPassword(password);
      if (!good || userName !== 'root') throw refused(userName, 'Authentication failure');
      return this.open(userName, originator, superuser);
    }
    const identifier = await directory.authenticate(userName, password);
    if (identifier === undefined) throw refused(userName, 'Authentication failure');
    const identifiers = [identifier, ...(await directory.groupsOf(identifier))];
    // What was true before the directory answered may not be any more.
    if (this.externalAuth.directory !== directory) throw refused(userName, 'Authentication failure');
    const rights = this.#rightsOf(identifiers);
    if (rights === undefined) throw refused(userName, `the subject ${identifier} has no role in this pool`);
    return this.open(userName, originator, rights, { identifiers });
  }

  /** The subjects that a login is, or is in. */
  #subjectsOf(identifiers: readonly string[]): readonly Ref<'subject'>[] {
    const all = [...this.#db.all('subject')];
    return identifiers.flatMap((identifier) =>
      all.flatMap(([ref, subject]) => (subject.subject_identifier === identifier ? [ref] : [])),
    );
  }

  /** What the roles of all subjects of a login come to: the highest, as each has what the lower ones have. */
  #rightsOf(identifiers: readonly string[]): Rights | undefined {
    const names = this.#subjectsOf(identifiers)
      .flatMap((subject) => this.#db.get('subject', subject).roles)
      .map((role) => this.#db.find('role', role)?.name_label);
    const role = roleNames.find((name) => names.includes(name));
    return role === undefined ? undefined : { superuser: false, role };
  }

  /** Subjects or their roles have changed: sessions have their new rights at once, and those without any end. */
  subjectsChanged(): void {
    for (const [ref, live] of this.#live) {
      if (live.identifiers.length === 0) continue;
      const rights = this.externalAuth.directory === undefined ? undefined : this.#rightsOf(live.identifiers);
      if (rights === undefined) this.close(ref);
      else if (rights.role !== live.rights.role) {
        live.rights = rights;
        this.#db.update('session', ref, {
          rbac_permissions: namesOfPermissions(rights),
          validation_time: formatDateTime(this.#clock.now()),
        });
      }
    }
  }

  /** The subjects that have sessions, by identifier. */
  subjectIdentifiers(): readonly string[] {
    return [...new Set([...this.#live.values()].flatMap(({ identifiers }) => identifiers.slice(0, 1)))];
  }

  /** Ends the sessions of a subject but one. */
  closeOf(identifier: string, but: Ref<'session'>): void {
    for (const [ref, live] of this.#live) {
      if (ref !== but && live.identifiers[0] === identifier) this.close(ref);
    }
  }

  /** Opens a session for somebody whose identity is beyond doubt. */
  open(userName: string, originator: string, rights: Rights, { identifiers }: Login = nobody): Ref<'session'> {
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
        subject: this.#subjectsOf(identifiers)[0] ?? nullRef(),
        auth_user_sid: identifiers[0] ?? '',
        rbac_permissions: identifiers.length === 0 ? [] : namesOfPermissions(rights),
      },
      ref,
    );
    const trackId = randomUuid(this.#secrets).replaceAll('-', '');
    this.#live.set(ref, { lastUsedMs: now, lastWrittenMs: now, rights, originator, userName, identifiers, trackId });
    this.#audit?.session(this.subjectOf(ref), 'session.create');
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

  /** Whether a session is there; it does not count as used. */
  isOpen(ref: Ref<'session'>): boolean {
    return this.#live.has(ref);
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
    const who = this.subjectOf(ref);
    if (!this.#live.delete(ref)) return;
    this.#db.destroy('session', ref);
    this.ended.emit(ref);
    this.#audit?.session(who, 'session.destroy');
  }

  /** Who a session is, for the audit log; nobody when it is over. */
  subjectOf(ref: Ref<'session'>): AuditSubject {
    const live = this.#live.get(ref);
    return {
      trackId: live?.trackId ?? '',
      isSuperuser: live?.rights.superuser ?? false,
      identifier: live?.identifiers[0] ?? '',
      userName: live?.userName ?? '',
    };
  }
}
