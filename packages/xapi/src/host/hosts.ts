/** The hosts of the pool and the drivers behind them: what they tell becomes records, and calls reach them here. */
import { assert, domId, randomUuid, type Ref, type Uuid } from '@xenolith/base';
import { formatDateTime } from '@xenolith/wire';
import { XapiError } from '../errors.ts';
import { hostRefusal, isOutcomeKnown } from '../host-error.ts';
import {
  HostError,
  type DomainIdentity,
  type DomainInfo,
  type DomainNodeMemory,
  type DomainPicture,
  type HostConsole,
  type HostDriver,
  type HostFacts,
  type HostFigures,
  type HostFiles,
  type HostNews,
  type OpenHost,
} from '../host-driver.ts';
import type { HostNetworks } from '../host-networks.ts';
import type { CpupoolInfo, HostScheduling } from '../host-scheduling.ts';
import { removeUnused } from '../network/bridges.ts';
import { restorePifs } from '../network/pifs.ts';
import { updateDeviceOperations, updateOperationsAt, updateStorageOperations } from '../storage/allowed-operations.ts';
import { lookAtStorage } from '../storage/scan.ts';
import type { Task } from '../task/tasks.ts';
import { updateAllowedOperations } from '../vm/operations.ts';
import { markHalted, type Placement } from '../vm/power-state.ts';
import type { Xapi } from '../xapi.ts';
import { CpuUse } from './cpu-use.ts';
import { updateHostOperations } from './host-operations.ts';
import { Follower } from './follower.ts';
import { HostCpupools } from './host-cpupools.ts';
import { NodeLedger } from './node-ledger.ts';
import { byNode, NodeMemory } from './node-memory.ts';
import {
  adoptIntoPool,
  createHostRecords,
  createLocalSr,
  createTemplates,
  destroyHostRecords,
  localSrDirectory,
  localSrPath,
  updateHostRecords,
} from './host-records.ts';
import { MemoryControl, type MemoryGrant, type MemoryRange } from './memory-control.ts';
import { rememberedHost } from './remembered-host.ts';

/** The keys of `host.other_config` that say where a host is. */
export const addressKey = 'xenolith:address';
const optionPrefix = 'xenolith:option:';

interface Connected {
  readonly driver: HostDriver;
  readonly follower: Follower;
  readonly cpupools: HostCpupools;
  readonly nodeMemory: NodeMemory;
  readonly ledger: NodeLedger;
  /** Of the last picture: figures that come after it are no older. */
  sequence: number;
  readonly memory: MemoryControl;
  live: boolean;
  readonly bridges: Set<string>;
  /** Those of them that were made by us. */
  readonly madeBridges: Set<string>;
  /** What is done to bridges is done one after the other. */
  networkWork: Promise<unknown>;
  /** What the host last told of itself that changes without any event. */
  figures?: HostFigures;
}

export class Hosts {
  readonly #connected = new Map<Ref<'host'>, Connected>();
  readonly #pcpuUse: CpuUse<Ref<'host'>>;
  /** What is being added just now: addresses, and the machines behind them as soon as they are known. */
  readonly #joining = new Set<string>();
  /** VMs of which two domains were told, by the host of the second. */
  readonly #told = new Set<string>();
  readonly #xapi: Xapi;
  readonly #open: OpenHost;

