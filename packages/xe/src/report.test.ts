import { expect, test } from 'vitest';
import { report } from './report.ts';
import { ApiError, ConnectionError, InterruptedError } from './call.ts';
import { NoMatchError, SomeFailedError, UsageError } from './usage-error.ts';

const gone = new ApiError(['UUID_INVALID', 'VM', 'x']);

test.each([
  [new UsageError('what?'), 2, 'xe: what?', 'USAGE', []],
  [new ConnectionError('nobody'), 1, 'Error: nobody', 'CONNECTION', []],
  [new NoMatchError('no vm matches'), 1, 'Error: no vm matches', 'NO_MATCH', []],
  [new InterruptedError('left'), 130, 'Interrupted: left', 'INTERRUPTED', []],
  [gone, 1, 'There is no such object.\nError code: UUID_INVALID\ntype: VM\nuuid: x', 'UUID_INVALID', ['VM', 'x']],
] as const)('%s', async (error, code, text, word, params) => {
  expect(await report(error, false)).toEqual({ code, text });
  const json = await report(error, true);
  expect(json.code).toBe(code);
  expect(json.text).not.toContain('\n');
  expect(JSON.parse(json.text)).toEqual({ error: { code: word, params, message: expect.any(String) as string } });
});

test('of several objects, each that was refused', async () => {
  const some = new SomeFailedError([{ uuid: 'u', error: gone }]);
  expect(await report(some, false)).toMatchObject({ code: 1, text: expect.stringContaining('u: There is') as string });
  expect(JSON.parse((await report(some, true)).text)).toMatchObject({
    error: { code: 'SOME_FAILED', failures: [{ uuid: 'u', code: 'UUID_INVALID', params: ['VM', 'x'] }] },
  });
});

test('a mistake of ours is not told as a refusal', async () => {
  await expect(report(new TypeError('x'), false)).rejects.toThrow(TypeError);
});
