/**
 * A control plane over modelled hosts in this process, under a clock that moves when told to. It can be stopped for good
 * at any moment ({@link ModelPool.fuse}) and opened again, over the same store and the same hosts, which live on; or lose its
 * hosts at any moment and find them again.
 */
import { setImmediate as nextMacrotask } from 'node:timers/promises';
import { ManualClock, SeededRandom, type DomId, type Ref } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import {
  HostError,
  MemoryStore,
  silentLog,
  unfinishedSuffix,
  Xapi,
  type Answer,
  type Database,
  type HostDriver,
  type RecordOf,
} from '@xenolith/xapi';
import { parseHostAddress } from '../host-address.ts';
import { ModelDriver } from '../model/model-driver.ts';
import type { SharedFiles } from '../model/model-files.ts';
import { ModelHost } from '../model/model-host.ts';
import { Fuse, fusedDriver, fusedStore, type Mishap } from './fuse.ts';

/** How long a call may take by the pool's clock: guests boot and answer within seconds, and libxl's patience is minutes. */
const callLimitMs = 1_000_000;
const stepMs = 500;

/** Addresses of small hosts, by number. */
export const modelAddress = (number: number): string =>
  `model:xen${number}?nodes=1&sockets=1&cores=2&threads=1&memory=4G&dom0=1G&seed=${number}`;

/** Addresses of hosts with two nodes of four pCPUs, by number. */
export const numaModelAddress = (number: number): string =>
  `model:xen${number}?nodes=2&sockets=1&cores=4&threads=1&memory=4G&dom0=1G&seed=${number}`;

export class ModelPool {
  readonly clock = new ManualClock();
  readonly machines = new Map<string, ModelHost>();
  /** Drivers that {@link ModelPool.open} makes can be made to do something else. */
  wrapDriver: (driver: HostDriver) => HostDriver = (driver) => driver;
  /** Whether hosts are new ones on which what the records say is put back, as in the server. */
  puttingBack = false;
  fuse = new Fuse();
  xapi: Xapi;
  readonly #shared: SharedFiles = new Map();
  readonly #store = new MemoryStore();
  readonly #drivers: HostDriver[] = [];
  readonly #addressOf: (number: number) => string;
  readonly #programDirectory: string | undefined;
  #opened = 0;
  #session: Ref<'session'>;

  /** @param programDirectory where this machine has the executables of the hosts; they have none when absent */
  constructor(addressOf = modelAddress, programDirectory?: string) {
    this.#addressOf = addressOf;
    this.#programDirectory = programDirectory;
    this.xapi = this.#makeXapi();
    this.#session = this.#login();
  }

  /** A pool of so many hosts that has been opened. */
  static async open(hosts = 1, addressOf = modelAddress): Promise<ModelPool> {
    const pool = new ModelPool(addressOf);
    await pool.addHosts(hosts);
    return pool;
  }

