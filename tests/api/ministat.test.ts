/** `xenolith ministat` beside FreeBSD's ministat: the same arguments and files, the same output and exit code. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '@xenolith/base';
import { afterAll, describe, expect, test } from 'vitest';
import { ministatCommand } from '../../packages/cli/src/xenolith/ministat-command.ts';
import { readBytes } from '../../packages/cli/src/xenolith/ministat-world.ts';
import { requires } from '../requires.ts';

const { skip } = requires(['ministat']);
const folder = mkdtempSync(join(tmpdir(), 'xenolith-ministat-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string): string => join(folder, name);
const main = new URL('../../packages/cli/src/xenolith.ts', import.meta.url).pathname;

interface Said {
  readonly status: number | null;
  readonly out: string;
}

/** Named as they are from within their folder, as names are printed. */
function theirs(args: readonly string[], input: string): Said {
  const { status, stdout } = spawnSync('ministat', args, { encoding: 'utf8', cwd: folder, input });
  return { status, out: stdout };
}

/** The command in this process: hundreds of programs would take minutes to start. */
async function ours(args: readonly string[], input: string): Promise<Said> {
  let [status, out, left] = [0, '', input];
  const command = ministatCommand(() => ({
    read: (file) => {
      if (file !== '-') return readBytes(file === '' ? '' : path(file));
      const bytes = new TextEncoder().encode(left);
      left = '';
      return Promise.resolve(bytes);
    },
    print: (lines) => {
      for (const line of lines) out += `${line}\n`;
      return Promise.resolve();
    },
    warn: () => {},
    fail: ({ exitCode }) => (status = exitCode),
    width: () => 74,
  }));
  try {
    await command.configureOutput({ writeErr: () => {} }).parseAsync(args, { from: 'user' });
  } catch (error) {
    // A wrong command line: runXenolith ends with 2.
    if (!(error instanceof Error && error.name === 'CommanderError')) throw error;
    status = 2;
  }
  return { status, out };
}

async function expectSame(args: readonly string[], input = ''): Promise<void> {
  const said = theirs(args, input);
  const text = args
    .filter((file) => /^\w+$/.test(file))
    .map((file) => `${file}: ${contents.get(file)}`)
    .join('\n');
  expect(await ours(args, input), `ministat ${args.join(' ')}\n${text}`).toEqual(said);
}

const contents = new Map<string, string>();
function write(name: string, text: string): string {
  contents.set(name, JSON.stringify(text).slice(0, 2000));
  writeFileSync(path(name), text, 'latin1');
  return name;
}

