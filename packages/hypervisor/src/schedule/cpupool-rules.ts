/**
 * What Xen refuses of its cpupools, decided from the state alone, in the order of Xen's checks (xen/common/sched/cpupool.c,
 * tools/libs/light/libxl_cpupool.c, tools/xl/xl_cpupool.c). The model asks it, and so does whoever drives `xl`, whose
 * exit codes do not tell a refusal. Every function gives undefined for what may be done.
 */
import type { PcpuId } from '@xenolith/base';
import type { SchedulerName } from './scheduler.ts';

/** Names of Xen's error numbers that cpupools give (xen/include/public/errno.h). */
export type CpupoolErrno =
  | 'EPERM'
  | 'ENOENT'
  | 'ESRCH'
  | 'EAGAIN'
  | 'EBUSY'
  | 'EEXIST'
  | 'ENODEV'
  | 'EINVAL'
  | 'ENOSPC'
  | 'EADDRINUSE'
  | 'EADDRNOTAVAIL';

/** What strerror says of them, which libxl appends to its messages. */
export const cpupoolErrnoText: Readonly<Record<CpupoolErrno, string>> = {
  EPERM: 'Operation not permitted',
  ENOENT: 'No such file or directory',
  ESRCH: 'No such process',
  EAGAIN: 'Resource temporarily unavailable',
  EBUSY: 'Device or resource busy',
  EEXIST: 'File exists',
  ENODEV: 'No such device',
  EINVAL: 'Invalid argument',
  ENOSPC: 'No space left on device',
  EADDRINUSE: 'Address already in use',
  EADDRNOTAVAIL: 'Cannot assign requested address',
};

/** Why an operation is refused. */
export interface CpupoolRefusal {
  readonly errno: CpupoolErrno;
  /** What users of `xl` see: the lines of libxl and of xl, without libxl's own place in the source. */
  readonly words: string;
  /** What is the matter, in a few words of ours, where Xen's do not tell. */
  readonly reason?: string;
}

/** A pool, as far as the rules need it. */
export interface CpupoolState {
  readonly name: string;
  readonly scheduler: SchedulerName;
  readonly pcpus: readonly PcpuId[];
  readonly domainCount: number;
  /** How many of the domains are being torn down; none when absent. */
  readonly dyingDomainCount?: number;
  /** pCPUs of it to which Xen itself has pinned a vCPU for a while (`vcpu_temporary_affinity`). */
  readonly pinnedPcpus?: readonly PcpuId[];
}

/** All pools of a machine, the first one being pool 0, and where its pCPUs are. */
export interface CpupoolsState {
  readonly pools: readonly CpupoolState[];
  /** Node of each pCPU, by its number; negative for one that is offline. */
  readonly nodeOf: readonly number[];
  /** Schedulers that this Xen was built with. */
  readonly schedulers: readonly SchedulerName[];
  /** A removal that did not come to its end: its pCPU counts as free, but only its own pool can have it back. */
  readonly moving?: { readonly pcpu: PcpuId; readonly pool: string };
  /** Whether pCPU 0 must stay in pool 0, as newer releases want it. */
  readonly keepsPcpu0?: boolean;
}

/** Names longer than this are refused here; Xen itself keeps no names, xenstore would take longer ones. */
export const cpupoolNameMaxLength = 63;

/** pCPUs that are online and in no pool (`freeinfo`), ascending. */
export function freePcpus({ pools, nodeOf }: CpupoolsState): readonly PcpuId[] {
  const taken = new Set<number>(pools.flatMap(({ pcpus }) => pcpus));
  return nodeOf.flatMap((node, pcpu) => (node < 0 || taken.has(pcpu) ? [] : [pcpu as PcpuId]));
}

/** The id of a pool that is made: after the last one; when there is no number after it, the first that is not used. */
export function nextCpupoolId(ids: readonly number[]): number {
  const last = Math.max(-1, ...ids);
  if (last + 1 < anyPool) return last + 1;
  const used = new Set(ids);
  return ids.findIndex((_, candidate) => !used.has(candidate));
}

