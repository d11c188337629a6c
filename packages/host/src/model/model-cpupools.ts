import { assert, domId, ns, present, type DomId, type PcpuId, type VcpuId } from '@xenolith/base';
import {
  addPcpuRefusal,
  createCpupoolRefusal,
  createDomainRefusal,
  defaultDomainParameters,
  defaultPoolParameters,
  destroyCpupoolRefusal,
  domainParametersRefusal,
  guestWorkload,
  moveDomainRefusal,
  numaSplitPlan,
  numaSplitRefusal,
  pinRefusal,
  poolParametersRefusal,
  removePcpuRefusal,
  renameCpupoolRefusal,
  unknownPool,
  type CpupoolRefusal,
  type CpupoolsState,
  type DomainRunSpec,
  type GuestWork,
  type Machine,
  type PacedMachine,
  type SchedulerName,
  type Topology,
} from '@xenolith/hypervisor';
import {
  HostError,
  type CpupoolInfo,
  type CpupoolParameters,
  type DomainSchedParameters,
  type VcpuInfo,
} from '@xenolith/xapi';
import { cpupoolRefused } from '../cpupool-refused.ts';

/** The schedulers of today's Xen; sedf was removed in 4.6. */
const schedulers: readonly SchedulerName[] = ['credit', 'credit2', 'rtds', 'null', 'arinc653'];
const bootScheduler: SchedulerName = 'credit2';

interface Pool {
  name: string;
  readonly scheduler: SchedulerName;
  parameters: CpupoolParameters;
  /** Ascending. */
  pcpus: readonly PcpuId[];
}

interface Vcpu {
  /** How long it has run on machines before the present one. */
  pastNs: number;
  hard: readonly PcpuId[];
  soft: readonly PcpuId[];
}

interface Member {
  pool: Pool;
  parameters: DomainSchedParameters;
  online: number;
  readonly work: GuestWork;
  readonly vcpus: readonly Vcpu[];
}

/** What a domain begins with. */
export interface MemberSpec {
  readonly vcpusOnline: number;
  readonly vcpusMax: number;
  /** The first pool when absent. */
  readonly cpupool?: string;
  readonly parameters: DomainSchedParameters;
  /** All pCPUs when absent. */
  readonly hard?: readonly PcpuId[];
  /** All pCPUs when absent. */
  readonly soft?: readonly PcpuId[];
  readonly work: GuestWork;
  /** How long its first vCPU is busy with booting; 0 for a guest that is up. */
  readonly bootNs: number;
}

/**
 * The cpupools of a modelled host with the parameters and affinities of the domains in them. What is asked is decided
 * by the hypervisor's rules, and then done by its schedulers. Every method that changes something throws HostError
 * xen-refused, and nothing is changed then.
 */
export class ModelCpupools {
  readonly #nodeOf: readonly number[];
  readonly #all: readonly PcpuId[];
  readonly #pools: Pool[];
  readonly #members = new Map<DomId, Member>();
  readonly #machine: PacedMachine;
  readonly #changed: () => void;

  /** Boots: one pool with all pCPUs. */
  constructor(topology: Topology, machine: PacedMachine, changed: () => void) {
    this.#machine = machine;
    this.#nodeOf = topology.pcpus.map(({ node }) => node);
    this.#all = topology.pcpus.map(({ pcpu }) => pcpu);
    this.#pools = [];
    this.#make('Pool-0', bootScheduler, this.#all);
    this.#changed = changed;
  }

