import { connect } from 'node:net';
import { runProgram } from '../program.ts';
import { shellQuote } from './identity.ts';
import type { LabHost } from './lab-state.ts';

/** The key that may log in to every host of a lab, in its state directory. */
export const CLIENT_KEY_FILE = 'id_ed25519';

/** Options of the system's ssh take a value in double quotes when it holds spaces. */
function optionValue(path: string): string {
  return `"${path}"`;
}

/**
 * The command line of the system's ssh for a host's root: the user's own ssh configuration, agent and known hosts are left out, and a host that shows
 * another key than it was given is refused. `command` is given word by word and quoted for dom0's shell; without one it is a login.
 */
export function labSshArgv(host: LabHost, command: readonly string[] = []): readonly string[] {
  const { ssh } = host;
  return [
    'ssh',
    '-F',
    '/dev/null',
    '-i',
    ssh.keyPath,
    '-o',
    'IdentitiesOnly=yes',
    '-o',
    'IdentityAgent=none',
    '-o',
    `UserKnownHostsFile=${optionValue(ssh.knownHostsPath)}`,
    '-o',
    'GlobalKnownHostsFile=/dev/null',
    '-o',
    'StrictHostKeyChecking=yes',
    '-o',
    'BatchMode=yes',
    '-o',
    'LogLevel=ERROR',
    '-p',
    String(ssh.port),
    `${ssh.user}@${ssh.address}`,
    ...(command.length === 0 ? [] : ['--', command.map(shellQuote).join(' ')]),
  ];
}

/** Runs a command in a host's dom0 and gives what it printed. Throws LabError PROGRAM_FAILED with its exit code and last words, TIMED_OUT. */
export async function labRun(
  host: LabHost,
  command: readonly string[],
  options: { readonly timeoutMs: number; readonly input?: string | Uint8Array; readonly signal?: AbortSignal },
): Promise<string> {
  const { stdout } = await runProgram(labSshArgv(host, command), options);
  return stdout.toString();
}

/** Whether a host's ssh server greets within `timeoutMs`: a port that merely opens is QEMU's, not dom0's. */
export function sshGreets(host: LabHost, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(host.ssh.port, host.ssh.address);
    const finish = (answer: boolean): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => finish(false), timeoutMs);
    const onAbort = (): void => finish(false);
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('data', (chunk) => finish(chunk.toString('latin1').startsWith('SSH-2.0')));
    socket.once('error', () => finish(false));
    socket.once('close', () => finish(false));
  });
}
