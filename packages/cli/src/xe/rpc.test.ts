import { expect, test } from 'vitest';
import { readAnswer } from './rpc.ts';

test('answers: results, refusals, integers beyond a double, and what is no answer', () => {
  expect(readAnswer('{"jsonrpc":"2.0","result":[1,"a"],"id":1}')).toEqual([1, 'a']);
  expect(readAnswer('{"result":9223372036854775807}')).toBe('9223372036854775807');
  expect(readAnswer('{"result":"9223372036854775807"}')).toBe('9223372036854775807');
  expect(readAnswer('{"result":1e300}')).toBe(1e300);
  const refused = (): unknown => readAnswer('{"error":{"code":1,"message":"UUID_INVALID","data":["VM","x"]}}');
  expect(refused).toThrow(expect.objectContaining({ code: 'UUID_INVALID', params: ['VM', 'x'] }));
  for (const text of ['', 'x', '1', '{}', 'null', '{"error":"x"}'])
    expect(() => readAnswer(text)).toThrow('the server');
});
