/** The hosts of the pool and the drivers behind them: what they tell becomes records, and calls reach them here. */
import type { Ref } from '@xenolith/base';
import type { HostDriver, OpenHost } from '../host-driver.ts';
import type { Xapi } from '../xapi.ts';

export class Hosts {
  readonly #drivers = new Map<Ref<'host'>, HostDriver>();
  readonly #xapi: Xapi;
  readonly #open: OpenHost;

  constructor(xapi: Xapi, open: OpenHost) {
    this.#xapi = xapi;
    this.#open = open;
  }

  /** Opens the drivers of the hosts that the records name, and begins to follow them. */
  async start(): Promise<void> {}

  async close(): Promise<void> {
    for (const driver of this.#drivers.values()) await driver.close();
  }
}
