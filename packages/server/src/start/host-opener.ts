import { homedir } from 'node:os';
import type { Clock } from '@xenolith/base';
import { openHost, parseHostAddress, type SharedFiles } from '@xenolith/host';
import { HostError, type HostAddress, type OpenHost } from '@xenolith/xapi';

/** Makes the drivers of hosts from what the pool's records, or somebody who adds a host, call them. */
export function hostOpener(clock: Clock, modelSpeed?: number, programDirectory?: string): OpenHost {
  const shared: SharedFiles = new Map();
  return (text, options) => {
    const parsed = parseHostAddress(text, { homeDirectory: homedir() });
    if (!parsed.ok) throw new HostError('bad-config', `${text}: ${parsed.error.message}`);
    return openHost(withOptions(parsed.value, options), {
      clock,
      shared,
      ...(modelSpeed === undefined ? {} : { modelSpeed }),
      ...(programDirectory === undefined ? {} : { programDirectory }),
    });
  };
}

/** Options given beside the address win over those in it. */
function withOptions(address: HostAddress, options: Readonly<Record<string, string>>): HostAddress {
  const { 'identity-file': identityFile, 'known-hosts-file': knownHostsFile, ...unknown } = options;
  const [name] = Object.keys(unknown);
  if (name !== undefined) throw new HostError('bad-config', `a host has no option ${name}`);
  if (identityFile === undefined && knownHostsFile === undefined) return address;
  if (address.kind !== 'ssh') throw new HostError('bad-config', `a ${address.kind} host has no key files`);
  return {
    ...address,
    ...(identityFile === undefined ? {} : { identityFile }),
    ...(knownHostsFile === undefined ? {} : { knownHostsFile }),
  };
}