  constructor(xapi: Xapi, open: OpenHost) {
    this.#xapi = xapi;
    this.#pcpuUse = new CpuUse(xapi.clock);
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
    this.#haltStranded();
    // What a VM accepts is not kept over a restart, and what it follows from has been read by now.
    for (const vm of db.refs('VM')) updateAllowedOperations(this.#xapi, vm);
    updateStorageOperations(this.#xapi);
    return Promise.resolve();
  }

  /**
   * Adds a host: connects, and makes its records.
   * @throws XapiError INVALID_VALUE for a bad address, CANNOT_CONTACT_HOST with the reason, and the host's own words
   */
  async add(address: string, options: Readonly<Record<string, string>>): Promise<Ref<'host'>> {
    for (const [, record] of this.#xapi.db.all('host')) {
      if (record.other_config[addressKey] === address) throw refusedAddress(`${address} is in the pool already`);
    }
    if (this.#joining.has(address)) throw refusedAddress(`${address} is being added already`);
    let driver: HostDriver;
    try {
      driver = this.#open(address, options);
    } catch (error) {
      if (error instanceof HostError) throw refusedAddress(`${address}: ${error.message}`);
      throw error;
    }
    const joining = new Set([address]);
    this.#joining.add(address);
    try {
      return await this.#join(driver, address, options, (machine) => {
        joining.add(machine);
        this.#joining.add(machine);
      });
    } catch (error) {
      await driver.close();
      throw error instanceof HostError ? hostRefusal(error, address) : error;
    } finally {
      for (const item of joining) this.#joining.delete(item);
    }
  }

  /** Asks the host for all that can fail; its records are made in one go afterwards, so there are all of them or none. */
  async #join(
    driver: HostDriver,
    address: string,
    options: Readonly<Record<string, string>>,
    reserve: (machine: string) => void,
  ): Promise<Ref<'host'>> {
    const xapi = this.#xapi;
    let deadReason: string | undefined;
    const listening = driver.onNews((news) => {
      if (news.kind === 'dead') deadReason = news.reason;
    });
    try {
      const facts = await driver.connect();
      this.#refuseTwice(facts);
      if (facts.systemUuid !== undefined) reserve(facts.systemUuid);
      const srUuid = randomUuid(xapi.random);
      const space = await driver.files.space(localSrDirectory);
      await driver.files.space(localSrPath(srUuid));
      const seen = await driver.refresh();
      // A driver looks at pools now and then; whoever adds a host finds them there.
      const picture = { ...seen, cpupools: seen.cpupools ?? (await driver.scheduling.cpupools()) };
      if (deadReason !== undefined) throw new HostError('unreachable', deadReason);
      const config = Object.fromEntries(
        Object.entries(options).map(([key, value]) => [`${optionPrefix}${key}`, value]),
      );
      const host = createHostRecords(xapi, facts, hostAddressOf(address, facts), { ...config, [addressKey]: address });
      adoptIntoPool(xapi, host, createLocalSr(xapi, host, srUuid, space));
      createTemplates(xapi, facts.guests);
      const connected = this.#follow(host, driver);
      this.#alive(host, connected, facts);
      this.#see(connected, picture);
      await this.cpupoolsSettled(host);
      return host;
    } finally {
      listening.dispose();
    }
  }

  #refuseTwice(facts: HostFacts): void {
    if (facts.systemUuid === undefined) return;
    if (this.#joining.has(facts.systemUuid)) throw refusedAddress('this machine is being added already');
    for (const [ref, record] of this.#xapi.db.all('host')) {
      if (record.other_config['xenolith:system-uuid'] === facts.systemUuid)
        throw refusedAddress(`this machine is in the pool already, as ${record.name_label} (${ref})`);
    }
  }

