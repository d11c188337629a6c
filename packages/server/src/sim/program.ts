/** The program `xenolith sim`: command line, start, the words about it, and its end. */
import { mkdirSync, readFileSync } from 'node:fs';
import { writeEnvFile } from '../start/env-file.ts';
import { openLog } from '../start/log.ts';
import { assertPlaceForFile } from '../start/private-file.ts';
import { openStore } from '../store/open-sqlite-store.ts';
import { controlPath } from './control.ts';
import { createPool, type SimulatedPool } from './create-pool.ts';
import { parseInventory } from './inventory.ts';
import { parseSimArguments, simUsage, type SimArguments } from './sim-arguments.ts';

/** `sysexits.h`: a wrong command line. */
const exitUsage = 64;
const exitFailure = 1;

/** Runs a simulated pool until it is told to end. */
export async function runSim(argv: readonly string[]): Promise<void> {
  const parsed = parseSimArguments(argv);
  if (!parsed.ok) {
    process.stderr.write(`xenolith sim: ${parsed.error}\nTry --help.\n`);
    process.exitCode = exitUsage;
    return;
  }
  if (parsed.value === 'help') {
    process.stdout.write(simUsage);
    return;
  }
  try {
    await run(parsed.value);
  } catch (error) {
    // Whatever is in the way of a start is something of the caller's: a path, an address, a file that is no inventory.
    process.stderr.write(`xenolith sim: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = exitFailure;
  }
}

async function run(given: SimArguments): Promise<void> {
  const { envFile, data, inventory, listen, logLevel, ...rest } = given;
  if (envFile !== undefined) assertPlaceForFile(envFile);
  let running: SimulatedPool | undefined;
  let asked = false;
  const end = (): void => {
    // A second one does not wait.
    if (asked) process.exit(exitFailure);
    asked = true;
    if (running !== undefined) void endOf(running);
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  if (data !== undefined) mkdirSync(data, { recursive: true, mode: 0o700 });
  const pool = await createPool({
    ...rest,
    ...listen,
    log: openLog(logLevel),
    ...(inventory === undefined ? {} : { inventory: parseInventory(readFileSync(inventory, 'utf8')) }),
    ...(data === undefined ? {} : { disk: openStore(data) }),
  });
  running = pool;
  if (asked) {
    await endOf(pool);
    return;
  }
  const { url, username, password } = pool;
  if (envFile !== undefined) writeEnvFile(envFile, { url, user: username, password });
  const took = (performance.now() / 1000).toFixed(2);
  process.stdout.write(`
xenolith sim is ready (seed ${given.seed}, ${took} s)

  XenAPI      ${url} (TLS on the same port)
  log in as   user ${username}, password ${password}
  control     ${url}${controlPath}
  state in    ${data ?? 'memory only'}

`);
}

async function endOf(pool: SimulatedPool): Promise<void> {
  try {
    await pool.close();
    process.exit(0);
  } catch (error) {
    process.stderr.write(`xenolith sim: ${String(error)}\n`);
    process.exit(exitFailure);
  }
}
