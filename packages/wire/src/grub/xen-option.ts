/** Options of Xen in grub's configuration, as Debian and Ubuntu have it: shell files that `grub-mkconfig` reads. */
import { assert, err, ok, type Result } from '@xenolith/base';

/** A file of /etc/default/grub and /etc/default/grub.d. */
export interface GrubFile {
  readonly path: string;
  readonly text: string;
}

/** Where an option stands. */
export interface GrubPlace {
  readonly path: string;
  /** 1 for the first. */
  readonly line: number;
}

/** What is to be written so that Xen gets an option. */
export type GrubPlan =
  | { readonly kind: 'there'; readonly place: GrubPlace }
  | {
      readonly kind: 'write';
      readonly path: string;
      /** What the file must have before; `undefined`: it must not be there. */
      readonly oldText: string | undefined;
      readonly text: string;
      /** The line that changes, as it will be. */
      readonly newLine: string;
    };

/** Why nothing is written; the message names files and lines. */
export interface GrubRefusal {
  readonly message: string;
  readonly places: readonly GrubPlace[];
}

/** An option and its value; neither has anything that is special to a shell. */
export interface XenOption {
  readonly name: string;
  readonly value: string;
}

export const grubMainFile = '/etc/default/grub';
/** Ours: it is made where no file has the option. */
export const grubOwnFile = '/etc/default/grub.d/xenolith.cfg';

const ownHead = '# Written by xenolith doctor --apply. To undo: remove this file, and run update-grub.\n';

/** A line that is one assignment of a text without anything for the shell to work out but variables. */
const assignment = /^(\s*(?:export\s+)?GRUB_CMDLINE_XEN(?:_DEFAULT)?=)("[^"`\\]*"|'[^']*'|[\w./:=,+%@-]*)(\s*|\s+#.*)$/;

interface Word extends GrubPlace {
  /** `undefined`: a line that is not understood. */
  readonly text: string | undefined;
}

/**
 * How an option comes to be on Xen's command line: the word that has it is replaced, with every other byte kept; where
 * none has it, a line is added to {@link grubOwnFile}. Refused where the option stands in another file than these two,
 * more than once, or in a line that only a shell could read.
 * @param files in the order in which they are read
 */
export function planXenOption(files: readonly GrubFile[], option: XenOption): Result<GrubPlan, GrubRefusal> {
  const wanted = wordOf(option);
  const words = files.flatMap((file) => wordsIn(file, option.name));
  const [first, ...others] = words;
  if (first === undefined) return ok(ownFilePlan(files, wanted));
  if (others.length > 0) return refuse(`${option.name} is set more than once`, words);
  if (first.text === undefined) return refuse(`${option.name} is set in a line that only a shell can read`, words);
  if (first.text === wanted) return ok({ kind: 'there', place: { path: first.path, line: first.line } });
  if (first.path !== grubMainFile && first.path !== grubOwnFile) {
    return refuse(`another file sets ${first.text}`, words);
  }
  return ok(replacePlan(files, first, wanted));
}

function wordOf({ name, value }: XenOption): string {
  const word = `${name}=${value}`;
  assert(/^\w+=[\w:,%+.-]*$/.test(word), `no plain option: ${word}`);
  return word;
}

function refuse(what: string, words: readonly Word[]): Result<never, GrubRefusal> {
  const places = words.map(({ path, line }) => ({ path, line }));
  const where = places.map(({ path, line }) => `${path}, line ${line}`).join('; ');
  return err({ message: `${what}: ${where}`, places });
}

function wordsIn({ path, text }: GrubFile, name: string): readonly Word[] {
  const lines = text.split('\n');
  return lines.flatMap((line, index): readonly Word[] => {
    if (!line.includes(`${name}=`)) return [];
    const isContinued = /(?:^|[^\\])(?:\\\\)*\\$/.test(lines[index - 1] ?? '');
    if (!isContinued && /^\s*#/.test(line)) return [];
    const place = { path, line: index + 1 };
    const value = isContinued ? undefined : assignment.exec(line)?.[2];
    if (value === undefined) return [{ ...place, text: undefined }];
    return [...value.matchAll(optionPattern(name))].map(([, , word = '']) => ({
      ...place,
      // With a variable in it, nobody knows its value.
      text: word.includes('$') ? undefined : word,
    }));
  });
}

/** The option with what stands before it: a blank or the opening quote. */
const optionPattern = (name: string): RegExp => new RegExp(`(^["']?|\\s)(${name}=[^\\s"']*)`, 'g');

function replacePlan(files: readonly GrubFile[], { path, line, text: word }: Word, wanted: string): GrubPlan {
  const oldText = files.find((file) => file.path === path)?.text ?? '';
  const lines = oldText.split('\n');
  const [, head = '', value = '', tail = ''] = assignment.exec(lines[line - 1] ?? '') ?? [];
  const name = wanted.slice(0, wanted.indexOf('='));
  const newValue = value.replace(optionPattern(name), (_, before: string) => `${before}${wanted}`);
  const newLine = `${head}${newValue}${tail}`;
  assert(newValue !== value, `${word ?? ''} is in the line`);
  const text = lines.with(line - 1, newLine).join('\n');
  return { kind: 'write', path, oldText, text, newLine };
}

function ownFilePlan(files: readonly GrubFile[], wanted: string): GrubPlan {
  const oldText = files.find(({ path }) => path === grubOwnFile)?.text;
  const before = oldText === undefined ? ownHead : oldText === '' || oldText.endsWith('\n') ? oldText : `${oldText}\n`;
  const newLine = `GRUB_CMDLINE_XEN_DEFAULT="$GRUB_CMDLINE_XEN_DEFAULT ${wanted}"`;
  return { kind: 'write', path: grubOwnFile, oldText, text: `${before}${newLine}\n`, newLine };
}
