/** Programs under measurement, each in a process of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, existsSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

export const root = new URL('../..', import.meta.url).pathname;

/** A running program; `stop` ends it and waits for the end. */
export interface Running {
  readonly stop: () => Promise<void>;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  await ended;
}

/** Starts the echo server. */
export async function startEcho(): Promise<Running & { readonly port: number }> {
  const child = spawn(process.execPath, [join(root, 'bench/src/echo-server.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const port = await new Promise<number>((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const match = /listening (\d+)\n/.exec(text);
      if (match !== null) resolve(Number(match[1]));
    });
    child.once('exit', () => reject(new Error('the echo server ended')));
  });
  return { port, stop: () => stop(child) };
}

export interface RunningXenolithd extends Running {
  readonly url: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly environment: Readonly<Record<string, string>>;
  /** From the start of the process until it was ready. */
  readonly readyMs: number;
}

/** Starts xenolithd as `npm start` does, or by `npm start` itself, with a directory of its own unless one is given. */
export async function startXenolithd(
  options: { readonly viaNpm?: boolean; readonly args?: readonly string[]; readonly data?: string } = {},
): Promise<RunningXenolithd> {
  const scratch = mkdtempSync(join(tmpdir(), 'xenolith-bench-'));
  const environmentFile = join(scratch, 'env');
  const args = [
    '--listen',
    '127.0.0.1:0',
    '--data',
    options.data ?? join(scratch, 'data'),
    '--env-file',
    environmentFile,
    ...(options.args ?? []),
  ];
  const begin = performance.now();
  const child =
    options.viaNpm === true
      ? spawn('npm', ['start', '--', ...args], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'], detached: true })
      : spawn(process.execPath, ['--', join(root, 'packages/server/src/main.ts'), ...args], {
          cwd: root,
          stdio: ['ignore', 'ignore', 'inherit'],
          detached: true,
        });
  while (!existsSync(environmentFile)) {
    if (child.exitCode !== null) throw new Error(`xenolithd ended with ${child.exitCode}`);
    await pause(5);
  }
  const readyMs = performance.now() - begin;
  const environment = Object.fromEntries(
    readFileSync(environmentFile, 'utf8')
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1).replaceAll(/^'|'$/g, '')]),
  );
  const url = environment['XENOLITH_URL'] ?? '';
  return {
    url,
    port: Number(new URL(url).port),
    user: environment['XENOLITH_USER'] ?? '',
    password: environment['XENOLITH_PASSWORD'] ?? '',
    environment,
    readyMs,
    stop: async () => {
      // npm does not pass signals on in every version: the whole group is told.
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      if (child.pid !== undefined && child.exitCode === null) {
        process.kill(-child.pid, 'SIGTERM');
        await ended;
      }
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}
