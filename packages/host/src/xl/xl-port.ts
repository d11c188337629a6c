import type { HostFacts } from '@xenolith/xapi';
import type { CommandResult } from './transport.ts';

/** What the driver lends to its parts: a connection that is alive, and the driver's knowledge of the host. */
export interface XlPort {
  /** Runs a script. @throws HostError when it fails, under the name that is given for it */
  run(
    called: string,
    text: string,
    options: { readonly timeLimitMs: number; readonly lane: 'look' | 'work' },
  ): Promise<CommandResult>;
  /** @throws HostError unreachable */
  facts(): HostFacts;
  /** Something was done, or nobody knows: what was seen before is old. */
  changed(): void;
}
