/**
 * What a campaign makes on a host, by its names, and the process on the host that takes it away: also when the campaign is
 * killed, since then the connection ends, and with it the keeper's standard input.
 */
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import type { PcpuId } from '@xenolith/base';
import type { Channel, Transport } from '@xenolith/host';
import { shellCommand } from '@xenolith/wire';
import type { CpupoolInfo } from '@xenolith/xapi';
import { BenchError, BenchInterrupted } from './bench-error.ts';
import { farHead } from './far-command.ts';

/** Everything that a campaign makes on a host has this in its name, the same at each start: of the machine and the directory that it is run from. */
// `xl cpupool-list` writes no blank after a name of 19 characters or more.
export const keptName = (directory: string): string =>
  `bench-${createHash('sha256').update(`${hostname()}\0${directory}`).digest('hex').slice(0, 10)}`;

/** Files of the campaign on the host. */
export const keptDirectory = (name: string): string => `/var/tmp/${name}`;
/** The pCPUs that were taken out of cpupools, as {@link takenText} says it. */
export const takenFile = (name: string): string => `${keptDirectory(name)}/taken`;

/**
 * A line for each pCPU: its number, the timeslice of its pool under credit in milliseconds (`-` where there is none), and the pool's name. The timeslice
 * is noted before anything is taken, as it is another one while a pCPU leaves.
 */
export const takenText = (
  taken: readonly {
    readonly pcpu: PcpuId;
    readonly pool: Pick<CpupoolInfo, 'name' | 'scheduler' | 'parameters'>;
  }[],
): string =>
  taken
    .map(({ pcpu, pool: { name, scheduler, parameters } }) => {
      const tsliceMs = scheduler === 'credit' ? parameters.tsliceMs : undefined;
      return `${pcpu} ${tsliceMs ?? '-'} ${name}\n`;
    })
    .join('');

/** Adds `$LINES`, of {@link takenText}, to the note `$FILE`: what is noted of a pCPU already was noted before anything was taken. */
export const noteScript = `printf %s "$LINES" | while read -r pcpu rest; do
  grep "^$pcpu " "$FILE" >/dev/null 2>&1 || printf '%s %s\\n' "$pcpu" "$rest" >>"$FILE" || exit
done && sync`;

/**
 * `clean` ends the campaign's domains and its cpupool, gives the pCPUs back, and removes the copies of disks. It fails when something is left, and
 * when xl does not tell; `$found` says that there was something. With `$keep` the note of what was taken stays, and while there is `unsettled`.
 * The longest timeslice is set in a credit pool while a pCPU leaves or joins it: `ticksApart` in host/src/xl/xl-scheduling.ts says why.
 */
const cleanFunctions = `
dir=/var/tmp/$name
keep=
look() {
  domains=$(xl list) && pools=$(xl cpupool-list -c) || { echo 'xl does not tell what is left on the host' >&2; return 1; }
  domids=$(echo "$domains" | while read -r domain domid _; do case $domain in ("$name"-*) echo "$domid";; esac; done)
  own=$(echo "$pools" | while read -r pool _; do [ "$pool" != "$name" ] || echo "$pool"; done)
}
timeslice() { [ "$2" = - ] || xl sched-credit -s -p "$1" -t "$2" >/dev/null 2>&1; }
# There is no blank behind a long name: then the pool alone is asked for, and a comma put there.
in_pool() {
  has="[ ,]$1(,|\\$)"
  xl cpupool-list -c | grep -E "$has" >/dev/null ||
    xl cpupool-list -c "$2" 2>/dev/null | sed "1d; s/^.\\{\${#2}\\}/&,/" | grep -E "$has" >/dev/null
}
give_back() {
  in_pool "$1" "$3" && return
  found=yes
  [ "$2" = - ] || timeslice "$3" 1000
  xl cpupool-cpu-add "$3" "$1" >/dev/null 2>&1
  timeslice "$3" "$2"
  in_pool "$1" "$3"
}
clean() {
  look || return 1
  found=$domids$own
  for domid in $domids; do xl destroy "$domid" >/dev/null 2>&1; done
  if [ -n "$own" ]; then
    timeslice "$name" 1000
    xl cpupool-destroy "$name" >/dev/null 2>&1
  fi
  look || return 1
  lost=
  if [ -z "$own" ] && [ -e "$dir/taken" ]; then
    while read -r pcpu tslice pool; do give_back "$pcpu" "$tslice" "$pool" || lost="$lost $pcpu"; done <"$dir/taken"
    [ -n "$lost$keep" ] || [ -e "$dir/unsettled" ] || rm -f "$dir/taken"
  fi
  rm -f "$dir"/*.disk
  [ -n "$domids$own$lost" ] || return 0
  echo 'left on the host:' \${domids:+domains $domids} \${own:+cpupool $own} \${lost:+pCPUs in no cpupool $lost} >&2
  return 1
}
`;