  list(): readonly CpupoolInfo[] {
    return this.#pools.map((pool) => ({
      name: pool.name,
      scheduler: pool.scheduler,
      parameters: pool.parameters,
      pcpus: pool.pcpus,
      domainCount: [...this.#members.values()].filter((member) => member.pool === pool).length,
    }));
  }

  create(spec: { readonly name: string; readonly scheduler?: SchedulerName; readonly pcpus: readonly PcpuId[] }): void {
    const scheduler = spec.scheduler ?? this.#first().scheduler;
    const pcpus = ascending(spec.pcpus);
    this.#refuse((state) => createCpupoolRefusal(state, { name: spec.name, scheduler, pcpus }));
    this.#make(spec.name, scheduler, pcpus);
    this.#changed();
  }

  destroy(name: string): void {
    this.#refuse((state) => destroyCpupoolRefusal(state, name));
    const pool = this.#pool(name);
    this.#machine.caughtUp().removeCpupool(name);
    this.#pools.splice(this.#pools.indexOf(pool), 1);
    this.#changed();
  }

  rename(name: string, newName: string): void {
    this.#refuse((state) => renameCpupoolRefusal(state, name, newName));
    this.#rename(this.#pool(name), newName);
    this.#changed();
  }

  add(name: string, pcpu: PcpuId): void {
    this.#refuse((state) => addPcpuRefusal(state, name, pcpu));
    const pool = this.#pool(name);
    pool.pcpus = ascending([...pool.pcpus, pcpu]);
    this.#machine.caughtUp().addPcpu(name, pcpu);
    this.#changed();
  }

  /** An affinity that has no pCPU of the pool left is broken: to everything, and it stays so. */
  remove(name: string, pcpu: PcpuId): void {
    this.#refuse((state) => removePcpuRefusal(state, name, pcpu));
    const pool = this.#pool(name);
    pool.pcpus = pool.pcpus.filter((each) => each !== pcpu);
    this.#machine.caughtUp().removePcpu(name, pcpu);
    for (const member of this.#members.values()) {
      if (member.pool !== pool) continue;
      for (const vcpu of member.vcpus) if (!meets(vcpu.hard, pool.pcpus)) vcpu.hard = this.#all;
    }
    this.#changed();
  }

  move(domid: DomId, name: string): void {
    const member = this.#member(domid);
    this.#refuse((state) => moveDomainRefusal(state, { domid, cpupool: member.pool.name }, name));
    if (member.pool.name === name) return;
    member.pool = this.#pool(name);
    member.parameters = defaultDomainParameters(member.pool.scheduler);
    for (const vcpu of member.vcpus) {
      vcpu.hard = this.#all;
      vcpu.soft = this.#all;
    }
    this.#machine.caughtUp().moveDomain(domid, name);
    this.#changed();
  }

  numaSplit(): void {
    this.#refuse(numaSplitRefusal);
    for (const step of numaSplitPlan(this.#state())) {
      switch (step.kind) {
        case 'add':
          this.add(step.pool, step.pcpu);
          break;
        case 'remove':
          this.remove(step.pool, step.pcpu);
          break;
        case 'rename':
          this.rename(step.pool, step.newName);
          break;
        case 'limit-domain-0':
          this.#limitDomain0(step.vcpus);
          break;
        case 'create':
          this.create({ name: step.pool, scheduler: step.scheduler, pcpus: [] });
          break;
      }
    }
  }

  setPoolParameters(name: string, changes: CpupoolParameters): void {
    const pool = this.#pools.find((each) => each.name === name);
    if (pool === undefined) throw cpupoolRefused(unknownPool(name));
    this.#refuse(() => poolParametersRefusal(pool.scheduler, pool.parameters, changes));
    pool.parameters = { ...pool.parameters, ...given(changes) };
    this.#machine.caughtUp().setPoolParameters(name, pool.parameters);
    this.#changed();
  }

  setDomainParameters(domid: DomId, changes: DomainSchedParameters): void {
    const { pool, parameters, vcpus } = this.#member(domid);
    this.#refuse(() => domainParametersRefusal(pool.scheduler, parameters, changes, vcpus.length));
    this.#member(domid).parameters = { ...parameters, ...given(changes) };
    this.#machine.caughtUp().setDomainParameters(domid, { ...parameters, ...given(changes) });
    this.#changed();
  }

  pin(
    domid: DomId,
    request: { readonly vcpu?: VcpuId; readonly hard?: readonly PcpuId[]; readonly soft?: readonly PcpuId[] },
  ): void {
    const member = this.#member(domid);
    const domain = {
      vcpusMax: member.vcpus.length,
      poolPcpus: member.pool.pcpus,
      pcpuCount: this.#all.length,
    };
    this.#refuse(() => pinRefusal(request, domain));
    const { vcpu, hard, soft } = request;
    for (const [index, each] of member.vcpus.entries()) {
      if (vcpu !== undefined && index !== vcpu) continue;
      if (hard !== undefined) each.hard = this.#existing(hard);
      if (soft !== undefined) each.soft = this.#existing(soft);
      this.#machine.caughtUp().pinVcpu(domid, index, hard && each.hard, soft && each.soft);
    }
    this.#changed();
  }

  /** The first so many vCPUs of a domain are online from now on. @throws HostError bad-config for more than it has */
  setVcpusOnline(domid: DomId, count: number): void {
    const member = this.#member(domid);
    if (!(count >= 1 && count <= member.vcpus.length))
      throw new HostError('bad-config', `the domain has ${member.vcpus.length} vCPUs`);
    member.online = count;
    this.#machine.caughtUp().setOnline(domid, count);
    this.#changed();
  }

  cpupoolOf(domid: DomId): string {
    return this.#member(domid).pool.name;
  }

  parametersOf(domid: DomId): DomainSchedParameters {
    return this.#member(domid).parameters;
  }

  vcpusOnline(domid: DomId): number {
    return this.#member(domid).online;
  }

  vcpusOf(domid: DomId): readonly VcpuInfo[] {
    const { vcpus } = this.#member(domid);
    return this.#machine
      .caughtUp()
      .vcpus(domid)
      .map(({ vcpu, pcpu, state, cpuTimeNs }) => ({
        vcpu,
        ...(state === 'offline' ? {} : { pcpu }),
        state,
        cpuTimeNs: ns(present(vcpus[vcpu], `vCPU ${vcpu}`).pastNs + cpuTimeNs),
        hardAffinity: present(vcpus[vcpu], `vCPU ${vcpu}`).hard,
        softAffinity: present(vcpus[vcpu], `vCPU ${vcpu}`).soft,
      }));
  }

  /** @throws HostError xen-refused when there can be no domain in that pool, or not with these parameters */
  checkJoin({ cpupool, parameters, vcpusMax }: MemberSpec): void {
    if (cpupool !== undefined) this.#refuse((state) => createDomainRefusal(state, cpupool));
    const { scheduler } = cpupool === undefined ? this.#first() : this.#pool(cpupool);
    const defaults = defaultDomainParameters(scheduler);
    this.#refuse(() => domainParametersRefusal(scheduler, defaults, known(parameters, defaults), vcpusMax));
  }

  /** A domain is made, paused. Parameters that its pool's scheduler does not have are left out, as xl does. */
  join(domid: DomId, spec: MemberSpec): void {
    assert(!this.#members.has(domid), `domain ${domid} has a cpupool already`);
    const pool = spec.cpupool === undefined ? this.#first() : this.#pool(spec.cpupool);
    const hard = this.#existing(spec.hard ?? this.#all);
    const soft = this.#existing(spec.soft ?? this.#all);
    const defaults = defaultDomainParameters(pool.scheduler);
    const member: Member = {
      pool,
      parameters: { ...defaults, ...known(spec.parameters, defaults) },
      online: spec.vcpusOnline,
      work: spec.work,
      vcpus: Array.from({ length: spec.vcpusMax }, () => ({
        pastNs: 0,
        hard: meets(hard, pool.pcpus) ? hard : this.#all,
        soft,
      })),
    };
    this.#members.set(domid, member);
    this.#machine.caughtUp().addDomain(runSpec(domid, member, spec.bootNs));
  }

  /** A new machine takes the place of one that is too old, with the same pools and domains; guests are at no boot any more. */
  goOnWith(machine: Machine, old: Machine): void {
    for (const { name, scheduler, parameters, pcpus } of this.#pools) {
      machine.addCpupool({ name, scheduler, pcpus });
      machine.setPoolParameters(name, parameters);
    }
    for (const [domid, member] of this.#members) {
      for (const { vcpu, cpuTimeNs } of old.vcpus(domid)) member.vcpus[vcpu]!.pastNs += cpuTimeNs;
      machine.addDomain(runSpec(domid, member, 0));
      if (!old.isPaused(domid)) machine.unpause(domid);
    }
  }

  leave(domid: DomId): void {
    if (this.#members.delete(domid)) this.#machine.caughtUp().removeDomain(domid);
  }

  /** Puts back the pools that were there before; what cannot be is left out. */
  remember(pools: readonly Omit<CpupoolInfo, 'domainCount'>[]): void {
    const [first, ...others] = pools;
    if (first === undefined) return;
    for (const pool of others) {
      for (const pcpu of pool.pcpus) {
        if (removePcpuRefusal(this.#state(), this.#first().name, pcpu) === undefined) {
          this.remove(this.#first().name, pcpu);
        }
      }
      if (createCpupoolRefusal(this.#state(), pool) === undefined) {
        this.#make(pool.name, pool.scheduler, ascending(pool.pcpus));
        this.setPoolParameters(pool.name, pool.parameters);
      }
    }
    for (const pcpu of this.#first().pcpus) {
      if (first.pcpus.includes(pcpu)) continue;
      if (removePcpuRefusal(this.#state(), this.#first().name, pcpu) === undefined) {
        this.remove(this.#first().name, pcpu);
      }
    }
    if (renameCpupoolRefusal(this.#state(), this.#first().name, first.name) === undefined) {
      this.#rename(this.#first(), first.name);
    }
    if (first.scheduler === this.#first().scheduler) this.setPoolParameters(this.#first().name, first.parameters);
    this.#changed();
  }

  #make(name: string, scheduler: SchedulerName, pcpus: readonly PcpuId[]): Pool {
    const pool: Pool = { name, scheduler, parameters: defaultPoolParameters(scheduler), pcpus };
    this.#pools.push(pool);
    this.#machine.caughtUp().addCpupool({ name, scheduler, pcpus });
    return pool;
  }

  #rename(pool: Pool, newName: string): void {
    this.#machine.caughtUp().renameCpupool(pool.name, newName);
    pool.name = newName;
  }

  #limitDomain0(vcpus: number): void {
    const domain0 = this.#member(domId(0));
    domain0.online = Math.min(domain0.online, vcpus);
    this.#machine.caughtUp().setOnline(domId(0), domain0.online);
    this.#changed();
  }

  #state(): CpupoolsState {
    return { pools: this.list(), nodeOf: this.#nodeOf, schedulers, keepsPcpu0: true };
  }

  #refuse(rule: (state: CpupoolsState) => CpupoolRefusal | undefined): void {
    const refusal = rule(this.#state());
    if (refusal !== undefined) throw cpupoolRefused(refusal);
  }

  #existing(pcpus: readonly PcpuId[]): readonly PcpuId[] {
    return ascending(pcpus.filter((pcpu) => this.#all.includes(pcpu)));
  }

  #first(): Pool {
    return present(this.#pools[0], 'the first cpupool');
  }

  #pool(name: string): Pool {
    return present(
      this.#pools.find((pool) => pool.name === name),
      `cpupool ${name}`,
    );
  }

  #member(domid: DomId): Member {
    return present(this.#members.get(domid), `the cpupool of domain ${domid}`);
  }
}

/** A domain as the machine gets it: paused. */
const runSpec = (domid: DomId, { pool, parameters, online, work, vcpus }: Member, bootNs: number): DomainRunSpec => ({
  domid,
  name: `d${domid}`,
  cpupool: pool.name,
  parameters,
  isPaused: true,
  vcpus: vcpus.map(({ hard, soft }, index) => ({
    workload: guestWorkload(work, index === 0 ? bootNs : 0),
    hardAffinity: hard,
    softAffinity: soft,
    isOffline: index >= online,
  })),
});

const meets = (one: readonly PcpuId[], other: readonly PcpuId[]): boolean => one.some((pcpu) => other.includes(pcpu));

const ascending = (pcpus: readonly PcpuId[]): readonly PcpuId[] => [...new Set(pcpus)].sort((a, b) => a - b);

/** Without the members that are there but undefined. */
const given = (changes: object): object =>
  Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));

/** Only what the scheduler has. */
const known = (parameters: object, defaults: object): object =>
  Object.fromEntries(Object.entries(given(parameters)).filter(([key]) => key in defaults));
