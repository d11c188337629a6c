/** How many more VMs of one size fit on a machine, cpupool by cpupool, and with their memory on as few nodes as one needs. */
import { present } from '@xenolith/base';
import {
  nodesNeeded,
  placeByPolicy,
  topologyPresets,
  type NumaOccupant,
  type NumaPolicy,
  type PolicyPlacementRequest,
  type Topology,
} from '@xenolith/hypervisor';
import type { Experiment, Measure } from '../experiment.ts';
import type { VmGroup } from './what-if.ts';

export interface CapacityQuestion {
  readonly topology: Topology;
  /** What is free on each node. */
  readonly freeMib: readonly number[];
  readonly cpupools: readonly CapacityPool[];
  /** VMs that are started first, in the first pool. */
  readonly vms: readonly VmGroup[];
  /** How many of these? */
  readonly vm: Omit<VmGroup, 'count'>;
  /** What runs there already; what is free is without their memory. */
  readonly occupants?: readonly NumaOccupant[];
  /** What these have of each node. */
  readonly heldMib?: readonly number[];
}

export interface CapacityPool {
  readonly name: string;
  readonly pcpus: readonly number[];
}

/** What fits in one pool while nothing comes into the others. */
export interface Capacity {
  /** By memory alone, on whatever nodes. */
  readonly memory: number;
  /** Each on as few nodes as one VM needs. */
  readonly local: number;
  /** The same, as long as every vCPU of the pool has a thread, or a core, for itself. */
  readonly threads: number;
  readonly cores: number;
}

/** VMs that are counted to: more are not looked for. */
export const capacityMax = 10_000;

const kibOf = (mib: number): number => mib * 1024;

/** Places one VM after the other. */
class Host {
  readonly #question: CapacityQuestion;
  readonly #freeKib: number[];
  readonly #occupants: NumaOccupant[];

  constructor(question: CapacityQuestion) {
    this.#question = question;
    this.#freeKib = question.freeMib.map(kibOf);
    this.#occupants = [...(question.occupants ?? [])];
    for (const { count, ...vm } of question.vms) {
      for (let each = 0; each < count; each++) this.start(question.cpupools[0]!, vm, 'best_effort');
    }
  }

  /** @returns whether it fits */
  start(
    cpupool: CapacityPool,
    { vcpus, memoryMib }: CapacityQuestion['vm'],
    policy: NumaPolicy,
    nodesMax?: number,
  ): boolean {
    const request: PolicyPlacementRequest = {
      topology: this.#question.topology,
      freeKib: this.#freeKib,
      cpupool,
      occupants: this.#occupants,
      reservations: [],
      policy,
      vcpus,
      memoryKib: kibOf(memoryMib),
      ...(nodesMax === undefined ? {} : { nodesMax }),
    };
    const placement = placeByPolicy(request);
    if (!placement.ok) return false;
    const { reservation } = placement.value;
    const takenKib = reservation.kibByNode.reduce((sum, kib) => sum + kib, 0);
    if (takenKib < request.memoryKib) return false;
    for (const [node, kib] of reservation.kibByNode.entries()) this.#freeKib[node]! -= kib;
    this.#occupants.push(reservation);
    return true;
  }

  vcpusIn({ name }: CapacityPool): number {
    return this.#occupants.reduce((sum, { cpupool, vcpus }) => (cpupool === name ? sum + vcpus : sum), 0);
  }
}

/**
 * How many more VMs fit in a pool. A VM that needs more than what the pool has by itself fits no time.
 * @param most more are not counted
 */
export function capacityOf(question: CapacityQuestion, cpupool: CapacityPool, most = capacityMax): Capacity {
  const { topology, vm, freeMib, heldMib = [] } = question;
  const places = cpupool.pcpus.map((pcpu) => topology.pcpus[pcpu]!);
  const cores = new Set(places.map(({ socket, core }) => `${socket} ${core}`)).size;
  const emptyKib = freeMib.map((free, node) => kibOf(free + (heldMib[node] ?? 0)));
  const alone = { topology, cpupool, vcpus: vm.vcpus, memoryKib: kibOf(vm.memoryMib) };
  const needed = nodesNeeded({ ...alone, freeKib: emptyKib });
  const count = (policy: NumaPolicy, vcpusMax: number): number => {
    const host = new Host(question);
    let fitting = 0;
    while (fitting < most && host.vcpusIn(cpupool) + vm.vcpus <= vcpusMax) {
      if (!host.start(cpupool, vm, policy, policy === 'any' ? undefined : needed)) break;
      fitting++;
    }
    return fitting;
  };
  return {
    memory: count('any', Infinity),
    local: needed === undefined ? 0 : count('strict', Infinity),
    threads: needed === undefined ? 0 : count('strict', places.length),
    cores: needed === undefined ? 0 : count('strict', cores),
  };
}

export const capacityMeasures: readonly Measure[] = [
  { name: 'memory', unit: 'VMs', what: 'by memory alone, on whatever nodes' },
  { name: 'local', unit: 'VMs', what: 'each on as few nodes as one needs' },
  { name: 'threads', unit: 'VMs', what: 'the same, with a thread for each vCPU' },
  { name: 'cores', unit: 'VMs', what: 'the same, with a core for each vCPU' },
];

export function capacityExperiment(question: CapacityQuestion): Experiment {
  const { vcpus, memoryMib } = question.vm;
  const before = question.vms.reduce((sum, { count }) => sum + count, 0);
  return {
    name: 'capacity',
    title: `Capacity: VMs of ${vcpus} vCPUs and ${memoryMib} MiB`,
    what: `How many more fit, cpupool by cpupool, ${before === 0 ? 'on an empty machine' : `after ${before} others`} of ${question.topology.nodes.length} nodes and ${question.topology.pcpus.length} pCPUs.`,
    source: 'model',
    release: 'placement by policy',
    durationNs: 0,
    repetitions: 1,
    cases: [
      {
        name: 'capacity',
        what: 'how many more of these VMs fit, by what is asked for?',
        measures: capacityMeasures,
        variants: question.cpupools.map((pool) => ({
          name: pool.name,
          run: () => ({ ...capacityOf(question, pool) }),
        })),
        expectations: [],
        charts: [{ kind: 'bars', title: 'VMs that fit (model)', measures: ['memory', 'local', 'threads', 'cores'] }],
      },
    ],
  };
}

const { topology } = present(topologyPresets['xeon-2n16c32t'], 'a machine');

/** What is asked where nothing else is: a typical server with 32 GiB on each node. */
export const capacity = capacityExperiment({
  topology,
  freeMib: topology.nodes.map(() => 32 * 1024),
  cpupools: [{ name: 'Pool-0', pcpus: topology.pcpus.map(({ pcpu }) => pcpu) }],
  vms: [],
  vm: { vcpus: 4, memoryMib: 6 * 1024 },
});
