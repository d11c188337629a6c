import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { LabError } from '../lab-error.ts';
import { readPid } from '../machine/process.ts';

const START_TIMEOUT_MS = 20_000;
const POLL_MS = 20;

/** Where the switch of a lab listens. */
export function switchSocketPath(stateDirectory: string): string {
  return join(stateDirectory, 'switch.sock');
}

/** Starts the switch in the background and waits until it listens; gives its pid. Throws LabError BOOT_FAILED. */
export async function startSwitch(
  stateDirectory: string,
): Promise<{ readonly pid: number; readonly socketPath: string }> {
  const socketPath = switchSocketPath(stateDirectory);
  const pidPath = join(stateDirectory, 'switch.pid');
  const log = await open(join(stateDirectory, 'switch.log'), 'w');
  const program = fileURLToPath(new URL('./switch-main.ts', import.meta.url));
  const child = spawn(process.execPath, [program, socketPath, pidPath], {
    detached: true,
    stdio: ['ignore', 'ignore', log.fd],
    // A test runner's own options are not for the switch.
    env: { PATH: process.env['PATH'] ?? '' },
  });
  const outcome: { failed: string | undefined } = { failed: undefined };
  child.once('error', (error) => {
    outcome.failed = error.message;
  });
  child.once('exit', (code) => {
    outcome.failed = `exit code ${code}`;
  });
  child.unref();
  await log.close();
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline && outcome.failed === undefined) {
    const pid = await readPid(pidPath);
    // Written once it listens. A connection to try would count as a host that came and went, after which the switch ends.
    if (pid !== undefined) return { pid, socketPath };
    await delay(POLL_MS);
  }
  child.kill('SIGKILL');
  throw new LabError(
    'BOOT_FAILED',
    `the switch between the hosts did not start: ${outcome.failed ?? 'it does not listen'}`,
  );
}
