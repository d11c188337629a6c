/**
 * The shape of a value that goes out: enough of a XenAPI type to encode it (PROTOCOL.md §2).
 * `int` is XenAPI's 64-bit integer and travels as decimal text; `int32` is the tagged `<i4>` of a few places
 * (the `valid_ref_counts` of `event.from`). Keys of a map are always text. An absent (`undefined`) member of a record is left out.
 */
export type WireType =
  | { readonly kind: 'string' | 'int' | 'int32' | 'float' | 'bool' | 'datetime' | 'void' | 'any' }
  | { readonly kind: 'set'; readonly of: WireType }
  | { readonly kind: 'map'; readonly of: WireType }
  | { readonly kind: 'record'; readonly members: readonly WireMember[] }
  | { readonly kind: 'option'; readonly of: WireType };

/** A member of a record: its wire name and its type. */
export interface WireMember {
  readonly name: string;
  readonly type: WireType;
}
