import {
  assert,
  bytes,
  domId,
  ns,
  present,
  randomUuid,
  SeededRandom,
  scaledClock,
  Signal,
  type Clock,
  type Disposable,
  type DomId,
  type Ns,
  type Uuid,
} from '@xenolith/base';
import {
  guestTimesMs,
  guestWorks,
  Hypervisor,
  Machine,
  memoryOf,
  PacedMachine,
  type HypervisorEvent,
  type ShutdownCode,
} from '@xenolith/hypervisor';
import {
  HostError,
  type DomainConfig,
  type DomainEndAction,
  type DomainPlacement,
  type HostFacts,
  type ModelShape,
  type RememberedHost,
} from '@xenolith/xapi';
import { guestFiles } from '../bootable-guests.ts';
import { ModelBalloons } from './model-balloons.ts';
import { ModelCpupools, type MemberSpec } from './model-cpupools.ts';
import { modelFacts, modelInterfaces } from './model-facts.ts';
import { isSaved, savedContents } from './model-contents.ts';
import { ModelFiles, type SharedFiles } from './model-files.ts';
import { ModelBridges } from './model-networks.ts';
import { automaticPlacement } from './model-placement.ts';

/** A hundred days; 2^53 ns are four more. */
const ageMaxNs = ns(8_640_000_000_000_000);

export interface ModelHostOptions {
  /** How fast the time of domains and of what schedules them goes, in model seconds per second of the clock; 1 when absent. */
  readonly speed?: number;
  /** When what schedules begins anew, in its own time; a hundred days when absent. */
  readonly ageMaxNs?: Ns;
  /** Is asked at each operation through a driver whether it fails, and how. */
  readonly failing?: (operation: ModelOperation) => HostError | undefined;
  /** What it has under `/shared`, as others that are given the same have; its own when absent. */
  readonly shared?: SharedFiles;
}

/** Operations that {@link ModelHost.failNext} can make fail. */
export type ModelOperation = (typeof modelOperations)[number];

export const modelOperations = [
  'create',
  'pause',
  'unpause',
  'requestShutdown',
  'requestReboot',
  'destroy',
  'save',
  'restore',
  'openConsole',
  'scheduling',
  'memory',
  'devices',
  'networks',
  'files',
] as const;

/**
 * A modelled host: the modelled hypervisor, its toolstack and its files. Its methods are what an administrator does
 * at the machine itself, behind any driver's back; the driver uses the same ones. It can be cut off and reset.
 */
export class ModelHost {
  readonly shape: ModelShape;
  readonly files: ModelFiles;
  readonly clock: Clock;
  /** How long each operation on files takes by the clock, asked through a driver. */
  filesDelayMs = 0;
  readonly bridges: ModelBridges;
  readonly #seed: number;
  readonly #random: SeededRandom;
  readonly #speed: number;
  readonly #ageMaxNs: Ns;
  readonly #identity: Pick<HostFacts, 'systemUuid'> & { readonly mac: string };
  readonly #changes = new Signal<void>();
  readonly #reachability = new Signal<boolean>();
  readonly #configs = new Map<DomId, DomainConfig>();
  readonly #failures = new Map<ModelOperation, HostError>();
  readonly #failing: ModelHostOptions['failing'];
  #hypervisor: Hypervisor;
  readonly #machine: PacedMachine;
  #cpupools: ModelCpupools;
  #balloons: ModelBalloons;
  /** The wall clock at the host's speed. */
  readonly #guestClock: Clock;
  /** What the domain that is being made says of scheduling. */
  #joining: MemberSpec | undefined;
  #events: Disposable;
  #reachable = true;
  #isOff = false;
  /** Another one after each {@link reset}. */
  #bootId: Uuid;

