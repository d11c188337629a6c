import { assert } from '@xenolith/base';

const plainWord = /^[A-Za-z0-9_./:=@%+,-]+$/;

/**
 * One word for a POSIX shell: the shell passes on exactly `word`, whatever it contains (POSIX.1-2024, Shell Command Language 2.2.2).
 * Between single quotes nothing is special, so only the quote itself is left and re-entered. A word cannot hold NUL:
 * no program can be given one, so that is a programmer's mistake.
 */
export function shellQuote(word: string): string {
  assert(!word.includes('\0'), 'a NUL cannot be passed to a program');
  assert(word.isWellFormed(), 'a lone surrogate cannot be passed to a program');
  if (plainWord.test(word) && !word.startsWith('=')) return word;
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/**
 * A command line for a POSIX shell that runs `argv[0]` with exactly the arguments given. The program's name is always
 * quoted when it could be read as an assignment or a reserved word.
 */
export function shellCommand(argv: readonly string[]): string {
  const [program, ...rest] = argv;
  assert(program !== undefined && program !== '', 'a command needs a program');
  const first =
    /^[a-z0-9_./-]+$/i.test(program) && program.includes('/') ? program : `'${program.replaceAll("'", "'\\''")}'`;
  assert(!program.includes('\0'), 'a NUL cannot be passed to a program');
  return [first, ...rest.map(shellQuote)].join(' ');
}
