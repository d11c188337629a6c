/** The scripts around a command that another machine runs: the time and the outcome are told by that machine. */
import { shellCommand, shellQuote } from '@xenolith/wire';
import type { PlaceCommand } from './place.ts';

/** What a machine's shell may find missing in its PATH, and a language that does not depend on the user. */
export const farHead = 'PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; LC_ALL=C.UTF-8; export PATH LC_ALL\n';

/**
 * A shell function `clock` that sets `now` to the machine's own monotonic clock, in nanoseconds. Root reads it from
 * /proc/timer_list (kernel/time/timer_list.c: a line `now at N nsecs`) without starting a process; others have /proc/uptime, in hundredths of a second.
 */
const clockFunction = `clock() {
now=
{ read -r _; read -r _; read -r _ _ now _; } 2>/dev/null </proc/timer_list
case $now in ''|*[!0-9]*) read -r now _ </proc/uptime; now=\${now%.*}\${now#*.}0000000;; esac
}
`;

/** Sets `began`, `status` and `now` by running a command in its directory; `redirections` are for its input and output. */
export function timedScript({ argv, environment, directory }: PlaceCommand, redirections = ''): string {
  return `${clockFunction}clock; began=$now
cd -- ${shellQuote(directory)} && ${withEnvironment(argv, environment)}${redirections}
status=$?
clock
`;
}

/** The command itself, for a shell. */
export function withEnvironment(argv: readonly string[], environment: PlaceCommand['environment']): string {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return shellCommand(['env', ...variables, ...argv]);
}
