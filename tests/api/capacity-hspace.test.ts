/**
 * How many VMs fit, beside Ganeti's hspace: where both answer the same question, each NUMA node being a node of Ganeti's, with
 * memory and pCPUs to itself. hspace keeps up to 64 MiB and a pCPU of each node for its own system, and is given these on top.
 */
import { execFileSync } from 'node:child_process';
import { buildTopology } from '@xenolith/hypervisor';
import { describe, expect, test } from 'vitest';
import { capacityOf, type CapacityQuestion } from '../../packages/experiments/src/numa/capacity.ts';
import { requires } from '../requires.ts';

const { skip } = requires(['hspace']);
const ownMib = 64;
const ownPcpus = 1;
/** hspace wants a disk for each, and has plenty. It puts no more than 32 VMs on a node. */
const [diskGib, disksGib] = [2, 10_000];

interface Machine {
  readonly nodes: number;
  readonly memoryMib: number;
  readonly pcpus: number;
}
interface Vm {
  readonly memoryMib: number;
  readonly vcpus: number;
}

/** @param ratio vCPUs to a pCPU at most */
function hspace({ nodes, memoryMib, pcpus }: Machine, vm: Vm, ratio: number): number {
  const cluster = `preferred,${nodes},${disksGib}g,${memoryMib + ownMib}m,${pcpus + ownPcpus}`;
  const said = execFileSync('hspace', [
    `--simulate=${cluster}`,
    `--standard-alloc=${diskGib}g,${vm.memoryMib}m,${vm.vcpus}`,
    '--disk-template=plain',
    `--max-cpu=${ratio}`,
    '--no-capacity-checks',
    '--machine-readable',
  ]).toString();
  const count = /^HTS_FIN_INST_CNT=(\d+)$/m.exec(said)?.[1];
  if (count === undefined) throw new Error(`hspace tells no count: ${said.slice(0, 500)}`);
  return Number(count);
}

function ours({ nodes, memoryMib, pcpus }: Machine, vm: Vm): { readonly local: number; readonly threads: number } {
  const topology = buildTopology({ nodes, socketsPerNode: 1, coresPerSocket: pcpus, threadsPerCore: 1 });
  const pool = { name: 'Pool-0', pcpus: topology.pcpus.map(({ pcpu }) => Number(pcpu)) };
  const question: CapacityQuestion = {
    topology,
    freeMib: topology.nodes.map(() => memoryMib),
    cpupools: [pool],
    vms: [],
    vm,
  };
  return capacityOf(question, pool);
}

describe.skipIf(skip)('capacity beside hspace', () => {
  test.each<[Machine, Vm]>([
    [
      { nodes: 2, memoryMib: 32_768, pcpus: 16 },
      { memoryMib: 6144, vcpus: 4 },
    ],
    [
      { nodes: 2, memoryMib: 32_768, pcpus: 16 },
      { memoryMib: 8192, vcpus: 1 },
    ],
    [
      { nodes: 4, memoryMib: 16_384, pcpus: 8 },
      { memoryMib: 3072, vcpus: 2 },
    ],
    [
      { nodes: 8, memoryMib: 65_536, pcpus: 32 },
      { memoryMib: 2560, vcpus: 2 },
    ],
    [
      { nodes: 3, memoryMib: 10_000, pcpus: 12 },
      { memoryMib: 777, vcpus: 3 },
    ],
    [
      { nodes: 2, memoryMib: 2048, pcpus: 4 },
      { memoryMib: 4096, vcpus: 1 },
    ],
  ])('%o with %o', (machine, vm) => {
    const { local, threads } = ours(machine, vm);
    const fits = vm.memoryMib <= machine.memoryMib;
    // A VM that no node has room for is on two here, and nowhere in Ganeti.
    expect(fits ? local : 0).toBe(hspace(machine, vm, 1000));
    expect(fits ? threads : 0).toBe(hspace(machine, vm, 1));
  });
});
