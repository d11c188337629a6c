import { assert, unreachable } from '@xenolith/base';
import { formatDateTime } from '../date-time.ts';
import type { TypedValue, WireMember, WireType } from '../wire-type.ts';

/** Writes one value of a known type as JSON text. A value that is not of the type is a programmer's mistake. */
export type JsonEncoder = (value: unknown) => string;

const encoders = new WeakMap<WireType, JsonEncoder>();

/**
 * The encoder of a type, compiled once for each `WireType` object. As XAPI's JSON (PROTOCOL.md §2): numbers for int and float,
 * date-times as text, absent members left out, void as `""`. JSON has no NaN or infinity: they are written as null.
 */
export function jsonEncoder(type: WireType): JsonEncoder {
  const known = encoders.get(type);
  if (known !== undefined) return known;
  const encoder = compile(type);
  encoders.set(type, encoder);
  return encoder;
}

/** One value of a type as JSON. See `jsonEncoder`. */
export const encodeJsonValue = (type: WireType, value: unknown): string => jsonEncoder(type)(value);

function compile(type: WireType): JsonEncoder {
  switch (type.kind) {
    case 'string':
      return encodeString;
    case 'int':
    case 'int32':
      return encodeInt;
    case 'float':
      return encodeFloat;
    case 'bool':
      return encodeBool;
    case 'datetime':
      return encodeDateTime;
    case 'void':
      return () => '""';
    case 'any':
      return encodeAny;
    case 'typed':
      return encodeTyped;
    case 'set':
      return compileSet(jsonEncoder(type.of));
    case 'map':
      return compileMap(jsonEncoder(type.of));
    case 'record':
      return compileRecord(type.members);
    case 'option': {
      const element = jsonEncoder(type.of);
      return (value) => (value === undefined || value === null ? 'null' : element(value));
    }
    default:
      return unreachable(type);
  }
}

function encodeString(value: unknown): string {
  assert(typeof value === 'string', 'not a string');
  return JSON.stringify(value);
}

function encodeInt(value: unknown): string {
  if (typeof value === 'number') {
    assert(Number.isSafeInteger(value), 'not an integer');
    return String(value === 0 ? 0 : value);
  }
  if (typeof value === 'bigint') return String(value);
  assert(typeof value === 'string' && /^-?\d+$/.test(value), 'not an integer');
  return BigInt(value).toString();
}

function encodeFloat(value: unknown): string {
  assert(typeof value === 'number', 'not a float');
  return Number.isFinite(value) ? String(value) : 'null';
}

function encodeBool(value: unknown): string {
  assert(typeof value === 'boolean', 'not a bool');
  return value ? 'true' : 'false';
}

function encodeDateTime(value: unknown): string {
  assert(typeof value === 'string' || typeof value === 'number', 'not a date-time');
  return typeof value === 'number' ? `"${formatDateTime(value)}"` : JSON.stringify(value);
}

function encodeAny(value: unknown): string {
  const text: string | undefined = JSON.stringify(value);
  assert(text !== undefined, 'not a wire value');
  return text;
}

function encodeTyped(value: unknown): string {
  assert(isObject(value) && isObject(value['type']), 'not a typed value');
  const typed = value as unknown as TypedValue;
  return jsonEncoder(typed.type)(typed.value);
}

function compileSet(element: JsonEncoder): JsonEncoder {
  return (value) => {
    assert(Array.isArray(value), 'not a set');
    let out = '';
    for (const item of value) out += out === '' ? element(item) : `,${element(item)}`;
    return `[${out}]`;
  };
}

const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function compileMap(element: JsonEncoder): JsonEncoder {
  return (value) => {
    assert(isObject(value), 'not a map');
    let out = '';
    for (const key of Object.keys(value)) {
      out += `${out === '' ? '' : ','}${JSON.stringify(key)}:${element(value[key])}`;
    }
    return `{${out}}`;
  };
}

function compileRecord(members: readonly WireMember[]): JsonEncoder {
  const names = members.map((member) => member.name);
  const heads = members.map((member) => `${JSON.stringify(member.name)}:`);
  const elements = members.map((member) => jsonEncoder(member.type));
  return (value) => {
    assert(isObject(value), 'not a record');
    let out = '';
    for (let i = 0; i < names.length; i++) {
      const member = value[names[i] as string];
      if (member === undefined) continue;
      out += (out === '' ? '' : ',') + (heads[i] as string) + (elements[i] as JsonEncoder)(member);
    }
    return `{${out}}`;
  };
}
