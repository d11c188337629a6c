import {
  assert,
  bytes,
  domId,
  randomUuid,
  SeededRandom,
  Signal,
  type Clock,
  type Disposable,
  type DomId,
} from '@xenolith/base';
import { Hypervisor, type HypervisorEvent, type ShutdownCode } from '@xenolith/hypervisor';
import {
  HostError,
  type DomainConfig,
  type DomainEndAction,
  type HostFacts,
  type ModelShape,
  type RememberedHost,
} from '@xenolith/xapi';
import { guestFiles } from '../bootable-guests.ts';
import { modelBridge, modelFacts } from './model-facts.ts';
import { ModelFiles } from './model-files.ts';

/** Operations that {@link ModelHost.failNext} can make fail. */
export type ModelOperation =
  | 'create'
  | 'pause'
  | 'unpause'
  | 'requestShutdown'
  | 'requestReboot'
  | 'destroy'
  | 'save'
  | 'restore'
  | 'openConsole'
  | 'files';

/**
 * A modelled host: the modelled hypervisor, its toolstack and its files. Its methods are what an administrator does
 * at the machine itself, behind any driver's back; the driver uses the same ones. It can be cut off and reset.
 */
export class ModelHost {
  readonly shape: ModelShape;
  readonly files = new ModelFiles();
  readonly #clock: Clock;
  readonly #random: SeededRandom;
  readonly #identity: Pick<HostFacts, 'systemUuid'> & { readonly mac: string };
  readonly #changes = new Signal<void>();
  readonly #reachability = new Signal<boolean>();
  readonly #configs = new Map<DomId, DomainConfig>();
  readonly #failures = new Map<ModelOperation, HostError>();
  #hypervisor: Hypervisor;
  #events: Disposable;
  #reachable = true;

  constructor(shape: ModelShape, seed: number, clock: Clock) {
    this.shape = shape;
    this.#clock = clock;
    this.#random = new SeededRandom(seed);
    this.#identity = { systemUuid: randomUuid(this.#random), mac: localMac(this.#random) };
    for (const path of Object.values(guestFiles)) {
      this.files.add(path, { kind: 'guest', sizeBytes: bytes(0), usedBytes: bytes(0) });
    }
    this.#hypervisor = new Hypervisor(shape, clock);
    this.#events = this.#hypervisor.onEvent((event) => this.#heard(event));
  }

  get hypervisor(): Hypervisor {
    return this.#hypervisor;
  }

  get reachable(): boolean {
    return this.#reachable;
  }

  facts(): HostFacts {
    return modelFacts(this.shape, this.#hypervisor, this.#identity);
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
    if (this.#reachable === reachable) return;
    this.#reachable = reachable;
    this.#reachability.emit(reachable);
  }

  /** Power goes and comes back: every domain is lost, files stay. Drivers see the host dead, then alive. */
  reset(): void {
    this.setReachable(false);
    this.#events.dispose();
    for (const domain of this.#hypervisor.domains()) {
      if (domain.domid !== domId(0)) this.#hypervisor.destroy(domain.domid);
    }
    this.#configs.clear();
    this.#hypervisor = new Hypervisor(this.shape, this.#clock);
    this.#events = this.#hypervisor.onEvent((event) => this.#heard(event));
    this.setReachable(true);
  }

  /** Makes the next operation of a kind, asked through a driver, fail with `error`. */
  failNext(operation: ModelOperation, error: HostError): void {
    this.#failures.set(operation, error);
  }

  /** Takes the failure that was ordered for an operation. @throws HostError when there is one. */
  takeFailure(operation: ModelOperation): void {
    const error = this.#failures.get(operation);
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
    this.files.put(path, { kind: 'saved', sizeBytes: size, usedBytes: size });
    this.#hypervisor.shutdown(domid, 'suspend');
    this.#hypervisor.destroy(domid);
  }

  /** `xl restore`. @throws HostError command-failed when the file is no saved domain. */
  restore(path: string, config: DomainConfig, options: { readonly paused: boolean }): DomId {
    const file = this.files.existing(path);
    if (file.kind !== 'saved' && file.kind !== 'unknown') {
      throw new HostError('command-failed', `${path} is not a saved domain`);
    }
    this.#checkDevices(config);
    return this.#build(config, { ...options, booted: true });
  }

  /** Puts back what was there before this process began; what does not fit is not there. */
  remember(known: RememberedHost): void {
    for (const { path, sizeBytes } of known.files) {
      if (this.files.get(path) === undefined) {
        this.files.put(path, { kind: 'unknown', sizeBytes, usedBytes: bytes(0) });
      }
    }
    for (const domain of [...known.domains].sort((a, b) => a.domid - b.domid)) {
      if (this.#hypervisor.domain(domain.domid) !== undefined) continue;
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
      },
    );
    if (!made.ok) throw creationError(made.error);
    this.#configs.set(made.value, config);
    if (!options.paused) this.#hypervisor.unpause(made.value);
    return made.value;
  }

  #freeName(config: DomainConfig): string {
    const taken = this.#hypervisor.domains().some(({ spec }) => spec.name === config.nameLabel);
    return taken ? `${config.nameLabel}-${config.uuid}` : config.nameLabel;
  }

  /** What `xl create` finds out by trying: kernel, disks and bridges must be there. */
  #checkBacking(config: DomainConfig): void {
    if (config.type !== 'hvm' && config.kernel === undefined && config.bootloader === undefined) {
      throw new HostError('bad-config', `a ${config.type} domain needs a kernel or a bootloader`);
    }
    for (const path of [config.kernel, config.ramdisk]) {
      if (path !== undefined) this.files.existing(path);
    }
    this.#checkDevices(config);
  }

  #checkDevices(config: DomainConfig): void {
    for (const disk of config.disks) this.files.existing(disk.path);
    for (const vif of config.vifs) {
      if (vif.bridge !== modelBridge) throw new HostError('command-failed', `no bridge ${vif.bridge} on this host`);
    }
  }

  #sizeOf(domid: DomId): ReturnType<typeof bytes> {
    const domain = this.#hypervisor.domain(domid);
    assert(domain !== undefined, `domain ${domid}`);
    return domain.spec.memoryBytes;
  }

  #heard(event: HypervisorEvent): void {
    if (event.kind === 'destroyed') this.#configs.delete(event.domid);
    if (event.kind === 'shutdown') this.#endAction(event.domid);
    this.#changes.emit();
  }

  /** What xl's process for each domain does when the guest has stopped (`on_poweroff` and its like). */
  #endAction(domid: DomId): void {
    const config = this.#configs.get(domid);
    const code = this.#hypervisor.domain(domid)?.shutdown;
    if (config === undefined || code === undefined || code === 'suspend') return;
    const action = actionFor(config, code);
    if (action === 'preserve') return;
    if (action === 'rename-restart') {
      this.#hypervisor.rename(domid, `${config.nameLabel}-${domid}`, randomUuid(this.#random));
    } else {
      this.#hypervisor.destroy(domid);
    }
    if (action === 'destroy') return;
    try {
      this.#build(config, { paused: false });
    } catch (error) {
      // As with xl: a domain that cannot be built again is gone, and the picture shows it.
      if (!(error instanceof HostError)) throw error;
    }
  }
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
