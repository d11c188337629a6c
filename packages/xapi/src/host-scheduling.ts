/**
 * What the control plane asks of a host about its schedulers and cpupools, in Xen's own terms: the part of
 * {@link HostDriver} that `xl cpupool-*`, `xl sched-*` and `xl vcpu-*` are. Sources: xen/common/sched/cpupool.c,
 * tools/xl/xl_cpupool.c, xl_sched.c, xl_vcpu.c.
 */
import type { Ns, PcpuId, VcpuId } from '@xenolith/base';
import type { SchedulerName } from '@xenolith/hypervisor';
import type { DomainIdentity } from './host-driver.ts';

/** Parameters of a cpupool's scheduler; which of them there are depends on it (credit: all; credit2: the rate limit). */
export interface CpupoolParameters {
  /** 1 … 1000. */
  readonly tsliceMs?: number;
  /** 0 (off) or 100 … 500000. */
  readonly ratelimitUs?: number;
  /** 0 … 100000. */
  readonly migrationDelayUs?: number;
}

/** A cpupool as the host has it now. */
export interface CpupoolInfo {
  /** Unique on a host; it is how `xl` names a pool. */
  readonly name: string;
  readonly scheduler: SchedulerName;
  readonly parameters: CpupoolParameters;
  /** Ascending; there may be none. */
  readonly pcpus: readonly PcpuId[];
  /** Domains in it, Domain-0 included. */
  readonly domainCount: number;
}

/** What a domain is given by its pool's scheduler. Absent members stay as they are. */
export interface DomainSchedParameters {
  /** credit, credit2: 1 … 65535. */
  readonly weight?: number;
  /** credit, credit2: per cent of one pCPU, 0 for none. */
  readonly cap?: number;
  /** rtds, for all vCPUs: at least 10 µs. */
  readonly periodUs?: number;
  /** rtds: 10 µs … the period. */
  readonly budgetUs?: number;
  readonly extratime?: boolean;
}

/** A vCPU as the host has it now (`xl vcpu-list`). */
export interface VcpuInfo {
  readonly vcpu: VcpuId;
  /** The pCPU that it is on or was last on; absent when it is offline. */
  readonly pcpu?: PcpuId;
  readonly state: 'running' | 'runnable' | 'blocked' | 'offline';
  readonly cpuTimeNs: Ns;
  /** pCPUs that it may run on, ascending. */
  readonly hardAffinity: readonly PcpuId[];
  /** pCPUs that it would like to run on; absent where the host has no such thing. */
  readonly softAffinity?: readonly PcpuId[];
}

/**
 * Cpupools and scheduler parameters of a host. A refusal is a {@link HostError} `xen-refused` whose `details.errno` is
 * Xen's (cpupools.md §3), with the words that `xl` says; nothing is changed then. Each operation is checked before and
 * read back after, since exit codes of `xl` do not tell: those on pools give the host's pools as they are then.
 */
export interface HostScheduling {
  cpupools(): Promise<readonly CpupoolInfo[]>;
  /** A new pool; the scheduler of the first pool when none is named. Its pCPUs must be free. */
  createCpupool(spec: {
    readonly name: string;
    readonly scheduler?: SchedulerName;
    readonly pcpus: readonly PcpuId[];
  }): Promise<readonly CpupoolInfo[]>;
  /** Ends a pool without domains; its pCPUs are free then. */
  destroyCpupool(name: string): Promise<readonly CpupoolInfo[]>;
  renameCpupool(name: string, newName: string): Promise<readonly CpupoolInfo[]>;
  /** Puts a free pCPU into a pool. */
  addPcpu(name: string, pcpu: PcpuId): Promise<readonly CpupoolInfo[]>;
  /** Takes a pCPU out of a pool: it is free then. */
  removePcpu(name: string, pcpu: PcpuId): Promise<readonly CpupoolInfo[]>;
  /** Its parameters are the new scheduler's defaults then, and its affinity is to everything. */
  moveDomain(domain: DomainIdentity, name: string): Promise<void>;
  /** One pool a NUMA node (`xl cpupool-numa-split`): refused when there is more than one pool. */
  numaSplit(): Promise<readonly CpupoolInfo[]>;
  setCpupoolParameters(name: string, parameters: CpupoolParameters): Promise<readonly CpupoolInfo[]>;
  setDomainParameters(domain: DomainIdentity, parameters: DomainSchedParameters): Promise<void>;
  domainParameters(domain: DomainIdentity): Promise<DomainSchedParameters>;
  vcpus(domain: DomainIdentity): Promise<readonly VcpuInfo[]>;
  /**
   * `xl vcpu-set`: so many vCPUs, at least one and at most as many as the domain has, are to be online. On a real host the
   * guest does it, in its own time or not at all; pictures tell.
   */
  setVcpusOnline(domain: DomainIdentity, count: number): Promise<void>;
  /** `xl vcpu-pin`: of one vCPU, or of all when none is named. */
  pinVcpu(
    domain: DomainIdentity,
    pin: {
      readonly vcpu?: VcpuId;
      readonly hard?: readonly PcpuId[];
      readonly soft?: readonly PcpuId[];
    },
  ): Promise<void>;
}
