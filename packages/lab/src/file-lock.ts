import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { LabError } from './lab-error.ts';
import { programPath } from './program.ts';

/**
 * Runs `work` while holding an exclusive lock on a file (flock(2), held by a child whose standard input is a pipe of ours): however this process ends,
 * the kernel closes the pipe, the child ends and the lock is free.
 * Throws LabError TIMED_OUT when another process keeps the lock for `timeoutMs`, INTERRUPTED.
 */
export async function withFileLock<T>(
  path: string,
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined; readonly onWait?: () => void },
  work: () => Promise<T>,
): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const holder = spawn('flock', ['--exclusive', path, 'sh', '-c', 'echo held; exec cat >/dev/null'], {
    env: { ...process.env, PATH: programPath() },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  holder.stdin.on('error', () => {});
  const ended = new Promise<void>((resolve) => {
    holder.once('close', () => resolve());
    holder.once('error', () => resolve());
  });
  try {
    await new Promise<void>((resolve, reject) => {
      const giveUp = (error: LabError): void => {
        holder.kill('SIGKILL');
        reject(error);
      };
      const timer = setTimeout(
        () => giveUp(new LabError('TIMED_OUT', `another xenolith lab command is at work: it holds ${path}`)),
        options.timeoutMs,
      );
      const patience = setTimeout(() => options.onWait?.(), 200);
      const onAbort = (): void => giveUp(new LabError('INTERRUPTED', 'interrupted'));
      options.signal?.addEventListener('abort', onAbort, { once: true });
      const settle = (finish: () => void): void => {
        clearTimeout(timer);
        clearTimeout(patience);
        options.signal?.removeEventListener('abort', onAbort);
        finish();
      };
      holder.once('error', (cause) =>
        settle(() => reject(new LabError('TOOL_MISSING', 'flock cannot be started (package util-linux)', { cause }))),
      );
      holder.once('close', () =>
        settle(() => reject(new LabError('PROGRAM_FAILED', `the lock ${path} cannot be taken`))),
      );
      holder.stdout.once('data', () => settle(resolve));
      if (options.signal?.aborted === true) onAbort();
    });
    return await work();
  } finally {
    holder.stdin.end();
    // Nothing of ours is left running once the work is said to be done.
    await ended;
  }
}