/** With `$name` set, for the end of each run. */
export const cleanScript = `${cleanFunctions}clean`;
/**
 * For the end of a run in which the host, or the way to it, failed: what it had begun there may still come, as work that takes too long is left to end by itself. The keeper waits for it at the end of
 * the campaign, and until then the note stays.
 */
export const cleanUnsettledScript = `${cleanFunctions}true >"$dir/unsettled"\nclean`;

/**
 * Says `ready` when nothing of an earlier campaign of this name is left, and stays: one keeper a name. At the line `done` on its standard input it
 * cleans up and ends. Where that ends without it, or {@link cleanUnsettledScript} came before, what the campaign had begun on the host may still come: it is
 * waited for, in `$looks` looks at most that are `$pause` seconds apart, until six in a row found nothing. The note of what was taken stays until then, and
 * longer while a pCPU is in no cpupool.
 * `$name` is the campaign's.
 */
export const keeperScript = `trap '' HUP TERM INT PIPE
exec 9>"/run/lock/$name" || exit
flock -w 120 9 || {
  echo "another campaign of this name is at work on the host (or its connection is not known to be dead yet: sshd's ClientAliveInterval)" >&2
  exit 1
}
${cleanFunctions}
tidy() { clean 9>&-; }
tidy || exit 1
rm -rf "$dir"
mkdir -m 700 "$dir" || exit 1
echo ready
quiet=6
settle() {
  keep=yes
  quiet=0
  while [ $quiet -lt 6 ] && [ "$looks" -gt 0 ]; do
    # First, as a pCPU should not join a pool while another is on its way out of it.
    sleep "$pause" 9>&-
    if tidy && [ -z "$found" ]; then quiet=$((quiet + 1)); else quiet=0; fi
    looks=$((looks - 1))
  done
  [ $quiet -lt 6 ] || { keep=; rm -f "$dir/unsettled"; }
}
if read -r _; then
  [ ! -e "$dir/unsettled" ] || settle 2>/dev/null
else
  exec >/dev/null 2>&1
  settle
fi
tidy
status=$?
[ -e "$dir/taken" ] || rm -rf "$dir"
exit $status
`;

export interface Keeper {
  /** Has it clean up, and waits for that. @throws BenchError when something is left on the host, and when the connection is lost */
  stop(): Promise<void>;
}

/**
 * Starts the keeper on a host, and waits until it is ready. It is no command under the guard, which would kill it ten seconds after the end of its standard input.
 * @param label the host, for messages
 * @param signal ends the waiting
 * @throws BenchError where it does not start; BenchInterrupted; HostError when the connection is lost
 */
export async function startKeeper(
  transport: Transport,
  label: string,
  name: string,
  signal: AbortSignal,
): Promise<Keeper> {
  if (signal.aborted) throw new BenchInterrupted();
  const text = `${farHead}name=${name}; pause=2 looks=60; export name pause looks; exec setsid -w ${shellCommand(['/bin/sh', '-c', keeperScript])}`;
  const channel: Channel = await transport.start(text, { terminal: false });
  const ended = new Promise<{ readonly exitCode?: number; readonly stderr: string }>((resolve) => {
    channel.onClose(resolve);
  });
  if (!(await isReady(channel, ended, signal))) {
    channel.close();
    if (signal.aborted) throw new BenchInterrupted();
    const { exitCode, stderr } = await ended;
    const why = stderr.trim() || (exitCode === undefined ? 'the connection is lost' : `exit status ${exitCode}`);
    throw new BenchError(`${label}: the keeper did not start: ${why}`);
  }
  return {
    stop: async () => {
      channel.write(Buffer.from('done\n'));
      const { exitCode, stderr } = await ended;
      if (exitCode === undefined)
        throw new BenchError(`${label}: the connection is lost; the host tidies up by itself`);
      if (exitCode !== 0) throw new BenchError(`${label}: it could not be tidied up\n${stderr.trim()}`);
    },
  };
}

/** False when it ended before, or the signal did not let it. */
async function isReady(channel: Channel, ended: Promise<unknown>, signal: AbortSignal): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const giveUp = (): void => resolve(false);
  signal.addEventListener('abort', giveUp);
  if (signal.aborted) giveUp();
  let said = '';
  channel.onData((data) => {
    said += Buffer.from(data).toString('latin1');
    if (/^ready$/m.test(said)) resolve(true);
  });
  void ended.then(giveUp);
  return promise.finally(() => signal.removeEventListener('abort', giveUp));
}