describe.skipIf(skip)('random files', () => {
  const random = new SeededRandom(20150715);
  const unit = (): number => random.nextUint32() / 2 ** 32;
  const int = (min: number, max: number): number => min + Math.floor(unit() * (max - min + 1));
  const pick = <T>(of: readonly T[]): T => of[int(0, of.length - 1)]!;

  /** Ways to make numbers around an offset: ties, outliers, few and many digits, negative ones, zeros with signs. */
  const kinds: readonly ((offset: number) => string)[] = [
    (offset) => String(offset + int(-5, 5)),
    (offset) => (offset + unit() * 10).toFixed(int(0, 4)),
    () => String((unit() - 0.5) * 10 ** int(-8, 8)),
    (offset) => (offset + (unit() + unit() + unit() - 1.5) * 8).toFixed(2),
    () => String((unit() < 0.1 ? 1000 : 1) * unit() * 3),
    () => pick(['0', '-0', '1', '-1', '2', '0.00', '-0.0', '+.5', '1e0', '0x1p1']),
    (offset) => (offset * 1.1 + unit()).toExponential(int(0, 16)),
    () => String(int(0, 9) / 2),
    (offset) => String(offset + int(0, 1) / 16),
  ];
  const offsets = [0, 0, 10, -50, 1000, 1e-5, 1e7, 1e8, -3e8, 1e15];

  /** A file of a column among others, with comments, blank lines and other white space here and there. */
  function file(name: string, column: number, delimiters: string, count: number): string {
    const kind = pick(kinds);
    const offset = pick(offsets);
    const gap = (): string => delimiters.charAt(int(0, delimiters.length - 1)).repeat(pick([1, 1, 1, 2]));
    const lines = Array.from({ length: count }, () => {
      const before = Array.from({ length: column - 1 }, () => pick(['a', 'b7', '3', 'x#y']) + gap());
      const line = `${pick(['', '', '', gap()])}${before.join('')}${kind(offset)}${pick(['', '', `${gap()}z`, ' ', '\t\r', `${gap()}# 5`])}`;
      return pick([
        line,
        line,
        line,
        line,
        `${line}\n${pick(['', '# 1', '#', ' \t', 'a'.repeat(column > 1 ? 1 : 0)])}`,
      ]);
    });
    return write(name, lines.join('\n') + pick(['\n', '\n', '']));
  }

  test.each(Array.from({ length: 12 }, (_, part) => part))('with random options print the same, part %d', async () => {
    for (let each = 0; each < 40; each++) {
      const column = pick([1, 1, 1, 2, 3]);
      const delimiters = pick([' \t', ' \t', ' \t', ',', ', ', ';:']);
      const counts = pick([[5], [8, 3], [3, 20, 6], [60, 60], [40, 90], [200, 7], [3, 4, 5, 6, 7, 8, 9]]);
      const files = counts.map((count, index) => file(`f${index}`, column, delimiters, count + int(0, 3)));
      const [first = ''] = files;
      const args = [
        ...(column === 1 ? [] : ['-C', String(column)]),
        ...(delimiters === ' \t' ? [] : [`-d${delimiters}`]),
        ...pick([[], [], ['-s'], ['-A'], ['-n'], ['-As'], ['-sn']]),
        ...pick([[], ['-c', pick(['80', '90', '95', '98', '99', '99.5', '95.0', '9e1', '0x63'])]]),
        ...pick([[], [], [`-w${int(2, 150)}`]]),
      ];
      await expectSame(
        pick([
          [...args, ...files],
          [...args, ...files],
          [...files, ...args],
        ]),
      );
      await expectSame([...args, '-', first], readFileSync(path(first), 'latin1'));
    }
  });

  test('near and far means are told apart at every level, for few values and for more than the table of t has', async () => {
    for (const [reference, sample] of [
      [3, 3],
      [4, 7],
      [8, 6],
      [30, 20],
      [51, 51],
      [51, 52],
      [3, 150],
    ] as const) {
      for (const shift of [0.5, 1, 2, 3, 5, 8, 13, 50]) {
        const around = (mean: number) => (): string => (mean + (unit() + unit() - 1) * 5).toFixed(3);
        write('near', Array.from({ length: reference }, around(20)).join('\n'));
        write('far', Array.from({ length: sample }, around(20 + shift)).join('\n'));
        for (const level of ['80', '90', '95', '98', '99', '99.5']) {
          await expectSame([
            '-A',
            '-c',
            level,
            ...pick([
              ['near', 'far'],
              ['far', 'near'],
            ]),
          ]);
        }
      }
    }
  });

  test('t is the same from 4 to 130 degrees of freedom at each level', async () => {
    write('three', '0\n1\n2\n');
    for (let count = 3; count <= 129; count++) {
      write('many', Array.from({ length: count }, (_, index) => 10_000 + (index % 2)).join('\n'));
      for (const level of ['80', '99.5', pick(['90', '95', '98', '99'])]) {
        await expectSame(['-A', '-c', level, 'three', 'many']);
      }
    }
  });
});