  constructor(shape: ModelShape, seed: number, clock: Clock, options: ModelHostOptions = {}) {
    this.shape = shape;
    this.clock = clock;
    this.files = new ModelFiles(options.shared);
    this.#seed = seed;
    this.#speed = options.speed ?? 1;
    this.#ageMaxNs = options.ageMaxNs ?? ageMaxNs;
    this.#failing = options.failing;
    this.#random = new SeededRandom(seed);
    this.#identity = { systemUuid: randomUuid(this.#random), mac: localMac(this.#random) };
    this.#bootId = randomUuid(this.#random);
    this.bridges = new ModelBridges(modelInterfaces(this.#identity.mac, shape.networkCards), (bridge) =>
      [...this.#configs.values()].some(({ vifs }) => vifs.some((vif) => vif.bridge === bridge)),
    );
    for (const path of Object.values(guestFiles)) {
      this.files.add(path, { kind: 'guest', sizeBytes: bytes(0), usedBytes: bytes(0) });
    }
    this.#guestClock = scaledClock(clock, this.#speed);
    this.#hypervisor = this.#boot();
    this.#balloons = new ModelBalloons(this.#hypervisor, this.#guestClock);
    this.#machine = new PacedMachine(this.#switchOn(), { clock, speed: this.#speed });
    this.#cpupools = this.#bootCpupools();
    this.#events = this.#hypervisor.onEvent((event) => this.#heard(event));
  }

  /** Lets the host's time pass also when nobody looks, until disposed. */
  run(): Disposable {
    return this.#machine.keepUp();
  }

  /**
   * The host's own time: 0 when it was switched on. Before it passes 2^53, where it would not be exact any more, what
   * schedules begins anew, with the same pools and domains; not in the midst of anything, so whoever looks asks for it first.
   */
  timeNs(): Ns {
    const machine = this.#machine.caughtUp();
    if (machine.core.now < this.#ageMaxNs) return ns(machine.core.now);
    const next = this.#switchOn();
    this.#cpupools.goOnWith(next, machine);
    this.#machine.replace(next);
    return ns(0);
  }

  /** How long each pCPU has been busy in the host's own time. */
  pcpuBusyNs(): readonly Ns[] {
    return this.#machine.caughtUp().pcpuBusyNs();
  }

  get hypervisor(): Hypervisor {
    return this.#hypervisor;
  }

  get cpupools(): ModelCpupools {
    return this.#cpupools;
  }

  get balloons(): ModelBalloons {
    return this.#balloons;
  }

  get reachable(): boolean {
    return this.#reachable;
  }

  facts(): HostFacts {
    return modelFacts(this.shape, this.#hypervisor, this.#cpupools, {
      ...this.#identity,
      bootId: this.#bootId,
      interfaces: this.bridges.interfaces(),
    });
  }

  /** Something about the domains changed. */
  onChange(listener: () => void): Disposable {
    return this.#changes.listen(listener);
  }

  onReachable(listener: (reachable: boolean) => void): Disposable {
    return this.#reachability.listen(listener);
  }

  /** Cuts the host's network, or mends it. Its domains run on meanwhile. */
  setReachable(reachable: boolean): void {
    // A machine without power has no network to mend.
    if (this.#reachable === reachable || (reachable && this.#isOff)) return;
    this.#reachable = reachable;
    this.#reachability.emit(reachable);
  }

  /** Power goes and comes back: every domain is lost, files stay. Drivers see the host dead, then alive. */
  reset(): void {
    this.powerOff();
    this.powerOn();
  }

  /** Power goes; drivers see the host dead. */
  powerOff(): void {
    this.#isOff = true;
    this.setReachable(false);
  }

  /** Power comes to a machine that is off: it boots anew, with its files and without domains. Otherwise nothing happens. */
  powerOn(): void {
    if (!this.#isOff) return;
    this.#isOff = false;
    this.#events.dispose();
    for (const domain of this.#hypervisor.domains()) {
      if (domain.domid !== domId(0)) this.#hypervisor.destroy(domain.domid);
    }
    this.#configs.clear();
    this.bridges.forget();
    this.#balloons.end();
    this.#bootId = randomUuid(this.#random);
    this.#hypervisor = this.#boot();
    this.#balloons = new ModelBalloons(this.#hypervisor, this.#guestClock);
    this.#machine.replace(this.#switchOn());
    this.#cpupools = this.#bootCpupools();
    this.#events = this.#hypervisor.onEvent((event) => this.#heard(event));
    this.setReachable(true);
  }

  /** Makes the next operation of a kind, asked through a driver, fail with `error`. */
  failNext(operation: ModelOperation, error: HostError): void {
    this.#failures.set(operation, error);
  }

  /** Takes the failure that was ordered for an operation. @throws HostError when there is one. */
  takeFailure(operation: ModelOperation): void {
    const error = this.#failures.get(operation) ?? this.#failing?.(operation);
    this.#failures.delete(operation);
    if (error !== undefined) throw error;
  }

  /** What a domain was created from; undefined for Domain-0. */
  configOf(domid: DomId): DomainConfig | undefined {
    return this.#configs.get(domid);
  }

  /** `xl create`. @throws HostError not-enough-memory, exists, command-failed. */
  create(config: DomainConfig, options: { readonly paused: boolean; readonly booted?: boolean }): DomId {
    this.#checkBacking(config);
    return this.#build(config, options);
  }

  /** Gives a domain other devices. @throws HostError command-failed for what is not on the host */
  setDevices(domid: DomId, devices: Partial<Pick<DomainConfig, 'disks' | 'vifs'>>): void {
    const config = this.#configs.get(domid);
    if (config === undefined) throw new HostError('command-failed', `domain ${domid} has no devices of its own`);
    this.#checkDevices({ disks: [], vifs: [], ...devices });
    this.#configs.set(domid, { ...config, ...devices });
  }

  /** `xl destroy`. */
  destroy(domid: DomId): void {
    this.#hypervisor.destroy(domid);
  }

  /** The guest's kernel panics. */
  crash(domid: DomId): void {
    this.#hypervisor.shutdown(domid, 'crash');
  }

  /** `xl save`: the domain is in the file afterwards, and gone. @throws HostError no-space. */
  save(domid: DomId, path: string): void {
    const size = this.#sizeOf(domid);
    this.files.put(path, { kind: 'saved', sizeBytes: size, usedBytes: size, contents: savedContents });
    this.#hypervisor.shutdown(domid, 'suspend');
    this.#hypervisor.destroy(domid);
  }

  /** `xl restore`, and the file is gone before the domain runs. @throws HostError command-failed when it is no saved domain. */
  restore(path: string, config: DomainConfig, options: { readonly paused: boolean }): DomId {
    const file = this.files.existing(path);
    // One that was written here from elsewhere is known by what is in it.
    if (file.kind !== 'saved' && file.kind !== 'unknown' && !isSaved(file.contents)) {
      throw new HostError('command-failed', `${path} is not a saved domain`);
    }
    this.#checkDevices(config);
    const domid = this.#build(config, { paused: true, booted: true });
    this.files.remove(path);
    if (!options.paused) this.#hypervisor.unpause(domid);
    return domid;
  }

  /** Puts back what was there before this process began; what does not fit is not there. */
  remember(known: RememberedHost): void {
    for (const { path, sizeBytes } of known.files) {
      // Repositories that no model has, of a captured pool, may be anywhere.
      if (path.startsWith('/') && this.files.get(path) === undefined) {
        this.files.put(path, { kind: 'unknown', sizeBytes, usedBytes: bytes(0) });
      }
    }
    if (known.cpupools !== undefined) this.#cpupools.remember(known.cpupools);
    const pools = this.#cpupools.list();
    for (const { cpupool, nodes, strict, ...rest } of [...known.domains].sort((a, b) => a.domid - b.domid)) {
      if (this.#hypervisor.domain(rest.domid) !== undefined) continue;
      const on = (nodes ?? []).filter((node) => node < this.shape.nodes);
      const there = this.#hypervisor.topology.pcpus.filter(({ node }) => on.includes(node)).map(({ pcpu }) => pcpu);
      // Its pool may be gone, with nobody to say so: then it is in the first one.
      const pool = pools.find(({ name }) => name === cpupool);
      const allowed = (pool ?? pools[0])?.pcpus.filter((pcpu) => rest.cpus?.includes(pcpu) ?? true);
      const own = there.filter((pcpu) => allowed?.includes(pcpu));
      // A mask that was set to other nodes holds while it runs.
      const placement = own.length > 0 ? { nodes: on, pcpus: own, strict } : { nodes: on, pcpus: there, strict: false };
      const domain = {
        ...rest,
        ...(pool === undefined ? {} : { cpupool: pool.name }),
        ...(on.length === 0 ? {} : { placement }),
      };
      try {
        this.#build(domain, { paused: domain.paused, booted: true, domid: domain.domid });
      } catch (error) {
        if (!(error instanceof HostError)) throw error;
      }
    }
  }

  #build(
    config: DomainConfig,
    options: { readonly paused: boolean; readonly booted?: boolean; readonly domid?: DomId },
  ): DomId {
    const placement = config.placement ?? automaticPlacement(this.#hypervisor, this.#cpupools, config);
    const member = memberSpec(config, placement, options.booted ?? false);
    this.#cpupools.checkJoin(member);
    this.#joining = member;
    const made = this.#hypervisor.create(
      {
        uuid: config.uuid,
        name: this.#freeName(config),
        type: config.type,
        vcpus: config.vcpusAtStartup,
        memoryBytes: config.memoryTargetBytes,
        ...(config.kernel === undefined ? {} : { kernel: config.kernel }),
        ...(config.cmdline === undefined ? {} : { cmdline: config.cmdline }),
      },
      {
        booted: options.booted ?? false,
        ...(options.domid === undefined ? {} : { domid: options.domid }),
        ...(placement === undefined ? {} : { nodes: placement.nodes }),
      },
    );
    this.#joining = undefined;
    if (!made.ok) throw creationError(made.error);
    this.#configs.set(made.value, config);
    this.#balloons.join(made.value, config);
    if (!options.paused) this.#hypervisor.unpause(made.value);
    return made.value;
  }

  #freeName(config: DomainConfig): string {
    const taken = this.#hypervisor.domains().some(({ spec }) => spec.name === config.nameLabel);
    return taken ? `${config.nameLabel}-${config.uuid}` : config.nameLabel;
  }

  /** What `xl create` finds out by trying: kernel, disks and bridges must be there. */
  #checkBacking(config: DomainConfig): void {
    const { kernel, bootloader, fetched } = config;
    if (config.type !== 'hvm' && (kernel ?? bootloader ?? fetched) === undefined) {
      throw new HostError('bad-config', `a ${config.type} domain needs a kernel or a bootloader`);
    }
    for (const path of [config.kernel, config.ramdisk]) {
      if (path !== undefined) this.files.existing(path);
    }
    this.#checkDevices(config);
  }

  #checkDevices(config: Pick<DomainConfig, 'disks' | 'vifs'>): void {
    for (const disk of config.disks) this.files.existing(disk.path);
    for (const vif of config.vifs) {
      if (!this.bridges.has(vif.bridge)) throw new HostError('command-failed', `no bridge ${vif.bridge} on this host`);
    }
  }

  /** What domains do takes its time by the model's clock. */
  #boot(): Hypervisor {
    return new Hypervisor(this.shape, this.#guestClock);
  }

  /** What schedules begins anew. */
  #switchOn(): Machine {
    return new Machine({ topology: this.#hypervisor.topology, seed: this.#seed });
  }

  /** One pool, with Domain-0 in it. */
  #bootCpupools(): ModelCpupools {
    const { topology } = this.#hypervisor;
    const cpupools = new ModelCpupools(topology, this.#machine, () => this.#changes.emit());
    for (const { domid, spec } of this.#hypervisor.domains()) {
      const vcpus = { vcpusOnline: spec.vcpus, vcpusMax: spec.vcpus };
      cpupools.join(domid, { ...vcpus, parameters: {}, work: 'idle', bootNs: 0 });
      this.#machine.caughtUp().unpause(domid);
    }
    return cpupools;
  }

  #sizeOf(domid: DomId): ReturnType<typeof bytes> {
    const domain = this.#hypervisor.domain(domid);
    assert(domain !== undefined, `domain ${domid}`);
    return memoryOf(domain);
  }

  #heard(event: HypervisorEvent): void {
    if (event.kind === 'created') {
      const { vcpus } = present(this.#hypervisor.domain(event.domid), `domain ${event.domid}`).spec;
      this.#cpupools.join(
        event.domid,
        this.#joining ?? { vcpusOnline: vcpus, vcpusMax: vcpus, parameters: {}, work: 'idle', bootNs: 0 },
      );
    }
    if (event.kind === 'destroyed') {
      this.#configs.delete(event.domid);
      this.#balloons.leave(event.domid);
      this.#cpupools.leave(event.domid);
    }
    if (event.kind === 'paused' || event.kind === 'shutdown') this.#machine.caughtUp().pause(event.domid);
    if (event.kind === 'unpaused' && this.#hypervisor.domain(event.domid)?.shutdown === undefined) {
      this.#machine.caughtUp().unpause(event.domid);
      this.#balloons.goOn();
    }
    if (event.kind === 'shutdown') this.#endAction(event.domid);
    this.#changes.emit();
  }

