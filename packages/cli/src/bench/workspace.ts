/** The directory that a campaign's workloads work in at a place, and what the place is. */
import {
  parseMachineFacts,
  machineFactsScript,
  type DataDirectory,
  type MachineFacts,
} from '@xenolith/experiments/campaign';
import { BenchError } from './bench-error.ts';
import type { Place, PlaceCommand, Service } from './place.ts';

export interface Workspace {
  readonly place: Place;
  readonly path: string;
  readonly machine: MachineFacts;
  /** Removes it. */
  close(): Promise<void>;
}

/** In an overcommitted guest on an emulated host a second's work takes minutes. */
const lookLimitSeconds = 300;

/** A script for the place's shell, for what is not measured. */
export const shell = (
  script: string,
  environment: Readonly<Record<string, string>> = {},
  directory = '/',
  timeLimitSeconds = lookLimitSeconds,
): PlaceCommand => ({ argv: ['sh', '-c', script], environment, directory, timeLimitSeconds });

/** Runs a script that must succeed, and gives its output. @throws BenchError */
export async function mustRun(place: Place, what: string, command: PlaceCommand): Promise<string> {
  const { exitStatus, isTimedOut, stdout, stderr } = await place.run(command);
  if (exitStatus === 0) return stdout;
  const how = isTimedOut ? `did not end within ${command.timeLimitSeconds} s` : `ended with exit status ${exitStatus}`;
  const said = (stderr.trim() || stdout.trim()).slice(-2000);
  throw new BenchError(`${place.name}: ${what} ${how}${said === '' ? '' : `\n${said}`}`);
}

/** What `f_type` a tmpfs has (statfs(2)), as stat prints it. */
const tmpfsType = '1021994';

/**
 * Makes a directory of the campaign's own in the data directory. It is removed when it is closed, also when this program is killed.
 * @param neededBytes room that must be there
 * @throws BenchError where the data directory is not what it must be
 */
export async function openWorkspace(place: Place, data: DataDirectory, neededBytes: number): Promise<Workspace> {
  const { directory, isTmpfs } = data;
  const machine = parseMachineFacts(await mustRun(place, 'what the machine is', shell(machineFactsScript)));
  const look = await mustRun(
    place,
    `a look at the data directory ${directory}`,
    shell('stat -f -c "%t %T %S %a" "$DATA"', { DATA: directory }),
  );
  const [type, name, blockBytes, freeBlocks] = look.trim().split(' ');
  if (isTmpfs && type !== tmpfsType) {
    throw new BenchError(`${place.name}: ${directory} is no tmpfs: it is ${name}`);
  }
  const freeBytes = Number(blockBytes) * Number(freeBlocks);
  if (!(freeBytes >= neededBytes)) {
    throw new BenchError(
      `${place.name}: ${directory} has ${gibText(freeBytes)} free, and the campaign needs ${gibText(neededBytes)}`,
    );
  }
  const made = await mustRun(
    place,
    `making a directory in ${directory}`,
    // Servers that do not run as root must get through it to what is theirs.
    shell('path=$(mktemp -d "$DATA/xenolith-bench.XXXXXXXX") && chmod 711 "$path" && echo "$path"', {
      DATA: directory,
    }),
  );
  const path = made.trim();
  const keeper = await keepUntilEnd(place, path);
  return { place, path, machine, close: () => keeper.stop() };
}

/** Removes the directory when told to end. Others end at the same moment and may still write there: it is tried for a while. */
const keepUntilEnd = (place: Place, path: string): Promise<Service> =>
  place.start(
    shell(
      `trap '' TERM
echo ready
read -r _
for again in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  rm -rf "$KEPT" 2>/dev/null
  [ -e "$KEPT" ] || exit 0
  sleep 0.2
done`,
      { KEPT: path },
    ),
  );

const gibText = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
