import { assert, bytes, nodeId, type Bytes, type NodeId } from '@xenolith/base';
import { pageBytes } from './page.ts';

/** What one domain holds: bytes by node, index is the node's number. */
export interface Allocation {
  readonly bytesByNode: readonly Bytes[];
}

/** Bytes as whole pages, rounded up. */
export const roundUpToPages = (size: Bytes): Bytes => bytes(Math.ceil(size / pageBytes) * pageBytes);

/**
 * The hypervisor's free memory, by node. First form: amounts only, no page orders and no zones
 * (`xen/common/page_alloc.c` has both).
 */
export class Heap {
  readonly #totalByNode: readonly number[];
  readonly #freeByNode: number[];

  /** Spreads `totalBytes` evenly over `nodes` nodes; node 0 gets the pages that are left over. */
  constructor(totalBytes: Bytes, nodes: number) {
    assert(nodes >= 1, `${nodes} nodes`);
    const pages = Math.floor(totalBytes / pageBytes);
    const each = Math.floor(pages / nodes);
    this.#totalByNode = Array.from(
      { length: nodes },
      (_, node) => (node === 0 ? pages - each * (nodes - 1) : each) * pageBytes,
    );
    this.#freeByNode = [...this.#totalByNode];
  }

  get totalBytes(): Bytes {
    return bytes(this.#totalByNode.reduce((sum, size) => sum + size, 0));
  }

  get freeBytes(): Bytes {
    return bytes(this.#freeByNode.reduce((sum, size) => sum + size, 0));
  }

  totalOn(node: NodeId): Bytes {
    const size = this.#totalByNode[node];
    assert(size !== undefined, `no node ${node}`);
    return bytes(size);
  }

  freeOn(node: NodeId): Bytes {
    const size = this.#freeByNode[node];
    assert(size !== undefined, `no node ${node}`);
    return bytes(size);
  }

  /** The node with the most free memory, the lower number among equals. */
  roomiestNode(): NodeId {
    let best = 0;
    for (let node = 1; node < this.#freeByNode.length; node++) {
      if ((this.#freeByNode[node] ?? 0) > (this.#freeByNode[best] ?? 0)) best = node;
    }
    return nodeId(best);
  }

  /**
   * Takes memory evenly from the nodes that are asked for, and what is not there from the others in order, as a domain's node
   * affinity falls back in Xen (xen/common/page_alloc.c, get_free_buddy). Rounds up to pages.
   * @param preferred without repetition, at least one
   * @returns undefined, and takes nothing, when the machine has not that much.
   */
  allocate(size: Bytes, preferred: readonly NodeId[]): Allocation | undefined {
    const wanted = roundUpToPages(size);
    if (wanted > this.freeBytes) return undefined;
    const bytesByNode = this.#freeByNode.map(() => bytes(0));
    let left: number = wanted;
    const take = (node: number, most: number): void => {
      const taken = Math.min(left, most, this.#freeByNode[node] ?? 0);
      this.#freeByNode[node] = (this.#freeByNode[node] ?? 0) - taken;
      bytesByNode[node] = bytes((bytesByNode[node] ?? 0) + taken);
      left -= taken;
    };
    const share = Math.ceil(wanted / pageBytes / preferred.length) * pageBytes;
    for (const node of preferred) take(node, share);
    for (const node of [...preferred, ...this.#freeByNode.keys()]) take(node, left);
    assert(left === 0, `${left} bytes of an allocation are missing`);
    return { bytesByNode };
  }

  /** Takes the same share from each node (the control domain without `dom0_nodes`). */
  allocateEvenly(size: Bytes): Allocation | undefined {
    const nodes = this.#freeByNode.length;
    const wanted = roundUpToPages(size);
    const each = Math.floor(wanted / pageBytes / nodes) * pageBytes;
    if (this.#freeByNode.some((free, node) => free < (node === 0 ? wanted - each * (nodes - 1) : each))) {
      return this.allocate(size, [nodeId(0)]);
    }
    const bytesByNode = this.#freeByNode.map((_, node) => bytes(node === 0 ? wanted - each * (nodes - 1) : each));
    bytesByNode.forEach((taken, node) => {
      this.#freeByNode[node] = (this.#freeByNode[node] ?? 0) - taken;
    });
    return { bytesByNode };
  }

  /** Gives back an allocation of this heap. Each may be given back once. */
  release(allocation: Allocation): void {
    allocation.bytesByNode.forEach((size, node) => {
      const free = (this.#freeByNode[node] ?? 0) + size;
      assert(free <= (this.#totalByNode[node] ?? 0), `node ${node} has more free memory than memory`);
      this.#freeByNode[node] = free;
    });
  }
}

/** Two allocations of one heap as one. */
export const joined = (one: Allocation, other: Allocation): Allocation => ({
  bytesByNode: one.bytesByNode.map((size, node) => bytes(size + (other.bytesByNode[node] ?? 0))),
});

/**
 * What is left of an allocation when some of it goes, and what goes: from the node with the highest number first, as a
 * guest's balloon takes no heed of nodes.
 */
export function parted(whole: Allocation, size: Bytes): { readonly kept: Allocation; readonly gone: Allocation } {
  let left: number = roundUpToPages(size);
  const gone = whole.bytesByNode.map(() => bytes(0));
  for (let node = whole.bytesByNode.length - 1; node >= 0; node--) {
    const taken = Math.min(left, whole.bytesByNode[node] ?? 0);
    gone[node] = bytes(taken);
    left -= taken;
  }
  assert(left === 0, `${left} bytes more than an allocation has`);
  return {
    kept: { bytesByNode: whole.bytesByNode.map((there, node) => bytes(there - (gone[node] ?? 0))) },
    gone: { bytesByNode: gone },
  };
}
