/**
 * libxl's automatic NUMA placement, which runs when a domain is built for which nobody has said where it is to be (no affinity
 * of any kind): all sets of nodes, the smallest first, of which the one with the fewest vCPUs is taken
 * (`libxl__get_numa_candidate` in tools/libs/light/libxl_numa.c, `numa_place_domain` in libxl_dom.c).
 *
 * Kept as they are, quirks of it among them:
 * - *hard mask only looked at*: the domain's own hard affinity must have a pCPU of the pool, and then plays no part;
 * - *KiB of each node cut off*: of the free bytes of each node only whole KiB count, so a sum may miss one for each node;
 * - *free memory wraps at 4 TiB*: sums of KiB have 32 bits, so 5 TiB free are 1;
 * - *differences wrap at 2 TiB*: which of two sets has more free memory is read off 32 bits with a sign;
 * - *a spanning vCPU counts on each node*: from 4.3 on counts are kept by node, so a vCPU that may be on two nodes counts
 *   twice for a pair of them. 4.2 counts vCPUs by set, once, and whatever their pool.
 *
 * Where nodes are equal libxl begins with as many as the vCPUs need; that leaves out only sets with too few pCPUs, and changes
 * nothing.
 */
import { nodeSets } from './node-sets.ts';
import { ascending, type NumaRelease } from './node-affinity.ts';

/** A domain that is there. All lists are numbers of pCPUs, but `nodeAffinity`. */
export interface PlacementDomain {
  readonly poolPcpus: readonly number[];
  /** Its nodes; not asked for in 4.2. */
  readonly nodeAffinity: readonly number[];
  /** Hard affinity of each vCPU. */
  readonly vcpus: readonly (readonly number[])[];
}

export interface AutomaticPlacementRequest {
  /** Free memory by node; the length is the number of nodes. */
  readonly freeBytes: readonly number[];
  /** The node of each pCPU. */
  readonly pcpuNode: readonly number[];
  /** pCPUs of the pool that the domain goes to. */
  readonly poolPcpus: readonly number[];
  /** Who is there; the domain itself too, once it is listed. */
  readonly domains: readonly PlacementDomain[];
  /** The most vCPUs that it will have. */
  readonly vcpus: number;
  /** Memory that building it needs (`libxlNeedKib`). */
  readonly memoryKib: number;
  /** Hard affinity that all of its vCPUs have; every pCPU where absent. */
  readonly hardAffinity?: readonly number[];
}

/** The set of nodes that was chosen, and the figures it was chosen by. */
export interface NodeCandidate {
  /** Ascending. */
  readonly nodes: readonly number[];
  readonly vcpusOnNodes: number;
  /** pCPUs of the pool on these nodes. */
  readonly pcpuCount: number;
  readonly freeKib: number;
}

/** Why libxl leaves a domain to all nodes; `hard-affinity` alone fails the start. */
export type NoPlacement = 'one-node' | 'too-many-nodes' | 'no-room' | 'hard-affinity';

export type AutomaticPlacement =
  | { readonly isPlaced: true; readonly candidate: NodeCandidate }
  | { readonly isPlaced: false; readonly reason: NoPlacement };

/** More nodes than this are too many sets of them. */
export const libxlNodesMax = 16;

/** What an automatic placement is used as. */
export interface PlacementEffect {
  /** For all vCPUs; as it was where absent. */
  readonly hardAffinity?: readonly number[];
  readonly softAffinity?: readonly number[];
  readonly nodeAffinity?: readonly number[];
}

