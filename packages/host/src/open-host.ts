import { unreachable, type Clock } from '@xenolith/base';
import type { HostAddress, HostDriver } from '@xenolith/xapi';
import { ModelDriver } from './model/model-driver.ts';
import { ModelHost } from './model/model-host.ts';

/** The driver for a host of any kind. It does nothing until it is told to connect. */
export function openHost(address: HostAddress, options: { readonly clock: Clock }): HostDriver {
  switch (address.kind) {
    case 'model':
      return new ModelDriver(new ModelHost(address.shape, address.seed, options.clock));
    case 'local':
    case 'ssh':
      throw new RangeError(`no driver for ${address.kind}`);
    default:
      return unreachable(address);
  }
}
