import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { findProcesses, isProcessWithArgument, signalOwn, waitForEnd } from './process.ts';

test('a process is known by an argument of its own, and only then signalled', async () => {
  const argument = `xenolith-test-${process.pid}`;
  const child = spawn('sh', ['-c', 'echo up; read -r _', argument], { stdio: ['pipe', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  const pid = child.pid ?? 0;
  try {
    expect(await findProcesses((candidate) => candidate === argument)).toEqual([{ pid, argument }]);
    expect(await isProcessWithArgument(pid, argument)).toBe(true);
    expect(await signalOwn(pid, `${argument}-other`, 'SIGKILL')).toBe(false);
    expect(await waitForEnd(pid, argument, 1)).toBe(false);
    expect(await signalOwn(pid, argument, 'SIGKILL')).toBe(true);
    expect(await waitForEnd(pid, argument, 10_000)).toBe(true);
    expect(await signalOwn(pid, argument, 'SIGKILL')).toBe(false);
  } finally {
    child.kill('SIGKILL');
  }
});
