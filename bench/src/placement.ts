import { buildTopology, placeByPolicy, type NumaOccupant, type PolicyPlacementRequest } from '@xenolith/hypervisor';
import { cpuSeconds, median, spread, type Bench } from './bench.ts';

const gibKib = 2 ** 20;

/** A host with so many VMs, half of them on one node, the others on all; each request is another VM. */
function requests(vms: number, count: number): readonly PolicyPlacementRequest[] {
  const topology = buildTopology({ nodes: 8, socketsPerNode: 1, coresPerSocket: 32, threadsPerCore: 2 });
  const pcpus = topology.pcpus.map(({ pcpu }) => pcpu);
  const occupants = Array.from({ length: vms }, (_, index): NumaOccupant => ({
    cpupool: 'Pool-0',
    vcpus: 1 + (index % 8),
    nodes: index % 2 === 0 ? [(index >> 1) % 8] : [],
  }));
  return Array.from({ length: count }, (_, index) => ({
    topology,
    freeKib: topology.nodes.map(({ node }) => (64 + ((node * 7 + index) % 5)) * gibKib),
    cpupool: { name: 'Pool-0', pcpus },
    occupants,
    reservations: [],
    policy: 'strict',
    // From one node to four.
    vcpus: 1 + (index % 200),
    memoryKib: (1 + (index % 50)) * gibKib,
  }));
}

/** Where the next VM is to be on a large host. */
export const placement: Bench = {
  name: 'placement',
  what: 'NUMA placement of one VM on 8 nodes of 64 pCPUs with 1,000 VMs',
  bar: { text: 'below 1 ms', holds: (figureMs) => figureMs < 1 },
  run: (size) => {
    const [vms, rounds, count] = size === 'full' ? [1000, 11, 200] : [10, 1, 4];
    const asked = requests(vms, count);
    let placed = 0;
    const times = Array.from({ length: rounds }, () => {
      const seconds = cpuSeconds(() => {
        placed = asked.filter((request) => placeByPolicy(request).ok).length;
      });
      return (seconds * 1000) / count;
    });
    return Promise.resolve({
      lines: [`${vms} VMs, ${placed} of ${count} placed: ${spread(times, 3)} ms of CPU time each`],
      figure: median(times),
      unit: 'ms',
    });
  },
};
