import type { DomId } from '@xenolith/base';
import { shellQuote } from '@xenolith/wire';
import { HostError, type HostErrorCode } from '@xenolith/xapi';
import type { CommandResult } from './transport.ts';

/** How much of a host's last words is in an error. */
const wordsLimit = 1000;

/** Exit codes of our own scripts, above those of xl and coreutils and below the shell's own. */
export const scriptExit = {
  exists: 90,
  noSuchDomain: 91,
  wouldShrink: 92,
  absent: 93,
  notXen: 94,
} as const;

const codeOfExit: ReadonlyMap<number, HostErrorCode> = new Map([
  [scriptExit.exists, 'exists'],
  [scriptExit.noSuchDomain, 'no-such-domain'],
  [scriptExit.wouldShrink, 'bad-config'],
  [scriptExit.notXen, 'not-xen'],
]);

/** What xl, libxl, libxc and coreutils are known to say, and what it means. */
const codeOfWords: readonly (readonly [RegExp, HostErrorCode])[] = [
  [/No space left on device|Disk quota exceeded/i, 'no-space'],
  [/failed to free memory for the domain|Cannot allocate memory|can't allocate low memory/i, 'not-enough-memory'],
  [/domain with name "?.*"? already exists|File exists/i, 'exists'],
  [/Domain '?\S+'? does not exist|is an invalid domain identifier/i, 'no-such-domain'],
];

/**
 * What every script begins with: system programs also where sshd's own PATH is short, and untranslated messages.
 * A path with a blank or a quote only ever comes in through {@link shellQuote}.
 */
export const scriptHead = 'PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export PATH; LC_ALL=C; export LC_ALL; ';

/**
 * Runs on although the connection goes: half of a create or a save would be worse than one that nobody waits for.
 * Children inherit the ignored signals.
 */
export const surviveHangup = 'trap "" HUP PIPE; ';

/** What a failed command is to whoever asked for it: the host's own words, bounded, under the nearest code. */
export function commandFailure(command: string, result: CommandResult): HostError {
  const words = lastWords(result.stderr);
  const code =
    codeOfExit.get(result.exitCode) ?? codeOfWords.find(([pattern]) => pattern.test(words))?.[1] ?? 'command-failed';
  const message = words === '' ? `${command} ended with exit code ${result.exitCode}` : words;
  return new HostError(code, message, { command, exitCode: result.exitCode, stderr: words });
}

/** What libxl says each time when it clears away a domain that it could not make: the cause stands before it. */
const aftermath =
  /libxl__destroy_domid: .*Non-existant domain|:Unable to destroy guest$|:Destruction of domain failed$/;

/** The end of what was said on stderr, whole lines of it, without control characters. */
export function lastWords(stderr: string): string {
  const lines = stderr
    .replaceAll(/[^\P{Cc}\n]/gu, ' ')
    .trim()
    .split('\n');
  const telling = lines.filter((line) => !aftermath.test(line));
  const clean = (telling.length === 0 ? lines : telling).join('\n');
  if (clean.length <= wordsLimit) return clean;
  const end = clean.slice(-wordsLimit);
  return end.slice(end.indexOf('\n') + 1);
}

/**
 * A path as a word for the shell.
 * @throws HostError bad-config when it is not an absolute path
 */
export function pathWord(path: string): string {
  // oxlint-disable-next-line no-control-regex
  if (!path.startsWith('/') || path.length > 4096 || /[\u0000-\u001f\u007f]/.test(path) || !path.isWellFormed()) {
    throw new HostError('bad-config', `not an absolute path: ${JSON.stringify(path.slice(0, 200))}`);
  }
  return shellQuote(path);
}

/**
 * Saves a domain beside its file and gives it its name when it is whole. What `xl` could not finish is removed, and
 * the domain runs on; what it did finish is never removed, as the domain is only there by then: should the naming
 * fail, the state stays under the name with `.part`, which the message of `mv` tells.
 * @throws HostError bad-config when the path is not an absolute one
 */
export function saveScript(domid: DomId, path: string): string {
  const [file, part] = [pathWord(path), pathWord(`${path}.part`)];
  return (
    `[ -d ${file} ] && { echo "Is a directory" >&2; exit 1; }; ` +
    `if xl save ${domid} ${part} >/dev/null; then mv -T -- ${part} ${file}; else rm -f -- ${part}; false; fi`
  );
}
