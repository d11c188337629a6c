/** A half-written line of bash, taken apart as bash will take it apart. */

export interface ShellLine {
  /** The words before the one that is being written, without their quotes. */
  readonly words: readonly string[];
  /** What is written of the last word, without quotes; empty after a space. */
  readonly last: string;
  /** The part of `last` that bash replaces begins here: it takes `=` and `:` outside quotes for ends of words. */
  readonly from: number;
  /** The quote that is open at the end. */
  readonly quote: '"' | "'" | '';
}

export function readShellLine(line: string): ShellLine {
  const words: string[] = [];
  let last = '';
  let from = 0;
  let quote: ShellLine['quote'] = '';
  let isWord = false;
  for (let i = 0; i < line.length; i++) {
    const character = line[i] ?? '';
    if (quote !== '') {
      if (character === quote) quote = '';
      else if (character === '\\' && quote === '"' && /["\\$`]/.test(line[i + 1] ?? '')) last += line[++i] ?? '';
      else last += character;
    } else if (character === '"' || character === "'") {
      quote = character;
      isWord = true;
    } else if (character === '\\') {
      last += line[++i] ?? '';
      isWord = true;
    } else if (/\s/.test(character)) {
      if (isWord) words.push(last);
      [last, from, isWord] = ['', 0, false];
    } else {
      last += character;
      isWord = true;
      if (character === '=' || character === ':') from = last.length;
    }
  }
  return { words, last, from, quote };
}

/** A text as it must be written to stay one word; inside an open quote as that quote wants it. */
export function shellForm(text: string, quote: ShellLine['quote']): string {
  if (quote === "'") return text.replaceAll("'", String.raw`'\''`);
  if (quote === '"') return text.replaceAll(/["\\$`]/g, String.raw`\$&`);
  return text.replaceAll(/[^\p{L}\p{N}_.,+@%/-]/gu, String.raw`\$&`);
}
