import { describe, expect, test } from 'vitest';
import { formatCpuList, parseCpuList } from '@xenolith/xe';
import { readOptions } from './options.ts';
import { readPoolConfig, readSettings } from './pool-config.ts';

const table = { flags: { s: 'schedparam', c: 'cpus' }, values: { d: 'domain', w: 'weight' } };
const read = (...argv: readonly string[]): string => {
  const { flags, values, words } = readOptions(argv, table);
  return `${[...flags].join('')} ${[...values].map(([key, value]) => `${key}=${value}`).join()} ${words.join()}`;
};

test.each([
  [['-d', 'web', '-w', '512'], ' d=web,w=512 '],
  [['-dweb', '-w=512'], ' d=web,w=512 '],
  [['--domain=web', '--weight', '512'], ' d=web,w=512 '],
  [['-sc', 'x', 'y'], 'sc  x,y'],
  [['x', '-s', '--', '-c'], 's  x,-c'],
  [['-'], '  -'],
])('%j', (argv, expected) => expect(read(...argv)).toBe(expected));

test.each([[['-x']], [['-d']], [['--nothing']], [['--schedparam=1']], [['-sx']]])('%j is refused', (argv) => {
  expect(() => read(...argv)).toThrow(/option|value/);
});

describe('numbers of CPUs', () => {
  test.each([
    ['0', [0]],
    ['0-3,5', [0, 1, 2, 3, 5]],
    ['5,1-2,2', [1, 2, 5]],
  ])('%s', (text, numbers) => expect(parseCpuList(text)).toEqual(numbers));
  test.each(['', 'x', '3-1', '1-', '0-99999', '-1', '1,,2'])('%j is refused', (text) => {
    expect(() => parseCpuList(text)).toThrow('expected CPUs');
  });
  test.each([
    [[], 'none'],
    [[0, 1, 2, 3, 4, 5, 6, 7], 'all'],
    [[1, 2, 3, 5, 7, 6], '1-3,5-7'],
  ])('%j is printed as %s', (numbers, text) => expect(formatCpuList(numbers, 8)).toBe(text));
});

describe('what cpupool-create is given', () => {
  test('words in the form of a shell, in which quotes may be gone', () => {
    expect(readPoolConfig(undefined, ['name="c2"', 'sched=credit2', 'cpus=["6", "4-5"]'])).toEqual({
      name: 'c2',
      scheduler: 'credit2',
      cpus: [4, 5, 6],
      nodes: undefined,
      source: 'command line',
    });
    expect(readPoolConfig(undefined, ['name=n', 'nodes="1"'])).toMatchObject({ nodes: [1], cpus: [] });
  });

  test('a file with comments; words go before it', () => {
    const settings = readSettings('# a pool\nname = "a"\n\ncpus = [ "1", "2" ]\nname=b');
    expect(Object.fromEntries(settings)).toEqual({ name: 'b', cpus: '1,2' });
  });

  test.each([[['sched=credit']], [['name=a', 'colour=red']], [['name=a', 'cpus=[']], [['/no/such/file']]])(
    '%j is refused',
    (words) => expect(() => readPoolConfig(undefined, words)).toThrow(),
  );
});