  /** Opens a pool that was only made, with so many hosts. */
  async addHosts(hosts: number): Promise<void> {
    await this.#start();
    for (let number = 1; number <= hosts; number++) await this.call('host.add', this.#addressOf(number), {});
    await this.settle();
  }

  /** Ends what was open, if it lives still, and opens the pool from what its store has. Comes back with the first pictures. */
  async reopen(): Promise<void> {
    this.fuse.light(-1);
    for (const driver of this.#drivers.splice(0)) await driver.close();
    this.fuse = new Fuse();
    this.xapi = this.#makeXapi();
    await this.#start();
    await this.settle();
  }

  get db(): Database {
    return this.xapi.db;
  }

  /** The only machine, or one by number. */
  machine(number = 1): ModelHost {
    const machine = this.machines.get(this.#addressOf(number));
    if (machine === undefined) throw new Error(`no machine ${number}`);
    return machine;
  }

  host(number = 1): Ref<'host'> {
    const found = [...this.db.all('host')].find(([, { hostname }]) => hostname === `xen${number}`);
    if (found === undefined) throw new Error(`no host ${number}`);
    return found[0];
  }

  vm(ref: Ref<'VM'>): RecordOf<'VM'> {
    return this.db.get('VM', ref);
  }

  /** Lets everything happen that is due now. */
  async settle(): Promise<void> {
    await this.pass(0);
  }

  /** Lets so much time pass, with everything that happens in it: between two timers, all that needs no time. */
  async pass(durationMs: number): Promise<void> {
    const untilMs = this.clock.now() + durationMs;
    do await nextMacrotask();
    while (this.clock.fireNext(untilMs));
    this.clock.advance(Math.max(0, untilMs - this.clock.now()));
    await nextMacrotask();
  }

  /** Begins a call as root. */
  begin(method: string, ...params: readonly WireValue[]): Promise<Answer> {
    return this.xapi.call({ method, params: [this.#session, ...params], origin: { address: '127.0.0.1' } });
  }

  /** The answer to a call, time passing as it must; undefined when the process stopped before. */
  async answer(method: string, ...params: readonly WireValue[]): Promise<Answer | undefined> {
    let answer: Answer | undefined;
    const waiting = (async () => {
      const given = await this.begin(method, ...params);
      // As the server has it: an answer is given when what it says is durable.
      await this.db.durable();
      answer = given;
    })();
    waiting.catch(() => undefined);
    for (let passedMs = 0; passedMs < callLimitMs; passedMs += stepMs) {
      await this.settle();
      if (answer !== undefined || this.fuse.isDead) return answer;
      await this.pass(stepMs);
    }
    throw new Error(`${method} has no end`);
  }

  /** The value of a call. @throws Error with the error description */
  async call<T = string>(method: string, ...params: readonly WireValue[]): Promise<T> {
    const answer = await this.answer(method, ...params);
    if (answer?.ok === true) return answer.value as T;
    throw new Error(answer?.error.join(' ') ?? `${method}: the process stopped`);
  }

  /** The error description of a call that is refused. */
  async refusal(method: string, ...params: readonly WireValue[]): Promise<string> {
    const answer = await this.answer(method, ...params);
    return answer?.ok === false ? answer.error.join(' ') : 'no refusal';
  }

  /**
   * Does something that goes wrong after so many steps, and brings everything up again.
   * @returns whether it went wrong: not when it has fewer steps
   */
  async befall(mishap: Mishap, steps: number, act: () => Promise<unknown>): Promise<boolean> {
    this.fuse.light(steps, mishap);
    const refused = await act().then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    const { isBurnt } = this.fuse;
    if (refused !== undefined && !isBurnt) throw refused.error;
    this.fuse.light(Infinity);
    if (mishap === 'killed') await this.reopen();
    else for (const machine of this.machines.values()) machine.setReachable(true);
    await this.settle();
    return isBurnt;
  }

  /** A halted VM from the first template. */
  async newVm(nameLabel = 'web'): Promise<Ref<'VM'>> {
    const [template] = [...this.db.all('VM')].find(([, vm]) => vm.is_default_template) ?? [];
    if (template === undefined) throw new Error('no template');
    const vm = await this.call<Ref<'VM'>>('VM.clone', template, nameLabel);
    await this.call('VM.provision', vm);
    return vm;
  }

  /** VMs that are neither templates nor control domains. */
  guests(): readonly (readonly [Ref<'VM'>, RecordOf<'VM'>])[] {
    return [...this.db.all('VM')].filter(([, vm]) => !vm.is_a_template && !vm.is_control_domain);
  }

  /** What is wrong with the records, by what is on the hosts: empty when both agree and nothing is half done. */
  disagreements(): readonly string[] {
    return [
      ...this.guests().flatMap(([, vm]) => this.#disagreementsOf(vm)),
      ...this.#strayDomains(),
      ...this.#strayImages(),
    ];
  }

  #disagreementsOf(vm: RecordOf<'VM'>): readonly string[] {
    const { db } = this;
    const wrong: string[] = [];
    const expect = (what: string, holds: boolean): void => {
      if (!holds) wrong.push(`${vm.name_label} (${vm.power_state}): ${what}`);
    };
    const domains = this.#domains().filter(({ uuid }) => uuid === vm.uuid);
    const runs = vm.power_state === 'Running' || vm.power_state === 'Paused';
    if (runs) {
      const [domain] = domains;
      expect('one domain', domains.length === 1);
      expect(`domid ${vm.domid}`, domain?.domid === vm.domid);
      expect('its host', domain?.host === vm.resident_on);
      expect('paused or not', domain?.paused === (vm.power_state === 'Paused'));
    } else {
      expect('no domain', domains.length === 0);
      expect('no domid', vm.domid === -1 && !db.has('host', vm.resident_on));
    }
    expect(
      'an image when suspended, and only then',
      db.has('VDI', vm.suspend_VDI) === (vm.power_state === 'Suspended'),
    );
    expect('a console while it runs', vm.consoles.length === (runs ? 1 : 0));
    expect('its metrics', db.has('VM_metrics', vm.metrics));
    expect('no operation', Object.keys(vm.current_operations).length === 0);
    expect('no place promised', !db.has('host', vm.scheduled_to_be_resident_on));
    const [had, has] = [this.#devicesOf(vm), this.#devicesOnHost(vm)].map((names) => names.toSorted().join(' '));
    expect(`its devices: ${had}, not ${has}`, had === has);
    const devices = [...vm.VBDs.map((vbd) => db.get('VBD', vbd)), ...vm.VIFs.map((vif) => db.get('VIF', vif))];
    expect(
      'no device of which nobody knows',
      devices.every(
        (device) => Object.keys({ ...device.current_operations, ...device.runtime_properties }).length === 0,
      ),
    );
    return wrong;
  }

  /** What a VM has by its records. */
  #devicesOf({ VBDs, VIFs }: RecordOf<'VM'>): readonly string[] {
    const { db } = this;
    const vbds = VBDs.map((vbd) => db.get('VBD', vbd)).filter(({ currently_attached }) => currently_attached);
    const vifs = VIFs.map((vif) => db.get('VIF', vif)).filter(({ currently_attached }) => currently_attached);
    return [...vbds.map(({ VDI }) => db.get('VDI', VDI).location), ...vifs.map(({ MAC }) => MAC)];
  }

  /** And what its domain has. */
  #devicesOnHost({ resident_on, domid }: RecordOf<'VM'>): readonly string[] {
    const host = this.db.find('host', resident_on);
    const config = host === undefined ? undefined : this.#machineCalled(host.hostname).configOf(domid as DomId);
    if (config === undefined) return [];
    return [
      ...config.disks.map(({ path }) => path.slice(path.lastIndexOf('/') + 1)),
      ...config.vifs.map(({ mac }) => mac),
    ];
  }

  #domains(): readonly {
    readonly host: Ref<'host'>;
    readonly uuid: string;
    readonly domid: number;
    readonly paused: boolean;
  }[] {
    return [...this.db.all('host')].flatMap(([host, { hostname }]) =>
      this.#machineCalled(hostname)
        .hypervisor.domains()
        .filter(({ domid }) => domid !== 0)
        .map(({ domid, paused, spec }) => ({ host, uuid: spec.uuid, domid, paused })),
    );
  }

  #machineCalled(hostname: string): ModelHost {
    const machine = [...this.machines.values()].find(({ shape }) => shape.hostname === hostname);
    if (machine === undefined) throw new Error(`no machine called ${hostname}`);
    return machine;
  }

  #strayDomains(): readonly string[] {
    const known = new Set([...this.db.all('VM')].map(([, { uuid }]) => uuid));
    return this.#domains()
      .filter(({ uuid }) => !known.has(uuid))
      .map(({ domid }) => `domain ${domid} has no VM`);
  }

  /** Images are those that suspended VMs have, as records and as files. */
  #strayImages(): readonly string[] {
    const { db } = this;
    const used = new Set([...db.all('VM')].map(([, { suspend_VDI }]) => suspend_VDI));
    const images = [...db.all('VDI')].filter(([, { type }]) => type === 'suspend');
    const files = new Set(
      [...this.machines.values()].flatMap(({ files: { paths } }) =>
        paths.filter((path) => path.endsWith('.save') || path.endsWith(unfinishedSuffix)),
      ),
    );
    const lost = images.flatMap(([ref, { location, uuid }]) => {
      const file = [...files].find((path) => path.endsWith(`/${location}`));
      if (file !== undefined) files.delete(file);
      if (!used.has(ref)) return [`image ${uuid} belongs to no VM`];
      return file === undefined ? [`image ${uuid} has no file`] : [];
    });
    return [...lost, ...[...files].map((file) => `${file} has no record`)];
  }

  async #start(): Promise<void> {
    await this.xapi.start();
    this.#session = this.#login();
  }

