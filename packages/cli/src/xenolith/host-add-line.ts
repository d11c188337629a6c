/** The `xe host-add` that adds a host of the lab to a pool. */
import type { LabHost } from '@xenolith/lab';
import { shellQuote } from '@xenolith/wire';

/** Arguments of xe. */
export function hostAddArguments({ ssh }: Pick<LabHost, 'ssh'>): readonly string[] {
  return [
    'host-add',
    `address=ssh://${ssh.user}@${ssh.address}:${ssh.port}`,
    `identity-file=${ssh.keyPath}`,
    `known-hosts-file=${ssh.knownHostsPath}`,
  ];
}

/** The same as a line for a shell. */
export const hostAddLine = (host: Pick<LabHost, 'ssh'>): string =>
  ['npx', 'xe', ...hostAddArguments(host)].map(shellQuote).join(' ');
