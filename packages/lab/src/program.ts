import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Readable } from 'node:stream';
import { LabError } from './lab-error.ts';

/** How much of a program's output is kept: the rest is dropped from the front for stderr, and is a failure for stdout. */
const STDOUT_BYTES_MAX = 64 * 1024 * 1024;
const STDERR_CHARS_KEPT = 4096;
/** Grace between SIGTERM and SIGKILL for a program that was told to stop. */
const KILL_GRACE_MS = 2_000;

/** What may be said about a run; `timeoutMs` has no default on purpose: everything that is waited for has a limit. */
export type RunOptions = {
  readonly timeoutMs: number;
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
};

/** A program that ended with exit code 0. */
export type RunOutput = { readonly stdout: Buffer; readonly stderr: string };

/** Directories that hold system programs but are often missing from an ordinary user's PATH on Debian (mke2fs lives there). */
const SYSTEM_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/sbin'] as const;

/** PATH as the lab uses it: the caller's, then the system directories. */
export function programPath(path: string | undefined = process.env['PATH']): string {
  const given = (path ?? '/usr/bin:/bin').split(delimiter).filter((entry) => entry !== '');
  return [...given, ...SYSTEM_DIRECTORIES.filter((entry) => !given.includes(entry))].join(delimiter);
}

/** The absolute path of a program, or undefined when it is not installed. */
export async function findProgram(name: string): Promise<string | undefined> {
  for (const directory of programPath().split(delimiter)) {
    const candidate = join(directory, name);
    try {
      await access(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not here: the next directory is asked.
    }
  }
  return undefined;
}

function environment(extra: Readonly<Record<string, string>> | undefined): NodeJS.ProcessEnv {
  // Messages are matched and shown, so they must not depend on the user's language.
  return { ...process.env, PATH: programPath(), LC_ALL: 'C.UTF-8', ...extra };
}

function failure(argv: readonly string[], what: string, stderr: string, cause?: unknown): LabError {
  const said = stderr.trim();
  return new LabError(
    'PROGRAM_FAILED',
    `${argv.slice(0, 6).join(' ')}${argv.length > 6 ? ' …' : ''}: ${what}${said === '' ? '' : `\n${said}`}`,
    { cause },
  );
}

function keepLast(stream: Readable): () => string {
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    text = (text + chunk).slice(-STDERR_CHARS_KEPT);
  });
  return () => text;
}

/**
 * Runs a program without a shell and gives what it printed.
 * Throws LabError PROGRAM_FAILED with the argv, the exit code and the last of stderr; TIMED_OUT; INTERRUPTED when `signal` is aborted.
 */
export function runProgram(argv: readonly string[], options: RunOptions): Promise<RunOutput> {
  return runPipeline([argv], options);
}

/**
 * Runs programs with each one's stdout fed to the next, and gives the output of the last. Any exit code but 0 of any of them is a failure of the
 * whole (a shell pipeline would only tell about the last one).
 */
export async function runPipeline(stages: readonly (readonly string[])[], options: RunOptions): Promise<RunOutput> {
  if (options.signal?.aborted === true) throw new LabError('INTERRUPTED', 'interrupted');
  const children = stages.map((argv) =>
    spawn(argv[0] ?? '', argv.slice(1), {
      cwd: options.cwd,
      env: environment(options.env),
      stdio: ['pipe', 'pipe', 'pipe'],
    }),
  );
  const stderrOf = children.map((child) => keepLast(child.stderr));
  const stdout: Buffer[] = [];
  let stdoutBytes = 0;
  let stopped: LabError | undefined;
  const stop = (reason: LabError): void => {
    stopped ??= reason;
    for (const child of children) child.kill('SIGTERM');
    setTimeout(() => {
      for (const child of children) if (child.exitCode === null) child.kill('SIGKILL');
    }, KILL_GRACE_MS).unref();
  };
  const timer = setTimeout(
    () => stop(new LabError('TIMED_OUT', `${stages[0]?.[0] ?? ''} did not end within ${options.timeoutMs} ms`)),
    options.timeoutMs,
  );
  const onAbort = (): void => stop(new LabError('INTERRUPTED', 'interrupted'));
  options.signal?.addEventListener('abort', onAbort, { once: true });

  children.forEach((child, index) => {
    const next = children[index + 1];
    // A reader that ended early shows as its own exit code; the broken pipe itself says nothing more.
    child.stdin.on('error', () => {});
    child.stdout.on('error', () => {});
    if (next !== undefined) child.stdout.pipe(next.stdin);
  });
  children.at(-1)?.stdout.on('data', (chunk: Buffer) => {
    stdoutBytes += chunk.length;
    if (stdoutBytes > STDOUT_BYTES_MAX) stop(new LabError('PROGRAM_FAILED', 'a program printed more than 64 MiB'));
    else stdout.push(chunk);
  });
  children[0]?.stdin.end(options.input ?? '');

  try {
    const codes = await Promise.all(
      children.map(
        (child, index) =>
          new Promise<string>((resolve, reject) => {
            child.on('error', (cause) => {
              for (const other of children) other.kill('SIGKILL');
              reject(failure(stages[index] ?? [], 'cannot be started', '', cause));
            });
            child.on('close', (code, signal) => resolve(code === null ? `killed by ${signal}` : `exit code ${code}`));
          }),
      ),
    );
    if (stopped !== undefined) throw stopped;
    codes.forEach((said, index) => {
      if (said !== 'exit code 0') throw failure(stages[index] ?? [], said, stderrOf[index]?.() ?? '');
    });
    return { stdout: Buffer.concat(stdout), stderr: stderrOf.at(-1)?.() ?? '' };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
  }
}
