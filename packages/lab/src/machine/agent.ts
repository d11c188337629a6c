import { AGENT_DONE_MARKER, AGENT_SCRIPT_END } from '../image/dom0-files.ts';
import { LabError } from '../lab-error.ts';
import { openLineSocket } from './line-socket.ts';

const CONNECT_TIMEOUT_MS = 5_000;

/**
 * Runs a bash script as root in dom0 over its second serial line, which works before ssh does. Gives what it printed, line by line.
 * Throws LabError BOOT_FAILED with the script's last words when it exits other than 0, TIMED_OUT, INTERRUPTED.
 */
export async function runOnAgent(
  socketPath: string,
  script: string,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  if (script.split('\n').includes(AGENT_SCRIPT_END))
    throw new LabError('BAD_OPTION', 'a script for the agent must not hold a line with a lone dot');
  const socket = await openLineSocket(socketPath, CONNECT_TIMEOUT_MS, signal);
  try {
    socket.send(`${script}\n${AGENT_SCRIPT_END}\n`);
    const lines = await socket.waitFor((line) => line.startsWith(`${AGENT_DONE_MARKER} `), timeoutMs, "dom0's agent");
    const exitCode = lines.at(-1)?.slice(AGENT_DONE_MARKER.length + 1);
    if (exitCode !== '0')
      throw new LabError('BOOT_FAILED', `a script in dom0 exited with ${exitCode}: ${lines.slice(-5, -1).join('; ')}`);
    return lines.slice(0, -1);
  } finally {
    socket.close();
  }
}
