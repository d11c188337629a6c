import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { withFileLock } from '../file-lock.ts';
import { defaultStateDirectory, exists } from '../cache.ts';
import { LabError } from '../lab-error.ts';
import { findProcesses, signalOwn, waitForEnd } from '../machine/process.ts';
import { switchSocketPath } from '../link/switch-process.ts';
import { CLIENT_KEY_FILE } from './ssh.ts';

const LOCK_TIMEOUT_MS = 60_000;
const END_TIMEOUT_MS = 10_000;

/** The directory that holds a directory for each host. */
export function hostsDirectory(stateDirectory: string): string {
  return join(stateDirectory, 'hosts');
}

/** The file that only one `up` or `down` of a state directory holds at a time. */
export function labLockPath(stateDirectory: string): string {
  return join(stateDirectory, 'lock');
}

/**
 * Ends all processes of a lab and removes what it left. They are found by the lab's own paths in their command lines, not by remembered pids, so this
 * works after crashes and never hits a process that is not the lab's. Gives how many processes were ended.
 */
export async function stopLab(stateDirectory: string): Promise<number> {
  const hosts = `${hostsDirectory(stateDirectory)}/`;
  const switchSocket = switchSocketPath(stateDirectory);
  // The pid file's path is a whole argument of each QEMU, the socket's path one of the switch.
  const own = await findProcesses(
    (argument) => argument === switchSocket || (argument.startsWith(hosts) && argument.endsWith('/qemu.pid')),
  );
  // A lab host has nothing to save, so it is ended at once rather than asked.
  for (const { pid, argument } of own) await signalOwn(pid, argument, 'SIGKILL');
  for (const { pid, argument } of own) {
    if (!(await waitForEnd(pid, argument, END_TIMEOUT_MS)))
      throw new LabError('TIMED_OUT', `process ${pid} of the lab does not end`);
  }
  const left = [
    'hosts',
    'lab.json',
    'lab.json.new',
    'switch.sock',
    'switch.pid',
    'switch.log',
    CLIENT_KEY_FILE,
    `${CLIENT_KEY_FILE}.pub`,
    'known_hosts',
  ];
  for (const name of left) await rm(join(stateDirectory, name), { recursive: true, force: true });
  return own.length;
}

/** Stops the lab of a state directory: all its hosts and its switch. Gives how many processes were ended; 0 when it was down. */
export async function labDown(
  options: { readonly stateDirectory?: string | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<number> {
  const stateDirectory = resolve(options.stateDirectory ?? defaultStateDirectory());
  if (!(await exists(stateDirectory))) return 0;
  return withFileLock(labLockPath(stateDirectory), { timeoutMs: LOCK_TIMEOUT_MS, signal: options.signal }, () =>
    stopLab(stateDirectory),
  );
}
