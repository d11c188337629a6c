/** Executables below a directory, run by a POSIX shell: of a real control domain, or of this machine for modelled hosts. */
import { shellQuote } from '@xenolith/wire';
import { HostError, type HostProgram, type HostSystem, type ProgramDirectory } from '@xenolith/xapi';
import { commandFailure, pathWord, scriptHead } from './host-script.ts';
import type { Command, CommandResult } from './transport.ts';

/** Where XAPI has them, and so do we. */
export const programRoot = '/etc/xapi.d';

const lookLimitMs = 20_000;
/** Between asking an executable to end and ending it. */
const killAfterSeconds = 5;
/** Beyond the executable's own time: for the way there, and to have it ended by the host. */
const graceMs = 30_000;
/** Linux takes no longer word (MAX_ARG_STRLEN is 128 KiB), and our quotes need some of it. */
const argsBytesMax = 64 * 1024;
/** What the script says when there is no such file: with this exit code and nothing else. */
const absent = { exitCode: 93, words: '@xenolith no such program' } as const;
/** `timeout` of coreutils and busybox. */
const timedOutCode = 124;

/** Names of files in a directory, and of nothing above it. */
const isName = (name: string): boolean => /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(name);

/**
 * Runs executables below `root` by what `run` runs scripts with.
 * @throws HostError bad-config for arguments that are too long for a command line
 */
export function shellPrograms(
  root: string,
  run: (command: Command) => Promise<CommandResult>,
): Pick<HostSystem, 'run' | 'has' | 'list'> {
  const fileOf = (directory: ProgramDirectory, name: string): string => pathWord(`${root}/${directory}/${name}`);
  return {
    async run({ directory, name, args, stdin, timeLimitMs }: HostProgram) {
      if (!isName(name)) return undefined;
      const words = args.map(shellQuote).join(' ');
      if (Buffer.byteLength(words) > argsBytesMax) {
        throw new HostError('bad-config', `the arguments of ${name} are longer than ${argsBytesMax} bytes`);
      }
      const file = fileOf(directory, name);
      const seconds = Math.max(1, Math.ceil(timeLimitMs / 1000));
      const result = await run({
        text:
          `${scriptHead}[ -f ${file} ] && [ -x ${file} ] || { echo '${absent.words}' >&2; exit ${absent.exitCode}; }; ` +
          `exec timeout -k ${killAfterSeconds} ${seconds} ${file} ${words}`,
        ...(stdin === undefined ? {} : { stdin }),
        timeLimitMs: timeLimitMs + graceMs,
        lane: 'work',
      });
      const { exitCode, stdout, stderr } = result;
      if (exitCode === absent.exitCode && stderr.trim() === absent.words && stdout === '') return undefined;
      return { exitCode, timedOut: exitCode === timedOutCode, stdout, stderr };
    },
    async has(directory, name) {
      if (!isName(name)) return false;
      const file = fileOf(directory, name);
      const text = `[ -f ${file} ] && [ -x ${file} ]`;
      return (await run({ text, timeLimitMs: lookLimitMs, lane: 'look' })).exitCode === 0;
    },
    async list(directory) {
      const text =
        `${scriptHead}for f in ${pathWord(`${root}/${directory}`)}/*; do n=\${f##*/}; ` +
        'case $n in *[!A-Za-z0-9_.-]*) continue;; esac; ' +
        `[ -f "$f" ] && [ -x "$f" ] && printf '%s\\n' "$n"; done; true`;
      const result = await run({ text, timeLimitMs: lookLimitMs, lane: 'look' });
      if (result.exitCode !== 0) throw commandFailure(`listing ${directory}`, result);
      // Names are ASCII here, so the order of UTF-16 is that of bytes.
      return result.stdout.split('\n').filter(isName).toSorted();
    },
  };
}
