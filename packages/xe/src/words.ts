/** The words of a command line: `key=value`, and switches such as `--minimal`, which are `minimal=true` too. */
import type { XeOptions } from './command.ts';
import { parseBool } from './quantity.ts';
import { UsageError } from './usage-error.ts';

const switches = ['minimal', 'json', 'multiple', 'force', 'progress'] as const;
export const isSwitch = (name: string): boolean => (switches as readonly string[]).includes(name);

/** What was read so far. */
export interface Words {
  /** A later one of the same key wins. */
  readonly values: Map<string, string>;
  /** Without `=`. */
  readonly words: string[];
  readonly on: Set<string>;
}

/** Reads a word after the command. Throws UsageError for one without a key. */
export function readWord(word: string, { values, words, on }: Words): void {
  const mark = word.indexOf('=');
  if (mark < 0) {
    words.push(word);
    return;
  }
  const key = word.slice(0, mark);
  const value = word.slice(mark + 1);
  if (key === '') throw new UsageError(`${word}: expected key=value`);
  if (!isSwitch(key)) values.set(key, value);
  else if (parseBool(value, key)) on.add(key);
}

export const optionsOf = (on: ReadonlySet<string>): XeOptions => ({
  minimal: on.has('minimal'),
  json: on.has('json'),
  multiple: on.has('multiple'),
  force: on.has('force'),
  progress: on.has('progress'),
});
