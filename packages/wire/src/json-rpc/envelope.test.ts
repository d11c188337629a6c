import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WireError, type WireErrorCode } from '../wire-error.ts';
import {
  encodeJsonRpcRequest,
  jsonRpcFailure,
  jsonRpcSuccess,
  jsonRpcUnreadable,
  parseJsonRpcRequest,
  parseJsonRpcResponse,
} from './envelope.ts';

function errorOf(run: () => unknown): WireError {
  try {
    run();
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('parseJsonRpcRequest', () => {
  test.each([
    [
      '{"jsonrpc":"2.0","method":"m","params":[1,"a"],"id":1}',
      { version: '2.0', method: 'm', params: [1, 'a'], id: 1 },
    ],
    ['{"method":"m","params":[],"id":"x"}', { version: '1.0', method: 'm', params: [], id: 'x' }],
    ['{"jsonrpc":"1.0","method":"m","id":0}', { version: '1.0', method: 'm', params: [], id: 0 }],
    [' {"id":"","method":"m","extra":{}}\n', { version: '1.0', method: 'm', params: [], id: '' }],
    ['{"method":"m","id":1,"id":2}', { version: '1.0', method: 'm', params: [], id: 2 }],
    [
      '{"method":"m","params":[{"a":1.5,"b":[true,null]}],"id":1}',
      { version: '1.0', method: 'm', params: [{ a: 1.5, b: [true, null] }], id: 1 },
    ],
    [
      '{"method":"m","params":[9007199254740993,-9223372036854775808,1e300,"1234567890123456789"],"id":1}',
      {
        version: '1.0',
        method: 'm',
        params: ['9007199254740993', '-9223372036854775808', 1e300, '1234567890123456789'],
        id: 1,
      },
    ],
    [
      '{"method":"m","params":[1e400,-1E+999],"id":"1e400"}',
      { version: '1.0', method: 'm', params: ['1e400', '-1E+999'], id: '1e400' },
    ],
    ['{"id":9007199254740993,"method":"m"}', { version: '1.0', method: 'm', params: [], id: 9007199254740993n }],
    ['{"id":"9007199254740993","method":"m"}', { version: '1.0', method: 'm', params: [], id: '9007199254740993' }],
    [
      '{"method":"m","params":[{"id":9007199254740993}],"id":"1234567890123456"}',
      { version: '1.0', method: 'm', params: [{ id: '9007199254740993' }], id: '1234567890123456' },
    ],
    [
      '{"method":"\\ud800","params":[{"\\udc00":1}],"id":1}',
      { version: '1.0', method: '\ud800', params: [{ '\udc00': 1 }], id: 1 },
    ],
  ])('%s', (text, request) => {
    expect(parseJsonRpcRequest(text)).toEqual(request);
    expect(parseJsonRpcRequest(Buffer.from(text))).toEqual(request);
  });

  test.each<[string, WireErrorCode, RegExp]>([
    ['', 'bad-json', /JSON/],
    ['{', 'bad-json', /JSON/],
    ["{'method':'m'}", 'bad-json', /JSON/],
    ['{"method":"m","id":1}x', 'bad-json', /JSON/],
    ['"unclosed', 'bad-json', /JSON/],
    ['"a\\', 'bad-json', /JSON/],
    ['[]', 'bad-request', /batch/],
    ['[{"method":"m","id":1}]', 'bad-request', /batch/],
    ['null', 'bad-request', /object/],
    ['1', 'bad-request', /object/],
    ['{"id":1}', 'bad-request', /method/],
    ['{"method":"","id":1}', 'bad-request', /method/],
    ['{"method":7,"id":1}', 'bad-request', /method/],
    ['{"method":"m"}', 'bad-request', /id/],
    ['{"method":"m","id":null}', 'bad-request', /id/],
    ['{"method":"m","id":true}', 'bad-request', /id/],
    ['{"method":"m","params":{},"id":1}', 'bad-request', /params/],
    ['{"jsonrpc":"3.0","method":"m","id":1}', 'bad-request', /jsonrpc/],
    ['{"jsonrpc":2,"method":"m","id":1}', 'bad-request', /jsonrpc/],
    ['{"method":"m","id":1e400}', 'bad-request', /id/],
  ])('%j is refused', (text, code, message) => {
    const error = errorOf(() => parseJsonRpcRequest(text));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  test('members named __proto__ are only members', () => {
    const { params } = parseJsonRpcRequest('{"method":"m","params":[{"__proto__":{"admin":true}}],"id":1}');
    const [param] = params as readonly [{ readonly [k: string]: unknown }];
    expect(Object.keys(param)).toEqual(['__proto__']);
    expect(param['admin']).toBeUndefined();
    expect(param['toString']).toBeUndefined();
  });

  test('limits', () => {
    const nested = (depth: number): string => `{"method":"m","id":1,"params":${'['.repeat(depth)}${']'.repeat(depth)}}`;
    expect(parseJsonRpcRequest(nested(4), { maxDepth: 5 }).params).toEqual([[[[]]]]);
    expect(errorOf(() => parseJsonRpcRequest(nested(5), { maxDepth: 5 })).code).toBe('too-deep');
    expect(errorOf(() => parseJsonRpcRequest(nested(1_000_000))).code).toBe('too-deep');
    expect(errorOf(() => parseJsonRpcRequest(`{"a":${'['.repeat(100_000)}`)).code).toBe('too-deep');
    expect(parseJsonRpcRequest(`{"method":"\\"[[[[[[","id":1}`, { maxDepth: 2 }).method).toBe('"[[[[[[');
    const backslash = nested(9).replace('"m"', String.raw`"\\"`);
    expect(parseJsonRpcRequest(backslash).method).toBe('\\');
    expect(errorOf(() => parseJsonRpcRequest(backslash, { maxDepth: 9 })).code).toBe('too-deep');
    expect(errorOf(() => parseJsonRpcRequest(nested(1), { maxLength: 10 })).code).toBe('too-large');
    expect(errorOf(() => parseJsonRpcRequest('{"method":"m","params":[1,2,3],"id":1}', { maxNodes: 6 })).code).toBe(
      'too-large',
    );
  });

  test('any text and any bytes give a WireError or a request', () => {
    const json = fc.json();
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), json, fc.uint8Array()), (input) => {
        try {
          parseJsonRpcRequest(input);
        } catch (error) {
          if (!(error instanceof WireError)) throw error;
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('what is encoded is read back, whole numbers beyond 2^53 as text', () => {
    const exact = (_key: string, value: unknown): unknown =>
      typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(String(value))
        ? String(value)
        : value;
    const version = fc.constantFrom('1.0' as const, '2.0' as const);
    const id = fc.oneof(fc.string({ unit: 'grapheme' }), fc.integer());
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), version, id, (params, version, id) => {
        const text = encodeJsonRpcRequest('VM.start', params, id, version);
        const expected: unknown = JSON.parse(JSON.stringify(params), exact);
        expect(parseJsonRpcRequest(text)).toEqual({ version, method: 'VM.start', params: expected, id });
      }),
    );
  });
});

describe('answers', () => {
  const one = { version: '1.0', id: 'a"b' } as const;
  const two = { version: '2.0', id: 7 } as const;

  test('success', () => {
    expect(jsonRpcSuccess(one, '[1]')).toBe('{"result":[1],"error":null,"id":"a\\"b"}');
    expect(jsonRpcSuccess(two, '""')).toBe('{"jsonrpc":"2.0","result":"","id":7}');
  });

  test('refusal', () => {
    expect(JSON.parse(jsonRpcFailure(one, ['HANDLE_INVALID', 'VM', 'x']))).toEqual({
      result: null,
      error: ['HANDLE_INVALID', 'VM', 'x'],
      id: 'a"b',
    });
    expect(JSON.parse(jsonRpcFailure(two, ['HANDLE_INVALID', 'VM', 'x']))).toEqual({
      jsonrpc: '2.0',
      error: { code: 1, message: 'HANDLE_INVALID', data: ['VM', 'x'] },
      id: 7,
    });
  });

  test('no request at all', () => {
    const parse = JSON.parse(jsonRpcUnreadable(new WireError('bad-json', 'no', 3)));
    expect(parse).toEqual({
      jsonrpc: '2.0',
      error: { code: -32700, message: 'Parse error', data: ['no at offset 3'] },
      id: null,
    });
    const invalid = JSON.parse(jsonRpcUnreadable(new WireError('bad-request', 'no id')));
    expect(invalid).toMatchObject({ error: { code: -32600, message: 'Invalid Request' }, id: null });
  });

  test.each([
    [
      '{"method":"m","params":{"a":1},"id":1}',
      '{"result":null,"error":["Invalid Request","params must be an array"],"id":1}',
    ],
    ['{"params":[],"id":"a"}', '{"result":null,"error":["Invalid Request","method must be a string"],"id":"a"}'],
    [
      '{"method":"m","id":null}',
      '{"result":null,"error":["Invalid Request","id must be a number or a string"],"id":null}',
    ],
    [
      '{"jsonrpc":"2.0","params":{"a":1},"id":9007199254740993}',
      '{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request","data":["method must be a string"]},"id":9007199254740993}',
    ],
  ])('%s is told so in its own version, with its id', (text, answer) => {
    expect(jsonRpcUnreadable(errorOf(() => parseJsonRpcRequest(text)))).toBe(answer);
  });

  test('an id has all of its digits', () => {
    const request = parseJsonRpcRequest('{"jsonrpc":"2.0","method":"m","id":-9007199254740993}');
    expect(jsonRpcSuccess(request, '""')).toBe('{"jsonrpc":"2.0","result":"","id":-9007199254740993}');
    expect(jsonRpcFailure(request, ['X'])).toBe(
      '{"jsonrpc":"2.0","error":{"code":1,"message":"X","data":[]},"id":-9007199254740993}',
    );
  });

  test('a client reads them back', () => {
    expect(parseJsonRpcResponse(jsonRpcSuccess(one, '{"a":[1]}'))).toEqual({
      kind: 'result',
      result: { a: [1] },
      id: 'a"b',
    });
    expect(parseJsonRpcResponse(jsonRpcSuccess(two, 'null'))).toEqual({ kind: 'result', result: null, id: 7 });
    const description = ['SESSION_INVALID', 'OpaqueRef:1'];
    expect(parseJsonRpcResponse(jsonRpcFailure(one, description))).toEqual({
      kind: 'error',
      errorDescription: description,
      code: undefined,
      id: 'a"b',
    });
    expect(parseJsonRpcResponse(jsonRpcFailure(two, description))).toEqual({
      kind: 'error',
      errorDescription: description,
      code: 1,
      id: 7,
    });
    expect(parseJsonRpcResponse(jsonRpcUnreadable(new WireError('bad-json', 'no')))).toEqual({
      kind: 'error',
      errorDescription: ['Parse error', 'no'],
      code: -32700,
      id: null,
    });
  });

  test.each(['[]', '{}', '{"id":1}', '{"error":{},"id":1}', '{"error":"x","id":1}'])('%s is no answer', (text) => {
    expect(errorOf(() => parseJsonRpcResponse(text)).code).toBe('bad-request');
  });
});
