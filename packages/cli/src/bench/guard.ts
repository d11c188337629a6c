/**
 * The script that runs a command so that nothing of it outlives whoever wanted it. It holds the reading end of a pipe as its standard
 * input: when the other end is closed, also by the kernel after a SIGKILL, the command's process group is told to end, and is killed
 * when it does not. It must be the leader of its process group. Its exit status is the command's. A command that is a `service` has the pipe as
 * its own standard input too: reading it waits for the end without a process that sleeps. Others have nothing to read.
 */
export const guardScript = `
# Commands in the background have nothing to read (POSIX.1-2024, Shell Command Language 2.9.3): the pipe is kept beside.
exec 3<&0
# A handler, as a signal that is ignored would stay ignored in the command.
trap : TERM
if [ "$1" = service ]; then shift; "$@" <&3 3<&- & else shift; "$@" 3<&- & fi
work=$!
(
  trap - TERM
  read -r _ <&3
  trap '' TERM
  kill -s TERM -- -$$
  tries=0
  while [ $tries -lt 100 ] && kill -0 $work 2>/dev/null; do sleep 0.1; tries=$((tries + 1)); done
  kill -s KILL -- -$$
) >/dev/null 2>&1 &
exec 3<&-
# A signal ends the waiting, not the command.
while :; do
  wait $work
  status=$?
  kill -0 $work 2>/dev/null || break
done
# The pipe is closed now, and the watcher ends what the command left behind.
exit $status
`;
