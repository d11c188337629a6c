import { expect, test } from 'vitest';
import { parseModelSpeed } from './model-speed.ts';

test.each([
  ['1', 1],
  ['0.001', 0.001],
  ['.5', 0.5],
  ['2.', 2],
  ['10.25', 10.25],
  ['1000', 1000],
  ['max', 1000],
])('%s', (text, speed) => {
  expect(parseModelSpeed(text)).toEqual({ ok: true, value: speed });
});

test.each([
  '0',
  '0.0009',
  '-1',
  '-0',
  '1000.1',
  '1e3',
  '1e400',
  'NaN',
  'Infinity',
  'fast',
  'MAX',
  '',
  ' 1',
  '1,5',
  '0x10',
  '.',
])('%j is refused with what is expected', (text) => {
  const error = "expected model seconds per second, 0.001 to 1000 (1 is the wall clock's speed), or max";
  expect(parseModelSpeed(text)).toEqual({ ok: false, error });
});
