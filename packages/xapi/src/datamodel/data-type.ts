/** Types of the data model at run time: parsing their notation, checking values from the wire, and their defaults. */
import { assert, nullRef, unreachable } from '@xenolith/base';
import { formatDateTime, isArray, isStruct, parseDateTime, type WireType, type WireValue } from '@xenolith/wire';
import { XapiError } from '../errors.ts';
import { classTables } from './classes.ts';
import { enums } from './enums.ts';
import type { ClassTable } from './schema.ts';

export type DataType =
  | { readonly kind: 'string' | 'secret' | 'int' | 'float' | 'bool' | 'datetime' | 'void' | 'any' }
  | { readonly kind: 'enum'; readonly name: string; readonly words: ReadonlySet<string> }
  | { readonly kind: 'ref'; readonly class: string }
  | { readonly kind: 'set'; readonly of: DataType }
  | { readonly kind: 'map'; readonly key: DataType; readonly value: DataType }
  | { readonly kind: 'option'; readonly of: DataType }
  | { readonly kind: 'record'; readonly class: string }
  /** A shape that no table names: of the few answers that the tables describe only loosely. */
  | { readonly kind: 'wire'; readonly wire: WireType };

const parsed = new Map<string, DataType>();

/** Reads the notation of the tables, for example `map(string,set(ref(VM)))`. */
export function parseDataType(text: string): DataType {
  const known = parsed.get(text);
  if (known !== undefined) return known;
  const type = parseFresh(text);
  parsed.set(text, type);
  return type;
}

function parseFresh(text: string): DataType {
  switch (text) {
    case 'string':
    case 'secret':
    case 'int':
    case 'float':
    case 'bool':
    case 'datetime':
    case 'void':
      return { kind: text };
    default:
  }
  const open = text.indexOf('(');
  assert(open > 0 && text.endsWith(')'), `data type ${text}`);
  const inner = text.slice(open + 1, -1);
  switch (text.slice(0, open)) {
    case 'enum': {
      const words: readonly string[] | undefined = Object.entries(enums).find(([name]) => name === inner)?.[1];
      assert(words !== undefined, `enumeration ${inner}`);
      return { kind: 'enum', name: inner, words: new Set(words) };
    }
    case 'ref':
      return { kind: 'ref', class: inner };
    case 'record':
      return inner === '<class>' ? { kind: 'any' } : { kind: 'record', class: inner };
    case 'set':
      return { kind: 'set', of: parseDataType(inner) };
    case 'option':
      return { kind: 'option', of: parseDataType(inner) };
    default: {
      assert(text.startsWith('map('), `data type ${text}`);
      const comma = topLevelComma(inner);
      return {
        kind: 'map',
        key: parseDataType(inner.slice(0, comma)),
        value: parseDataType(inner.slice(comma + 1)),
      };
    }
  }
}

/** The comma between a map's key and value types: keys may be `ref(VM)` but never hold a comma. */
function topLevelComma(inner: string): number {
  let depth = 0;
  for (let i = 0; i < inner.length; i++) {
    const c = inner[i];
    if (c === '(') depth++;
    else if (c === ')') depth--;
    else if (c === ',' && depth === 0) return i;
  }
  throw new Error(`map type without a comma: ${inner}`);
}

/** The class table of a name that the tables themselves use. */
export function classTable(name: string): ClassTable {
  const table: ClassTable | undefined = (classTables as Readonly<Record<string, ClassTable>>)[name];
  assert(table !== undefined, `class ${name}`);
  return table;
}

const wireTypes = new Map<DataType, WireType>();

/** The shape that the encoders need of a type: references and enumerations are texts on the wire. */
export function toWireType(type: DataType): WireType {
  let wire = wireTypes.get(type);
  if (wire === undefined) {
    wire = wireTypeOf(type);
    wireTypes.set(type, wire);
  }
  return wire;
}

function wireTypeOf(type: DataType): WireType {
  switch (type.kind) {
    case 'string':
    case 'secret':
    case 'enum':
    case 'ref':
      return { kind: 'string' };
    case 'int':
    case 'float':
    case 'bool':
    case 'datetime':
    case 'void':
    case 'any':
      return { kind: type.kind };
    case 'set':
      return { kind: 'set', of: toWireType(type.of) };
    case 'map':
      return { kind: 'map', of: toWireType(type.value) };
    case 'option':
      return { kind: 'option', of: toWireType(type.of) };
    case 'wire':
      return type.wire;
    case 'record': {
      const members = Object.entries(classTable(type.class).fields)
        .filter(([, field]) => field.internal !== true)
        .map(([name, field]) => ({ name, type: toWireType(parseDataType(field.type)) }));
      return { kind: 'record', members };
    }
    default:
      return unreachable(type);
  }
}

