/** A host's NUMA nodes and what is on them, read over the XenAPI. */
import type { WireValue } from '@xenolith/wire';
import { isArray, isStruct, textOf } from './wire-text.ts';
import { guestsOf, type Guest, type HostOf } from './running-guests.ts';

export interface NumaPictureNode {
  readonly node: number;
  readonly memoryBytes: number;
  readonly freeBytes: number;
  /** Ascending. */
  readonly pcpus: readonly number[];
  /** SLIT distances to the nodes, in their order. */
  readonly distances: readonly number[];
}

export interface NumaPictureDomain {
  readonly domid: number;
  readonly name: string;
  /** Empty where the pool knows no VM of it. */
  readonly uuid: string;
  /** Memory on each node, in the order of the nodes. */
  readonly bytesByNode: readonly number[];
}

/** What `xenolith host numa --json` prints. */
export interface NumaPicture {
  readonly host: string;
  readonly nodes: readonly NumaPictureNode[];
  /** By rising domid; where a host does not tell of a domain, it is not here. */
  readonly domains: readonly NumaPictureDomain[];
}

const rows = (value: WireValue): readonly Readonly<Record<string, string>>[] =>
  (isArray(value) ? value : []).map((row) =>
    Object.fromEntries(Object.entries(isStruct(row) ? row : {}).map(([key, cell]) => [key, textOf(cell)])),
  );
const numbers = (text: string | undefined): readonly number[] =>
  text === undefined || text === '' ? [] : text.split(',').map(Number);

/** Its own name, not what xl makes of it. */
const labelOf = (guest: Guest | undefined): string | undefined =>
  guest === undefined || guest.domid === 0 ? guest?.name : textOf(guest.record['name_label']);

/** Asks a host that answers. Throws what a call throws. */
export async function numaPicture(host: HostOf): Promise<NumaPicture> {
  const { rpc, ref } = host;
  const memory = rows(await rpc.call('host.get_NUMA_memory', ref));
  const [label, topology, nodes, guests] = await Promise.all([
    rpc.call('host.get_name_label', ref),
    rpc.call('host.get_CPU_topology', ref),
    rpc.call('host.get_NUMA_nodes', ref),
    guestsOf(host),
  ]);
  const pcpus = rows(topology);
  return {
    host: textOf(label),
    nodes: rows(nodes).map(({ node, memory_bytes, memory_free_bytes, distances }) => ({
      node: Number(node),
      memoryBytes: Number(memory_bytes),
      freeBytes: Number(memory_free_bytes),
      pcpus: pcpus.flatMap((row) => (row['node'] === node ? [Number(row['cpu'])] : [])).sort((a, b) => a - b),
      distances: numbers(distances),
    })),
    domains: memory
      .map(({ domid, uuid = '', bytes_by_node }) => ({
        domid: Number(domid),
        name: labelOf(guests.find((guest) => guest.domid === Number(domid))) ?? `(domain ${domid})`,
        uuid,
        bytesByNode: numbers(bytes_by_node),
      }))
      .sort((a, b) => a.domid - b.domid),
  };
}
