/** The program xenolithd: command line, start, the words about it, and its end. */
import { join } from 'node:path';
import { BlockList, isIP } from 'node:net';
import { startXenolithd, serverVersion, type Xenolithd } from '../xenolithd.ts';
import { parseArguments, usage, type Arguments } from './arguments.ts';
import { banner } from './banner.ts';
import { writeEnvFile } from './env-file.ts';
import { openLog } from './log.ts';
import { assertPlaceForFile } from './private-file.ts';
import { rootPasswordFile } from './root-password.ts';
import { StartError } from './start-error.ts';

/** `sysexits.h`: a wrong command line. */
const exitUsage = 64;
const exitFailure = 1;
/** A clean end that takes longer than this is not going to come. */
const closeMs = 10_000;
/** A terminal's Ctrl-C reaches us twice, from the terminal and from npm; both are one. */
const sameSignalMs = 1000;

/** Runs xenolithd until it is told to end. */
export async function runProgram(argv: readonly string[]): Promise<void> {
  const parsed = parseArguments(argv, process.env, process.getuid?.() === 0);
  if (!parsed.ok) {
    process.stderr.write(`xenolithd: ${parsed.error}\nTry --help.\n`);
    process.exitCode = exitUsage;
    return;
  }
  if (parsed.value === 'help') {
    process.stdout.write(usage);
    return;
  }
  try {
    await run(parsed.value);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    process.stderr.write(`xenolithd: ${error.message}\n`);
    process.exitCode = exitFailure;
  }
}

async function run({
  listen,
  data,
  envFile,
  modelPool,
  modelSpeed,
  programDirectory,
  surface,
  logLevel,
}: Arguments): Promise<void> {
  // Before anything is made: whoever cannot be told the password should not have one made.
  if (envFile !== undefined) writing(envFile, () => assertPlaceForFile(envFile));
  const log = openLog(logLevel ?? (process.stderr.isTTY ? 'warn' : 'info'));
  let running: Xenolithd | undefined;
  let asked = false;
  const stop = endOnSignals(() => {
    asked = true;
    return running?.close() ?? Promise.resolve();
  });
  running = await startXenolithd({
    ...listen,
    data,
    modelPool,
    modelSpeed,
    surface,
    log,
    ...(programDirectory === undefined ? {} : { programDirectory }),
  });
  const { url, user, password } = running;
  if (asked) {
    // Told to end while it was starting.
    stop();
    return;
  }
  if (envFile !== undefined) {
    try {
      writing(envFile, () => writeEnvFile(envFile, { url, user, password }));
    } catch (error) {
      await running.close();
      throw error;
    }
  }
  process.stdout.write(
    banner({
      version: serverVersion(),
      url,
      user,
      password,
      data,
      passwordFile: join(data, rootPasswordFile),
      elapsedMs: performance.now(),
      loopback: isLoopback(listen.host),
    }),
  );
}

/** @throws StartError when the action on a file fails */
function writing(path: string, action: () => void): void {
  try {
    action();
  } catch (error) {
    throw new StartError(`${path} cannot be written: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/**
 * Ends on SIGTERM and SIGINT: cleanly at the first, at once at a second one.
 * @returns a function that does what the first signal does
 */
function endOnSignals(close: () => Promise<void>): () => void {
  let firstMs: number | undefined;
  const end = (): void => {
    if (firstMs !== undefined) {
      if (performance.now() - firstMs > sameSignalMs) process.exit(exitFailure);
      return;
    }
    firstMs = performance.now();
    setTimeout(() => process.exit(exitFailure), closeMs).unref();
    close().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`xenolithd: ${String(error)}\n`);
        process.exit(exitFailure);
      },
    );
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  return end;
}

function isLoopback(host: string): boolean {
  if (host === 'localhost') return true;
  const family = isIP(host);
  if (family === 0) return false;
  const loopback = new BlockList();
  loopback.addSubnet('127.0.0.0', 8, 'ipv4');
  loopback.addAddress('::1', 'ipv6');
  return loopback.check(host, family === 6 ? 'ipv6' : 'ipv4');
}
