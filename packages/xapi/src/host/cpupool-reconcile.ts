/**
 * What the cpupools of a host mean for the records, and the other way round after its reboot. Pure, as reconcile.ts is
 * for domains.
 *
 * Xen forgets its pools at a reboot. So after one, and only then, the host is made to be as the records say; at all
 * other times the records follow the host, whoever changed it.
 */
import type { PcpuId, Ref } from '@xenolith/base';
import type { SchedulerName } from '@xenolith/hypervisor';
import type { CpupoolInfo, CpupoolParameters } from '../host-scheduling.ts';

/** A cpupool of the records. */
export interface KnownCpupool {
  readonly ref: Ref<'cpupool'>;
  readonly name: string;
  readonly isDefault: boolean;
  readonly scheduler: SchedulerName;
  readonly parameters: CpupoolParameters;
  /** Ascending. */
  readonly pcpus: readonly PcpuId[];
}

export type CpupoolDecision =
  /** A pool that no record knows. */
  | { readonly kind: 'found'; readonly pool: CpupoolInfo; readonly isDefault: boolean }
  /** A record and the pool that it is about, the same or not. */
  | { readonly kind: 'same'; readonly ref: Ref<'cpupool'>; readonly pool: CpupoolInfo; readonly isDefault: boolean }
  /** A record whose pool is gone. */
  | { readonly kind: 'gone'; readonly ref: Ref<'cpupool'> };

const sameList = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((item, i) => item === b[i]);

/**
 * Which record each pool of a host belongs to: pool 0, which is always there, to that of pool 0; others by name. What is
 * left over on both sides with the same scheduler and the same pCPUs, of which there are some, was renamed.
 */
export function reconcileCpupools(
  known: readonly KnownCpupool[],
  pools: readonly CpupoolInfo[],
): readonly CpupoolDecision[] {
  const left = new Set(known);
  const recordOf = new Map<CpupoolInfo, KnownCpupool>();
  const match = (pool: CpupoolInfo, fits: (record: KnownCpupool) => boolean): void => {
    if (recordOf.has(pool)) return;
    const record = [...left].find(fits);
    if (record === undefined) return;
    left.delete(record);
    recordOf.set(pool, record);
  };
  const [first, ...others] = pools;
  if (first !== undefined) match(first, ({ isDefault }) => isDefault);
  for (const pool of others) match(pool, ({ name, isDefault }) => !isDefault && name === pool.name);
  for (const pool of others) {
    if (pool.pcpus.length === 0) continue;
    match(
      pool,
      ({ isDefault, scheduler, pcpus }) => !isDefault && scheduler === pool.scheduler && sameList(pcpus, pool.pcpus),
    );
  }
  return [
    ...[...left].map(({ ref }) => ({ kind: 'gone', ref }) as const),
    ...pools.map((pool): CpupoolDecision => {
      const record = recordOf.get(pool);
      const isDefault = pool === first;
      return record === undefined
        ? { kind: 'found', pool, isDefault }
        : { kind: 'same', ref: record.ref, pool, isDefault };
    }),
  ];
}

/** What tells a reboot from changes made by hand. */
export interface BootEvidence {
  /** What the host said of its boot when its pools were last known to be as the records say, and what it says now. */
  readonly bootId: { readonly before: string | undefined; readonly now: string | undefined };
  /** UUIDs of the guests that ran there by the records. */
  readonly expected: readonly string[];
  /** UUIDs of the domains that are there. */
  readonly present: readonly string[];
  readonly pools: readonly CpupoolInfo[];
  /** pCPUs of the host. */
  readonly pcpuCount: number;
}

/**
 * Whether a host has been rebooted since its pools were known. Its own word for its boot decides; where it has none, it
 * was rebooted when none of its guests is there any more and its pools are as Xen makes them at boot.
 */
export function wasRebooted({ bootId, expected, present, pools, pcpuCount }: BootEvidence): boolean {
  if (bootId.before !== undefined && bootId.now !== undefined) return bootId.before !== bootId.now;
  const [first, second] = pools;
  const isAsBooted =
    second === undefined && first !== undefined && first.name === 'Pool-0' && first.pcpus.length === pcpuCount;
  return isAsBooted && !expected.some((uuid) => present.includes(uuid));
}

/** One step of putting back what a reboot took. */
export type RestoreStep =
  | { readonly kind: 'rename'; readonly name: string; readonly newName: string }
  | { readonly kind: 'remove'; readonly name: string; readonly pcpu: PcpuId }
  | {
      readonly kind: 'create';
      readonly name: string;
      readonly scheduler: SchedulerName;
      readonly pcpus: readonly PcpuId[];
    }
  | { readonly kind: 'add'; readonly name: string; readonly pcpu: PcpuId }
  | { readonly kind: 'parameters'; readonly name: string; readonly parameters: CpupoolParameters };

/**
 * The way from the pools of a host to those of the records. pCPUs that are no longer there are left out; pools that no
 * record knows keep theirs; pool 0 always keeps one. A pool that is there with another scheduler stays as it is.
 */
export function restoreSteps(
  known: readonly KnownCpupool[],
  pools: readonly CpupoolInfo[],
  online: readonly PcpuId[],
): readonly RestoreStep[] {
  const [first] = pools;
  const theDefault = known.find(({ isDefault }) => isDefault);
  if (first === undefined || theDefault === undefined) return [];
  const there = new Map(pools.map((pool) => [pool === first ? theDefault.name : pool.name, pool] as const));
  const strange = pools.filter((pool) => pool !== first && !known.some(({ name }) => name === pool.name));
  const taken = new Set(strange.flatMap(({ pcpus }) => pcpus));
  const usable = new Set(online.filter((pcpu) => !taken.has(pcpu)));
  const wanted = new Map(
    known.map((record) => [record.name, record.pcpus.filter((pcpu) => usable.has(pcpu))] as const),
  );
  if (wanted.get(theDefault.name)?.length === 0) wanted.set(theDefault.name, first.pcpus.slice(0, 1));

  const steps: RestoreStep[] = [];
  if (first.name !== theDefault.name) steps.push({ kind: 'rename', name: first.name, newName: theDefault.name });
  for (const [name, pool] of there) {
    const keeps = wanted.get(name);
    if (keeps === undefined) continue;
    for (const pcpu of pool.pcpus) if (!keeps.includes(pcpu)) steps.push({ kind: 'remove', name, pcpu });
  }
  const given = new Set<PcpuId>(wanted.get(theDefault.name));
  for (const { name, scheduler, parameters } of known) {
    const pool = there.get(name);
    const mine = (wanted.get(name) ?? []).filter((pcpu) => name === theDefault.name || !given.has(pcpu));
    for (const pcpu of mine) given.add(pcpu);
    if (pool === undefined) steps.push({ kind: 'create', name, scheduler, pcpus: mine });
    else for (const pcpu of mine) if (!pool.pcpus.includes(pcpu)) steps.push({ kind: 'add', name, pcpu });
    const differs = Object.entries(parameters).some(
      ([key, value]) => pool?.parameters[key as keyof CpupoolParameters] !== value,
    );
    if (differs && (pool === undefined || pool.scheduler === scheduler)) {
      steps.push({ kind: 'parameters', name, parameters });
    }
  }
  return steps;
}
