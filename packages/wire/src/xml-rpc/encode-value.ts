import { assert, unreachable } from '@xenolith/base';
import { formatDateTime } from '../date-time.ts';
import type { TypedValue, WireMember, WireType } from '../wire-type.ts';
import { formatDouble } from './double.ts';
import { escapeXml } from './escape.ts';

/** Writes one value of a known type as a `<value>` element. A value that is not of the type is a programmer's mistake. */
export type XmlEncoder = (value: unknown) => string;

const encoders = new WeakMap<WireType, XmlEncoder>();

/**
 * The encoder of a type, compiled once for each `WireType` object. Output as XAPI's, PROTOCOL.md §2: strings without `<string>`,
 * integers as untagged decimal text, `<boolean>1</boolean>`, floats in `%.16g`, absent members of a record left out, void as an
 * empty value. Hot: answers of thousands of records pass through it.
 */
export function xmlEncoder(type: WireType): XmlEncoder {
  const known = encoders.get(type);
  if (known !== undefined) return known;
  const encoder = compile(type);
  encoders.set(type, encoder);
  return encoder;
}

/** One value of a type as XML, `<value>` included. See `xmlEncoder`. */
export const encodeXmlValue = (type: WireType, value: unknown): string => xmlEncoder(type)(value);

function compile(type: WireType): XmlEncoder {
  switch (type.kind) {
    case 'string':
      return encodeString;
    case 'int':
      return encodeInt;
    case 'int32':
      return encodeInt32;
    case 'float':
      return encodeFloat;
    case 'bool':
      return encodeBool;
    case 'datetime':
      return encodeDateTime;
    case 'void':
      return () => '<value></value>';
    case 'any':
      return encodeXmlAny;
    case 'typed':
      return encodeTyped;
    case 'set':
      return compileSet(xmlEncoder(type.of));
    case 'map':
      return compileMap(xmlEncoder(type.of));
    case 'record':
      return compileRecord(type.members);
    case 'option':
      return compileOption(xmlEncoder(type.of));
    default:
      return unreachable(type);
  }
}

function encodeString(value: unknown): string {
  assert(typeof value === 'string', 'not a string');
  return `<value>${escapeXml(value)}</value>`;
}

function encodeInt(value: unknown): string {
  if (typeof value === 'number') {
    assert(Number.isSafeInteger(value), 'not an integer');
    return `<value>${value}</value>`;
  }
  if (typeof value === 'bigint') return `<value>${value}</value>`;
  assert(typeof value === 'string' && /^-?\d+$/.test(value), 'not an integer');
  return `<value>${value}</value>`;
}

function encodeInt32(value: unknown): string {
  assert(typeof value === 'number' && (value | 0) === value, 'not a 32-bit integer');
  return `<value><i4>${value}</i4></value>`;
}

function encodeFloat(value: unknown): string {
  assert(typeof value === 'number', 'not a float');
  return `<value><double>${formatDouble(value)}</double></value>`;
}

function encodeBool(value: unknown): string {
  assert(typeof value === 'boolean', 'not a bool');
  return value ? '<value><boolean>1</boolean></value>' : '<value><boolean>0</boolean></value>';
}

function encodeDateTime(value: unknown): string {
  assert(typeof value === 'string' || typeof value === 'number', 'not a date-time');
  const text = typeof value === 'number' ? formatDateTime(value) : escapeXml(value);
  return `<value><dateTime.iso8601>${text}</dateTime.iso8601></value>`;
}

function encodeTyped(value: unknown): string {
  assert(isObject(value) && isObject(value['type']), 'not a typed value');
  const typed = value as unknown as TypedValue;
  return xmlEncoder(typed.type)(typed.value);
}

function compileSet(element: XmlEncoder): XmlEncoder {
  return (value) => {
    assert(Array.isArray(value), 'not a set');
    let out = '<value><array><data>';
    for (const item of value) out += element(item);
    return `${out}</data></array></value>`;
  };
}

function compileMap(element: XmlEncoder): XmlEncoder {
  return (value) => {
    assert(isObject(value), 'not a map');
    let out = '<value><struct>';
    for (const key of Object.keys(value)) {
      out += `<member><name>${escapeXml(key)}</name>${element(value[key])}</member>`;
    }
    return `${out}</struct></value>`;
  };
}

function compileRecord(members: readonly WireMember[]): XmlEncoder {
  const names = members.map((member) => member.name);
  const heads = members.map((member) => `<member><name>${escapeXml(member.name)}</name>`);
  const elements = members.map((member) => xmlEncoder(member.type));
  return (value) => {
    assert(isObject(value), 'not a record');
    let out = '<value><struct>';
    for (let i = 0; i < names.length; i++) {
      const member = value[names[i] as string];
      if (member === undefined) continue;
      out += (heads[i] as string) + (elements[i] as XmlEncoder)(member) + '</member>';
    }
    return `${out}</struct></value>`;
  };
}

/** Outside a record an absent value has no element to leave out and is written as nil. */
function compileOption(element: XmlEncoder): XmlEncoder {
  return (value) => (value === undefined || value === null ? '<value><nil/></value>' : element(value));
}

const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * A value of no known type, as XML-RPC clients write theirs: integers of 32 bits as `<int>`, larger ones as decimal text (XenAPI's
 * form), other numbers as `<double>` with all their digits, strings untagged, `null` as `<nil/>`, members that are `undefined` left out.
 */
export function encodeXmlAny(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `<value>${escapeXml(value)}</value>`;
    case 'boolean':
      return encodeBool(value);
    case 'number':
      return encodeAnyNumber(value);
    case 'bigint':
      return `<value>${value}</value>`;
    default:
  }
  if (value === null) return '<value><nil/></value>';
  if (Array.isArray(value)) return `<value><array><data>${value.map(encodeXmlAny).join('')}</data></array></value>`;
  assert(isObject(value), 'not a wire value');
  let out = '<value><struct>';
  for (const key of Object.keys(value)) {
    const member = value[key];
    if (member !== undefined) out += `<member><name>${escapeXml(key)}</name>${encodeXmlAny(member)}</member>`;
  }
  return `${out}</struct></value>`;
}

function encodeAnyNumber(value: number): string {
  if ((value | 0) === value && !Object.is(value, -0)) return `<value><int>${value}</int></value>`;
  if (Number.isSafeInteger(value) && value !== 0) return `<value>${value}</value>`;
  const text = Number.isFinite(value) && !Object.is(value, -0) ? String(value) : formatDouble(value);
  return `<value><double>${text}</double></value>`;
}
