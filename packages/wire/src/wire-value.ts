/**
 * A decoded value of XML-RPC or JSON-RPC, before anybody has looked at its type. What the two encodings share:
 * integers that JavaScript cannot hold exactly are kept as decimal text, date-times and base64 are text.
 */
export type WireValue = string | number | boolean | null | readonly WireValue[] | WireStruct;

/**
 * A struct or object. Decoders make these without a prototype, so a member called `__proto__` or `constructor`
 * is a member like any other and a member that was not sent is `undefined`.
 */
export interface WireStruct {
  readonly [member: string]: WireValue;
}

/** A struct under construction. */
export type WireStructBuilder = Record<string, WireValue>;

/** An empty struct without a prototype. */
export const newStruct = (): WireStructBuilder => Object.create(null) as WireStructBuilder;

/** Whether a value is a struct (not an array, not `null`). */
export const isStruct = (value: WireValue | undefined): value is WireStruct =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether a value is an array. */
export const isArray = (value: WireValue | undefined): value is readonly WireValue[] => Array.isArray(value);
