/**
 * The form of the data model tables: one table a class, from which validation, access rights, the generic calls, the
 * command line and the reference pages are all taken. Facts as in XAPI's ocaml/idl/datamodel*.ml.
 */
import type { WireValue } from '@xenolith/wire';

/** The roles of XAPI, from the most to the least powerful. Every role may do what the ones after it may. */
export const roleNames = [
  'pool-admin',
  'pool-operator',
  'vm-power-admin',
  'vm-admin',
  'vm-operator',
  'client-cert',
  'read-only',
] as const;

/** The lowest role that may do something; `local-root` is only root itself, on the host or with its password. */
export type Role = (typeof roleNames)[number] | 'local-root';

/** When something came, and when it was withdrawn: code names or versions of XAPI releases. */
export interface Lifecycle {
  readonly prototyped?: string;
  readonly published?: string;
  readonly deprecated?: string;
  readonly removed?: string;
  readonly unreleased?: true;
}

export interface FieldTable extends Lifecycle {
  /** `string | secret | int | float | bool | datetime | enum(N) | set(T) | map(K,V) | ref(C) | record(C) | option(T)`. */
  readonly type: string;
  /** RW: settable at any time; StaticRO: only when created; RO: the server's own. */
  readonly access: 'RO' | 'RW' | 'StaticRO';
  readonly default?: WireValue;
  /** First part of the name in the database (`name` in `name__label`, which filters use). */
  readonly group?: string;
  /** A column that clients never see. */
  readonly internal?: true;
  /** Forgotten at a restart. */
  readonly notPersisted?: true;
  /** The setter does more than a write: it has a call of its own. */
  readonly hasEffect?: true;
  /** A set of references kept as given, not computed from the other end of a relation. */
  readonly ignoreForeignKey?: true;
  readonly writeRole?: Role;
  readonly readRole?: Role;
  /** Roles for single keys of a map; a key may end in `*`. */
  readonly keyRoles?: Readonly<Record<string, Role>>;
  readonly help?: string;
  /** A field of ours, not of XAPI. */
  readonly extension?: true;
}

export interface MessageTable extends Lifecycle {
  /** Required parameters in wire order, without the session. */
  readonly params: Readonly<Record<string, string>>;
  /** Trailing parameters that a caller may leave out. */
  /** `since`: the release that it came with, where that is later than the message's own. */
  readonly optional?: Readonly<
    Record<string, { readonly type: string; readonly default: WireValue; readonly since?: string }>
  >;
  readonly result: string;
  readonly role: Role;
  readonly async?: true;
  /** False for the calls that need no login. */
  readonly session?: false;
  readonly hidden?: true;
  /** Only for sessions between hosts. */
  readonly poolInternal?: true;
  /** Its arguments are never logged. */
  readonly secret?: true;
  readonly clientCert?: true;
  readonly forwardToHostExtension?: true;
  readonly noCurrentOperations?: true;
  readonly errors?: readonly string[];
  readonly help?: string;
}

export interface ClassTable {
  readonly name: string;
  readonly help: string;
  readonly inDatabase: boolean;
  readonly persist: boolean;
  readonly events: boolean;
  readonly getAll: boolean;
  readonly lifecycle: Lifecycle;
  /** A class of ours, not of XAPI. */
  readonly extension?: true;
  /** Role for the setters of this class, unless a field says otherwise. */
  readonly writeRole?: Role;
  /** Role for whole records of this class; `read-only` when absent. */
  readonly readRole?: Role;
  /** Present when generic create and destroy exist; the members that the struct given to create may have. */
  readonly create?: { readonly role: Role; readonly required: readonly string[]; readonly optional: readonly string[] };
  readonly fields: Readonly<Record<string, FieldTable>>;
  readonly messages: Readonly<Record<string, MessageTable>>;
}
