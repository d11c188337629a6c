/** The cpupools of one host: followed, changed by calls, and put back after its reboot. */
import { nullRef, pcpuId, type Ref } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import { HostError, type DomainPicture, type HostDriver, type HostFacts } from '../host-driver.ts';
import { hostRefusal, isOutcomeKnown } from '../host-error.ts';
import type { CpupoolInfo, HostScheduling } from '../host-scheduling.ts';
import type { Xapi } from '../xapi.ts';
import { restoreSteps, wasRebooted, type RestoreStep } from './cpupool-reconcile.ts';
import { cpupoolNamed, followCpupools, knownCpupools } from './cpupool-records.ts';

/** The key of `host.other_config` that says in which boot the pools were as the records have them. */
export const bootIdKey = 'xenolith:boot-id';

/** How often putting pools back is tried, a picture each, before the records follow the host after all. */
const restoreAttempts = 3;

/** What this needs of a driver. */
export type PooledHost = Pick<HostDriver, 'sequence' | 'scheduling'>;

export class HostCpupools {
  readonly #xapi: Xapi;
  readonly #host: Ref<'host'>;
  readonly #driver: PooledHost;
  /** Whether a picture does not touch what we did to this VM ourselves. */
  readonly #isSettled: (vm: Ref<'VM'>, sequence: number) => boolean;
  #facts: HostFacts | undefined;
  /** The next picture is the first after a time of which nothing is known. */
  #isFirst = true;
  #attemptsLeft = 0;
  /** Calls, or the putting back, are at work on the pools. */
  #isBusy = false;
  /** Pictures begun before this count say nothing about the pools. */
  #settledAt = 0;
  #work: Promise<void> = Promise.resolve();

  constructor(
    xapi: Xapi,
    host: Ref<'host'>,
    driver: PooledHost,
    isSettled: (vm: Ref<'VM'>, sequence: number) => boolean,
  ) {
    this.#xapi = xapi;
    this.#host = host;
    this.#driver = driver;
    this.#isSettled = isSettled;
  }

  /** The facts of the host when it last came alive. */
  get facts(): HostFacts | undefined {
    return this.#facts;
  }

  /** The host answers, for the first time or again. */
  alive(facts: HostFacts): void {
    this.#facts = facts;
    this.#isFirst = true;
  }

  /** Resolves when the pools are no longer being put back. */
  settled(): Promise<void> {
    return this.#work;
  }

  /** Takes in a picture. What is decided from it is decided before the records of its domains follow it. */
  see(picture: DomainPicture): void {
    const { cpupools } = picture;
    if (cpupools === undefined) return;
    if (this.#isFirst && this.#xapi.db.has('host', this.#host)) {
      this.#isFirst = false;
      if (this.#wasRebooted(picture)) this.#attemptsLeft = restoreAttempts;
    }
    this.#work = this.#work
      .then(() => this.#take(picture, cpupools))
      .catch((error: unknown) => {
        this.#xapi.log.error('the cpupools of a host could not be taken in', {
          error: error instanceof Error ? (error.stack ?? '') : String(error),
        });
      });
  }

  /**
   * Works on the host's pools; the records say what came of it before this is over, also of a failure.
   * @param object what it is done to, for a refusal to name
   * @param action gives the pools as they are when it is done
   * @throws XapiError OTHER_OPERATION_IN_PROGRESS while something else does
   */
  async work(object: string, action: (scheduling: HostScheduling) => Promise<readonly CpupoolInfo[]>): Promise<void> {
    if (this.#isBusy) throw new XapiError('OTHER_OPERATION_IN_PROGRESS', 'host', this.#host, 'cpupool', nullRef());
    this.#isBusy = true;
    try {
      this.#follow(await action(this.#driver.scheduling));
    } catch (error) {
      if (isOutcomeKnown(error)) await this.#readBack().catch((problem: unknown) => this.#warn(problem));
      throw error instanceof HostError ? hostRefusal(error, this.#host, object) : error;
    } finally {
      this.#release();
    }
  }

  #release(): void {
    this.#isBusy = false;
    // The driver looks by itself after each change. What is not put back yet is tried with that picture.
    this.#settledAt = this.#driver.sequence();
  }

  async #readBack(): Promise<void> {
    this.#follow(await this.#driver.scheduling.cpupools());
  }

  #follow(pools: readonly CpupoolInfo[]): void {
    if (this.#xapi.db.has('host', this.#host)) followCpupools(this.#xapi, this.#host, pools);
  }