  /** What xl's process for each domain does when the guest has stopped (`on_poweroff` and its like). */
  #endAction(domid: DomId): void {
    const config = this.#configs.get(domid);
    const code = this.#hypervisor.domain(domid)?.shutdown;
    if (config === undefined || code === undefined || code === 'suspend') return;
    const action = actionFor(config, code);
    const { weight, cap } = this.#cpupools.parametersOf(domid);
    // As xl does, which makes it again from what the hypervisor says of the old one.
    const again = {
      ...config,
      cpupool: this.#cpupools.cpupoolOf(domid),
      memoryTargetBytes: this.#balloons.targetOf(domid) ?? config.memoryTargetBytes,
      vcpusAtStartup: this.#cpupools.vcpusOnline(domid),
      ...(weight === undefined ? {} : { weight }),
      ...(cap === undefined ? {} : { cap }),
    };
    if (action === 'preserve') return;
    if (action === 'rename-restart') {
      this.#hypervisor.rename(domid, `${config.nameLabel}-${domid}`, randomUuid(this.#random));
    } else {
      this.#hypervisor.destroy(domid);
    }
    if (action === 'destroy') return;
    try {
      this.#build(again, { paused: false });
    } catch (error) {
      // As with xl: a domain that cannot be built again is gone, and the picture shows it.
      if (!(error instanceof HostError)) throw error;
    }
  }
}

