import { topologyOf } from './topology-of.ts';
import { buildTopology, type Topology } from './topology.ts';

/** A machine by a name, and where its shape and its distances come from. */
export interface TopologyPreset {
  readonly what: string;
  /** What is known of its distances; absent where there is one node. */
  readonly distances?: string;
  readonly topology: Topology;
}

/** SLIT distances of a machine whose other nodes are all as far. */
const evenly = (nodes: number, remote: number): readonly (readonly number[])[] =>
  Array.from({ length: nodes }, (_, node) =>
    Array.from({ length: nodes }, (__, other) => (other === node ? 10 : remote)),
  );

/** pCPU by pCPU, from the outside in: sockets of nodes of cores of threads. Cores count on inside their socket. */
function placed(
  [sockets, nodesPerSocket, coresPerNode, threads]: readonly [number, number, number, number],
  distances: readonly (readonly number[])[],
): Topology {
  const perNode = coresPerNode * threads;
  const perSocket = nodesPerSocket * perNode;
  const pcpus = Array.from({ length: sockets * perSocket }, (_, pcpu) => pcpu);
  return topologyOf({
    node: pcpus.map((pcpu) => Math.floor(pcpu / perNode)),
    socket: pcpus.map((pcpu) => Math.floor(pcpu / perSocket)),
    core: pcpus.map((pcpu) => Math.floor((pcpu % perSocket) / threads)),
    distances,
  });
}

/** Distances in two sockets of four nodes each. */
const twoByFour = (inSocket: number, across: number): readonly (readonly number[])[] =>
  Array.from({ length: 8 }, (_, node) =>
    Array.from({ length: 8 }, (__, other) => {
      if (other === node) return 10;
      return Math.floor(other / 4) === Math.floor(node / 4) ? inSocket : across;
    }),
  );

/**
 * Machines to try things on. `lab-2n8c` is what `xl info -n` of the lab's host says; the others have the shape that is
 * typical of their kind, and are no machine that was looked at. Their distances are those that others have published of
 * machines of the kind, or are assumed. Sibling threads are next to each other in number.
 *
 * Published, as `numactl --hardware` prints it:
 * - 10 and 21 of a two-socket Xeon (Skylake): lore.kernel.org, linux-scsi, 2020-04-07,
 *   <a1f0399e2e85b2244a9ae40e4a2f1089@mail.gmail.com>.
 * - 10, 12 and 32 of eight nodes in two sockets, by AMD, without the processor's name: lore.kernel.org, linux-mm,
 *   2021-09-03, <0d67b3b7-cf2f-61f3-c67a-76e85e05a3ee@amd.com>. 10 and 32 of two EPYC 9375F with a node each:
 *   github.com/egandro/proxmox-cpu-affinity, issue 58. 10 and 12 of a Threadripper 3960X with four nodes:
 *   github.com/numactl/numactl, issue 165. Two EPYC 7551, of the first kind, have 16 instead of 12:
 *   github.com/WyvernTKC/cpuminer-gr-avx2, issue 22.
 * - 10 and 16 of four nodes in two Opterons 6272: github.com/memtest86plus/memtest86plus, issue 346. Of four Opterons with
 *   four cores nothing was found: 10 and 20 are what Xen assumes where firmware has no table
 *   (xen/arch/x86/srat.c, `__node_distance`).
 */
export const topologyPresets: Readonly<Record<string, TopologyPreset>> = {
  'lab-2n8c': {
    what: 'the lab: 2 nodes of 4 cores in a socket each (xl info -n of Xen 4.17 in QEMU)',
    distances: '10 and 20, as xl info -n has them',
    topology: buildTopology({ nodes: 2, socketsPerNode: 1, coresPerSocket: 4, threadsPerCore: 1 }),
  },
  'desktop-4c8t': {
    what: 'one socket of 4 cores with 2 threads: typical of a desktop',
    topology: placed([1, 1, 4, 2], [[10]]),
  },
  'xeon-2n16c32t': {
    what: '2 sockets of 8 cores with 2 threads, a node each: typical of a two-socket Xeon server',
    distances: '10 and 21, published of such a machine',
    topology: placed([2, 1, 8, 2], evenly(2, 21)),
  },
  'opteron-4n16c': {
    what: '4 sockets of 4 cores, a node each: typical of a four-socket Opteron server of the time of Xen 4.2',
    distances: '10 and 20, assumed: what Xen takes where firmware has no table',
    topology: placed([4, 1, 4, 1], evenly(4, 20)),
  },
  'epyc-4n32c64t': {
    what: 'one socket of 32 cores with 2 threads in 4 nodes: typical of an EPYC server with 4 nodes a socket (NPS4)',
    distances: '10 and 12, published of a Threadripper with 4 nodes',
    topology: placed([1, 4, 8, 2], evenly(4, 12)),
  },
  'epyc-8n64c128t': {
    what: '2 sockets of 32 cores with 2 threads in 4 nodes each: typical of a two-socket EPYC server with 4 nodes a socket (NPS4)',
    distances: '10, 12 and 32, published by AMD of two sockets with 8 nodes',
    topology: placed([2, 4, 8, 2], twoByFour(12, 32)),
  },
};
