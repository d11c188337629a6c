/** This machine as a place for a campaign's commands. */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { CommandOutcome } from '@xenolith/experiments/campaign';
import { BenchError, BenchInterrupted } from './bench-error.ts';
import { guardScript } from './guard.ts';
import { outputEnd } from './output-end.ts';
import type { Place, PlaceCommand, Service } from './place.ts';

/** How long output is waited for that others hold open after the command has ended. */
const drainMs = 1000;
/** Often missing from an ordinary user's PATH on Debian. */
const systemDirectories = '/usr/local/sbin:/usr/sbin:/sbin';

interface Running {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Closes the guard's pipe. */
  readonly end: () => void;
  /** The exit status, and the time of its end by the monotonic clock. */
  readonly ended: Promise<{ readonly exitStatus: number; readonly atNs: bigint }>;
}

/** @param signal ends whatever runs */
export function thisMachine(signal: AbortSignal): Place {
  return {
    name: 'this machine',
    run: (command) => run(command, signal),
    start: (command) => start(command, signal),
  };
}

async function run(command: PlaceCommand, signal: AbortSignal): Promise<CommandOutcome> {
  if (signal.aborted) throw new BenchInterrupted();
  const beganNs = process.hrtime.bigint();
  const running = spawnGuarded('run', command);
  let isTimedOut = false;
  const timer = setTimeout(() => {
    isTimedOut = true;
    running.end();
  }, command.timeLimitSeconds * 1000);
  signal.addEventListener('abort', running.end);
  try {
    const { exitStatus, atNs } = await running.ended;
    if (signal.aborted) throw new BenchInterrupted();
    const seconds = Number(atNs - beganNs) / 1e9;
    return { exitStatus, seconds, isTimedOut, stdout: running.stdout(), stderr: running.stderr() };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', running.end);
    running.end();
  }
}

async function start(command: PlaceCommand, signal: AbortSignal): Promise<Service> {
  if (signal.aborted) throw new BenchInterrupted();
  const running = spawnGuarded('service', command);
  const timer = setTimeout(running.end, command.timeLimitSeconds * 1000);
  signal.addEventListener('abort', running.end);
  const isReady = await new Promise<boolean>((resolve, reject) => {
    let isSaid = false;
    running.child.stdout?.on('data', () => {
      isSaid ||= /^ready$/m.test(running.stdout());
      if (isSaid) resolve(true);
    });
    running.ended.then(() => resolve(false), reject);
  }).finally(() => clearTimeout(timer));
  if (!isReady) {
    signal.removeEventListener('abort', running.end);
    if (signal.aborted) throw new BenchInterrupted();
    throw new BenchError(
      `it did not start: ${running.stderr().trim() || 'it ended, or took too long, and said nothing'}`,
    );
  }
  return {
    stop: async () => {
      signal.removeEventListener('abort', running.end);
      running.end();
      await running.ended;
    },
  };
}

function spawnGuarded(kind: 'run' | 'service', { argv, environment, directory }: PlaceCommand): Running {
  // Detached: the leader of a process group of its own, which Ctrl-C in the terminal does not reach either.
  const child = spawn('/bin/sh', ['-c', guardScript, 'guard', kind, ...argv], {
    cwd: directory,
    detached: true,
    env: {
      ...process.env,
      // What is printed is looked at: it must not depend on the user's language.
      LC_ALL: 'C.UTF-8',
      PATH: `${process.env['PATH'] ?? '/usr/bin:/bin'}:${systemDirectories}`,
      ...environment,
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => {});
  const ended = new Promise<{ exitStatus: number; atNs: bigint }>((resolve, reject) => {
    child.once('error', (cause) => reject(new BenchError(`a shell cannot be started: ${cause.message}`, { cause })));
    child.once('exit', (code, killedBy) => {
      const end = { exitStatus: code ?? (killedBy === null ? 255 : 128 + 9), atNs: process.hrtime.bigint() };
      child.stdin.end();
      // Something that has left the process group may hold the output open.
      const timer = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, drainMs);
      child.once('close', () => {
        clearTimeout(timer);
        resolve(end);
      });
    });
  });
  return { child, stdout: lastOf(child.stdout), stderr: lastOf(child.stderr), end: () => child.stdin.end(), ended };
}

function lastOf(stream: Readable): () => string {
  const end = outputEnd();
  stream.setEncoding('utf8');
  stream.on('data', end.add);
  return end.text;
}
