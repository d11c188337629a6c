import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DOM0_READY_MARKER } from '../image/dom0-files.ts';
import { LabError } from '../lab-error.ts';
import { openLineSocket } from '../machine/line-socket.ts';
import { openQmp } from '../machine/qmp.ts';
import { BOOT_TIMEOUT_MS } from '../machine/saved-state.ts';
import { giveIdentity } from './give-identity.ts';
import type { Lab, LabHost } from './lab-state.ts';
import { CLIENT_KEY_FILE, sshGreets } from './ssh.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const SSH_TIMEOUT_MS = 60_000;

/**
 * Resets a host as the button on its case does: nobody is asked, all guests are gone, and Xen and dom0 boot anew from the host's disk. Once this is
 * done its ssh answers again, at the same port and with the same keys. Throws LabError BOOT_FAILED, TIMED_OUT, INTERRUPTED.
 */
export async function resetHost(lab: Lab, host: LabHost, signal?: AbortSignal): Promise<void> {
  const authorizedKey = (await readFile(join(lab.stateDirectory, `${CLIENT_KEY_FILE}.pub`), 'utf8')).trim();
  // Listened to from before the reset on: dom0 says only once that it is up.
  const agent = await openLineSocket(host.agentSocketPath, CONNECT_TIMEOUT_MS, signal);
  try {
    const qmp = await openQmp(host.qmpSocketPath, signal);
    try {
      // It was started with -no-reboot, so that a host that crashes does not come back as if nothing had been.
      await qmp.execute('set-action', { reboot: 'reset' });
      await qmp.execute('system_reset');
      await agent.waitFor((line) => line === DOM0_READY_MARKER, BOOT_TIMEOUT_MS, `the boot of ${host.name}`);
      await qmp.execute('set-action', { reboot: 'shutdown' });
    } finally {
      qmp.close();
    }
  } finally {
    agent.close();
  }
  await giveIdentity(host, { hostCount: lab.hosts.length, authorizedKey }, signal);
  if (!(await sshGreets(host, SSH_TIMEOUT_MS, signal)))
    throw new LabError('BOOT_FAILED', `${host.name} is up again, but its ssh does not answer`);
}
