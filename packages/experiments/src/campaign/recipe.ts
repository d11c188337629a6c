/**
 * What it takes to run a workload, as scripts for a POSIX shell. The scripts are the same wherever they run; what differs reaches
 * them as variables: THREADS, THREADS_MAX (the most that the workload is run with), DATA (a directory that all
 * configurations of a place share, in which scripts start) and OWN (a directory of the configuration's own).
 */
import { unreachable } from '@xenolith/base';
import { shellQuote } from '@xenolith/wire';
import type {
  BuildWorkload,
  CommandWorkload,
  Figure,
  Pbzip2Workload,
  PgbenchWorkload,
  ProgramVersion,
  Workload,
} from './campaign.ts';
import { seconds } from './parse-workload.ts';

export interface Recipe {
  readonly versions: readonly ProgramVersion[];
  /** Once, before anything else: fills DATA. */
  readonly prepare: string | undefined;
  /** Once for each configuration: says `ready` in a line, then stays until it is told to end by SIGTERM. */
  readonly service: string | undefined;
  /** Before each run, untimed. */
  readonly before: string | undefined;
  readonly run: string;
  readonly figure: Figure;
  /** Room that is needed in the data directory: once, and for each configuration. */
  readonly bytes: { readonly shared: number; readonly own: number };
}

export function recipeOf(workload: Workload): Recipe {
  switch (workload.kind) {
    case 'pgbench':
      return pgbench(workload);
    case 'pbzip2':
      return pbzip2(workload);
    case 'build':
      return build(workload);
    case 'command':
      return command(workload);
    default:
      return unreachable(workload);
  }
}

const none = { shared: 0, own: 0 } as const;

/** PostgreSQL's own directory of programs: Debian has some of them in PATH only as links, or behind a wrapper of its own. */
const findPostgres = `
pg=$(command -v postgres || ls /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres 2>/dev/null | sort -V | tail -n 1)
pg=$(dirname "$(readlink -f "$pg")")
for program in initdb postgres pg_isready pgbench; do
  [ -x "$pg/$program" ] || { echo "PostgreSQL's $program is not installed (Debian: postgresql)" >&2; exit 127; }
done
`;

/** 16 MiB a scale, and what an empty cluster and its log take. */
const pgbenchBytes = (scale: number): number => (scale * 16 + 256) * 2 ** 20;

/**
 * A server that only this campaign can reach, through a socket in a directory of its own. PostgreSQL refuses to run as root: then it
 * runs as its package's user, or as nobody.
 */
function pgbenchService({ scale, settings }: PgbenchWorkload): string {
  const options = settings.map(([name, value]) => ` -c ${shellQuote(`${name}=${value}`)}`).join('');
  return `set -eu
${findPostgres}
as=
if [ "$(id -u)" = 0 ]; then
  user=$(id -un postgres 2>/dev/null || echo nobody)
  as="setpriv --reuid=$user --regid=$(id -g "$user") --clear-groups --"
  chown "$user" "$OWN"
fi
chmod 700 "$OWN"
cd "$OWN"
$as "$pg/initdb" -D "$OWN/cluster" -U bench -A trust -E UTF8 --locale=C -N >"$OWN/log" 2>&1 || { tail -n 5 "$OWN/log" >&2; exit 1; }
$as "$pg/postgres" -D "$OWN/cluster" -k "$OWN" -c listen_addresses= -c max_connections=$((THREADS_MAX + 20))${options} >>"$OWN/log" 2>&1 &
server=$!
trap 'kill -INT $server' TERM
until "$pg/pg_isready" -q -h "$OWN"; do
  kill -0 $server 2>/dev/null || { tail -n 5 "$OWN/log" >&2; exit 1; }
  sleep 0.1
done
"$pg/pgbench" -h "$OWN" -U bench -i -q -s ${scale} postgres >>"$OWN/log" 2>&1 || { tail -n 5 "$OWN/log" >&2; exit 1; }
echo ready
wait $server || :
wait $server
`;
}

function pgbench(workload: PgbenchWorkload): Recipe {
  const { length, script, protocol, scale } = workload;
  const options = [
    ...(length.kind === 'seconds' ? ['-T', String(length.seconds)] : ['-t', String(length.count)]),
    '-b',
    script,
    '-M',
    protocol,
    // What is only read need not be tidied before each run.
    ...(script === 'select-only' ? ['-n'] : []),
  ];
  return {
    versions: [
      { program: 'postgres', script: `${findPostgres}"$pg/postgres" --version` },
      { program: 'pgbench', script: `${findPostgres}"$pg/pgbench" --version` },
    ],
    prepare: undefined,
    service: pgbenchService(workload),
    before: undefined,
    run: `${findPostgres}exec "$pg/pgbench" -h "$OWN" -U bench -c "$THREADS" -j "$THREADS" ${options.join(' ')} postgres`,
    // Up to PostgreSQL 13 there were two figures, the second without the time that connecting takes.
    figure: {
      kind: 'regexp',
      regexp: '^tps = ([0-9.]+) \\((?:without initial connection time|excluding connections establishing)\\)',
      unit: 'transactions/s',
      better: 'more',
    },
    bytes: { shared: 0, own: pgbenchBytes(scale) },
  };
}

function pbzip2({ sizeBytes, blockSize }: Pbzip2Workload): Recipe {
  return {
    versions: [{ program: 'pbzip2', script: 'pbzip2 --version 2>&1' }],
    prepare: `command -v pbzip2 >/dev/null || { echo "pbzip2 is not installed (Debian: pbzip2)" >&2; exit 127; }
head -c ${sizeBytes} /dev/urandom >"$DATA/input"`,
    service: undefined,
    before: 'rm -f "$DATA/input.bz2"',
    run: `exec pbzip2 -k -q -p"$THREADS" -b${blockSize} "$DATA/input"`,
    figure: seconds,
    // Random bytes do not become fewer: bzip2 adds about half a per cent.
    bytes: { shared: Math.ceil(sizeBytes * 2.02), own: 0 },
  };
}

function build({ source, prepare, clean, command: run, versions }: BuildWorkload): Recipe {
  const from = shellQuote(source);
  return {
    versions: [{ program: 'make', script: 'make --version' }, { program: 'cc', script: 'cc --version' }, ...versions],
    prepare: `set -eu
if [ -d ${from} ]; then cp -a ${from}/. "$DATA"; else tar -xf ${from} -C "$DATA"; fi
${prepare ?? ''}`,
    service: undefined,
    before: clean,
    run,
    figure: seconds,
    bytes: none,
  };
}

const command = ({ prepare, before, command: run, figure, versions }: CommandWorkload): Recipe => ({
  versions,
  prepare,
  service: undefined,
  before,
  run,
  figure,
  bytes: none,
});
