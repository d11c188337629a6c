import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { shellCommand, shellQuote } from './shell.ts';

/** Everything that is special to a shell somewhere, and some that is not. */
const nasty = fc.string({
  unit: fc.oneof(
    fc.constantFrom(...Array.from('\'"\\ \t\n\r;&|<>()$`*?[]{}~#=!%^-+@/.:,0aé€😀')),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }).filter((c) => c !== '\0' && c.isWellFormed()),
  ),
  maxLength: 24,
});

function wordsSeenBySh(command: string): readonly string[] {
  const out = execFileSync('/bin/sh', ['-c', command], { encoding: 'utf8' });
  return out.split('\0').slice(0, -1);
}

describe('shellQuote', () => {
  test.each([
    ['list', 'list'],
    ['/usr/sbin/xl', '/usr/sbin/xl'],
    ['a=b', 'a=b'],
    ['', "''"],
    ['a b', "'a b'"],
    ["it's", "'it'\\''s'"],
    ['"; reboot', "'\"; reboot'"],
    ['$(id)', "'$(id)'"],
    ['=ls', "'=ls'"],
    ['~root', "'~root'"],
  ])('%j', (word, quoted) => {
    expect(shellQuote(word)).toBe(quoted);
  });

  test('refuses NUL and half a surrogate pair', () => {
    expect(() => shellQuote('a\0b')).toThrow('NUL');
    expect(() => shellQuote('\ud800')).toThrow('surrogate');
  });

  test('a real shell gives back every word', () => {
    fc.assert(
      fc.property(fc.array(fc.array(nasty, { maxLength: 4 }), { minLength: 1, maxLength: 30 }), (commands) => {
        // Several command lines in one shell: starting a process is what takes the time.
        const script = commands.map((words) => shellCommand(['printf', '%s\\0', '|', ...words])).join('\n');
        expect(wordsSeenBySh(script)).toEqual(commands.flatMap((words) => ['|', ...words]));
      }),
      { numRuns: 40 },
    );
  });
});

describe('shellCommand', () => {
  test.each([
    [['xl', 'list', '-l'], 'xl list -l'],
    [['a=b', 'c=d'], "'a=b' c=d"],
    [['if', 'if'], "'if' if"],
    [['my prog', ''], "'my prog' ''"],
  ])('%j', (argv, command) => {
    expect(shellCommand(argv)).toBe(command);
  });

  test('needs a program', () => {
    expect(() => shellCommand([])).toThrow('program');
    expect(() => shellCommand([''])).toThrow('program');
  });
});
