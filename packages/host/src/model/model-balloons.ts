import {
  bytes,
  domId,
  fromKib,
  present,
  toKib,
  type Bytes,
  type Clock,
  type Disposable,
  type DomId,
} from '@xenolith/base';
import {
  cooperative,
  followTarget,
  memoryOf,
  roundUpToPages,
  slow,
  type BalloonBehaviour,
  type Domain,
  type Hypervisor,
} from '@xenolith/hypervisor';
import { HostError, leastTargetBytes, type DomainConfig, type DomainMemory, type MemoryStates } from '@xenolith/xapi';

/** How guests can be made to follow (`VM.other_config:xenolith:balloon`). */
const behaviours: Readonly<Record<string, BalloonBehaviour>> = {
  cooperative,
  slow,
  stuck: { kind: 'stuck' },
  'no-driver': { kind: 'no-driver' },
};

/** How often balloons that are on their way are looked at. */
const stepMs = 100;

interface Balloon {
  readonly behaviour: BalloonBehaviour;
  readonly maximumBytes: Bytes;
  targetBytes: Bytes;
}

/**
 * The balloons of a modelled host: each guest that is up and runs follows its target, in its own way and as far as there
 * is free memory. Nothing tells of it but the amounts themselves, as on a real host.
 */
export class ModelBalloons {
  readonly #hypervisor: Hypervisor;
  readonly #clock: Clock;
  readonly #balloons = new Map<DomId, Balloon>();
  #step: Disposable | undefined;

  constructor(hypervisor: Hypervisor, clock: Clock) {
    this.#hypervisor = hypervisor;
    this.#clock = clock;
  }

  /** A domain was made. */
  join(domid: DomId, config: DomainConfig): void {
    this.#balloons.set(domid, {
      behaviour: behaviours[config.balloon ?? ''] ?? cooperative,
      maximumBytes: bytes(Math.max(config.memoryMaxBytes, config.memoryTargetBytes)),
      targetBytes: roundUpToPages(config.memoryTargetBytes),
    });
  }

  leave(domid: DomId): void {
    this.#balloons.delete(domid);
  }

  /** The host is switched off. */
  end(): void {
    this.#step?.dispose();
    this.#step = undefined;
    this.#balloons.clear();
  }

  /** What a domain was told last; undefined for one that is not a guest. */
  targetOf(domid: DomId): Bytes | undefined {
    return this.#balloons.get(domid)?.targetBytes;
  }

  /** `xl mem-set`. @throws HostError bad-config, command-failed for Domain-0 */
  setTarget(domid: DomId, targetBytes: Bytes): void {
    if (domid === domId(0)) throw new HostError('command-failed', 'Domain-0 is the control domain');
    const balloon = present(this.#balloons.get(domid), `balloon of domain ${domid}`);
    if (targetBytes < leastTargetBytes)
      throw new HostError('bad-config', `a target of ${targetBytes} bytes is less than a guest can live with`);
    if (targetBytes > balloon.maximumBytes)
      throw new HostError('bad-config', `domain ${domid} can have ${balloon.maximumBytes} bytes at most`);
    balloon.targetBytes = roundUpToPages(targetBytes);
    this.goOn();
  }

  /** Steps for as long as a guest is on its way; to be called when one may go on. */
  goOn(): void {
    if (this.#step !== undefined || ![...this.#balloons.keys()].some((domid) => this.#isUnderWay(domid))) return;
    this.#step = this.#clock.after(stepMs, () => {
      this.#step = undefined;
      for (const domid of this.#balloons.keys()) this.#move(domid);
      this.goOn();
    });
  }

  states(): MemoryStates {
    return {
      freeBytes: this.#hypervisor.memoryFreeBytes,
      domains: this.#hypervisor.domains().map((domain) => this.#stateOf(domain)),
    };
  }

  #stateOf(domain: Domain): DomainMemory {
    const { domid, spec } = domain;
    const balloon = this.#balloons.get(domid);
    const actualBytes = memoryOf(domain);
    return {
      domid,
      uuid: spec.uuid,
      actualBytes,
      targetBytes: balloon?.targetBytes ?? actualBytes,
      maximumBytes: balloon?.maximumBytes ?? actualBytes,
      hasBalloonDriver: this.#hypervisor.isUp(domid) && balloon?.behaviour.kind !== 'no-driver',
      hasAgent: false,
    };
  }

  /** Whether looking again may show another amount: a paused guest says itself when it goes on. */
  #isUnderWay(domid: DomId): boolean {
    const { behaviour, targetBytes } = present(this.#balloons.get(domid), `balloon of domain ${domid}`);
    const domain = this.#hypervisor.domain(domid);
    if (domain === undefined || domain.paused || domain.shutdown !== undefined) return false;
    if (behaviour.kind === 'no-driver' || behaviour.kind === 'stuck') return false;
    return memoryOf(domain) !== targetBytes;
  }

  #move(domid: DomId): void {
    if (!this.#isUnderWay(domid) || !this.#hypervisor.isUp(domid)) return;
    const { behaviour, targetBytes } = present(this.#balloons.get(domid), `balloon of domain ${domid}`);
    const actualKib = toKib(memoryOf(present(this.#hypervisor.domain(domid), `domain ${domid}`)));
    const mayHaveKib = actualKib + toKib(this.#hypervisor.memoryFreeBytes);
    const nextKib = followTarget(behaviour, actualKib, toKib(targetBytes), mayHaveKib, stepMs);
    this.#hypervisor.resize(domid, fromKib(nextKib));
  }
}
