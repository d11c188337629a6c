/**
 * The shape of a value that goes out: enough of a XenAPI type to encode it (PROTOCOL.md §2).
 * `int` is XenAPI's 64-bit integer and travels as decimal text; `int32` is the tagged `<i4>` of a few places
 * (the `valid_ref_counts` of `event.from`). Keys of a map are always text. An absent (`undefined`) member of a record is left out.
 * A `typed` value brings its own type along: for the snapshots of events, which are records of any class.
 */
export type WireType =
  | { readonly kind: 'string' | 'int' | 'int32' | 'float' | 'bool' | 'datetime' | 'void' | 'any' | 'typed' }
  | { readonly kind: 'set'; readonly of: WireType }
  | { readonly kind: 'map'; readonly of: WireType }
  | { readonly kind: 'record'; readonly members: readonly WireMember[] }
  | { readonly kind: 'option'; readonly of: WireType };

/** A member of a record: its wire name and its type. */
export interface WireMember {
  readonly name: string;
  readonly type: WireType;
}

/** A value of a type that is only known with the value. */
export interface TypedValue {
  readonly type: WireType;
  readonly value: unknown;
}