  #follow(host: Ref<'host'>, driver: HostDriver): Connected {
    const follower = new Follower(this.#xapi, host, driver);
    const cpupools = new HostCpupools(this.#xapi, host, driver, (vm, sequence) => follower.isSettled(vm, sequence));
    const connected: Connected = {
      driver,
      follower,
      cpupools,
      nodeMemory: new NodeMemory(this.#xapi, host, driver),
      ledger: new NodeLedger(),
      memory: new MemoryControl(this.#xapi, host, driver),
      sequence: -1,
      live: false,
      bridges: new Set(),
      madeBridges: new Set(),
      networkWork: Promise.resolve(),
    };
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
        connected.ledger.seen(connected.sequence);
        break;
      case 'domains':
        this.#see(connected, news.picture);
        removeUnused(this.#xapi, host);
        break;
    }
  }

  #see(connected: Connected, picture: DomainPicture): void {
    const { cpupools, follower, memory, nodeMemory } = connected;
    connected.sequence = picture.sequence;
    cpupools.see(picture);
    follower.see(picture);
    memory.see(picture);
    nodeMemory.see(picture);
  }

  #alive(host: Ref<'host'>, connected: Connected, facts: HostFacts): void {
    connected.live = true;
    connected.follower.lostSight();
    connected.cpupools.alive(facts);
    connected.memory.alive(facts);
    connected.bridges.clear();
    connected.madeBridges.clear();
    for (const { kind, name, isMade } of facts.interfaces) {
      if (kind === 'bridge') this.noteBridge(host, name, isMade === true ? 'made' : 'there');
    }
    updateHostRecords(this.#xapi, host, facts);
    this.#figures(host, facts);
    this.#setLive(host, true);
    void lookAtStorage(this.#xapi, host);
    void restorePifs(this.#xapi, host);
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
    updateHostOperations(this.#xapi, host);
    for (const vm of resident_VMs) {
      updateAllowedOperations(this.#xapi, vm);
      updateDeviceOperations(this.#xapi, vm);
    }
    updateOperationsAt(this.#xapi, host);
  }

  #figures(host: Ref<'host'>, figures: HostFigures): void {
    const { db, clock } = this.#xapi;
    const connected = this.#connected.get(host);
    if (connected !== undefined) connected.figures = figures;
    const { metrics, host_CPUs } = db.get('host', host);
    const { pcpuBusyNs, timeNs } = figures;
    const use = pcpuBusyNs === undefined ? undefined : this.#pcpuUse.since(host, pcpuBusyNs, timeNs);
    for (const cpu of use === undefined ? [] : host_CPUs) {
      const utilisation = use?.[db.get('host_cpu', cpu).number] ?? 0;
      if (db.get('host_cpu', cpu).utilisation !== utilisation) db.update('host_cpu', cpu, { utilisation });
    }
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

  /**
   * Powers on a host whose driver can, though it does not answer; the host is alive once it is up.
   * @returns whether the driver could
   */
  async powerOn(host: Ref<'host'>): Promise<boolean> {
    const system = this.#connected.get(host)?.driver.system;
    if (system?.powerOn === undefined) return false;
    await system.powerOn();
    return true;
  }

  /** Whether a bridge of that name is on a host. */
  hasBridge(host: Ref<'host'>, bridge: string): boolean {
    return this.#connected.get(host)?.bridges.has(bridge) === true;
  }

  /** Bridges on a host that were made here. */
  madeBridges(host: Ref<'host'>): readonly string[] {
    return [...(this.#connected.get(host)?.madeBridges ?? [])];
  }

  /** Whether interfaces of guests are kept to their addresses on every host that is known to us. */
  allLockVifs(): boolean {
    return [...this.#connected.values()].every(({ driver }) => driver.networks.locksVifs);
  }

  /** A bridge is on a host now, made here or not, or is no more. */
  noteBridge(host: Ref<'host'>, bridge: string, state: 'made' | 'there' | 'gone'): void {
    const connected = this.#connected.get(host);
    connected?.bridges[state === 'gone' ? 'delete' : 'add'](bridge);
    connected?.madeBridges[state === 'made' ? 'add' : 'delete'](bridge);
  }

  /** Works on the bridges of a host, after what is being done to them already. @throws XapiError HOST_OFFLINE, and what the host says */
  async onNetworks<T>(host: Ref<'host'>, action: (networks: HostNetworks) => Promise<T>): Promise<T> {
    const connected = this.#liveOf(host);
    const work = connected.networkWork.then(() => action(this.driverOf(host).networks));
    connected.networkWork = work.catch(() => undefined);
    try {
      return await work;
    } catch (error) {
      throw error instanceof HostError ? hostRefusal(error, host) : error;
    }
  }

  /** The driver of a host that answers. @throws XapiError HOST_OFFLINE */
  driverOf(host: Ref<'host'>): HostDriver {
    return this.#liveOf(host).driver;
  }

  /**
   * Works on a VM's domain: while it lasts no picture of the host touches the VM's records, and afterwards none that
   * is older. A failure looks at the host again, so that the records say what is true.
   */
  async drive<T>(host: Ref<'host'>, vm: Ref<'VM'>, action: (driver: HostDriver) => Promise<T>): Promise<T> {
    const driver = this.driverOf(host);
    const follower = this.#connected.get(host)?.follower;
    const held = follower?.hold(vm);
    const { domid } = this.#xapi.db.get('VM', vm);
    try {
      return await action(driver);
    } catch (error) {
      if (!isOutcomeKnown(error)) follower?.lostSight();
      throw error instanceof HostError ? this.#refusalOf(error, host, vm, domid) : error;
    } finally {
      held?.dispose();
      // Not waited for: the answer is known, the picture only confirms it.
      driver.refresh().catch(() => undefined);
    }
  }

  /** {@link drive} on the domain that a VM has now. */
  driveDomain<T>(
    vm: Ref<'VM'>,
    action: (driver: HostDriver, domain: DomainIdentity, host: Ref<'host'>) => Promise<T>,
  ): Promise<T> {
    const { resident_on: host } = this.#xapi.db.get('VM', vm);
    return this.drive(host, vm, (driver) => action(driver, this.#domainOf(vm), host));
  }

  /** Asks about the domain that a VM has now; nothing is changed. */
  async lookAtDomain<T>(vm: Ref<'VM'>, action: (driver: HostDriver, domain: DomainIdentity) => Promise<T>): Promise<T> {
    const { resident_on: host, domid } = this.#xapi.db.get('VM', vm);
    try {
      return await action(this.driverOf(host), this.#domainOf(vm));
    } catch (error) {
      throw error instanceof HostError ? this.#refusalOf(error, host, vm, domid) : error;
    }
  }

  /** A VM that needs a domain and has none any more is not in the state for it, whatever the next picture makes of that. */
  #refusalOf(error: HostError, host: Ref<'host'>, ref: Ref<'VM'>, domid: number): XapiError {
    const vm = this.#xapi.db.find('VM', ref);
    if (vm === undefined || error.code !== 'no-such-domain') return hostRefusal(error, host, ref);
    const hasDomain = vm.power_state === 'Running' || vm.power_state === 'Paused';
    // It was rebooted: it runs, only not as that domain.
    if (hasDomain && vm.domid !== domid) return hostRefusal(error, host, ref);
    return new XapiError('VM_BAD_POWER_STATE', ref, 'running', hasDomain ? 'halted' : vm.power_state.toLowerCase());
  }

  #domainOf(vm: Ref<'VM'>): DomainIdentity {
    const { domid, uuid, is_control_domain } = this.#xapi.db.get('VM', vm);
    return { domid: domId(domid), uuid: is_control_domain ? controlDomainUuid : (uuid as Uuid) };
  }

  /** Whether we work on a VM's domain now, on whatever host. */
  isWorkedOn(vm: Ref<'VM'>): boolean {
    return [...this.#connected.values()].some(({ follower }) => follower.isHeld(vm));
  }

  /** The domain of a uuid on a host that answers, by its last picture. */
  domainOn(host: Ref<'host'>, uuid: string): DomainInfo | undefined {
    const connected = this.#connected.get(host);
    return connected?.live === true ? connected.follower.domainOf(uuid) : undefined;
  }

  /** A suspend image that no VM has could not be removed from a host: that is tried again. */
  imageLeft(host: Ref<'host'>): void {
    this.#connected.get(host)?.follower.imageLeft();
  }

  /** Where in the pool a domain of a uuid runs, by the last pictures. */
  placeOf(uuid: string): Placement | undefined {
    for (const host of this.#connected.keys()) {
      const domain = this.domainOn(host, uuid);
      if (domain !== undefined) return { host, domid: domain.domid, paused: domain.paused };
    }
    return undefined;
  }

  /** Says once that a VM has a second domain on another host than its own. */
  tellTwice(vm: Ref<'VM'>, second: Ref<'host'>): void {
    const { db, messages } = this.#xapi;
    const { uuid, name_label, resident_on } = db.get('VM', vm);
    const [own, other] = [resident_on, second].map((host) => db.get('host', host).name_label);
    const body = `${name_label} runs on ${own}, and a second domain of its uuid is on ${other}`;
    const key = `${vm} ${second}`;
    if (this.#told.has(key)) return;
    this.#told.add(key);
    // It may stand there from before a restart of ours.
    const known = Object.values(messages.matching((message) => message.obj_uuid === uuid && message.body === body));
    if (known.length === 0) messages.add({ name: 'VM_ON_TWO_HOSTS', priority: 2, cls: 'VM', obj_uuid: uuid, body });
  }

  /** VMs that cannot be as their records say: they ran on a host, or were saved on one, that the pool no longer has. */
  #haltStranded(): void {
    const { db } = this.#xapi;
    for (const [ref, vm] of db.all('VM')) {
      const runs = vm.power_state === 'Running' || vm.power_state === 'Paused';
      const stranded = runs
        ? !db.has('host', vm.resident_on)
        : vm.power_state === 'Suspended' && !db.has('VDI', vm.suspend_VDI);
      if (stranded) markHalted(this.#xapi, ref);
    }
  }

  /**
   * Works on the cpupools of a host that answers, and has its records follow.
   * @param object what it is done to, for a refusal to name
   * @throws XapiError HOST_OFFLINE, OTHER_OPERATION_IN_PROGRESS, and what Xen refuses
   */
  onCpupools(
    host: Ref<'host'>,
    object: string,
    action: (scheduling: HostScheduling) => Promise<readonly CpupoolInfo[]>,
  ): Promise<void> {
    return this.#liveOf(host).cpupools.work(object, action);
  }

  /** Waits until the cpupools of a host are no longer being put back after its reboot. */
  async cpupoolsSettled(host: Ref<'host'>): Promise<void> {
    await this.#connected.get(host)?.cpupools.settled();
  }

  /**
   * Keeps memory on a host for a VM whose domain is to be made there.
   * @throws XapiError HOST_OFFLINE, CANNOT_CONTACT_HOST, HOST_NOT_ENOUGH_FREE_MEMORY, VMS_FAILED_TO_COOPERATE, TASK_CANCELLED
   */
  async grantMemory(host: Ref<'host'>, vm: Ref<'VM'>, range: MemoryRange, task?: Task): Promise<MemoryGrant> {
    try {
      return await this.#liveOf(host).memory.grant(vm, range, task);
    } catch (error) {
      throw error instanceof HostError ? hostRefusal(error, host, vm) : error;
    }
  }

  /** Moves balloons of a host's VMs to where the records want them. @throws XapiError as {@link grantMemory} */
  async balanceMemory(host: Ref<'host'>, vm: Ref<'VM'>, task: Task): Promise<void> {
    try {
      await this.#liveOf(host).memory.balance(task);
    } catch (error) {
      throw error instanceof HostError ? hostRefusal(error, host, vm) : error;
    }
  }

  /** What a host that answers said of itself when it last came alive. @throws XapiError HOST_OFFLINE */
  factsOf(host: Ref<'host'>): HostFacts {
    const { facts } = this.#liveOf(host).cpupools;
    assert(facts !== undefined, 'a host that is alive has said its facts');
    return facts;
  }

  /** {@link factsOf}, with its memory as it is now. @throws XapiError HOST_OFFLINE, CANNOT_CONTACT_HOST */
  async factsNow(host: Ref<'host'>): Promise<HostFacts> {
    const facts = this.factsOf(host);
    const connected = this.#liveOf(host);
    try {
      await connected.driver.refresh();
    } catch (error) {
      throw error instanceof HostError ? hostRefusal(error, host) : error;
    }
    const figures: HostFigures = connected.figures ?? facts;
    const { memoryTotalBytes, memoryFreeBytes, nodesFreeBytes } = figures;
    const nodes = facts.nodes.map((node, index) => ({
      ...node,
      memoryFreeBytes: nodesFreeBytes?.[index] ?? node.memoryFreeBytes,
    }));
    return { ...facts, memoryTotalBytes, memoryFreeBytes, nodes };
  }

  /** Free memory of a host's nodes as it last told, index is the node's number. @throws XapiError HOST_OFFLINE */
  nodesFree(host: Ref<'host'>): readonly number[] {
    const { nodes } = this.factsOf(host);
    const told = this.#liveOf(host).figures?.nodesFreeBytes;
    return byNode<number>(nodes, ({ memoryFreeBytes }, row) => told?.[row] ?? memoryFreeBytes, 0);
  }

  /** What is promised of a host's nodes. @throws XapiError HOST_OFFLINE */
  nodeLedgerOf(host: Ref<'host'>): NodeLedger {
    return this.#liveOf(host).ledger;
  }

  /** Where the memory of a host's domains is now; metrics follow. @throws XapiError HOST_OFFLINE, CANNOT_CONTACT_HOST */
  async memoryByNode(host: Ref<'host'>): Promise<readonly DomainNodeMemory[]> {
    try {
      return await this.#liveOf(host).nodeMemory.look();
    } catch (error) {
      throw error instanceof HostError ? hostRefusal(error, host) : error;
    }
  }

  #liveOf(host: Ref<'host'>): Connected {
    const connected = this.#connected.get(host);
    if (connected?.live !== true) throw new XapiError('HOST_OFFLINE', host);
    return connected;
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
    return this.driverOf(record.resident_on).openConsole(this.#domainOf(vm));
  }

  /** Lets a host go, with its records. Nothing on the host itself is touched. */
  async forget(host: Ref<'host'>): Promise<void> {
    const { db } = this.#xapi;
    const guests = db.get('host', host).resident_VMs.filter((vm) => !db.get('VM', vm).is_control_domain);
    if (guests.length > 0) throw new XapiError('HOST_HAS_RESIDENT_VMS', host);
    const connected = this.#connected.get(host);
    this.#connected.delete(host);
    destroyHostRecords(this.#xapi, host);
    this.#haltStranded();
    connected?.nodeMemory.close();
    connected?.memory.close();
    await connected?.driver.close();
  }

  async close(): Promise<void> {
    const all = [...this.#connected.values()];
    this.#connected.clear();
    for (const { driver, memory, nodeMemory } of all) {
      memory.close();
      nodeMemory.close();
      await driver.close();
    }
  }
}

/** Domain-0 has the same uuid on every host. */
const controlDomainUuid = '00000000-0000-0000-0000-000000000000' as Uuid;

const refusedAddress = (reason: string): XapiError => new XapiError('INVALID_VALUE', 'address', reason);

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
