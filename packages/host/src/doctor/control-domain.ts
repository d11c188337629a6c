import { unreachable, type Clock } from '@xenolith/base';
import { HostError, type HostAddress } from '@xenolith/xapi';
import { LocalTransport } from '../xl/local-transport.ts';
import { SshTransport } from '../xl/ssh-transport.ts';
import type { Transport } from '../xl/transport.ts';

/**
 * Opens the way to a control domain's shell for some work, and closes it afterwards.
 * @throws HostError bad-config for a model, which has no shell; as the transport's `open`; and whatever the work throws
 */
export async function onControlDomain<T>(
  address: HostAddress,
  options: { readonly clock: Clock },
  work: (transport: Transport) => Promise<T>,
): Promise<T> {
  const transport = transportTo(address, options.clock);
  await transport.open();
  try {
    return await work(transport);
  } finally {
    await transport.close();
  }
}

/**
 * The way to a control domain's shell, not yet opened.
 * @param options.patienceMs how long the host may be silent before its connection counts as lost; 8 s where absent
 * @throws HostError bad-config for a model, which has no shell
 */
export function transportTo(
  address: HostAddress,
  clock: Clock,
  options: { readonly patienceMs?: number } = {},
): Transport {
  switch (address.kind) {
    case 'local':
      return new LocalTransport(clock);
    case 'ssh':
      return new SshTransport(address, clock, options);
    case 'model':
      throw new HostError('bad-config', 'a modelled host has no control domain with a shell');
    default:
      return unreachable(address);
  }
}