  #warn(problem: unknown): void {
    this.#xapi.log.warn('the cpupools of a host could not be read', { error: String(problem) });
  }

  #wasRebooted({ domains, cpupools }: DomainPicture): boolean {
    const { db } = this.#xapi;
    const { resident_VMs, host_CPUs, other_config } = db.get('host', this.#host);
    const guests = resident_VMs.map((vm) => db.get('VM', vm)).filter((vm) => !vm.is_control_domain);
    return wasRebooted({
      bootId: { before: other_config[bootIdKey], now: this.#facts?.bootId },
      expected: guests.map(({ uuid }) => uuid),
      present: domains.map(({ uuid }) => uuid),
      pools: cpupools ?? [],
      pcpuCount: this.#facts?.pcpus.length ?? host_CPUs.length,
    });
  }

  async #take(picture: DomainPicture, pools: NonNullable<DomainPicture['cpupools']>): Promise<void> {
    if (!this.#xapi.db.has('host', this.#host)) return;
    if (this.#isBusy || picture.sequence < this.#settledAt) return;
    if (this.#attemptsLeft > 0) {
      await this.#restore(picture, pools);
    } else {
      followCpupools(this.#xapi, this.#host, pools);
      this.#followDomains(picture);
      this.#rememberBoot();
    }
    await this.#xapi.db.durable();
  }

  #rememberBoot(): void {
    const { db } = this.#xapi;
    const { other_config } = db.get('host', this.#host);
    const bootId = this.#facts?.bootId;
    if (bootId === undefined || other_config[bootIdKey] === bootId) return;
    db.update('host', this.#host, { other_config: { ...other_config, [bootIdKey]: bootId } });
  }

  /** A domain that was moved by hand has moved its VM. */
  #followDomains({ domains, sequence }: DomainPicture): void {
    const { db } = this.#xapi;
    for (const { domid, uuid, cpupool, dying } of domains) {
      if (cpupool === undefined || dying) continue;
      const vm = domid === 0 ? db.get('host', this.#host).control_domain : db.byUuid('VM', uuid);
      const pool = cpupoolNamed(this.#xapi, this.#host, cpupool);
      if (vm === undefined || pool === undefined || !db.has('VM', vm)) continue;
      if (db.get('VM', vm).resident_on !== this.#host || !this.#isSettled(vm, sequence)) continue;
      db.update('VM', vm, { cpupool: pool });
    }
  }

  /** Puts back what a reboot took. What Xen refuses keeps the rest from nothing. */
  async #restore(picture: DomainPicture, pools: readonly CpupoolInfo[]): Promise<void> {
    const xapi = this.#xapi;
    this.#isBusy = true;
    const refusals: string[] = [];
    try {
      const online = this.#facts?.pcpus.map(({ pcpu }) => pcpu) ?? this.#recordedPcpus();
      for (const step of restoreSteps(knownCpupools(xapi, this.#host), pools, online)) {
        try {
          await carryOut(this.#driver.scheduling, step);
        } catch (error) {
          if (!(error instanceof HostError)) throw error;
          refusals.push(error.message);
          if (!isOutcomeKnown(error)) break;
        }
        if (!xapi.db.has('host', this.#host)) return;
      }
      this.#attemptsLeft = refusals.length === 0 ? 0 : this.#attemptsLeft - 1;
      if (this.#attemptsLeft > 0) return;
      if (refusals.length > 0) this.#tellNotRestored(refusals);
      await this.#readBack();
      this.#followDomains(picture);
      this.#rememberBoot();
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      this.#warn(error);
    } finally {
      this.#release();
    }
  }

  #recordedPcpus(): readonly ReturnType<typeof pcpuId>[] {
    const { db } = this.#xapi;
    return db.get('host', this.#host).host_CPUs.map((cpu) => pcpuId(db.get('host_cpu', cpu).number));
  }

  #tellNotRestored(refusals: readonly string[]): void {
    const { db, messages } = this.#xapi;
    const { uuid, name_label } = db.get('host', this.#host);
    const body = `${name_label} was rebooted, and its cpupools could not all be made again: ${refusals.join('; ')}`;
    messages.add({ name: 'CPUPOOLS_NOT_RESTORED', priority: 3, cls: 'Host', obj_uuid: uuid, body });
  }
}

function carryOut(scheduling: HostScheduling, step: RestoreStep): Promise<readonly CpupoolInfo[]> {
  switch (step.kind) {
    case 'rename':
      return scheduling.renameCpupool(step.name, step.newName);
    case 'remove':
      return scheduling.removePcpu(step.name, step.pcpu);
    case 'add':
      return scheduling.addPcpu(step.name, step.pcpu);
    case 'parameters':
      return scheduling.setCpupoolParameters(step.name, step.parameters);
    default:
      return scheduling.createCpupool({ name: step.name, scheduler: step.scheduler, pcpus: step.pcpus });
  }
}