const one23 = '1\n2\n3\n';
const data: readonly (readonly [what: string, text: string, args?: readonly string[]])[] = [
  ['nothing', ''],
  ['two values', '1\n2\n'],
  ['one value three times', '7\n7\n7\n'],
  ['no newline at the end', '1\n2\n3'],
  ['carriage returns', '1\r\n2\r\n3\r\n'],
  ['white space at the end', '1\v\n2\f\n3 \t\n'],
  ['white space in between', '1\v2\n2\n3\n'],
  ['comments', '# 5\n#\n  # 6\n1 # x\n2 #\n\n3\n#4'],
  ['a comment without a gap', '1#\n2\n3\n4\n'],
  ['a comment before the column', '1 #2 7\n1 1 1\n1 1 2\n1 1 3\n', ['-C', '3']],
  ['a comment as a first column', '#x,5\n  #x,5\n1,1\n1,2\n1,3\n', ['-d,', '-C2']],
  ['a comment after a space that is no gap', ' #\n1,1\n1,2\n1,3\n', ['-d,']],
  ['lines without the column', '1\n1 x\n1 1 1\n1 1 2\n1 1 3\n', ['-C', '3']],
  ['no such column', one23, ['-C', '2']],
  ['a word', '1\n2\nabc\n3\n'],
  ['a word behind a number', '1\n2\n3x\n4\n'],
  ['a comma', '1,5\n2\n3\n4\n'],
  ['a sign alone', '-\n1\n2\n3\n'],
  ['a point alone', '.\n1\n2\n3\n'],
  ['an exponent without digits', '1e\n1\n2\n3\n'],
  ['an underscore', '1_0\n2\n3\n4\n'],
  ['spaces before and after a column', '1 ,2\n2 ,3\n3,4\n', ['-d,']],
  ['spaces before a column', ' 1,2\n  2,3\n\t3,4\n', ['-d,']],
  ['hexadecimal numbers', '0x10\n0X1P3\n-0x.8\n0x\n'],
  ['more hexadecimal numbers', '0x10\n0X1P3\n-0x.8\n+0xA.p-1\n'],
  ['numbers that are written in all ways', '+5\n.5\n5.\n1E1\n1e+1\n007\n-.25e1\n'],
  ['too small a number', '1e-400\n2\n3\n'],
  [
    'more digits than a double has',
    '0.1000000000000000055511151231257827\n123456789012345678901234567890\n9007199254740993\n',
  ],
  ['a NUL', '1\0x\n2 \0\n3\n\x005\n'],
  ['bytes above 127', '1\u00a0\n2\n3\n4\n'],
  ['a long line', `1${' '.repeat(8189)}2\n3\n4\n`],
  ['a line that is as long as the buffer', `1${' '.repeat(8190)}2\n3\n4\n`],
  ['a line that is longer', `1${' '.repeat(20_000)}2\n3\n4\n`],
  ['a long comment', `# ${'0'.repeat(8200)} x\n1\n2\n3\n`],
  ['squares that lose their digits', '100000000.05\n100000000.03\n100000000.03\n100000000.14\n100000000.1\n'],
  ['squares that overflow', '5e200\n6e200\n7e200\n'],
  ['values beyond what the scale begins with', '9.9905e101\n1.5e102\n2e102\n', ['-w', '10000']],
  ['a delimiter that is a letter', 'xax1\nx2\nx3x4\n', ['-dax']],
  ['a delimiter that begins comments', '#5#1\n2#1\n2#2\n2#3\n', ['-d#', '-C2']],
  ['an empty delimiter', one23, ['-d', '']],
  ...['0', '-1', 'x', '2x', '', ' 1', '+1', '1 ', '0x1', '010'].map(
    (column) => [`column '${column}'`, one23, ['-C', column]] as const,
  ),
  ...['9', '', 'x', '95%', '95 ', ' 95', '+95', '-95', 'nan', '95.001', '94.9999999999999999'].map(
    (level) => [`confidence '${level}'`, one23, ['-c', level]] as const,
  ),
  ...['-3', 'x', '10x', ' 20', '+20', '0x20', '20.5', '2', '3'].map(
    (width) => [`width '${width}'`, one23, ['-w', width]] as const,
  ),
  ['the last of several options', one23, ['-w9', '-w', '30', '-c90', '-c', '80']],
  ['an option that there is not', one23, ['-q']],
  ['an option without its value', one23, ['-nw']],
];

describe.skipIf(skip)('files and arguments', () => {
  test.each(data.map(([what, text, args = []]) => ({ what, text, args })))('$what', async ({ text, args }) => {
    write('data', text);
    write('other', '1\n5\n4\n7\n');
    await expectSame([...args, 'data']);
    await expectSame([...args, 'data', 'other']);
    await expectSame([...args, 'other', 'data']);
    await expectSame(args, text);
  });

  test.each([
    [['nofile']],
    [['']],
    [['.']],
    [['few', 'nofile']],
    [['nofile', 'few']],
    [['good', 'nofile']],
    [['good', 'good', 'good', 'good', 'good', 'good', 'good']],
    [['good', 'good', 'good', 'good', 'good', 'good', 'good', 'good']],
    [['good', 'good', 'good', 'good', 'good', 'good', 'good', 'nofile']],
    [['-c', '7', 'nofile']],
    [['-']],
    [['-', 'good']],
    [['good', '-']],
    [['-', '-']],
    [['good', '-n', 'good']],
    [['--', 'good', '-n']],
    [['-n', '--', '-']],
  ])('%j', async (args) => {
    write('good', one23);
    write('few', '1\n2\n');
    await expectSame(args, '4\n5\n7\n');
  });

  test('the whole program: standard input, a file, a note on stderr, exit codes', () => {
    write('good', one23);
    write('far', '100000000.05\n100000000.03\n100000000.03\n100000000.14\n100000000.1\n');
    const program = (args: readonly string[]): Said & { readonly err: string } => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'ministat', ...args], {
        encoding: 'utf8',
        cwd: folder,
        input: one23,
      });
      return { status, out: stdout, err: stderr };
    };
    expect(program(['-w40', '-', 'good'])).toEqual({ ...theirs(['-w40', '-', 'good'], one23), err: '' });
    expect(program(['far'])).toEqual({
      ...theirs(['far'], ''),
      err: expect.stringContaining('the standard deviation is 0.048476798, not -nan'),
    });
    expect(program(['good', 'nofile'])).toEqual({
      status: 1,
      out: '',
      err: expect.stringMatching(/^xenolith: cannot read nofile: .*\n$/),
    });
    expect(program(['-', '-'])).toEqual({
      status: 2,
      out: '',
      err: 'xenolith: <stdin>: 0 values, and at least 3 are needed\n',
    });
    expect(program(['-c7', 'good'])).toMatchObject({ status: 2, out: '' });
  });
});
