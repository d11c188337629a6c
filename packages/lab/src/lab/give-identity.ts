import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runOnAgent } from '../machine/agent.ts';
import { bridgeAddress, identityScript, linkMac } from './identity.ts';

/** Below a second on an idle machine. */
const IDENTITY_TIMEOUT_MS = 60_000;
const HOST_KEY_FILE = 'host_key';

/** The name of the host with this index, counted from 1. */
export function hostName(index: number): string {
  return `lab${index}`;
}

/** Where a host's own ssh key is kept, beside its disk. */
export function hostKeyPath(directory: string): string {
  return join(directory, HOST_KEY_FILE);
}

/**
 * Makes a dom0 that has just been restored or booted the host that it is: clock, name, addresses and keys; its sshd listens then. Throws LabError as
 * runOnAgent does.
 */
export async function giveIdentity(
  host: { readonly index: number; readonly directory: string; readonly agentSocketPath: string },
  lab: { readonly hostCount: number; readonly authorizedKey: string },
  signal?: AbortSignal,
): Promise<void> {
  const script = identityScript(
    {
      name: hostName(host.index),
      bridgeAddress: bridgeAddress(host.index),
      macAddress: linkMac(host.index),
      hostKey: await readFile(hostKeyPath(host.directory), 'utf8'),
      authorizedKey: lab.authorizedKey,
      hostsLines: Array.from(
        { length: lab.hostCount },
        (_, other) => `${bridgeAddress(other + 1)} ${hostName(other + 1)}`,
      ),
      randomSeed: randomBytes(64).toString('base64'),
    },
    Date.now(),
  );
  await runOnAgent(host.agentSocketPath, script, IDENTITY_TIMEOUT_MS, signal);
}
