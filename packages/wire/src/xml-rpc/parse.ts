import { decodeBase64 } from './base64.ts';
import { documentText } from '../utf8.ts';
import { WireError } from '../wire-error.ts';
import { wireLimits, type WireLimits } from '../wire-limits.ts';
import { isStruct, newStruct, type WireStruct, type WireValue } from '../wire-value.ts';
import { parseDouble } from './double.ts';
import { XmlScanner } from './scanner.ts';

/** A call as it came in. */
export interface XmlRpcCall {
  readonly methodName: string;
  readonly params: readonly WireValue[];
}

/** An answer as a client sees it: the one value (for XenAPI a struct with Status), or a fault. */
export type XmlRpcResponse =
  | { readonly kind: 'value'; readonly value: WireValue }
  | { readonly kind: 'fault'; readonly faultCode: number; readonly faultString: string };

/**
 * Reads an XML-RPC call. Untagged text and `<string>` are strings; `<i4>`, `<int>`, `<i8>` and `<double>` numbers (an integer that
 * a number cannot hold stays decimal text); `<boolean>` a boolean; `<dateTime.iso8601>` its text; `<base64>` the UTF-8 text it holds,
 * because XenAPI has no type of bytes; `<nil/>` null. The last of two members of one name counts.
 * @throws WireError, and nothing else, for input that is no call.
 */
export function parseXmlRpcCall(input: string | Uint8Array, limits?: Partial<WireLimits>): XmlRpcCall {
  const scanner = newScanner(input, limits);
  scanner.skipMisc();
  if (scanner.peekElement() !== 'methodCall') scanner.fail('<methodCall> was expected', scanner.at, 'bad-request');
  if (scanner.open('methodCall')) scanner.fail('a call without method name', scanner.at, 'bad-request');
  scanner.skipMisc();
  if (scanner.peekElement() !== 'methodName') scanner.fail('<methodName> was expected', scanner.at, 'bad-request');
  const methodName = scanner.open('methodName') ? '' : scanner.readTextElement('methodName').trim();
  if (methodName === '') scanner.fail('a call without method name', scanner.at, 'bad-request');
  scanner.skipMisc();
  const params = scanner.atElement ? readParams(scanner) : [];
  scanner.skipMisc();
  scanner.close('methodCall');
  endOfDocument(scanner);
  return { methodName, params };
}

/** Reads an XML-RPC answer; values as `parseXmlRpcCall` reads them. @throws WireError for input that is no answer. */
export function parseXmlRpcResponse(input: string | Uint8Array, limits?: Partial<WireLimits>): XmlRpcResponse {
  const scanner = newScanner(input, limits);
  scanner.skipMisc();
  if (scanner.peekElement() !== 'methodResponse')
    scanner.fail('<methodResponse> was expected', scanner.at, 'bad-request');
  if (scanner.open('methodResponse')) scanner.fail('an empty answer', scanner.at, 'bad-request');
  scanner.skipMisc();
  let response: XmlRpcResponse;
  if (scanner.peekElement() === 'fault') {
    if (scanner.open('fault')) scanner.fail('an empty fault', scanner.at, 'bad-request');
    scanner.skipMisc();
    response = fault(readValue(scanner, 0));
    scanner.skipMisc();
    scanner.close('fault');
  } else {
    const params = readParams(scanner);
    const [value] = params;
    response =
      value === undefined || params.length !== 1
        ? scanner.fail('an answer has one value', scanner.at, 'bad-request')
        : { kind: 'value', value };
  }
  scanner.skipMisc();
  scanner.close('methodResponse');
  endOfDocument(scanner);
  return response;
}

/**
 * Reads one `<value>` element standing alone, which is what a finished task's `result` holds (PROTOCOL.md §6).
 * @throws WireError for anything else.
 */
export function parseXmlValue(input: string | Uint8Array, limits?: Partial<WireLimits>): WireValue {
  const scanner = newScanner(input, limits);
  scanner.skipMisc();
  const value = readValue(scanner, 0);
  endOfDocument(scanner);
  return value;
}

function newScanner(input: string | Uint8Array, limits: Partial<WireLimits> | undefined): XmlScanner {
  const merged = wireLimits(limits);
  const text = documentText(input, merged.maxLength);
  return new XmlScanner(text.startsWith('\ufeff') ? text.slice(1) : text, merged);
}

function endOfDocument(scanner: XmlScanner): void {
  scanner.skipMisc();
  if (scanner.at !== scanner.text.length) scanner.fail('text after the end of the document');
}

