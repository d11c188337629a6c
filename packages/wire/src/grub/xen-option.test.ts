import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { grubMainFile, grubOwnFile, planXenOption, type GrubFile, type GrubPlan } from './xen-option.ts';

const option = { name: 'dom0_mem', value: '2G,max:2G' };

function planned(files: readonly GrubFile[], value = option.value): GrubPlan {
  const plan = planXenOption(files, { ...option, value });
  if (!plan.ok) throw new Error(plan.error.message);
  return plan.value;
}

/** The files after a plan. */
function written(files: readonly GrubFile[], plan: GrubPlan): readonly GrubFile[] {
  if (plan.kind === 'there') return files;
  const { path, text } = plan;
  const isNew = files.every((file) => file.path !== path);
  return isNew ? [...files, { path, text }] : files.map((file) => (file.path === path ? { path, text } : file));
}

const main = (text: string): GrubFile => ({ path: grubMainFile, text });
const other = (text: string): GrubFile => ({ path: '/etc/default/grub.d/10-site.cfg', text });

describe('the word is replaced in its line', () => {
  test.each([
    ['GRUB_CMDLINE_XEN_DEFAULT="dom0_mem=2G"', 'GRUB_CMDLINE_XEN_DEFAULT="dom0_mem=2G,max:2G"'],
    ["GRUB_CMDLINE_XEN='loglvl=all dom0_mem=512M'", "GRUB_CMDLINE_XEN='loglvl=all dom0_mem=2G,max:2G'"],
    ['GRUB_CMDLINE_XEN=dom0_mem=1G # ours', 'GRUB_CMDLINE_XEN=dom0_mem=2G,max:2G # ours'],
    [
      '  export GRUB_CMDLINE_XEN_DEFAULT="$GRUB_CMDLINE_XEN_DEFAULT  dom0_mem=max:1G  ucode=scan"  # dom0_mem=1G once',
      '  export GRUB_CMDLINE_XEN_DEFAULT="$GRUB_CMDLINE_XEN_DEFAULT  dom0_mem=2G,max:2G  ucode=scan"  # dom0_mem=1G once',
    ],
  ])('%s', (line, newLine) => {
    const text = `GRUB_TIMEOUT=5\n${line}\nGRUB_CMDLINE_LINUX=""`;
    expect(planned([main(text)])).toEqual({
      kind: 'write',
      path: grubMainFile,
      oldText: text,
      text: `GRUB_TIMEOUT=5\n${newLine}\nGRUB_CMDLINE_LINUX=""`,
      newLine,
    });
  });
});

