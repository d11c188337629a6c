import { WireError } from '../wire-error.ts';
import { wireLimits, type WireLimits } from '../wire-limits.ts';
import { isArray, isStruct, type WireValue } from '../wire-value.ts';
import { parseJson } from './json.ts';

/** The two forms that XAPI speaks on `/jsonrpc` (PROTOCOL.md §2). */
export type JsonRpcVersion = '1.0' | '2.0';

/** A call as it came in; `version` and `id` decide the form of the answer. */
export interface JsonRpcRequest {
  readonly version: JsonRpcVersion;
  readonly method: string;
  readonly params: readonly WireValue[];
  readonly id: string | number;
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
  const request = parseJson(input, wireLimits(limits));
  if (isArray(request)) throw new WireError('bad-request', 'batches are not supported');
  if (!isStruct(request)) throw new WireError('bad-request', 'a request is an object');
  const { jsonrpc, method, params, id } = request;
  if (jsonrpc !== undefined && jsonrpc !== '2.0' && jsonrpc !== '1.0') {
    throw new WireError('bad-request', 'jsonrpc must be "2.0" or absent');
  }
  if (typeof method !== 'string' || method === '') throw new WireError('bad-request', 'method must be a string');
  if (params !== undefined && !isArray(params)) throw new WireError('bad-request', 'params must be an array');
  if (typeof id !== 'string' && typeof id !== 'number')
    throw new WireError('bad-request', 'id must be a number or a string');
  return { version: jsonrpc === '2.0' ? '2.0' : '1.0', method, params: params ?? [], id };
}

/** What an answer needs to know of its request. */
export type JsonRpcRequestHead = Pick<JsonRpcRequest, 'version' | 'id'>;

/** The answer to a call that succeeded. `valueJson` is the result, already JSON. */
export const jsonRpcSuccess = (request: JsonRpcRequestHead, valueJson: string): string =>
  request.version === '2.0'
    ? `{"jsonrpc":"2.0","result":${valueJson},"id":${JSON.stringify(request.id)}}`
    : `{"result":${valueJson},"error":null,"id":${JSON.stringify(request.id)}}`;

/** The answer to a call that was refused: the code and its parameters, in the form of each version (PROTOCOL.md §2). */
export function jsonRpcFailure(request: JsonRpcRequestHead, errorDescription: readonly string[]): string {
  if (request.version === '1.0') return JSON.stringify({ result: null, error: errorDescription, id: request.id });
  const [message = '', ...data] = errorDescription;
  return JSON.stringify({ jsonrpc: '2.0', error: { code: 1, message, data }, id: request.id });
}

/**
 * The answer to a body that is no request at all: JSON-RPC 2.0's error object with its own codes (specification section 5.1:
 * -32700 for what is not JSON, -32600 for JSON that is not a request) and a null id.
 */
export function jsonRpcUnreadable(error: WireError): string {
  const parsed = error.code === 'bad-request';
  return JSON.stringify({
    jsonrpc: '2.0',
    error: {
      code: parsed ? -32600 : -32700,
      message: parsed ? 'Invalid Request' : 'Parse error',
      data: [error.message],
    },
    id: null,
  });
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
