/**
 * The audit log: a line for each call that changes something, with who, what and the outcome. The form of a line is
 * that of XAPI (ocaml/xapi/rbac_audit.ml), which its readers and XenCenter's report take apart:
 *
 *   [20260101T00:00:00.000Z|info|xen1|0 |VM.start|audit] ('trackid=…' 'S-1' 'ann' 'ALLOWED' 'OK' 'API' 'VM.start' (('vm' 'web' '<uuid>' '<ref>')))
 */
import type { Clock } from '@xenolith/base';
import type { Database } from '../database/database.ts';
import type { Method } from '../datamodel/registry.ts';

/** Where lines go; the server hands in a file. Must not throw. */
export interface AuditSink {
  append(line: string): void;
}

/** Who a line is about. */
export interface AuditSubject {
  /** Stands for the session, which is a secret. */
  readonly trackId: string;
  readonly isSuperuser: boolean;
  readonly identifier: string;
  readonly userName: string;
}

/** Ends what {@link Audit.begin} began. @param errorCode of a call that failed */
export type AuditEnd = (errorCode?: string) => void;

/** Calls that would fill the log and say nothing (`has_to_audit`), or that write a line of their own. */
const unaudited = new Set([
  'event.next',
  'event.from',
  'session.logout',
  'session.local_logout',
  'session.login_with_password',
  'session.slave_local_login_with_password',
]);

/** Whether a call may change something. Declared reads have names such as `VM.get_boot_record`. */
export const isAudited = ({ fullName, name }: Method): boolean => !name.startsWith('get') && !unaudited.has(fullName);

/** Arguments whose text is shown. All others are shown only when they refer to an object: they may be secrets. */
const shownArguments = new Set(['name', 'label', 'description', 'name_label', 'name_description', 'new_name']);
const shownOfCalls: Readonly<Record<string, readonly string[]>> = {
  'VM.start': ['start_paused', 'force'],
  'VM.start_on': ['start_paused', 'force'],
  'pool.enable_external_auth': ['service_name', 'auth_type'],
  'subject.create': ['subject_identifier'],
  'user.create': ['short_name'],
  'host.add': ['address'],
  'host.call_plugin': ['plugin', 'fn'],
  'host.call_extension': ['call'],
  'message.create': ['body'],
};
/** A line holds this much of one argument. */
const textLengthMax = 256;

/** A text as an S-expression has it; what would end the line or the text is escaped. */
function quote(text: string): string {
  const short = text.length > textLengthMax ? `${text.slice(0, textLengthMax)}…` : text;
  const escaped = short.replaceAll(/[\\']/g, '\\$&');
  // eslint-disable-next-line no-control-regex -- a name may hold any of them
  return `'${escaped.replaceAll(/[\u0000-\u001f\u007f]/g, (c) => `\\${c.charCodeAt(0).toString().padStart(3, '0')}`)}'`;
}

export class Audit {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #sink: AuditSink | undefined;

  constructor(db: Database, clock: Clock, sink?: AuditSink) {
    this.#db = db;
    this.#clock = clock;
    this.#sink = sink;
  }

  get isOn(): boolean {
    return this.#sink !== undefined;
  }

  /** A call is about to be carried out: what its arguments refer to is looked up now, as it may be gone afterwards. */
  begin(who: AuditSubject, method: Method, args: Readonly<Record<string, unknown>>): AuditEnd {
    if (!this.isOn) return () => undefined;
    const shown = this.#arguments(method.fullName, args);
    return (errorCode) => {
      this.#write(who, 'ALLOWED', 'API', method.fullName, shown, errorCode);
    };
  }

  /** A call was refused for want of rights. */
  denied(who: AuditSubject, method: Method, args: Readonly<Record<string, unknown>>): void {
    if (!this.isOn) return;
    const shown = this.#arguments(method.fullName, args);
    this.#write(who, 'DENIED', 'API', method.fullName, shown, 'RBAC_PERMISSION_DENIED');
  }

  /** A session begins or ends, or could not begin. */
  session(who: AuditSubject, action: 'session.create' | 'session.destroy', errorCode?: string): void {
    const verdict = errorCode === undefined ? 'ALLOWED' : 'DENIED';
    this.#write(who, verdict, 'API', action, `('uname' ${quote(who.userName)} '' '')`, errorCode);
  }

  /** Something was done over HTTP alone, such as the reading of this log. */
  http(who: AuditSubject, action: string, shown: Readonly<Record<string, string>> = {}, errorCode?: string): void {
    const verdict = errorCode === 'RBAC_PERMISSION_DENIED' ? 'DENIED' : 'ALLOWED';
    this.#write(who, verdict, 'HTTP', `http/${action}`, this.#arguments(action, shown), errorCode);
  }

  #arguments(action: string, args: Readonly<Record<string, unknown>>): string {
    const parts: string[] = [];
    for (const [name, value] of Object.entries(args)) {
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
        // What an object is made of is shown as if each member were an argument.
        if (name === 'args') parts.push(this.#arguments(action, value as Readonly<Record<string, unknown>>));
        continue;
      }
      const text =
        typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number' ? `${value}` : '';
      // A session's reference is its secret, also one of another pool.
      if (name.includes('session') || this.#db.classOf(text) === 'session') continue;
      const object = this.#named(text);
      if (object !== undefined) {
        parts.push(`(${quote(name)} ${quote(object.name)} ${quote(object.uuid)} ${quote(text)})`);
      } else if (shownArguments.has(name) || shownOfCalls[action]?.includes(name) === true) {
        parts.push(`(${quote(name)} ${quote(text)} '' '')`);
      } else if (text.startsWith('OpaqueRef:')) parts.push(`(${quote(name)} '' '' ${quote(text)})`);
    }
    return parts.filter((part) => part !== '').join(' ');
  }

  /** Name and uuid of the object that a reference is to; a session's stays a secret. */
  #named(ref: string): { readonly name: string; readonly uuid: string } | undefined {
    if (!ref.startsWith('OpaqueRef:')) return undefined;
    const className = this.#db.classOf(ref);
    if (className === undefined) return undefined;
    const record = this.#db.getAny(className, ref);
    const text = (field: string): string => (typeof record[field] === 'string' ? record[field] : '');
    return { name: text('name_label'), uuid: text('uuid') };
  }

  #write(
    who: AuditSubject,
    verdict: 'ALLOWED' | 'DENIED',
    callType: 'API' | 'HTTP',
    action: string,
    shown: string,
    errorCode: string | undefined,
  ): void {
    if (this.#sink === undefined) return;
    const time = new Date(this.#clock.now()).toISOString().replaceAll('-', '');
    const fields = [
      `trackid=${who.trackId}`,
      who.isSuperuser ? 'LOCAL_SUPERUSER' : who.identifier,
      who.userName,
      verdict,
      errorCode === undefined ? 'OK' : `ERROR:${errorCode}`,
      callType,
      action,
    ];
    const [pool] = this.#db.refs('pool');
    const master = pool === undefined ? undefined : this.#db.find('host', this.#db.get('pool', pool).master);
    const hostname = (master?.hostname ?? 'xenolith').replaceAll(/[^A-Za-z0-9._-]/g, '_');
    this.#sink.append(`[${time}|info|${hostname}|0 |${action}|audit] (${fields.map(quote).join(' ')} (${shown}))`);
  }
}
