import { isUuid } from '@xenolith/base';
import { cpupoolErrnoText, type CpupoolErrno } from '@xenolith/hypervisor';
import { shellQuote } from '@xenolith/wire';
import { HostError, unfinishedSuffix, type DomainIdentity, type HostErrorCode } from '@xenolith/xapi';
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
  beyondMaximum: 95,
  busy: 96,
  notFetched: 97,
} as const;

const codeOfExit: ReadonlyMap<number, HostErrorCode> = new Map([
  [scriptExit.exists, 'exists'],
  [scriptExit.noSuchDomain, 'no-such-domain'],
  [scriptExit.wouldShrink, 'bad-config'],
  [scriptExit.notXen, 'not-xen'],
  [scriptExit.beyondMaximum, 'bad-config'],
  [scriptExit.busy, 'device-busy'],
  [scriptExit.notFetched, 'not-fetched'],
]);

/** What xl, libxl, libxc and coreutils are known to say, and what it means. */
const codeOfWords: readonly (readonly [RegExp, HostErrorCode])[] = [
  [/No space left on device|Disk quota exceeded/i, 'no-space'],
  [/failed to free memory for the domain|Cannot allocate memory|can't allocate low memory/i, 'not-enough-memory'],
  [/libxl_device_disk_safe_remove failed/, 'device-busy'],
  [/domain with name "?.*"? already exists|device already exists in xenstore|File exists/i, 'exists'],
  [/Illegal pool specified|domain (?:move|creation) fail: No such (?:device|file or directory)/, 'xen-refused'],
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
  const details = { command, exitCode: result.exitCode, stderr: words };
  if (code !== 'xen-refused') return new HostError(code, message, details);
  // The cpupool of a domain that is to be made: libxl looks for it, Xen whether it has pCPUs.
  const errno = errnoIn(words) ?? 'ESRCH';
  return new HostError(code, message, { ...details, errno });
}

/** The error number that libxl wrote out at the end of a message. */
export function errnoIn(words: string): CpupoolErrno | undefined {
  const known = Object.entries(cpupoolErrnoText).find(([, text]) => words.includes(`: ${text}`));
  return known === undefined ? undefined : (known[0] as CpupoolErrno);
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

/** What a script says of a domain that is not there, before it ends with {@link scriptExit.noSuchDomain}. */
const absence = ({ domid, uuid }: DomainIdentity): string => `there is no domain ${domid} of uuid ${uuid}`;

/**
 * A shell function `here`: 0 when the domain of that number is the one of that uuid, 1 when it is not, 2 when that cannot be
 * told. xenstore is asked first, as that is quick; what it does not confirm the hypervisor's own list decides.
 */
function hereFunction({ domid, uuid }: DomainIdentity): string {
  if (!isUuid(uuid)) throw new HostError('bad-config', `not a uuid: ${JSON.stringify(uuid).slice(0, 100)}`);
  return (
    `here() { case $(xenstore-read /local/domain/${domid}/vm 2>/dev/null) in /vm/${uuid}) return 0;; esac; ` +
    `l=$(xl list -v) || return 2; echo "$l" | grep -q ' ${domid}  *[0-9][0-9]*  *[0-9][0-9]*  *[-a-z]* .* ${uuid} '; }; `
  );
}

/** A command on a domain, which is only run when the domain is there; when it fails and the domain is gone, that is why. */
export function domainScript(domain: DomainIdentity, command: string): string {
  const gone = `{ echo '${absence(domain)}' >&2; exit ${scriptExit.noSuchDomain}; }`;
  return (
    `${hereFunction(domain)}here; case $? in 0) ;; 1) ${gone};; *) exit 1;; esac; ` +
    `{ ${command}; }; rc=$?; [ $rc = 0 ] || { here; [ $? != 1 ] || ${gone}; }; exit $rc`
  );
}

/** Runs a domain's console in the place of the shell, which ends when the domain is another's. */
export const consoleScript = (domain: DomainIdentity): string =>
  `${hereFunction(domain)}here && exec xl console ${domain.domid}`;

/**
 * Saves a domain beside its file and gives it its name when it is whole. What `xl` could not finish is removed, and
 * the domain runs on; what it did finish is never removed, as the domain is only there by then: should the naming
 * fail, the state stays under the name with `.part`, which the message of `mv` tells. That file is there from the first
 * moment on, so that who looks can see that a save is under way.
 * @throws HostError bad-config when the path is not an absolute one
 */
export function saveScript({ domid }: DomainIdentity, path: string): string {
  const [file, part] = [pathWord(path), pathWord(`${path}${unfinishedSuffix}`)];
  return (
    `[ -d ${file} ] && { echo "Is a directory" >&2; exit 1; }; ` +
    `if true >${part} && xl save ${domid} ${part} >/dev/null; then mv -T -- ${part} ${file}; else rm -f -- ${part}; false; fi`
  );
}

/**
 * What follows a restore that left the domain `$d` paused: its file goes, for good, and only then may it run. A file that
 * cannot be removed could be restored a second time over disks that went on, so then the domain goes instead.
 * @throws HostError bad-config when the path is not an absolute one
 */
export function consumeScript(path: string, options: { readonly paused: boolean }): string {
  const [file, directory] = [pathWord(path), pathWord(path.slice(0, Math.max(1, path.lastIndexOf('/'))))];
  const removed = `rm -f -- ${file} && { sync -- ${directory} 2>/dev/null || sync; }`;
  const run = options.paused ? '' : `${believing('xl unpause $d')} || exit 1; `;
  return `{ ${removed}; } || { xl destroy $d; exit 1; }; ${run}`;
}

/** `xl pause` and `xl unpause` end with 0 whatever happens: what libxl says is believed instead. */
export const believing = (command: string): string =>
  `e=$(${command} 2>&1); rc=$?; case $e in *error:*) rc=1;; esac; [ -z "$e" ] || echo "$e" >&2; (exit $rc)`;

/** A line of a script's output that begins a section; neither xl nor /proc write such a line. */
export const sectionMark = '@xenolith ';

/** The part of a script that begins a section of its output. */
export const section = (name: string): string => `echo; echo ${shellQuote(sectionMark + name)}; `;

/** The sections of a script's output by their names; what comes before the first is under the empty name. */
export function readSections(output: string): ReadonlyMap<string, string> {
  const sections = new Map<string, string>();
  for (const part of `\n${sectionMark}\n${output}`.split(`\n${sectionMark}`).slice(1)) {
    const end = part.indexOf('\n');
    sections.set(part.slice(0, end), part.slice(end + 1));
  }
  return sections;
}
