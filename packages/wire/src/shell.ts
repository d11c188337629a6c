import { assert } from '@xenolith/base';

const plainWord = /^[A-Za-z0-9_./:=@%+,-]+$/;

/**
 * One word for a POSIX shell: the shell passes on exactly `word`, whatever it contains (POSIX.1-2024, Shell Command Language 2.2.2).
 * Between single quotes nothing is special, so only the quote itself is left and re-entered. A word cannot hold NUL:
 * no program can be given one, so that is a programmer's mistake.
 */
export function shellQuote(word: string): string {
  return plainWord.test(word) && !word.startsWith('=') ? word : inQuotes(word);
}

function inQuotes(word: string): string {
  assert(!word.includes('\0'), 'a NUL cannot be passed to a program');
  assert(word.isWellFormed(), 'a lone surrogate cannot be passed to a program');
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** What a shell takes for its own in the place of a program's name (POSIX.1-2024, Shell Command Language 2.4). */
const reservedWord = /^(?:case|do|done|elif|else|esac|fi|for|if|in|then|until|while|function|select|time|coproc)$/;

/** A command line for a POSIX shell that runs `argv[0]` with exactly the arguments given, whatever they contain. */
export function shellCommand(argv: readonly string[]): string {
  const [program, ...rest] = argv;
  assert(program !== undefined && program !== '', 'a command needs a program');
  // In the first place `a=b` would be an assignment and `if` a keyword, unless it is quoted.
  const first = program.includes('=') || reservedWord.test(program) ? inQuotes(program) : shellQuote(program);
  return [first, ...rest.map(shellQuote)].join(' ');
}