function fault(value: WireValue): XmlRpcResponse {
  const members: WireStruct = isStruct(value) ? value : {};
  const { faultCode, faultString } = members;
  if (typeof faultString !== 'string') throw new WireError('bad-request', 'a fault without faultString');
  const code = Number(faultCode);
  return { kind: 'fault', faultCode: Number.isSafeInteger(code) ? code : 0, faultString };
}

function readParams(scanner: XmlScanner): readonly WireValue[] {
  const params: WireValue[] = [];
  if (scanner.open('params')) return params;
  for (;;) {
    scanner.skipMisc();
    if (!scanner.atElement) break;
    if (scanner.open('param')) scanner.fail('an empty <param>');
    scanner.skipMisc();
    params.push(readValue(scanner, 0));
    scanner.skipMisc();
    scanner.close('param');
  }
  scanner.close('params');
  return params;
}

/** Reads a `<value>` element. `depth` is the number of arrays and structs around it. */
function readValue(scanner: XmlScanner, depth: number): WireValue {
  scanner.node();
  if (scanner.open('value')) return '';
  const end = scanner.text.indexOf('<', scanner.at);
  if (end >= 0 && scanner.text.charCodeAt(end + 1) === 0x2f) return scanner.readTextElement('value');
  const { text, blank } = scanner.readText();
  const tag = scanner.peekElement();
  if (tag === undefined) {
    scanner.close('value');
    return text;
  }
  if (!blank) scanner.fail('text beside an element in <value>');
  const value = readTyped(scanner, tag, depth);
  scanner.skipMisc();
  scanner.close('value');
  return value;
}

function readTyped(scanner: XmlScanner, tag: string, depth: number): WireValue {
  const at = scanner.at;
  const empty = scanner.open(tag);
  switch (tag) {
    case 'array':
      return empty ? scanner.fail('<array> without <data>', at) : readArray(scanner, depth + 1);
    case 'struct':
      return empty ? newStruct() : readStruct(scanner, depth + 1);
    case 'nil':
      if (!empty && scanner.readTextElement(tag).trim() !== '') scanner.fail('text in <nil>', at);
      return null;
    case 'string':
    case 'int':
    case 'i4':
    case 'i8':
    case 'boolean':
    case 'double':
    case 'dateTime.iso8601':
    case 'base64':
      return scalar(scanner, tag, empty ? '' : scanner.readTextElement(tag), at);
    default:
      return scanner.fail(`unknown type <${tag}>`, at);
  }
}

function scalar(scanner: XmlScanner, tag: string, text: string, at: number): WireValue {
  switch (tag) {
    case 'string':
      return text;
    case 'boolean':
      return boolean(text.trim()) ?? scanner.fail('not a boolean', at);
    case 'double':
      return parseDouble(text.trim()) ?? scanner.fail('not a double', at);
    case 'dateTime.iso8601':
      return text.trim();
    case 'base64':
      return decodeBase64(text) ?? scanner.fail('not base64', at);
    default:
      return integer(text.trim()) ?? scanner.fail('not a 64-bit integer', at);
  }
}

const boolean = (text: string): boolean | undefined =>
  text === '1' || text === 'true' ? true : text === '0' || text === 'false' ? false : undefined;

function integer(text: string): WireValue | undefined {
  if (!/^[+-]?\d{1,40}$/.test(text)) return undefined;
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value === 0 ? 0 : value;
  const exact = BigInt(text.startsWith('+') ? text.slice(1) : text);
  return BigInt.asIntN(64, exact) === exact ? exact.toString() : undefined;
}

function descend(scanner: XmlScanner, depth: number): void {
  if (depth > scanner.limits.maxDepth) {
    scanner.fail(`nested deeper than ${scanner.limits.maxDepth}`, scanner.at, 'too-deep');
  }
}

function readArray(scanner: XmlScanner, depth: number): WireValue {
  descend(scanner, depth);
  const items: WireValue[] = [];
  scanner.skipMisc();
  if (!scanner.open('data')) {
    for (;;) {
      scanner.skipMisc();
      if (!scanner.atElement) break;
      items.push(readValue(scanner, depth));
    }
    scanner.close('data');
  }
  scanner.skipMisc();
  scanner.close('array');
  return items;
}

function readStruct(scanner: XmlScanner, depth: number): WireValue {
  descend(scanner, depth);
  const members = newStruct();
  for (;;) {
    scanner.skipMisc();
    if (!scanner.atElement) break;
    scanner.node();
    if (scanner.open('member')) scanner.fail('an empty <member>');
    scanner.skipMisc();
    const name = scanner.open('name') ? '' : scanner.readTextElement('name');
    scanner.skipMisc();
    members[name] = readValue(scanner, depth);
    scanner.skipMisc();
    scanner.close('member');
  }
  scanner.close('struct');
  return members;
}
