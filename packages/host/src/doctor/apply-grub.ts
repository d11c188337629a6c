/** Writes one file of grub's configuration on a host, and has grub.cfg made anew; all of it or nothing. */
import { createHash } from 'node:crypto';
import type { GrubPlan, XenOption } from '@xenolith/wire';
import { shellQuote } from '@xenolith/wire';
import { HostError } from '@xenolith/xapi';
import { commandFailure, lastWords, pathWord, surviveHangup } from '../xl/host-script.ts';
import type { Transport } from '../xl/transport.ts';
import { rootHead } from './dom0-evidence.ts';

/** `update-grub` asks every disk for other systems where it is told to. */
const timeLimitMs = 300_000;

const applyExit = { changed: 80, noGrub: 81, notMade: 82, notEntered: 83, cut: 84 } as const;
const reasons: ReadonlyMap<number, string> = new Map([
  [applyExit.changed, 'the file is not as it was seen a moment ago: nothing was written'],
  [applyExit.cut, 'the new text did not arrive as it was sent: nothing was written'],
  [applyExit.noGrub, 'there is no update-grub, or no /boot/grub/grub.cfg: nothing was written'],
  [applyExit.notMade, 'update-grub failed: all is as it was before'],
  [applyExit.notEntered, 'update-grub made no entry with it, so another file overrides it: all is as it was before'],
]);

type WritePlan = Extract<GrubPlan, { kind: 'write' }>;

/** What was changed on a host. */
export interface AppliedGrub {
  readonly path: string;
  /** The file as it was; absent for one that was not there. */
  readonly backup?: string;
  /** grub.cfg as it was. */
  readonly configBackup: string;
  /** A line for dom0's shell that makes it as it was. */
  readonly undo: string;
}

/**
 * The script. It takes the new text on its stdin, and writes only when all of it has come – a connection that goes ends
 * the text, not the script – and the file is as the plan saw it. Backups have the
 * time in their names, and none of grub's own endings. When `update-grub` fails, or makes no entry with the option, what
 * was changed is put back.
 * @throws HostError bad-config when a path is not an absolute one
 */
export function applyScript({ path, text, oldText }: WritePlan, { name, value }: XenOption, root = ''): string {
  const [file, config] = [`"$r"${pathWord(path)}`, '"$r"/boot/grub/grub.cfg'];
  const isAsSeen =
    oldText === undefined
      ? '[ ! -e "$f" ] && [ ! -L "$f" ]'
      : `[ -f "$f" ] && [ ! -L "$f" ] && ${isText('$f', oldText)}`;
  const fail = (code: number): string => `{ back; exit ${code}; }`;
  return (
    `${rootHead(root)}${surviveHangup}f=${file}; g=${config}; t=xenolith-$(date -u +%Y%m%dT%H%M%SZ); ` +
    `command -v update-grub >/dev/null && [ -f "$g" ] || exit ${applyExit.noGrub}; ` +
    `${isAsSeen} || exit ${applyExit.changed}; ` +
    'for b in "$f.$t" "$g.$t" "$f.xenolith-new"; do [ ! -e "$b" ] || { echo "$b is there already" >&2; exit 1; }; done; ' +
    'no() { rm -f -- "$f.xenolith-new" "$f.$t" "$g.$t"; exit "${1:-1}"; }; ' +
    'umask 022; mkdir -p -- "${f%/*}" && cp -p -- "$g" "$g.$t" || no; ' +
    'if [ -e "$f" ]; then cp -p -- "$f" "$f.$t" && cp -p -- "$f" "$f.xenolith-new" || no; fi; ' +
    'back() { if [ -e "$f.$t" ]; then mv -f -- "$f.$t" "$f"; else rm -f -- "$f"; fi; mv -f -- "$g.$t" "$g"; }; ' +
    `cat >"$f.xenolith-new" || no; ${isText('$f.xenolith-new', text)} || no ${applyExit.cut}; ` +
    'mv -f -- "$f.xenolith-new" "$f" || no; ' +
    `update-grub </dev/null >&2 || ${fail(applyExit.notMade)}; ` +
    `grep -E '^[[:space:]]*(multiboot2?|xen_hypervisor)[[:space:]]' "$g" | ` +
    `grep -qF -- ${shellQuote(`${name}=${value}`)} || ${fail(applyExit.notEntered)}; ` +
    'sync; b=; [ ! -e "$f.$t" ] || b=${f#"$r"}.$t; echo "$b"; echo "${g#"$r"}.$t"'
  );
}

/** A test of the shell: whether a file has just this text. */
const isText = (file: string, text: string): string =>
  `[ "$(sha256sum <"${file}" | cut -d ' ' -f 1)" = ${sha256(text)} ]`;

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/**
 * Writes what a plan says, and nothing else.
 * @throws HostError unreachable or timeout, with where to look, or command-failed with what is now on the host
 */
export async function applyGrubPlan(
  transport: Transport,
  plan: WritePlan,
  option: XenOption,
  options: { readonly root?: string } = {},
): Promise<AppliedGrub> {
  const text = applyScript(plan, option, options.root);
  const result = await transport
    .run({ text, stdin: plan.text, timeLimitMs, lane: 'work' })
    .catch((error: unknown): never => {
      throw error instanceof HostError ? unheard(error, plan.path) : error;
    });
  if (result.exitCode !== 0) {
    const reason = reasons.get(result.exitCode);
    if (reason === undefined) throw commandFailure(`writing ${plan.path}`, result);
    const words = lastWords(result.stderr);
    const message = `${plan.path}: ${reason}${words === '' ? '' : `\n${words}`}`;
    throw new HostError('command-failed', message, { exitCode: result.exitCode, stderr: words });
  }
  const [backup = '', configBackup = ''] = result.stdout.split('\n');
  const undoFile =
    backup === '' ? `rm -- ${shellQuote(plan.path)}` : `mv -- ${shellQuote(backup)} ${shellQuote(plan.path)}`;
  return {
    path: plan.path,
    ...(backup === '' ? {} : { backup }),
    configBackup,
    undo: `${undoFile} && update-grub`,
  };
}

/** The script goes on without its connection, and so does one that takes too long: where what it does can be seen. */
function unheard(error: HostError, path: string): HostError {
  if (error.code !== 'timeout' && error.code !== 'unreachable') return error;
  const backups = `${path}.xenolith-*, /boot/grub/grub.cfg.xenolith-*`;
  const message = `${error.message}; the script may still be running in dom0, and puts all back if it fails. The files as they were, with the time behind their names: ${backups}`;
  return new HostError(error.code, message, error.details);
}