/** Where libxl would put a domain. */
export function placeAutomatically(release: NumaRelease, request: AutomaticPlacementRequest): AutomaticPlacement {
  const { freeBytes, pcpuNode, poolPcpus, hardAffinity, vcpus, memoryKib } = request;
  const nodeCount = freeBytes.length;
  const none = (reason: NoPlacement): AutomaticPlacement => ({ isPlaced: false, reason });
  if (hardAffinity !== undefined && !poolPcpus.some((pcpu) => hardAffinity.includes(pcpu)))
    return none('hard-affinity');
  if (nodeCount <= 1) return none('one-node');
  if (nodeCount > libxlNodesMax) return none('too-many-nodes');
  const suitable = ascending(poolPcpus.flatMap((pcpu) => pcpuNode[pcpu] ?? []));
  const pcpusOn = countByNode(nodeCount, poolPcpus, pcpuNode);
  const vcpusOn = release === '4.2' ? vcpusOnSet(request) : vcpusByNode(request);
  for (let size = 1; size <= suitable.length; size++) {
    let best: NodeCandidate | undefined;
    for (const nodes of nodeSets(suitable, size)) {
      const freeKib = freeKibOf(nodes, freeBytes);
      const pcpuCount = nodes.reduce((sum, node) => sum + pcpusOn[node]!, 0);
      if (freeKib < memoryKib || pcpuCount < vcpus) continue;
      const candidate = { nodes, vcpusOnNodes: vcpusOn(nodes), pcpuCount, freeKib };
      if (best === undefined || isBetter(candidate, best)) best = candidate;
    }
    if (best !== undefined) return { isPlaced: true, candidate: best };
  }
  return none('no-room');
}

/**
 * What a release makes of the nodes: 4.2 pins every vCPU to their pCPUs; 4.3 and 4.4 set the node affinity, which their credit
 * scheduler heeds; from 4.5 on soft affinity is set with it.
 */
export function placementEffect(
  release: NumaRelease,
  nodes: readonly number[],
  pcpuNode: readonly number[],
): PlacementEffect {
  const pcpus = [...pcpuNode.keys()].filter((pcpu) => nodes.includes(pcpuNode[pcpu]!));
  if (release === '4.2') return { hardAffinity: pcpus };
  return { nodeAffinity: nodes, ...(release === '4.5' ? { softAffinity: pcpus } : {}) };
}

/** Fewer vCPUs are better, then more free memory, by the sign of 32 bits; of equals the first one stays. */
function isBetter(candidate: NodeCandidate, best: NodeCandidate): boolean {
  if (candidate.vcpusOnNodes !== best.vcpusOnNodes) return candidate.vcpusOnNodes < best.vcpusOnNodes;
  return ((best.freeKib - candidate.freeKib) | 0) < 0;
}

const freeKibOf = (nodes: readonly number[], freeBytes: readonly number[]): number =>
  nodes.reduce((sum, node) => (sum + Math.floor(freeBytes[node]! / 1024)) % 2 ** 32, 0);

function countByNode(nodeCount: number, pcpus: Iterable<number>, pcpuNode: readonly number[]): readonly number[] {
  const counts = Array.from({ length: nodeCount }, () => 0);
  for (const pcpu of pcpus) counts[pcpuNode[pcpu]!]!++;
  return counts;
}

/** From 4.3 on: by node, vCPUs that may be there and whose domain's memory may be; a set has the sum of its nodes. */
function vcpusByNode({ freeBytes, pcpuNode, poolPcpus, domains }: AutomaticPlacementRequest): VcpusOn {
  const candidates = new Set(poolPcpus);
  const counts = freeBytes.map(() => 0);
  for (const domain of domains) {
    const ownPool = new Set(domain.poolPcpus);
    const own = new Set(domain.nodeAffinity);
    for (const hard of domain.vcpus) {
      const pcpus = hard.filter((pcpu) => candidates.has(pcpu) && ownPool.has(pcpu));
      for (const node of new Set(pcpus.map((pcpu) => pcpuNode[pcpu]!))) if (own.has(node)) counts[node]!++;
    }
  }
  return (nodes) => nodes.reduce((sum, node) => sum + counts[node]!, 0);
}

/** 4.2: vCPUs whose pinning touches the set, each once. */
function vcpusOnSet({ pcpuNode, domains }: AutomaticPlacementRequest): VcpusOn {
  const touched = domains.flatMap(({ vcpus }) => vcpus.map((hard) => new Set(hard.map((pcpu) => pcpuNode[pcpu]!))));
  return (nodes) => touched.reduce((sum, on) => sum + Number(nodes.some((node) => on.has(node))), 0);
}

type VcpusOn = (nodes: readonly number[]) => number;