  #login(): Ref<'session'> {
    return this.xapi.sessions.open('root', 'test', { superuser: true, role: 'pool-admin' });
  }

  #makeXapi(): Xapi {
    const seed = ++this.#opened;
    return new Xapi({
      store: fusedStore(this.#store, this.fuse),
      clock: this.clock,
      random: new SeededRandom(seed),
      secrets: new SeededRandom(seed + 1000),
      passwords: { hash: (password) => Promise.resolve(password), verify: () => Promise.resolve(true) },
      openHost: (address) => this.#openHost(address),
      log: silentLog,
      version: '0.1.0',
    });
  }

  #openHost(text: string): HostDriver {
    const parsed = parseHostAddress(text);
    if (!parsed.ok || parsed.value.kind !== 'model') throw new HostError('bad-config', `not a model: ${text}`);
    const machine =
      this.machines.get(text) ??
      new ModelHost(parsed.value.shape, parsed.value.seed, this.clock, { shared: this.#shared });
    this.machines.set(text, machine);
    const driver = new ModelDriver(machine, this.#programDirectory);
    this.#drivers.push(driver);
    const fused = fusedDriver(driver, machine, this.fuse);
    return this.wrapDriver(this.puttingBack ? { ...fused, remember: (known) => driver.remember(known) } : fused);
  }
}