/** What a field holds that nobody gave a value and that has no default of its own. */
export function emptyValue(type: DataType): WireValue {
  switch (type.kind) {
    case 'string':
    case 'secret':
      return '';
    case 'int':
    case 'float':
      return 0;
    case 'bool':
      return false;
    case 'datetime':
      return neverDateTime;
    case 'enum':
      return type.words.values().next().value ?? '';
    case 'ref':
      return nullRef();
    case 'set':
      return [];
    default:
      return {};
  }
}

/** The datetime of what never happened. */
export const neverDateTime = '19700101T00:00:00Z';

/**
 * Checks and converts a value from the wire: numbers may come as decimal text (XML-RPC sends them so).
 * `what` names the parameter or field in the error.
 * @throws XapiError FIELD_TYPE_ERROR for a value of another shape, INVALID_VALUE for a word or number out of range.
 */
export function decodeValue(type: DataType, value: WireValue, what: string): WireValue {
  switch (type.kind) {
    case 'string':
    case 'secret':
    case 'ref':
      return type.kind === 'ref' && value === '' ? nullRef() : decodeText(value, what);
    case 'enum':
      if (typeof value !== 'string') throw new XapiError('FIELD_TYPE_ERROR', what);
      if (!type.words.has(value)) throw new XapiError('INVALID_VALUE', what, value.toWellFormed());
      return value;
    case 'int':
      return decodeInt(value, what);
    case 'float':
      return decodeFloat(value, what);
    case 'bool':
      return decodeBool(value, what);
    case 'datetime':
      return decodeDateTime(value, what);
    case 'set':
      if (!isArray(value)) throw new XapiError('FIELD_TYPE_ERROR', what);
      return value.map((item) => decodeValue(type.of, item, what));
    case 'map':
      return decodeMap(type.key, type.value, value, what);
    case 'option':
      return value === null ? null : decodeValue(type.of, value, what);
    case 'record':
      return decodeRecord(classTable(type.class), value, what);
    default:
      return value;
  }
}

/** Text that is no Unicode (half of a surrogate pair) could be neither stored nor answered. */
function decodeText(value: WireValue, what: string): string {
  if (typeof value !== 'string') throw new XapiError('FIELD_TYPE_ERROR', what);
  if (!value.isWellFormed()) throw new XapiError('INVALID_VALUE', what, value.toWellFormed());
  return value;
}

function decodeInt(value: WireValue, what: string): number {
  const number = typeof value === 'string' && /^[+-]?\d{1,19}$/.test(value.trim()) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number)) throw new XapiError('FIELD_TYPE_ERROR', what);
  if (!Number.isSafeInteger(number)) {
    // The client's own digits: those of the number are rounded.
    throw new XapiError('INVALID_VALUE', what, typeof value === 'string' ? value.trim() : String(number));
  }
  // There is no negative zero among integers.
  return number + 0;
}

function decodeFloat(value: WireValue, what: string): number {
  if (typeof value !== 'number' && (typeof value !== 'string' || value.trim() === '')) {
    throw new XapiError('FIELD_TYPE_ERROR', what);
  }
  const number = Number(value);
  if (Number.isNaN(number)) throw new XapiError('FIELD_TYPE_ERROR', what);
  if (!Number.isFinite(number)) throw new XapiError('INVALID_VALUE', what, String(value).trim());
  return number;
}

function decodeBool(value: WireValue, what: string): boolean {
  if (value === true || value === 'true' || value === '1') return true;
  if (value === false || value === 'false' || value === '0') return false;
  throw new XapiError('FIELD_TYPE_ERROR', what);
}

/** The first and the last millisecond that the wire's form can say: years 0 to 9999. */
const firstMs = -62_167_219_200_000;
const lastMs = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** A moment in any of the forms that clients write, as the one form that is stored. */
function decodeDateTime(value: WireValue, what: string): string {
  if (typeof value !== 'string') throw new XapiError('FIELD_TYPE_ERROR', what);
  const moment = parseDateTime(value);
  if (moment === undefined || moment < firstMs || moment > lastMs) throw new XapiError('INVALID_VALUE', what, value);
  return formatDateTime(moment);
}

function decodeMap(key: DataType, of: DataType, value: WireValue, what: string): WireValue {
  if (!isStruct(value)) throw new XapiError('FIELD_TYPE_ERROR', what);
  const entries: [string, WireValue][] = [];
  for (const [name, item] of Object.entries(value)) {
    decodeValue(key, name, what);
    entries.push([name, decodeValue(of, item, what)]);
  }
  return Object.fromEntries(entries);
}

function decodeRecord(table: ClassTable, value: WireValue, what: string): WireValue {
  if (!isStruct(value)) throw new XapiError('FIELD_TYPE_ERROR', what);
  const entries: [string, WireValue][] = [];
  for (const [name, item] of Object.entries(value)) {
    const field = Object.hasOwn(table.fields, name) ? table.fields[name] : undefined;
    // Unknown members are ignored, as XAPI does: clients send back records of newer or older servers.
    if (field === undefined || field.internal === true) continue;
    entries.push([name, decodeValue(parseDataType(field.type), item, name)]);
  }
  return Object.fromEntries(entries);
}
