/** A host with NUMA nodes and memory, and VMs that are put on it with their memory before the scheduler model runs them. */
import { assert, SeededRandom } from '@xenolith/base';
import {
  Machine,
  PageHeap,
  stripeMemory,
  type DomainRunSpec,
  type MemoryCostParameters,
  type SchedulerName,
  type Topology,
  type Workload,
  type XenVersion,
} from '@xenolith/hypervisor';
import type { RunContext } from '../experiment.ts';
import { startWithinNs, warmUpNs } from '../scheduling-run.ts';

export interface NumaHost {
  readonly topology: Topology;
  /** Memory by node, before dom0. */
  readonly nodeMib: readonly number[];
  readonly dom0Mib: number;
  readonly dom0Vcpus: number;
  readonly cost: MemoryCostParameters;
  readonly scheduler: SchedulerName;
  readonly xenVersion: XenVersion;
}

export interface NumaVm {
  readonly name: string;
  readonly vcpus: number;
  readonly memoryMib: number;
  /** What each vCPU does. */
  readonly workload: Workload;
  /** Where its memory is looked for first; on all nodes where absent. */
  readonly nodeAffinity?: readonly number[];
  /** pCPUs of all its vCPUs; every one where absent. */
  readonly hardAffinity?: readonly number[];
  readonly softAffinity?: readonly number[];
}

const mibPages = 256;

/** A heap of the nodes' memory with dom0's taken, from all nodes alike. */
export function hostHeap({ nodeMib, dom0Mib }: NumaHost): PageHeap {
  let end = 0;
  const nodes = nodeMib.map((mib) => [{ startPage: end, endPage: (end += mib * mibPages) }]);
  const heap = new PageHeap({ nodes, lowMemoryPages: 0 });
  heap.addDomain(0);
  assert(stripeMemory(heap, 0, { pages: dom0Mib * mibPages }).ok, `dom0 has ${dom0Mib} MiB`);
  return heap;
}

/** dom0's vCPUs wake now and then, and soon sleep again. */
export const dom0Work: Workload = { kind: 'interactive', workNs: [20_000, 200_000], sleepNs: [5_000_000, 15_000_000] };

/**
 * Runs the VMs together, each with its memory where a host of this kind would have put it, and measures what each has done.
 * @returns threads that each VM's work is worth, by the order of the VMs: 1 is a vCPU that nothing slows
 * @throws AssertionError where there is not enough memory
 */
export function numaWork(
  host: NumaHost,
  vms: readonly NumaVm[],
  { seed, durationNs, trace, onMachine }: RunContext,
): readonly number[] {
  const { topology, cost, scheduler, xenVersion, dom0Vcpus } = host;
  const random = new SeededRandom(seed);
  // Of the 0.2 to 1 ms that the specification allows, what moves between nodes costs the most.
  const machine = new Machine({
    topology,
    seed,
    xenVersion,
    memory: { cost, refillNs: 1_000_000 },
    ...(trace === undefined ? {} : { trace }),
  });
  onMachine?.(machine);
  machine.addCpupool({ name: 'Pool-0', scheduler, pcpus: topology.pcpus.map(({ pcpu }) => pcpu) });
  const heap = hostHeap(host);
  machine.addDomain({
    name: 'dom0',
    cpupool: 'Pool-0',
    vcpus: Array.from({ length: dom0Vcpus }, () => ({ workload: dom0Work })),
    ...(host.dom0Mib > 0 ? { memoryByNode: heap.pagesByNode(0) } : {}),
  });
  for (const vm of vms) {
    const startNs = random.nextUint32() % startWithinNs;
    machine.addDomain(domainOf(vm, memoryOf(heap, vm), startNs));
  }
  machine.run(warmUpNs);
  machine.measure();
  machine.run(durationNs);
  return machine
    .figures()
    .domains.slice(1)
    .map(({ workNs }) => workNs / durationNs);
}

function memoryOf(heap: PageHeap, { name, memoryMib, nodeAffinity }: NumaVm): readonly number[] {
  const domid = Math.max(...heap.domids) + 1;
  heap.addDomain(domid, Infinity, nodeAffinity);
  const memory = stripeMemory(heap, domid, { pages: memoryMib * mibPages });
  assert(memory.ok, `${memoryMib} MiB for ${name}`);
  return memory.value.pagesByNode;
}

const domainOf = (vm: NumaVm, memoryByNode: readonly number[], startNs: number): DomainRunSpec => ({
  name: vm.name,
  cpupool: 'Pool-0',
  memoryByNode,
  vcpus: Array.from({ length: vm.vcpus }, () => ({
    workload: vm.workload,
    startNs,
    ...(vm.hardAffinity === undefined ? {} : { hardAffinity: vm.hardAffinity }),
    ...(vm.softAffinity === undefined ? {} : { softAffinity: vm.softAffinity }),
  })),
});
