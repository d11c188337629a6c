import { unreachable, type Clock } from '@xenolith/base';
import type { HostAddress, HostDriver } from '@xenolith/xapi';
import { ModelDriver } from './model/model-driver.ts';
import type { SharedFiles } from './model/model-files.ts';
import { ModelHost } from './model/model-host.ts';
import { usualModelSpeed } from './model/model-speed.ts';
import { LocalTransport } from './xl/local-transport.ts';
import { SshTransport } from './xl/ssh-transport.ts';
import { XlDriver } from './xl/xl-driver.ts';

/**
 * The driver for a host of any kind. It does nothing until it is told to connect.
 * @param options.programDirectory where this machine has the plugins and extensions of modelled hosts
 * @param options.shared what modelled hosts have under `/shared` together
 * @param options.patienceMs how long a host may be silent before its connection counts as lost; 8 s where absent
 * @param options.modelSpeed how fast the time of modelled hosts goes, by the clock; 1 where absent
 */
export function openHost(
  address: HostAddress,
  options: {
    readonly clock: Clock;
    readonly modelSpeed?: number;
    readonly patienceMs?: number;
    readonly programDirectory?: string;
    readonly shared?: SharedFiles;
  },
): HostDriver {
  const { clock, patienceMs, modelSpeed = usualModelSpeed, programDirectory, shared } = options;
  switch (address.kind) {
    case 'model':
      return new ModelDriver(
        new ModelHost(address.shape, address.seed, clock, {
          speed: modelSpeed,
          ...(shared === undefined ? {} : { shared }),
        }),
        programDirectory,
      );
    case 'local':
      return new XlDriver(new LocalTransport(clock), clock);
    case 'ssh':
      return new XlDriver(new SshTransport(address, clock, { patienceMs }), clock);
    default:
      return unreachable(address);
  }
}
