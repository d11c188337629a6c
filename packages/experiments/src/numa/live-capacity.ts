/**
 * How many more VMs of one size start in a pool that is there: by what its hosts have free, as the pool itself reckons it when it lets
 * a VM in.
 */
import { mibBytes } from '@xenolith/base';
import {
  libxlNeedKib,
  xapiMemory,
  type NumaOccupant,
  type NumaPolicy,
  type OverheadDomainType,
  type Topology,
} from '@xenolith/hypervisor';
import type { Experiment } from '../experiment.ts';
import { capacityMax, capacityMeasures, capacityOf, type Capacity, type CapacityPool } from './capacity.ts';
import type { VmGroup } from './what-if.ts';

/** A VM whose memory is not to change while it runs. */
export interface LiveVm extends Omit<VmGroup, 'count'> {
  readonly type: OverheadDomainType;
}

export interface LiveCapacityQuestion {
  readonly vm: LiveVm;
  readonly hosts: readonly (LiveHost | ClosedHost)[];
}

/** A host where nothing starts now. */
export interface ClosedHost {
  readonly name: string;
  /** Why not: a clause, for people. */
  readonly refusal: string;
}

export interface LiveHost {
  /** No other one's. */
  readonly name: string;
  readonly topology: Topology;
  /** Of its VMs that start. */
  readonly policy: NumaPolicy;
  /** What its VMs leave for others when their balloons are as small as they may get: `host.compute_free_memory`. */
  readonly roomBytes: number;
  /** What is free on each node now. What a guest would give may come from any node, so it does not count here. */
  readonly freeMib: readonly number[];
  /** What its VMs have of each node. */
  readonly heldMib: readonly number[];
  /** Its VMs, without dom0. */
  readonly occupants: readonly NumaOccupant[];
  readonly cpupools: readonly LiveCpupool[];
  /** Where the disks of the VMs would be; absent where they have none. */
  readonly disks?: LiveDisks;
}

export interface LiveCpupool extends CapacityPool {
  /** It has the VMs that name no other. */
  readonly isDefault: boolean;
}

export interface LiveDisks {
  /** Hosts with the same word share the room. */
  readonly repositories: string;
  /** For how many VMs there is room. */
  readonly vms: number;
}

interface LiveCapacity extends Capacity {
  /** As the host's policy has it. */
  readonly start: number;
}

const figures = ['start', 'memory', 'local', 'threads', 'cores'] as const satisfies readonly (keyof LiveCapacity)[];
const none: LiveCapacity = { start: 0, memory: 0, local: 0, threads: 0, cores: 0 };

interface Row {
  readonly host: LiveHost | ClosedHost;
  readonly cpupool: LiveCpupool | undefined;
  readonly capacity: LiveCapacity;
}

/** How many more start in a cpupool of a host, while nothing comes into its others. */
export function liveCapacityOf(vm: LiveVm, host: LiveHost, cpupool: LiveCpupool): LiveCapacity {
  // Xen has no place for a domain there.
  if (cpupool.pcpus.length === 0) return none;
  const { type, vcpus, memoryMib } = vm;
  const { footprintMib } = xapiMemory({ type, vcpus, staticMaxMib: memoryMib, targetMib: memoryMib });
  const byMemory = Math.floor(host.roomBytes / (footprintMib * mibBytes));
  const memory = Math.max(0, Math.min(capacityMax, byMemory, host.disks?.vms ?? Infinity));
  const needKib = libxlNeedKib({ type, vcpus, targetKib: memoryMib * 1024, maximumKib: memoryMib * 1024 });
  const question = { ...host, vms: [], vm: { vcpus, memoryMib: needKib / 1024 } };
  const placed = capacityOf(question, cpupool, memory);
  return { ...placed, memory, start: host.policy === 'strict' ? placed.local : memory };
}

function rowsOf({ vm, hosts }: LiveCapacityQuestion): readonly Row[] {
  return hosts.flatMap((host): readonly Row[] =>
    'refusal' in host
      ? [{ host, cpupool: undefined, capacity: none }]
      : host.cpupools.map((cpupool) => ({ host, cpupool, capacity: liveCapacityOf(vm, host, cpupool) })),
  );
}

/** What cpupools of one name come to together; hosts that share repositories share the room in them. */
function together(rows: readonly Row[]): LiveCapacity {
  const byDisks = Map.groupBy(rows, ({ host }) => ('refusal' in host ? undefined : host.disks?.repositories));
  const sumOf = (figure: keyof LiveCapacity): number =>
    [...byDisks.values()].reduce((sum, group) => {
      const room = group.map(({ host }) => ('refusal' in host ? Infinity : (host.disks?.vms ?? Infinity)));
      const fitting = group.reduce((total, { capacity }) => total + capacity[figure], 0);
      return sum + Math.min(fitting, ...room);
    }, 0);
  const sums = figures.map((figure) => [figure, sumOf(figure)] as const);
  return { ...none, ...Object.fromEntries(sums) };
}

const rowName = ({ host, cpupool }: Row): string =>
  'refusal' in host || host.cpupools.length === 1 ? host.name : `${host.name}: ${cpupool?.name}`;

/** The question as an experiment: a row for each host's cpupools, and one for all cpupools of a name. */
export function liveCapacityExperiment(question: LiveCapacityQuestion): Experiment {
  const { vcpus, memoryMib, type } = question.vm;
  const rows = rowsOf(question);
  // The first cpupools of all hosts are one to a VM, whatever they are called.
  const byPool = Map.groupBy(rows, ({ cpupool }) =>
    cpupool?.isDefault === false ? `all hosts: ${cpupool.name}` : 'all hosts',
  );
  const closed = question.hosts.flatMap((host) => ('refusal' in host ? [`${host.name}: ${host.refusal}.`] : []));
  const measures = [
    { name: 'start', unit: 'VMs', what: 'under the NUMA policy that holds for them' },
    ...capacityMeasures,
  ];
  const charts = [{ kind: 'bars', title: 'VMs that fit (model)', measures: figures }] as const;
  return {
    name: 'capacity',
    title: `Capacity of a pool: VMs of ${vcpus} vCPUs and ${memoryMib} MiB (${type})`,
    what: ['How many more start now, by what the hosts have free.', ...closed].join(' '),
    source: 'model',
    release: "placement by policy, on the hosts' own figures",
    durationNs: 0,
    repetitions: 1,
    cases: [
      {
        name: 'hosts',
        what: 'host by host, and cpupool by cpupool where there are several, while nothing comes into the others',
        measures,
        variants: rows.map((row) => ({ name: rowName(row), run: () => ({ ...row.capacity }) })),
        expectations: [],
        charts,
      },
      {
        name: 'pool',
        what: 'on all hosts together, by cpupool',
        measures,
        variants: [...byPool].map(([name, own]) => ({ name, run: () => ({ ...together(own) }) })),
        expectations: [],
        charts,
      },
    ],
  };
}