describe('where no file has it, a file of ours is made', () => {
  test('with what the others say kept', () => {
    const files = [main('GRUB_CMDLINE_XEN_DEFAULT="loglvl=all"\n'), other('# GRUB_CMDLINE_XEN="dom0_mem=1G"\n')];
    const plan = planned(files);
    expect(plan).toMatchObject({ kind: 'write', path: grubOwnFile, oldText: undefined });
    expect(plan).toMatchObject({ newLine: 'GRUB_CMDLINE_XEN_DEFAULT="$GRUB_CMDLINE_XEN_DEFAULT dom0_mem=2G,max:2G"' });
    expect(planned(written(files, plan))).toMatchObject({ kind: 'there', place: { path: grubOwnFile, line: 2 } });
  });

  test('another size goes into the same line of it', () => {
    const files = written([main('')], planned([main('')]));
    const again = written(files, planned(files, '3G,max:3G'));
    expect(again.at(-1)?.text.match(/dom0_mem=\S+/g)).toEqual(['dom0_mem=3G,max:3G"']);
  });

  test('one that has other things is added to', () => {
    const files = [main(''), { path: grubOwnFile, text: 'GRUB_TIMEOUT=1' }];
    expect(written(files, planned(files)).at(-1)?.text).toMatch(/^GRUB_TIMEOUT=1\nGRUB_CMDLINE_XEN_DEFAULT=.*"\n$/);
  });
});

describe('refused, with file and line', () => {
  test.each<[string, readonly GrubFile[], RegExp]>([
    [
      'another file',
      [main(''), other('\nGRUB_CMDLINE_XEN="dom0_mem=1G"\n')],
      /another file sets dom0_mem=1G: \/etc\/default\/grub\.d\/10-site\.cfg, line 2$/,
    ],
    [
      'two files',
      [main('GRUB_CMDLINE_XEN="dom0_mem=1G"\n'), other('GRUB_CMDLINE_XEN_DEFAULT="dom0_mem=2G,max:2G"\n')],
      /more than once: \/etc\/default\/grub, line 1; \/etc\/default\/grub\.d\/10-site\.cfg, line 1$/,
    ],
    ['twice in a line', [main('GRUB_CMDLINE_XEN="dom0_mem=1G dom0_mem=max:1G"')], /more than once/],
    ['a variable', [main('GRUB_CMDLINE_XEN="dom0_mem=$SIZE"')], /only a shell can read: \/etc\/default\/grub, line 1$/],
    ['a command', [main('GRUB_CMDLINE_XEN="dom0_mem=`cat size`"')], /only a shell can read/],
    ['an escape', [main('GRUB_CMDLINE_XEN="a=\\" dom0_mem=1G"')], /only a shell can read/],
    ['a line that goes on', [main('X="\\\nGRUB_CMDLINE_XEN=dom0_mem=1G"')], /only a shell can read.*line 2$/],
    [
      'a line that is the rest of another',
      [main('X=a\\\nGRUB_CMDLINE_XEN=dom0_mem=1G')],
      /only a shell can read.*line 2$/,
    ],
    ['no comment, but the rest of a line', [main('X="\\\n# dom0_mem=1G"')], /only a shell can read.*line 2$/],
    ['another variable', [main('OPTIONS="dom0_mem=1G"\nGRUB_CMDLINE_XEN="$OPTIONS"')], /only a shell can read/],
    ['two commands', [main('GRUB_CMDLINE_XEN=dom0_mem=1G; reboot')], /only a shell can read/],
  ])('%s', (_, files, message) => {
    expect(planXenOption(files, option)).toMatchObject({
      ok: false,
      error: { message: expect.stringMatching(message) },
    });
  });

  test('but as wanted already is as wanted, in any file', () => {
    const files = [main(''), other('GRUB_CMDLINE_XEN="dom0_mem=2G,max:2G"')];
    expect(planned(files)).toEqual({ kind: 'there', place: { path: other('').path, line: 1 } });
  });
});

describe('for any command line', () => {
  const word = fc
    .stringMatching(/^[a-z0-9_]{1,8}(=[A-Za-z0-9,:.%/+-]{0,8})?$/)
    .filter((text) => !text.startsWith('dom0_mem'));
  const blank = fc.constantFrom(' ', '  ', '\t');
  const quote = fc.constantFrom('"', "'");
  const name = fc.constantFrom('GRUB_CMDLINE_XEN', 'GRUB_CMDLINE_XEN_DEFAULT');
  const size = fc.stringMatching(/^[1-9]\d{0,4}[MG](,max:[1-9]\d{0,4}[MG])?$/);
  const line = fc.record({
    name,
    quote,
    before: fc.array(
      fc.tuple(word, blank).map((parts) => parts.join('')),
      { maxLength: 4 },
    ),
    after: fc.array(
      fc.tuple(blank, word).map((parts) => parts.join('')),
      { maxLength: 4 },
    ),
    old: fc.option(size, { nil: undefined }),
    tail: fc.constantFrom('', '   ', ' # dom0_mem=9G was too much'),
    lines: fc.array(fc.stringMatching(/^[A-Z_]{1,9}="[a-z0-9 =]{0,12}"$/), { maxLength: 3 }),
  });

  test('other words and quotes are kept byte for byte, and a second time changes nothing', () => {
    fc.assert(
      fc.property(line, size, ({ name: variable, quote: q, before, after, old, tail, lines }, value) => {
        const lineWith = (words: string): string =>
          `${variable}=${q}${before.join('')}${words}${after.join('')}${q}${tail}`;
        const textWith = (words: string): string => [...lines, lineWith(words), ...lines, ''].join('\n');
        const files = [main(textWith(old === undefined ? 'quiet' : `dom0_mem=${old}`))];
        const plan = planned(files, value);
        const once = written(files, plan);
        if (old === undefined) expect(once[0]).toEqual(files[0]);
        else expect(once).toEqual([main(textWith(`dom0_mem=${value}`))]);
        expect(planned(once, value).kind).toBe('there');
      }),
    );
  });

  test('what a shell makes of the files has the option once, and every other word', () => {
    fc.assert(
      fc.property(line, size, ({ name: variable, quote: q, before, after, old }, value) => {
        const words = [...before, old === undefined ? 'quiet' : `dom0_mem=${old}`, ...after].join('');
        const files = [main(`${variable}=${q}${words}${q}\n`)];
        const script = `${written(files, planned(files, value))
          .map(({ text }) => text)
          .join('')}printf '%s %s' "$GRUB_CMDLINE_XEN" "$GRUB_CMDLINE_XEN_DEFAULT"`;
        const { stdout } = spawnSync('/bin/sh', ['-c', script], { encoding: 'utf8' });
        const wordsOf = (text: string): readonly string[] =>
          text
            .split(/\s+/)
            .filter((each) => each !== '')
            .toSorted();
        const kept = wordsOf(words).filter((each) => !each.startsWith('dom0_mem='));
        expect(wordsOf(stdout)).toEqual([...kept, `dom0_mem=${value}`].toSorted());
      }),
      { numRuns: 50 },
    );
  });
});