/** `XEN_SYSCTL_CPUPOOL_PAR_ANY`, which is not the id of a pool. */
const anyPool = 0xffff_ffff;

/** `xl cpupool-create`: the name, then the pCPUs, then what Xen says of the pool itself. */
export function createCpupoolRefusal(
  state: CpupoolsState,
  spec: { readonly name: string; readonly scheduler: SchedulerName; readonly pcpus: readonly PcpuId[] },
): CpupoolRefusal | undefined {
  const badName = cpupoolNameRefusal(spec.name);
  if (badName !== undefined) return badName;
  if (poolNamed(state, spec.name) !== undefined) return nameTaken(spec.name);
  const free = new Set(freePcpus(state));
  const taken = spec.pcpus.find((pcpu) => !free.has(pcpu));
  if (taken !== undefined) {
    const errno = state.nodeOf[taken] === undefined ? 'EINVAL' : 'ENODEV';
    return { errno, words: `cpu ${taken} illegal or not free` };
  }
  const notMade = 'Could not create cpupool\nerror on creating cpupool';
  if (state.pools.length >= 2 * state.nodeOf.length) {
    return { errno: 'ENOSPC', words: notMade, reason: 'there are too many cpupools' };
  }
  if (!state.schedulers.includes(spec.scheduler)) return schedulerMissing(spec.scheduler);
  if (state.moving !== undefined && spec.pcpus.includes(state.moving.pcpu)) {
    const words = 'Error moving cpu to cpupool\nerror on creating cpupool';
    return { errno: 'EADDRNOTAVAIL', words, reason: leaving(state.moving) };
  }
  return undefined;
}

/** A scheduler that this Xen was not built with. */
export const schedulerMissing = (scheduler: SchedulerName): CpupoolRefusal => ({
  errno: 'ENOENT',
  words: 'Could not create cpupool\nerror on creating cpupool',
  reason: `this Xen was built without the scheduler ${scheduler}`,
});

/** `xl cpupool-destroy`, which takes the pCPUs out first. */
export function destroyCpupoolRefusal(state: CpupoolsState, name: string): CpupoolRefusal | undefined {
  const pool = poolNamed(state, name);
  if (pool === undefined) return unknownPool(name);
  const words = `Can't destroy cpupool '${name}'`;
  if (pool.domainCount > 0) return { errno: 'EBUSY', words, reason: 'there are domains in it' };
  if (pool === state.pools[0]) return { errno: 'EBUSY', words, reason: 'it is the first cpupool' };
  return undefined;
}

/** `xl cpupool-rename`, which itself would give a name twice; then nobody could say any more which pool is meant. */
export function renameCpupoolRefusal(state: CpupoolsState, name: string, newName: string): CpupoolRefusal | undefined {
  if (poolNamed(state, name) === undefined) return unknownPool(name);
  const badName = cpupoolNameRefusal(newName);
  if (badName !== undefined) return badName;
  return newName !== name && poolNamed(state, newName) !== undefined ? nameTaken(newName) : undefined;
}

/** `xl cpupool-cpu-add`. */
export function addPcpuRefusal(state: CpupoolsState, name: string, pcpu: PcpuId): CpupoolRefusal | undefined {
  if (poolNamed(state, name) === undefined) return unknownPool(name);
  const refusal = (errno: CpupoolErrno, reason: string): CpupoolRefusal => ({
    errno,
    words: `Error moving cpu ${pcpu} to cpupool: ${cpupoolErrnoText[errno]}\nsome cpus may not have been added to ${name}`,
    reason,
  });
  const node = state.nodeOf[pcpu];
  if (node === undefined) return refusal('EINVAL', `there is no pCPU ${pcpu}`);
  if (node < 0) return refusal('ENODEV', `pCPU ${pcpu} is offline`);
  const holder = state.pools.find(({ pcpus }) => pcpus.includes(pcpu));
  if (holder !== undefined) return refusal('ENODEV', `pCPU ${pcpu} is in the cpupool ${holder.name}`);
  if (state.moving?.pcpu === pcpu && state.moving.pool !== name) return refusal('EADDRNOTAVAIL', leaving(state.moving));
  return undefined;
}

