/** The form of the calls: one file a class, each a table from message to function, typed by the data model. */
import type { Disposable, Ref } from '@xenolith/base';
import type { DataType } from '../datamodel/data-type.ts';
import type {
  ArgumentsOf,
  ClassName,
  CreationOf,
  FieldName,
  MessageName,
  RecordOf,
  ResultOf,
} from '../datamodel/types.ts';
import type { Rights } from '../session/rbac.ts';
import type { Task } from '../task/tasks.ts';
import type { Xapi } from '../xapi.ts';

/** Where a request came from. */
export interface Origin {
  /** Address of the peer, as text. */
  readonly address: string;
  readonly userAgent?: string;
  /** The client's own word for itself (header `originator`). */
  readonly originator?: string;
  /** Whether the peer reached us over TLS. */
  readonly tls?: boolean;
  /** The address the client used for us, `host:port` (header `Host`): for URLs in answers. */
  readonly host?: string;
}

/** Has something done, at most once, when the client that waits for the answer has left; until disposed. */
export type OnClientGone = (action: () => void) => Disposable;

/** What a call is carried out with. */
export interface Call {
  readonly xapi: Xapi;
  /** The caller's session; null for calls without one. */
  readonly session: Ref<'session'>;
  readonly rights: Rights;
  readonly task: Task;
  readonly origin: Origin;
  readonly onClientGone: OnClientGone;
}

/** A result whose shape the table describes only loosely, with the shape that it really has. */
export class ShapedResult {
  readonly type: DataType;
  readonly value: unknown;

  constructor(type: DataType, value: unknown) {
    this.type = type;
    this.value = value;
  }
}

type Answer<T> = T | Promise<T>;

type DeclaredCalls<C extends ClassName> = {
  readonly [M in MessageName<C>]?: (call: Call, args: ArgumentsOf<C, M>) => Answer<ResultOf<C, M> | ShapedResult>;
};

type SetterCalls<C extends ClassName> = {
  readonly [F in FieldName<C> as `set_${F}`]?: (
    call: Call,
    args: { readonly self: Ref<C>; readonly value: RecordOf<C>[F] },
  ) => Answer<void>;
};

type MapCalls<C extends ClassName> = {
  readonly [F in FieldName<C> as `add_to_${F}`]?: (
    call: Call,
    args: { readonly self: Ref<C>; readonly key: string; readonly value: string },
  ) => Answer<void>;
} & {
  readonly [F in FieldName<C> as `remove_from_${F}`]?: (
    call: Call,
    args: { readonly self: Ref<C>; readonly key: string },
  ) => Answer<void>;
};

interface LifeCalls<C extends ClassName> {
  /** Checked: what clients may give and nothing else, every required member, each of its type, references to what exists. */
  readonly create?: (call: Call, args: { readonly args: CreationOf<C> }) => Answer<Ref<C>>;
  readonly destroy?: (call: Call, args: { readonly self: Ref<C> }) => Answer<void>;
}

/**
 * The calls of a class that have behaviour of their own: declared messages, and create, destroy or setters that do
 * more than the generic ones. What is absent is done from the table, or answers NOT_IMPLEMENTED.
 */
export type CallsOf<C extends ClassName> = DeclaredCalls<C> &
  Omit<SetterCalls<C>, MessageName<C>> &
  Omit<MapCalls<C>, MessageName<C>> &
  Omit<LifeCalls<C>, MessageName<C>>;
