import { assert, nodeId, pcpuId } from '@xenolith/base';
import type { Pcpu, Topology } from './topology.ts';

/** Where pCPUs are, one entry a pCPU, as `xl info -n` tells it: `core` counts inside its socket. */
export interface PcpuPlaces {
  readonly node: readonly number[];
  readonly socket: readonly number[];
  readonly core: readonly number[];
  /** SLIT distances from node to node; 10 and 20 where absent. */
  readonly distances?: readonly (readonly number[])[];
}

/**
 * The topology of a machine whose pCPUs may be numbered in any way. Its shape is the smallest regular one that has
 * room for it.
 * @throws AssertionError when the lists are not of one length, or empty
 */
export function topologyOf({ node, socket, core, distances }: PcpuPlaces): Topology {
  assert(node.length > 0 && socket.length === node.length && core.length === node.length, 'a place for each pCPU');
  const threads = new Map<string, number>();
  const pcpus: Pcpu[] = node.map((on, pcpu) => {
    const key = `${socket[pcpu]!} ${core[pcpu]!}`;
    const thread = threads.get(key) ?? 0;
    threads.set(key, thread + 1);
    return { pcpu: pcpuId(pcpu), thread, core: core[pcpu]!, socket: socket[pcpu]!, node: nodeId(on) };
  });
  const nodeCount = Math.max(...node) + 1;
  const nodes = Array.from({ length: nodeCount }, (_, id) => ({
    node: nodeId(id),
    pcpus: pcpus.filter((pcpu) => pcpu.node === nodeId(id)).map(({ pcpu }) => pcpu),
    distances: Array.from({ length: nodeCount }, (__, other) => distances?.[id]?.[other] ?? (other === id ? 10 : 20)),
  }));
  const most = (counts: Iterable<number>): number => Math.max(1, ...counts);
  const distinct = (keys: readonly string[]): number => new Set(keys).size;
  const shape = {
    nodes: nodeCount,
    socketsPerNode: most(nodes.map(({ pcpus: own }) => distinct(own.map((pcpu) => String(socket[pcpu]))))),
    coresPerSocket: most(
      [...new Set(socket)].map((id) => distinct(core.filter((_, pcpu) => socket[pcpu] === id).map(String))),
    ),
    threadsPerCore: most(threads.values()),
  };
  return { shape, pcpus, nodes };
}
