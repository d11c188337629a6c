import { describe, expect, test } from 'vitest';
import { readShellLine, shellForm } from './shell-line.ts';

describe('a half-written line', () => {
  test.each([
    ['', [], '', 0, ''],
    ['xe ', ['xe'], '', 0, ''],
    ['xe vm-li', ['xe'], 'vm-li', 0, ''],
    ['xe vm=a', ['xe'], 'vm=a', 3, ''],
    ['xe other-config:k', ['xe'], 'other-config:k', 13, ''],
    [String.raw`xe vm=a\ b\:c`, ['xe'], 'vm=a b:c', 3, ''],
    ['xe vm=a:b', ['xe'], 'vm=a:b', 5, ''],
    [`xe vm="a b`, ['xe'], 'vm=a b', 3, '"'],
    [`xe vm='a "b`, ['xe'], 'vm=a "b', 3, "'"],
    [String.raw`xe "a \" b" '' c`, ['xe', 'a " b', ''], 'c', 0, ''],
  ] as const)('%s', (line, words, last, from, quote) => {
    expect(readShellLine(line)).toEqual({ words, last, from, quote });
  });
});

test.each([
  ['web-1.ü', '', 'web-1.ü'],
  ['a b (c)', '', String.raw`a\ b\ \(c\)`],
  ['$(id)*', '', String.raw`\$\(id\)\*`],
  ['a "b" $c', '"', String.raw`a \"b\" \$c`],
  ["it's", "'", String.raw`it'\''s`],
] as const)('%s in %j', (text, quote, written) => {
  expect(shellForm(text, quote)).toBe(written);
  const opened = `${quote}${written}${quote}`;
  expect(readShellLine(opened).last).toBe(text);
});
