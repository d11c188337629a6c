import { WireError } from '../wire-error.ts';
import { wireLimits, type WireLimits } from '../wire-limits.ts';
import { isArray, isStruct, type WireValue } from '../wire-value.ts';
import { memberNumber, parseJson } from './json.ts';

/** The two forms that XAPI speaks on `/jsonrpc` (PROTOCOL.md §2). */
export type JsonRpcVersion = '1.0' | '2.0';

/** A call as it came in; `version` and `id` decide the form of the answer. */
export interface JsonRpcRequest {
  readonly version: JsonRpcVersion;
  readonly method: string;
  /** Texts may hold half a surrogate pair: whoever takes them says so with the name of the parameter. */
  readonly params: readonly WireValue[];
  readonly id: JsonRpcId;
}

/** What a client tells its answers apart by; a bigint where a number would lose digits. */
export type JsonRpcId = string | number | bigint;

/** JSON that is no request. The form of the answer and its id, as far as they could be read. */
class BadRequest extends WireError {
  readonly head: { readonly version: JsonRpcVersion; readonly id: JsonRpcId | null };

  constructor(head: BadRequest['head'], message: string) {
    super('bad-request', message);
    this.head = head;
  }
}

/** An answer as a client sees it: a result, or the code and parameters of a refusal. */
export type JsonRpcResponse =
  | { readonly kind: 'result'; readonly result: WireValue; readonly id: string | number | null }
  | {
      readonly kind: 'error';
      /** The XenAPI error code and its parameters; for a JSON-RPC error of its own the message alone. */
      readonly errorDescription: readonly string[];
      /** The numeric code of JSON-RPC 2.0, 1 for a XenAPI error; absent in 1.0. */
      readonly code: number | undefined;
      readonly id: string | number | null;
    };

/**
 * Reads a JSON-RPC 1.0 or 2.0 request (PROTOCOL.md §2): `params` an array (absent counts as empty), `id` a number or a string.
 * @throws WireError `bad-json`, `bad-utf8`, `too-deep`, `too-large`; `bad-request` for a batch, a missing id, named parameters.
 */
export function parseJsonRpcRequest(input: string | Uint8Array, limits?: Partial<WireLimits>): JsonRpcRequest {
  const bounds = wireLimits(limits);
  const request = parseJson(input, bounds, 'kept');
  if (isArray(request)) throw new WireError('bad-request', 'batches are not supported');
  if (!isStruct(request)) throw new WireError('bad-request', 'a request is an object');
  const { jsonrpc, method, params } = request;
  const version = jsonrpc === undefined || jsonrpc === '1.0' ? '1.0' : '2.0';
  const id = readId(request['id'], () => memberNumber(input, 'id', bounds));
  const bad = (message: string): WireError => new BadRequest({ version, id: id ?? null }, message);
  if (jsonrpc !== undefined && jsonrpc !== '2.0' && jsonrpc !== '1.0') throw bad('jsonrpc must be "2.0" or absent');
  if (typeof method !== 'string' || method === '') throw bad('method must be a string');
  if (params !== undefined && !isArray(params)) throw bad('params must be an array');
  if (id === undefined) throw bad('id must be a number or a string');
  return { version, method, params: params ?? [], id };
}

/** @param literal what was written, when it was a number: long ones have been read as text */
function readId(value: WireValue | undefined, literal: () => string | undefined): JsonRpcId | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string') return undefined;
  if (!/^-?\d{16,}$|[eE]/.test(value)) return value;
  const written = literal();
  if (written === undefined) return value;
  return /^-?\d+$/.test(written) ? BigInt(written) : undefined;
}

const idJson = (id: JsonRpcId | null): string => (typeof id === 'bigint' ? String(id) : JSON.stringify(id));

/** What an answer needs to know of its request. */
export type JsonRpcRequestHead = Pick<JsonRpcRequest, 'version' | 'id'>;

/** The answer to a call that succeeded. `valueJson` is the result, already JSON. */
export const jsonRpcSuccess = (request: JsonRpcRequestHead, valueJson: string): string =>
  request.version === '2.0'
    ? `{"jsonrpc":"2.0","result":${valueJson},"id":${idJson(request.id)}}`
    : `{"result":${valueJson},"error":null,"id":${idJson(request.id)}}`;

/** The answer to a call that was refused: the code and its parameters, in the form of each version (PROTOCOL.md §2). */
export function jsonRpcFailure(request: JsonRpcRequestHead, errorDescription: readonly string[]): string {
  if (request.version === '1.0') return oldFailure(errorDescription, request.id);
  const [message = '', ...data] = errorDescription;
  return newFailure({ code: 1, message, data }, request.id);
}

const oldFailure = (errorDescription: readonly string[], id: JsonRpcId | null): string =>
  `{"result":null,"error":${JSON.stringify(errorDescription)},"id":${idJson(id)}}`;

const newFailure = (error: object, id: JsonRpcId | null): string =>
  `{"jsonrpc":"2.0","error":${JSON.stringify(error)},"id":${idJson(id)}}`;

/**
 * The answer to a body that is no request: JSON-RPC 2.0's error object with its own codes (specification section 5.1:
 * -32700 for what is not JSON, -32600 for JSON that is not a request), with the id when it could be read and null
 * otherwise; to one of version 1.0 its form of an error, with the same words.
 */
export function jsonRpcUnreadable(error: WireError): string {
  const parsed = error.code === 'bad-request';
  const { version, id } = error instanceof BadRequest ? error.head : ({ version: '2.0', id: null } as const);
  const message = parsed ? 'Invalid Request' : 'Parse error';
  return version === '1.0'
    ? oldFailure([message, error.message], id)
    : newFailure({ code: parsed ? -32600 : -32700, message, data: [error.message] }, id);
}

/** A request as a client sends it. */
export const encodeJsonRpcRequest = (
  method: string,
  params: readonly unknown[],
  id: string | number,
  version: JsonRpcVersion = '2.0',
): string => JSON.stringify(version === '2.0' ? { jsonrpc: '2.0', method, params, id } : { method, params, id });

/** Reads an answer of either version. @throws WireError for input that is none. */
export function parseJsonRpcResponse(input: string | Uint8Array, limits?: Partial<WireLimits>): JsonRpcResponse {
  const response = parseJson(input, wireLimits(limits));
  if (!isStruct(response)) throw new WireError('bad-request', 'an answer is an object');
  const { result, error } = response;
  const id = typeof response['id'] === 'string' || typeof response['id'] === 'number' ? response['id'] : null;
  if (error === undefined || error === null) {
    if (result === undefined) throw new WireError('bad-request', 'an answer has a result or an error');
    return { kind: 'result', result, id };
  }
  if (isArray(error)) return { kind: 'error', errorDescription: error.map(wordText), code: undefined, id };
  if (!isStruct(error) || typeof error['message'] !== 'string')
    throw new WireError('bad-request', 'an error without message');
  const data = isArray(error['data']) ? error['data'] : [];
  const code = typeof error['code'] === 'number' ? error['code'] : undefined;
  return { kind: 'error', errorDescription: [error['message'], ...data.map(wordText)], code, id };
}

const wordText = (value: WireValue): string => (typeof value === 'string' ? value : JSON.stringify(value));