/** What a configuration says of scheduling. */
function memberSpec(
  { cpupool, vcpusAtStartup, vcpusMax, weight, cap, cpus, work }: DomainConfig,
  placement: DomainPlacement | undefined,
  booted: boolean,
): MemberSpec {
  const hard = placement?.strict === true ? placement.pcpus : cpus;
  return {
    vcpusOnline: vcpusAtStartup,
    vcpusMax: Math.max(vcpusMax, vcpusAtStartup),
    work: guestWorks.find((name) => name === work) ?? 'idle',
    bootNs: booted ? 0 : guestTimesMs.boot * 1e6,
    parameters: { ...(weight === undefined ? {} : { weight }), ...(cap === undefined ? {} : { cap }) },
    ...(cpupool === undefined ? {} : { cpupool }),
    ...(hard === undefined ? {} : { hard }),
    ...(placement === undefined ? {} : { soft: placement.pcpus }),
  };
}

function actionFor(config: DomainConfig, code: ShutdownCode): DomainEndAction {
  if (code === 'poweroff') return config.onPoweroff;
  if (code === 'crash' || code === 'watchdog') return config.onCrash;
  return config.onReboot;
}

function creationError(refusal: 'not-enough-memory' | 'no-free-domid' | 'uuid-in-use'): HostError {
  if (refusal === 'not-enough-memory') return new HostError('not-enough-memory', 'the host has not enough free memory');
  if (refusal === 'uuid-in-use') return new HostError('exists', 'a domain with this uuid exists on the host');
  return new HostError('command-failed', 'the host has no free domid');
}

/** A locally administered MAC address. */
function localMac(random: SeededRandom): string {
  const tail = [random.nextUint32(), random.nextUint32()]
    .map((word) => word.toString(16).padStart(8, '0'))
    .join('')
    .slice(0, 10);
  return ['02', ...(tail.match(/../g) ?? [])].join(':');
}