/** `xl cpupool-cpu-remove`. */
export function removePcpuRefusal(state: CpupoolsState, name: string, pcpu: PcpuId): CpupoolRefusal | undefined {
  const pool = poolNamed(state, name);
  if (pool === undefined) return unknownPool(name);
  const refusal = (errno: CpupoolErrno, reason: string): CpupoolRefusal => ({
    errno,
    words:
      `Error removing cpu ${pcpu} from cpupool: ${cpupoolErrnoText[errno]}\n` +
      `Some cpus may have not or only partially been removed from '${name}'.\n` +
      `If a cpu can't be added to another cpupool, add it to '${name}' again and retry.`,
    reason,
  });
  const node = state.nodeOf[pcpu];
  if (node === undefined) return refusal('EINVAL', `there is no pCPU ${pcpu}`);
  if (node < 0) return refusal('EINVAL', `pCPU ${pcpu} is offline`);
  if (state.keepsPcpu0 === true && pcpu === 0 && pool === state.pools[0]) {
    return refusal('EINVAL', 'pCPU 0 stays in the first cpupool');
  }
  const retried = state.moving?.pcpu === pcpu && state.moving.pool === name;
  if (state.moving !== undefined && !retried) return refusal('EADDRNOTAVAIL', leaving(state.moving));
  if (!retried && !pool.pcpus.includes(pcpu)) return refusal('EADDRNOTAVAIL', `pCPU ${pcpu} is not in it`);
  const living = pool.domainCount - (pool.dyingDomainCount ?? 0);
  if (!retried && pool.pcpus.length === 1 && living > 0) {
    return refusal('EBUSY', 'it is the last pCPU of a cpupool with domains');
  }
  if (pool.pinnedPcpus?.includes(pcpu) === true) return refusal('EADDRINUSE', 'Xen has a vCPU pinned to it just now');
  return undefined;
}

/** A domain that is to be moved, and the pool that it is in. */
export interface MovedDomain {
  readonly domid: number;
  /** Absent when there is no such domain. */
  readonly cpupool?: string;
  /** Xen itself has pinned one of its vCPUs for a while. */
  readonly temporarilyPinned?: boolean;
}

/** `xl cpupool-migrate`: the domain, the pool, then Xen's own checks. To be where one is already is no refusal. */
export function moveDomainRefusal(state: CpupoolsState, domain: MovedDomain, name: string): CpupoolRefusal | undefined {
  const { domid, cpupool } = domain;
  if (cpupool === undefined) return { errno: 'ESRCH', words: `unknown domain '${domid}'` };
  const target = poolNamed(state, name);
  if (target === undefined) return unknownPool(name);
  const words = 'Error moving domain to cpupool';
  if (domid === 0) return { errno: 'EPERM', words, reason: 'Domain-0 stays in the first cpupool' };
  if (cpupool === name) return undefined;
  if (target.pcpus.length === 0) return { errno: 'ENOENT', words, reason: `the cpupool ${name} has no pCPUs` };
  if (domain.temporarilyPinned === true) {
    return { errno: 'EBUSY', words, reason: 'Xen has one of its vCPUs pinned just now' };
  }
  return undefined;
}

/** `pool=` of a domain that is to be made. */
export function createDomainRefusal(state: CpupoolsState, name: string): CpupoolRefusal | undefined {
  const pool = poolNamed(state, name);
  if (pool === undefined) return { errno: 'ESRCH', words: `Illegal pool specified: ${name}` };
  if (pool.pcpus.length > 0) return undefined;
  return { errno: 'ENODEV', words: 'domain creation fail: No such device', reason: `the cpupool ${name} has no pCPUs` };
}

/** A step of `xl cpupool-numa-split`; what an earlier one did stays when a later one fails. */
export type NumaSplitStep =
  | { readonly kind: 'add' | 'remove'; readonly pool: string; readonly pcpu: PcpuId }
  | { readonly kind: 'rename'; readonly pool: string; readonly newName: string }
  /** Domain-0 goes down to so many vCPUs where it has more; xl gives it ten seconds. */
  | { readonly kind: 'limit-domain-0'; readonly vcpus: number }
  | { readonly kind: 'create'; readonly pool: string; readonly scheduler: SchedulerName };

