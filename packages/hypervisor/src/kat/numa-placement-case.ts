/** A recorded automatic placement of libxl's, as its file has it (hypervisor/kat/README, section 6), and its answer. */
import { placeAutomatically } from '../numa/place-automatically.ts';

export interface NumaPlacementCase {
  readonly name: string;
  readonly note: string;
  readonly host: { readonly free_bytes: readonly number[]; readonly cpu_node: readonly number[] };
  readonly pool: readonly number[];
  readonly domains: readonly {
    readonly pool: readonly number[];
    readonly node_affinity: readonly number[];
    readonly vcpus: readonly (readonly number[])[];
  }[];
  readonly request: { readonly vcpus: number; readonly memory_kib: number };
  readonly result: NumaPlacementResult;
}

interface NumaPlacementResult {
  readonly rc: number;
  readonly found: boolean;
  readonly nodes?: readonly number[];
  readonly vcpus_on_nodes?: number;
  readonly cpus?: number;
  readonly free_kib?: number;
}

/** Whether a value that was read from a file is a list of such cases. */
export const isNumaPlacementCases = (value: unknown): value is readonly NumaPlacementCase[] =>
  Array.isArray(value) &&
  value.length > 0 &&
  value.every((each: unknown) => typeof each === 'object' && each !== null && 'host' in each && 'request' in each);

/** Places as the case asks. @returns what differs from the recorded answer; undefined where nothing does */
export function numaPlacementDifference({
  host,
  pool,
  domains,
  request,
  result,
}: NumaPlacementCase): string | undefined {
  const placement = placeAutomatically('4.5', {
    freeBytes: host.free_bytes,
    pcpuNode: host.cpu_node,
    poolPcpus: pool,
    domains: domains.map((domain) => ({
      poolPcpus: domain.pool,
      nodeAffinity: domain.node_affinity,
      vcpus: domain.vcpus,
    })),
    vcpus: request.vcpus,
    memoryKib: request.memory_kib,
  });
  const actual: NumaPlacementResult = placement.isPlaced
    ? {
        rc: 0,
        found: true,
        nodes: placement.candidate.nodes,
        vcpus_on_nodes: placement.candidate.vcpusOnNodes,
        cpus: placement.candidate.pcpuCount,
        free_kib: placement.candidate.freeKib,
      }
    : { rc: 0, found: false };
  const [a, b] = [JSON.stringify(result), JSON.stringify(actual)];
  return a === b ? undefined : `expected ${a}, not ${b}`;
}
