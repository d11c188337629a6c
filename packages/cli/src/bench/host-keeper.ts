/**
 * What a campaign makes on a host, by its names, and the process on the host that takes it away: also when the campaign is
 * killed, since then the connection ends, and with it the keeper's standard input.
 */
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';

/** Everything that a campaign makes on a host has this in its name, the same at each start: of the machine and the directory that it is run from. */
// `xl cpupool-list` writes no blank after a name of 19 characters or more.
export const keptName = (directory: string): string =>
  `bench-${createHash('sha256').update(`${hostname()}\0${directory}`).digest('hex').slice(0, 10)}`;

/** Files of the campaign on the host. */
export const keptDirectory = (name: string): string => `/var/tmp/${name}`;
/** The pCPUs that were taken out of cpupools, each in a line with the name of its pool. */
export const takenFile = (name: string): string => `${keptDirectory(name)}/taken`;

/**
 * `clean` ends the campaign's domains and its cpupool, gives the pCPUs back, and removes the copies of disks. It fails when something is left.
 * The longest timeslice is set in a credit pool while a pCPU leaves or joins it: `ticksApart` in host/src/xl/xl-scheduling.ts says why.
 */
const cleanFunctions = `
dir=/var/tmp/$name
domains() {
  xl list | while read -r domain domid _; do case $domain in "$name"-*) echo "$domid";; esac; done
}
has_pool() { xl cpupool-list -c | while read -r pool _; do [ "$pool" != "$name" ] || echo yes; done; }
is_dirty() { [ -n "$(domains)" ] || [ -n "$(has_pool)" ] || [ -e "$dir/taken" ]; }
timeslice() { xl sched-credit -s -p "$1" -t "$2" >/dev/null 2>&1; }
give_back() {
  xl cpupool-list -c | grep -Eq "[ ,]$1(,|\\$)" && return
  old=$(xl sched-credit -s -p "$2" 2>/dev/null | sed -n 's/.*tslice=\\([0-9]*\\)ms.*/\\1/p')
  [ -z "$old" ] || timeslice "$2" 1000
  xl cpupool-cpu-add "$2" "$1" >/dev/null 2>&1
  [ -z "$old" ] || timeslice "$2" "$old"
}
clean() {
  for domid in $(domains); do xl destroy "$domid" >/dev/null 2>&1; done
  if [ -n "$(has_pool)" ]; then
    timeslice "$name" 1000
    xl cpupool-destroy "$name" >/dev/null 2>&1
  fi
  if [ -z "$(has_pool)" ] && [ -e "$dir/taken" ]; then
    while read -r pcpu pool; do give_back "$pcpu" "$pool"; done <"$dir/taken"
    rm -f "$dir/taken"
  fi
  rm -f "$dir"/*.disk
  if is_dirty; then
    echo "left on the host: domains $(domains | tr '\\n' ' '), cpupool $(has_pool)" >&2
    return 1
  fi
}
`;

/** With `$name` set, for the end of each run. */
export const cleanScript = `${cleanFunctions}clean`;

/**
 * Says `ready` when nothing of an earlier campaign of this name is left, and stays: one keeper a name. At the line `done` on its standard input it
 * cleans up and ends. Where that ends without it, what the campaign had begun on the host may still come: it is waited for, in looks that are `$pause` seconds apart. `$name` is the campaign's.
 */
export const keeperScript = `trap '' HUP TERM INT PIPE
exec 9>"/run/lock/$name" || exit
flock -w 120 9 || { echo 'another campaign of this name is at work on the host' >&2; exit 1; }
${cleanFunctions}
tidy() { clean 9>&-; }
tidy || exit 1
rm -rf "$dir"
mkdir -m 700 "$dir" || exit 1
echo ready
if read -r _; then
  tidy
  status=$?
else
  exec >/dev/null 2>&1
  looks=0
  quiet=0
  while [ $quiet -lt 6 ] && [ $looks -lt 60 ]; do
    if is_dirty; then tidy; quiet=0; else quiet=$((quiet + 1)); fi
    looks=$((looks + 1))
    sleep "$pause" 9>&-
  done
fi
rm -rf "$dir"
exit $status
`;
