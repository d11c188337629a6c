import { join } from 'node:path';
import { LabError } from '../lab-error.ts';
import { signalOwn, waitForEnd } from '../machine/process.ts';
import { MANAGEMENT_NIC } from '../machine/qemu-argv.ts';
import { qmpCommand } from '../machine/qmp.ts';
import type { LabHost } from './lab-state.ts';

const END_TIMEOUT_MS = 10_000;

/** The host with this name. Throws LabError NO_SUCH_HOST that names those there are. */
export function findHost(hosts: readonly LabHost[], name: string): LabHost {
  const host = hosts.find((candidate) => candidate.name === name);
  if (host === undefined)
    throw new LabError(
      'NO_SUCH_HOST',
      `no host ${name} in this lab; there is ${hosts.map((known) => known.name).join(', ')}`,
    );
  return host;
}

/** Ends a host as a power failure does. Does nothing when it is gone already. */
export async function killHost(host: LabHost): Promise<void> {
  const pidPath = join(host.directory, 'qemu.pid');
  await signalOwn(host.pid, pidPath, 'SIGKILL');
  if (!(await waitForEnd(host.pid, pidPath, END_TIMEOUT_MS)))
    throw new LabError('TIMED_OUT', `${host.name} does not end`);
}

/**
 * Pulls the cable of a host's management network card: ssh stops answering, and nothing says so (no reset, no refusal); the host goes on running, and
 * the network between the hosts stays.
 */
export async function cutNetwork(host: LabHost): Promise<void> {
  await qmpCommand(host.qmpSocketPath, 'set_link', { name: MANAGEMENT_NIC, up: false });
}

/** Puts the cable back. */
export async function restoreNetwork(host: LabHost): Promise<void> {
  await qmpCommand(host.qmpSocketPath, 'set_link', { name: MANAGEMENT_NIC, up: true });
}

/** Stops all of a host's pCPUs, as a machine that hangs: the ports still open (they are QEMU's), nothing answers. */
export async function pauseHost(host: LabHost): Promise<void> {
  await qmpCommand(host.qmpSocketPath, 'stop');
}

/** Lets a paused host go on; its clocks go on from where they stopped. */
export async function resumeHost(host: LabHost): Promise<void> {
  await qmpCommand(host.qmpSocketPath, 'cont');
}
