/** Options of one subcommand, as getopt has them: `-c`, `-w 512`, `-w512`, `--weight=512`, `-vn`. */
import { UsageError } from '@xenolith/xe';

export interface OptionTable {
  /** Options without a value, and their long names. */
  readonly flags?: Readonly<Record<string, string>>;
  /** Options with one. */
  readonly values?: Readonly<Record<string, string>>;
}

export interface Options {
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
  readonly words: readonly string[];
}

/** Reads the words after a subcommand; options are known by their letters afterwards. Throws UsageError. */
export function readOptions(argv: readonly string[], { flags = {}, values = {} }: OptionTable): Options {
  const found = { flags: new Set<string>(), values: new Map<string, string>(), words: [] as string[] };
  const letterOf = new Map(
    [...Object.entries(flags), ...Object.entries(values)].map(([letter, long]) => [long, letter]),
  );
  const take = (letter: string, value: string | undefined, next: () => string | undefined): void => {
    if (Object.hasOwn(flags, letter) && value === undefined) found.flags.add(letter);
    else if (Object.hasOwn(values, letter)) {
      const given = value ?? next();
      if (given === undefined) throw new UsageError(`-${letter} needs a value`);
      found.values.set(letter, given);
    } else throw new UsageError(`unknown option -${letter}`);
  };
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? '';
    const next = (): string | undefined => argv[++i];
    if (word === '--') {
      found.words.push(...argv.slice(i + 1));
      break;
    }
    if (word.startsWith('--')) {
      const mark = word.indexOf('=');
      const long = word.slice(2, mark < 0 ? undefined : mark);
      const letter = letterOf.get(long);
      if (letter === undefined) throw new UsageError(`unknown option --${long}`);
      take(letter, mark < 0 ? undefined : word.slice(mark + 1), next);
    } else if (/^-[a-zA-Z]/.test(word)) {
      for (let at = 1; at < word.length; at++) {
        const letter = word.charAt(at);
        const rest = word.slice(at + 1).replace(/^=/, '');
        if (!Object.hasOwn(values, letter)) take(letter, undefined, next);
        else {
          take(letter, rest === '' ? undefined : rest, next);
          break;
        }
      }
    } else found.words.push(word);
  }
  return found;
}
