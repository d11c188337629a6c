import type { WireValue } from '@xenolith/wire';
import { expect, test } from 'vitest';
import { formatMinimal, formatRecord, formatValue, printable } from './format.ts';

test.each<readonly [string, WireValue | undefined, string]>([
  ['string', 'a "b"', 'a "b"'],
  ['int', 5, '5'],
  ['int', '9223372036854775807', '9223372036854775807'],
  ['float', 0.5, '0.500'],
  ['bool', true, 'true'],
  ['datetime', '20260101T00:00:00Z', '20260101T00:00:00Z'],
  ['enum(vm_power_state)', 'Running', 'running'],
  ['enum(vbd_mode)', 'RW', 'RW'],
  ['set(string)', ['a', 'b'], 'a; b'],
  ['set(float)', [1, 2], '1.000; 2.000'],
  ['set(string)', [], ''],
  ['map(string,string)', { a: 'b', c: 'd' }, 'a: b; c: d'],
  ['map(int,float)', { 0: 0.25 }, '0: 0.250'],
  ['map(string,set(string))', { a: ['x', 'y'] }, 'a: x; y'],
  ['string', undefined, ''],
])('%s %j', (type, value, text) => {
  expect(formatValue(type, value)).toBe(text);
});

test('a record is a block with its colons below each other', () => {
  const cells = [
    { name: 'uuid', tag: 'RO', value: '1' },
    { name: 'name-label', tag: 'RW', value: 'a' },
    { name: 'power-state', tag: 'RO', value: 'running' },
    { name: 'tags', tag: 'SRW', value: '' },
  ];
  expect(formatRecord(cells)).toBe(
    [
      'uuid ( RO)           : 1',
      '     name-label ( RW): a',
      '    power-state ( RO): running',
      '           tags (SRW): ',
      '\n\n',
    ].join('\n'),
  );
});

test('values for scripts', () => {
  expect(formatMinimal([])).toBe('\n');
  expect(formatMinimal(['a', 'b,c'])).toBe('a,b\\,c\n');
});

test.each([
  ['plain ü 🙂 "quoted"; text', 'plain ü 🙂 "quoted"; text'],
  ['a\nb\tc\r', 'a\\nb\\tc\\r'],
  ['\u001b]0;title\u0007', '\\u001b]0;title\\u0007'],
  ['\u009b2J\u007f', '\\u009b2J\\u007f'],
  ['\u202etxt', '\\u202etxt'],
])('%j on a terminal', (text, shown) => {
  expect(printable(text)).toBe(shown);
});