/** `xl cpupool-numa-split` on a machine with more than one pool. */
export const numaSplitRefusal = ({ pools }: CpupoolsState): CpupoolRefusal | undefined =>
  pools.length > 1 ? { errno: 'EBUSY', words: 'splitting not possible, already cpupools in use' } : undefined;

/**
 * What `xl cpupool-numa-split` does: the first pool keeps the node of pCPU 0, in the order of their first pCPU the
 * other nodes get pools of their own, with the first one's scheduler. Domains stay where they are.
 * (main_cpupoolnumasplit in tools/xl/xl_cpupool.c)
 */
export function numaSplitPlan(state: CpupoolsState): readonly NumaSplitStep[] {
  const [first] = state.pools;
  if (first === undefined || numaSplitRefusal(state) !== undefined) return [];
  const homeNode = state.nodeOf[0] ?? 0;
  const home = numaPoolName(homeNode);
  const free = freePcpus(state);
  const on = (node: number, pcpus: readonly PcpuId[]): readonly PcpuId[] =>
    pcpus.filter((pcpu) => state.nodeOf[pcpu] === node);
  const otherNodes = [...new Set(state.nodeOf)].filter((node) => node >= 0 && node !== homeNode);
  return [
    ...on(homeNode, free).map((pcpu) => ({ kind: 'add', pool: first.name, pcpu }) as const),
    { kind: 'rename', pool: first.name, newName: home },
    { kind: 'limit-domain-0', vcpus: state.nodeOf.filter((node) => node === homeNode).length },
    ...otherNodes.flatMap((node): readonly NumaSplitStep[] => {
      const pool = numaPoolName(node);
      const pcpus = [...on(node, first.pcpus), ...on(node, free)].sort((a, b) => a - b);
      return [
        ...on(node, first.pcpus).map((pcpu) => ({ kind: 'remove', pool: home, pcpu }) as const),
        { kind: 'create', pool, scheduler: first.scheduler },
        ...pcpus.map((pcpu) => ({ kind: 'add', pool, pcpu }) as const),
      ];
    }),
  ];
}

const numaPoolName = (node: number): string => `Pool-node${node}`;

/** A name that no pool can have: `xl` would not find the pool again, or would take it for something else. */
export function cpupoolNameRefusal(name: string): CpupoolRefusal | undefined {
  const reason = nameProblem(name);
  if (reason === undefined) return undefined;
  return { errno: 'EINVAL', words: name === '' ? 'Missing cpupool name!' : `${reason}: ${JSON.stringify(name)}` };
}

function nameProblem(name: string): string | undefined {
  if (name === '') return 'the name of a cpupool is empty';
  if (name.length > cpupoolNameMaxLength)
    return `the name of a cpupool has more than ${cpupoolNameMaxLength} characters`;
  if (/\p{Cc}/u.test(name) || !name.isWellFormed()) return 'the name of a cpupool has a control character';
  if (name.trim() !== name) return 'the name of a cpupool has blanks around it';
  if (/^\d+$/.test(name)) return 'the name of a cpupool is a number, which xl takes for its id';
  if (name.startsWith('-')) return 'the name of a cpupool begins with a dash, which xl takes for an option';
  return undefined;
}

const poolNamed = ({ pools }: CpupoolsState, name: string): CpupoolState | undefined =>
  pools.find((pool) => pool.name === name);

/** A pool that is not there, as every command of xl says it. */
export const unknownPool = (name: string): CpupoolRefusal => ({ errno: 'ENOENT', words: `unknown cpupool '${name}'` });

const nameTaken = (name: string): CpupoolRefusal => ({
  errno: 'EEXIST',
  words: `Pool name "${name}" already exists`,
});

const leaving = ({ pcpu, pool }: { readonly pcpu: PcpuId; readonly pool: string }): string =>
  `pCPU ${pcpu} has not quite left the cpupool ${pool}`;
