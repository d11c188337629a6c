/** The hosts of the pool and the drivers behind them: what they tell becomes records, and calls reach them here. */
import { domId, type DomId, type Ref } from '@xenolith/base';
import { formatDateTime } from '@xenolith/wire';
import { XapiError } from '../errors.ts';
import { hostRefusal } from '../host-error.ts';
import {
  HostError,
  type HostConsole,
  type HostDriver,
  type HostFacts,
  type HostFiles,
  type HostNews,
  type OpenHost,
} from '../host-driver.ts';
import { updateAllowedOperations } from '../vm/operations.ts';
import type { Xapi } from '../xapi.ts';
import { Follower } from './follower.ts';
import {
  adoptIntoPool,
  createHostRecords,
  createLocalSr,
  createTemplates,
  destroyHostRecords,
  localSrDirectory,
  updateHostRecords,
} from './host-records.ts';
import { rememberedHost } from './remembered-host.ts';

/** The keys of `host.other_config` that say where a host is. */
export const addressKey = 'xenolith:address';
const optionPrefix = 'xenolith:option:';

interface Connected {
  readonly driver: HostDriver;
  readonly follower: Follower;
  live: boolean;
  bridges: ReadonlySet<string>;
}

export class Hosts {
  readonly #connected = new Map<Ref<'host'>, Connected>();
  readonly #xapi: Xapi;
  readonly #open: OpenHost;

  constructor(xapi: Xapi, open: OpenHost) {
    this.#xapi = xapi;
    this.#open = open;
  }

  /** Opens the drivers of the hosts that the records name, and begins to follow them; does not wait for them. */
  start(): Promise<void> {
    const { db, log } = this.#xapi;
    for (const [host, record] of db.all('host')) {
      const address = record.other_config[addressKey];
      if (address === undefined) continue;
      try {
        const driver = this.#open(address, optionsOf(record.other_config));
        driver.remember?.(rememberedHost(this.#xapi, host));
        this.#setLive(host, false);
        this.#follow(host, driver);
        driver.connectInBackground();
      } catch (error) {
        log.error('a host of the pool cannot be opened', { address, error: String(error) });
      }
    }
    // What a VM accepts is not kept over a restart, and what it follows from has been read by now.
    for (const vm of db.refs('VM')) updateAllowedOperations(this.#xapi, vm);
    return Promise.resolve();
  }

  /**
   * Adds a host: connects, and makes its records.
   * @throws XapiError INVALID_VALUE for a bad address, CANNOT_CONTACT_HOST with the reason, and the host's own words
   */
  async add(address: string, options: Readonly<Record<string, string>>): Promise<Ref<'host'>> {
    const { db } = this.#xapi;
    for (const [, record] of db.all('host')) {
      if (record.other_config[addressKey] === address)
        throw new XapiError('INVALID_VALUE', 'address', `${address} is in the pool already`);
    }
    let driver: HostDriver;
    try {
      driver = this.#open(address, options);
    } catch (error) {
      if (error instanceof HostError) throw new XapiError('INVALID_VALUE', 'address', `${address}: ${error.message}`);
      throw error;
    }
    try {
      return await this.#join(driver, address, options);
    } catch (error) {
      await driver.close();
      throw error instanceof HostError ? hostRefusal(error, address) : error;
    }
  }

  async #join(driver: HostDriver, address: string, options: Readonly<Record<string, string>>): Promise<Ref<'host'>> {
    const xapi = this.#xapi;
    const facts = await driver.connect();
    this.#refuseTwice(facts);
    const space = await driver.files.space(localSrDirectory);
    const config = Object.fromEntries(Object.entries(options).map(([key, value]) => [`${optionPrefix}${key}`, value]));
    const host = createHostRecords(xapi, facts, hostAddressOf(address, facts), { ...config, [addressKey]: address });
    const sr = createLocalSr(xapi, host, space);
    await driver.files.space(this.#srDirectory(sr));
    adoptIntoPool(xapi, host, sr);
    createTemplates(xapi, facts.guests);
    const connected = this.#follow(host, driver);
    this.#alive(host, connected, facts);
    await driver.refresh();
    return host;
  }

  #srDirectory(sr: Ref<'SR'>): string {
    const [pbd] = this.#xapi.db.get('SR', sr).PBDs;
    return pbd === undefined
      ? localSrDirectory
      : (this.#xapi.db.get('PBD', pbd).device_config['location'] ?? localSrDirectory);
  }

  #refuseTwice(facts: HostFacts): void {
    if (facts.systemUuid === undefined) return;
    for (const [ref, record] of this.#xapi.db.all('host')) {
      if (record.other_config['xenolith:system-uuid'] === facts.systemUuid) {
        throw new XapiError(
          'INVALID_VALUE',
          'address',
          `this machine is in the pool already, as ${record.name_label} (${ref})`,
        );
      }
    }
  }

  #follow(host: Ref<'host'>, driver: HostDriver): Connected {
    const follower = new Follower(this.#xapi, host, driver);
    const connected: Connected = { driver, follower, live: false, bridges: new Set() };
    this.#connected.set(host, connected);
    driver.onNews((news) => {
      if (this.#connected.get(host) === connected) this.#heard(host, connected, news);
    });
    return connected;
  }

  #heard(host: Ref<'host'>, connected: Connected, news: HostNews): void {
    switch (news.kind) {
      case 'alive':
        this.#alive(host, connected, news.facts);
        break;
      case 'dead':
        this.#dead(host, connected, news.reason);
        break;
      case 'figures':
        this.#figures(host, news.figures);
        break;
      case 'domains':
        connected.follower.see(news.picture);
        break;
    }
  }

  #alive(host: Ref<'host'>, connected: Connected, facts: HostFacts): void {
    connected.live = true;
    connected.bridges = new Set(facts.interfaces.filter((item) => item.kind === 'bridge').map((item) => item.name));
    updateHostRecords(this.#xapi, host, facts);
    this.#figures(host, facts);
    this.#setLive(host, true);
  }

  #dead(host: Ref<'host'>, connected: Connected, reason: string): void {
    if (!connected.live) return;
    connected.live = false;
    this.#setLive(host, false);
    const { uuid, name_label } = this.#xapi.db.get('host', host);
    this.#xapi.messages.write('HA_HOST_FAILED', 'Host', uuid, `${name_label} does not answer: ${reason}`);
  }

  #setLive(host: Ref<'host'>, live: boolean): void {
    const { db, clock } = this.#xapi;
    const { metrics, resident_VMs } = db.get('host', host);
    if (db.has('host_metrics', metrics))
      db.update('host_metrics', metrics, { live, last_updated: formatDateTime(clock.now()) });
    db.update('host', host, { allowed_operations: live ? ['vm_start', 'vm_resume', 'provision'] : [] });
    for (const vm of resident_VMs) updateAllowedOperations(this.#xapi, vm);
  }

  #figures(host: Ref<'host'>, figures: { readonly memoryTotalBytes: number; readonly memoryFreeBytes: number }): void {
    const { db, clock } = this.#xapi;
    const { metrics } = db.get('host', host);
    if (!db.has('host_metrics', metrics)) return;
    const { memory_total, memory_free } = db.get('host_metrics', metrics);
    if (memory_total === figures.memoryTotalBytes && memory_free === figures.memoryFreeBytes) return;
    db.update('host_metrics', metrics, {
      memory_total: figures.memoryTotalBytes,
      memory_free: figures.memoryFreeBytes,
      last_updated: formatDateTime(clock.now()),
    });
  }

