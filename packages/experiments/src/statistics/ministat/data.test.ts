import { ok } from '@xenolith/base';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseData } from './data.ts';
import { strtod } from './strtod.ts';

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
function parse(text: string, column = 1, delimiters = ' \t'): readonly number[] | { readonly line: number } {
  const parsed = parseData(bytes(text), { column, delimiters: bytes(delimiters) });
  return parsed.ok ? [...parsed.value] : parsed.error;
}

describe('the numbers of a column', () => {
  test.each<[string, string, readonly number[] | { readonly line: number }, number?, string?]>([
    ['in the order of the lines', '3\n1\n2', [3, 1, 2]],
    ['nothing', '', []],
    ['comments and blank lines', '# 9\n\n1 # 9\n \t\n  #9\n2\r\n', [1, 2]],
    ['what is behind the column is not looked at', '1 x\n2\tNaN 3\n', [1, 2]],
    ['another column', 'a 1\nb  2 x\nc\nd # 4\n#e 5\n', [1, 2], 2],
    ['other delimiters', 'a,1\n,,b,2\n', [1, 2], 2, ','],
    ['a space that is none', 'a, 1\n', [1], 2, ','],
    ['a space behind a number', '1 ,2\n', { line: 1 }, 1, ','],
    ['a word', '1\n\n# x\ny\n', { line: 4 }],
    ['an infinity', '1\ninf\n', { line: 2 }],
    ['a NaN', 'nan\n', { line: 1 }],
    ['too large a number', '1e309\n', { line: 1 }],
    ['too many digits before the point', `${'9'.repeat(400)}\n`, { line: 1 }],
    ['many decimals', `0.${'0'.repeat(24)}15\n`, [1.5e-25]],
    ['a point alone', '.\n', { line: 1 }],
    ['two points', '1.2.3\n', { line: 1 }],
    ['a sign alone', '+\n', { line: 1 }],
    ['up to a NUL', '12\u00003\n', [12]],
    ['8 KiB at once', `1${' '.repeat(8190)}2\n3`, [1, 2, 3]],
    ['up to 8 KiB', `1${' '.repeat(8189)}2\n3`, [1, 3]],
  ])('%s', (_, text, expected, column, delimiters) => {
    expect(parse(text, column, delimiters)).toEqual(expected);
  });

  test('any number is read as what it is, however it is written, and many of them', () => {
    const written = fc
      .tuple(
        // The largest ones of all, written with fewer digits, are infinite.
        fc.double({ noNaN: true, min: -1.7e308, max: 1.7e308 }),
        fc.constantFrom(
          (value: number) => String(value),
          (value: number) => value.toExponential(),
          (value: number) => value.toFixed(20),
          (value: number) => value.toFixed(3),
          (value: number) => `  ${value.toPrecision(15)}`,
        ),
      )
      .map(([value, write]) => write(value));
    fc.assert(
      fc.property(fc.array(written, { maxLength: 100 }), (texts) => {
        expect(parse(texts.join('\n'))).toEqual(texts.map(Number));
      }),
    );
    const many = Array.from({ length: 20_000 }, (_, index) => String(index / 7));
    expect(parse(many.join('\n'))).toEqual(many.map(Number));
  });

  test('a negative zero keeps its sign', () => {
    expect(parseData(bytes('-0.0'), { column: 1, delimiters: bytes(' ') })).toEqual(ok(Float64Array.of(-0)));
  });
});

test.each<[string, number | undefined]>([
  [' \t+1.5e1', 15],
  ['-.5', -0.5],
  ['0x10', 16],
  ['-0X.8p1', -1],
  ['0x1.8P-1', 0.75],
  ['0x20000000000001', 2 ** 53],
  ['0x20000000000003', 2 ** 53 + 4],
  ['0x', undefined],
  ['0x1p', undefined],
  ['0x1p9999', undefined],
  ['1 ', undefined],
  ['', undefined],
  ['1e', undefined],
  ['infinity', undefined],
])('strtod of %j is %s', (text, expected) => {
  expect(strtod(text)).toBe(expected);
});
