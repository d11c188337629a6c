import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { withFileLock } from './file-lock.ts';
import { programPath, runPipeline, runProgram } from './program.ts';

const timeoutMs = 10_000;

describe('runProgram', () => {
  test('gives what was printed, and feeds the input', async () => {
    const { stdout } = await runProgram(['cat'], { timeoutMs, input: 'hello' });
    expect(stdout.toString()).toBe('hello');
  });

  test('a failure carries the exit code and the last words', async () => {
    await expect(runProgram(['sh', '-c', 'echo because >&2; exit 3'], { timeoutMs })).rejects.toMatchObject({
      code: 'PROGRAM_FAILED',
      message: expect.stringMatching(/exit code 3\nbecause$/),
    });
    await expect(runProgram(['no-such-program-here'], { timeoutMs })).rejects.toMatchObject({ code: 'PROGRAM_FAILED' });
  });

  test('a failure in the middle of a pipeline is a failure', async () => {
    const { stdout } = await runPipeline(
      [
        ['echo', 'a'],
        ['tr', 'a', 'b'],
      ],
      { timeoutMs },
    );
    expect(stdout.toString()).toBe('b\n');
    await expect(runPipeline([['sh', '-c', 'exit 4'], ['cat']], { timeoutMs })).rejects.toMatchObject({
      message: expect.stringContaining('exit code 4'),
    });
  });

  test('the limit and an abort end the program', async () => {
    await expect(runProgram(['sleep', '60'], { timeoutMs: 1 })).rejects.toMatchObject({ code: 'TIMED_OUT' });
    const abort = new AbortController();
    const running = runProgram(['sleep', '60'], { timeoutMs, signal: abort.signal });
    abort.abort();
    await expect(running).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await expect(runProgram(['true'], { timeoutMs, signal: abort.signal })).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
  });
});

test('system directories are looked in last, once', () => {
  expect(programPath('/usr/bin:/sbin')).toBe('/usr/bin:/sbin:/usr/local/sbin:/usr/sbin');
});

test('a lock is held by one at a time and free again after a failure', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'xenolith-lock-'));
  try {
    const path = join(directory, 'sub/lock');
    let second = Promise.resolve('not begun');
    await withFileLock(path, { timeoutMs }, async () => {
      const waits = new Promise<string>((resolve) => {
        second = withFileLock(path, { timeoutMs, onWait: () => resolve('waits') }, () => Promise.resolve('in'));
      });
      expect(await Promise.race([waits, second])).toBe('waits');
    });
    expect(await second).toBe('in');
    await withFileLock(path, { timeoutMs }, async () => {
      const impatient = withFileLock(path, { timeoutMs: 1 }, () => Promise.resolve());
      await expect(impatient).rejects.toMatchObject({ code: 'TIMED_OUT' });
    });
    await expect(withFileLock(path, { timeoutMs }, () => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
    expect(await withFileLock(path, { timeoutMs }, () => Promise.resolve(existsSync(path)))).toBe(true);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
