/** The arguments of a thin CLI request: one a line, the login at their end, or a session at their beginning. */
import type { Origin } from '@xenolith/xapi';
import { isSwitch, optionsOf, readWord, UsageError, type CommandLine } from '@xenolith/xe';

/** Who asks. */
export type Login = { readonly session: string } | { readonly user: string; readonly password: string };

export interface ThinCliRequest {
  readonly login: Login;
  readonly origin: Origin;
  /** What is asked for. Throws UsageError. */
  line(): CommandLine & { readonly command: string };
}

/** The client may name who it is anywhere; the last of each counts, for commands have such keys of their own. */
function takeLast(lines: string[], key: string): string | undefined {
  const at = lines.findLastIndex((line) => line.startsWith(`${key}=`));
  if (at < 0) return undefined;
  const [line = ''] = lines.splice(at, 1);
  return line.slice(key.length + 1);
}

/** Reads a body. What is wrong with the command is said when `line` is asked, over the protocol. */
export function parseThinCliBody(body: Buffer, origin: Origin): ThinCliRequest {
  const lines = body
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '');
  const session = lines[0]?.startsWith('session_id=') === true ? takeLast(lines, 'session_id') : undefined;
  const login =
    session === undefined
      ? { password: takeLast(lines, 'password') ?? '', user: takeLast(lines, 'username') ?? '' }
      : { session };
  return { login, origin, line: () => readLine(lines) };
}

function readLine(lines: readonly string[]): CommandLine & { readonly command: string } {
  const read = { values: new Map<string, string>(), words: [] as string[], on: new Set<string>() };
  let command: string | undefined;
  for (const line of lines) {
    // Clients send `--minimal` as `minimal=true`; some send it as it was typed.
    const name = line.startsWith('--') ? line.slice(2) : undefined;
    if (name !== undefined && isSwitch(name)) read.on.add(name);
    else if (name !== undefined && !name.includes('=')) read.values.set(name, 'true');
    else if (name === undefined && command === undefined && !line.includes('=')) command = line;
    else readWord(name ?? line, read);
  }
  if (command === undefined) throw new UsageError('no command; xe help lists them');
  return { command, values: read.values, words: read.words, options: optionsOf(read.on) };
}