  /** Whether a host answers. */
  isLive(host: Ref<'host'>): boolean {
    return this.#connected.get(host)?.live === true;
  }

  /** Whether a bridge of that name is on a host. */
  hasBridge(host: Ref<'host'>, bridge: string): boolean {
    return this.#connected.get(host)?.bridges.has(bridge) === true;
  }

  /** The driver of a host that answers. @throws XapiError HOST_OFFLINE */
  driverOf(host: Ref<'host'>): HostDriver {
    const connected = this.#connected.get(host);
    if (connected?.live !== true) throw new XapiError('HOST_OFFLINE', host);
    return connected.driver;
  }

  /**
   * Works on a VM's domain: while it lasts no picture of the host touches the VM's records, and afterwards none that
   * is older. A failure looks at the host again, so that the records say what is true.
   */
  async drive<T>(host: Ref<'host'>, vm: Ref<'VM'>, action: (driver: HostDriver) => Promise<T>): Promise<T> {
    const driver = this.driverOf(host);
    const follower = this.#connected.get(host)?.follower;
    const held = follower?.hold(vm);
    try {
      return await action(driver);
    } catch (error) {
      if (error instanceof HostError) throw hostRefusal(error, host);
      throw error;
    } finally {
      held?.dispose();
      // Not waited for: the answer is known, the picture only confirms it.
      driver.refresh().catch(() => undefined);
    }
  }

  /** {@link drive} on the domain that a VM has now. */
  driveDomain<T>(
    vm: Ref<'VM'>,
    action: (driver: HostDriver, domid: DomId, host: Ref<'host'>) => Promise<T>,
  ): Promise<T> {
    const { resident_on: host, domid } = this.#xapi.db.get('VM', vm);
    return this.drive(host, vm, (driver) => action(driver, domId(domid), host));
  }

  /** Works on files of a host. */
  async onFiles<T>(host: Ref<'host'>, action: (files: HostFiles) => Promise<T>): Promise<T> {
    try {
      return await action(this.driverOf(host).files);
    } catch (error) {
      throw error instanceof HostError ? hostRefusal(error, host) : error;
    }
  }

  /** Opens the text console of a running VM. @throws XapiError VM_BAD_POWER_STATE, HOST_OFFLINE */
  openConsole(vm: Ref<'VM'>): Promise<HostConsole> {
    const record = this.#xapi.db.get('VM', vm);
    if (record.power_state !== 'Running' && record.power_state !== 'Paused') {
      throw new XapiError('VM_BAD_POWER_STATE', vm, 'running', record.power_state.toLowerCase());
    }
    return this.driverOf(record.resident_on).openConsole(domId(record.domid));
  }

  /** Lets a host go, with its records. Nothing on the host itself is touched. */
  async forget(host: Ref<'host'>): Promise<void> {
    const { db } = this.#xapi;
    const guests = db.get('host', host).resident_VMs.filter((vm) => !db.get('VM', vm).is_control_domain);
    if (guests.length > 0) throw new XapiError('HOST_HAS_RESIDENT_VMS', host);
    const connected = this.#connected.get(host);
    this.#connected.delete(host);
    destroyHostRecords(this.#xapi, host);
    await connected?.driver.close();
  }

  async close(): Promise<void> {
    const all = [...this.#connected.values()];
    this.#connected.clear();
    for (const { driver } of all) await driver.close();
  }
}

const optionsOf = (config: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(config).flatMap(([key, value]) =>
      key.startsWith(optionPrefix) ? [[key.slice(optionPrefix.length), value] as const] : [],
    ),
  );

/** What clients are shown as the host's address: an IP address where one is known. */
function hostAddressOf(address: string, facts: HostFacts): string {
  const named = /^ssh:\/\/(?:[^@]*@)?(\[[^\]]+\]|[^:/?]+)/.exec(address)?.[1];
  return named ?? facts.interfaces.flatMap((item) => item.ipv4)[0]?.split('/')[0] ?? facts.hostname;
}
