import { assert, err, ok, type Result } from '@xenolith/base';
import type { PageRange } from './dom0-boot.ts';
import { FreeBlocks, orderMax, zoneBelow } from './free-blocks.ts';
import { LowMemoryWatch } from './low-memory.ts';
import { nodeOrder } from './node-order.ts';
import { mibPages } from './page.ts';

/** Why memory is refused, in Xen's numbers' names. */
export type MemoryRefusal = 'EINVAL' | 'EPERM' | 'E2BIG' | 'ENOMEM';

/** What a request says of the place (memflags of the memory hypercalls). */
export interface PlaceRequest {
  readonly node?: number | undefined;
  readonly isExactNode?: boolean | undefined;
  /** Machine addresses have at most so many bits. */
  readonly addressBits?: number | undefined;
}

export interface PageHeapOptions {
  /** Memory by node: index is the node's number. Page 0 is never free. */
  readonly nodes: readonly (readonly PageRange[])[];
  /** Memory with addresses of fewer bits is kept as long as there is other (`dma_bits=`); 0 for none. */
  readonly dmaBits?: number;
  /** 64 MiB where absent; a power of two, 0 for none. */
  readonly lowMemoryPages?: number;
  /** VIRQ_ENOMEM. */
  readonly onLowMemory?: () => void;
}

/** An allocated block of 2^order pages. */
export interface OwnedBlock {
  readonly domid: number;
  readonly order: number;
}

/** A domain's counters. */
export interface DomainMemory {
  /** Pages that it has (`tot_pages`). */
  readonly pages: number;
  /** The maximum reservation (`max_pages`), which may be below {@link pages}. */
  readonly maxPages: number;
  /** What is left of its claim (`outstanding_pages`). */
  readonly claimedPages: number;
  readonly isDying: boolean;
  /** Nodes that its memory is looked for first, ascending; empty for all. */
  readonly nodeAffinity: readonly number[];
}

interface DomainEntry {
  pages: number;
  maxPages: number;
  claimedPages: number;
  isDying: boolean;
  nodeAffinity: readonly number[];
  lastNode: number;
}

/**
 * The machine's memory, page by page: free blocks by node, zone and order, who owns which block, maximum reservations
 * and claims (xen/common/page_alloc.c). Amounts are pages; nodes and domains are numbers.
 */
export class PageHeap {
  readonly #nodes: readonly { readonly ranges: readonly PageRange[]; readonly free: FreeBlocks }[];
  readonly #online: readonly number[];
  readonly #dmaBits: number;
  readonly #lowMemory: LowMemoryWatch;
  readonly #onLowMemory: () => void;
  readonly #domains = new Map<number, DomainEntry>();
  readonly #owned = new Map<number, OwnedBlock>();
  #freePages = 0;
  #claimedPages = 0;

  constructor({ nodes, dmaBits = 0, lowMemoryPages = 64 * mibPages, onLowMemory = () => undefined }: PageHeapOptions) {
    assert(nodes.length > 0, 'a machine without nodes');
    this.#nodes = nodes.map((ranges) => ({ ranges, free: new FreeBlocks() }));
    this.#online = nodes.flatMap((ranges, node) => (ranges.length > 0 ? [node] : []));
    this.#dmaBits = dmaBits;
    this.#lowMemory = new LowMemoryWatch(lowMemoryPages);
    this.#onLowMemory = onLowMemory;
    for (const { ranges, free } of this.#nodes) {
      for (const { startPage, endPage } of ranges) {
        for (const [page, order] of blocksIn(Math.max(1, startPage), endPage)) free.give(page, order);
      }
      this.#freePages += free.pages;
    }
  }

  /** Free pages, those that are claimed among them. */
  get freePages(): number {
    return this.#freePages;
  }

  /** What tools are shown as free: without claims. */
  get unclaimedPages(): number {
    return this.#freePages - this.#claimedPages;
  }

  get claimedPages(): number {
    return this.#claimedPages;
  }

  get nodes(): readonly number[] {
    return this.#online;
  }

  freePagesOn(node: number): number {
    return this.#freeOf(node).pages;
  }

  freeBlocksOn(node: number): FreeBlocks {
    return this.#freeOf(node);
  }

  /** Blocks by their first page. */
  get owned(): ReadonlyMap<number, OwnedBlock> {
    return this.#owned;
  }

  get domids(): Iterable<number> {
    return this.#domains.keys();
  }

  domain(domid: number): DomainMemory {
    return this.#entryOf(domid);
  }

  /** A domain without memory. @param maxPages its maximum reservation; none where absent */
  addDomain(domid: number, maxPages = Number.POSITIVE_INFINITY, nodeAffinity: readonly number[] = []): void {
    assert(!this.#domains.has(domid), `domain ${domid} is there`);
    this.#domains.set(domid, {
      pages: 0,
      maxPages,
      claimedPages: 0,
      isDying: false,
      nodeAffinity: ascending(nodeAffinity),
      lastNode: -1,
    });
  }

  /** Steers what is allocated from now on; what there is does not move. */
  setNodeAffinity(domid: number, nodeAffinity: readonly number[]): void {
    this.#entryOf(domid).nodeAffinity = ascending(nodeAffinity);
  }

  /** Sets the maximum reservation (domctl 11). Below what the domain has it only stops growth. */
  setMaxPages(domid: number, maxPages: number): void {
    this.#entryOf(domid).maxPages = maxPages;
  }

  /** From now on it is given nothing, and its claim is void. */
  setDying(domid: number): void {
    const entry = this.#entryOf(domid);
    this.#setClaim(entry, 0);
    entry.isDying = true;
  }

  /** Gives back everything of a domain, and forgets it. */
  removeDomain(domid: number): void {
    this.setDying(domid);
    for (const [page, block] of this.#owned) {
      if (block.domid === domid) this.#giveBack(page, block.order);
    }
    this.#domains.delete(domid);
  }

  /**
   * Keeps free memory for a domain until it has `pages` (XENMEM_claim_pages, 24). 0 gives the claim up.
   * @returns EINVAL where there is a claim, or it is for no more than the domain has, or for more than it may have;
   * ENOMEM where that is not free
   */
  claim(domid: number, pages: number): Result<undefined, MemoryRefusal> {
    const entry = this.#entryOf(domid);
    if (pages === 0) {
      this.#setClaim(entry, 0);
      return ok(undefined);
    }
    if (entry.claimedPages > 0 || pages <= entry.pages || pages > entry.maxPages) return err('EINVAL');
    if (pages - entry.pages > this.unclaimedPages) return err('ENOMEM');
    this.#setClaim(entry, pages - entry.pages);
    this.#lookAtLowMemory();
    return ok(undefined);
  }

  /**
   * Gives a domain a block of 2^order pages (`alloc_domheap_pages`, `assign_pages`).
   * @returns its first page; EINVAL for a dying domain, EPERM for one that has more than its maximum, E2BIG where the
   * block would be too much, ENOMEM where there is none
   */
  allocate(domid: number, order: number, place: PlaceRequest = {}): Result<number, MemoryRefusal> {
    const entry = this.#entryOf(domid);
    const pages = 2 ** order;
    if (entry.isDying || order > orderMax) return err('EINVAL');
    if (entry.pages > entry.maxPages) return err('EPERM');
    if (pages > entry.maxPages - entry.pages) return err('E2BIG');
    const page = this.#take(entry, order, place);
    if (page === undefined) return err('ENOMEM');
    this.#owned.set(page, { domid, order });
    this.#countPages(entry, pages);
    this.#lookAtLowMemory();
    return ok(page);
  }

  #take(entry: DomainEntry, order: number, place: PlaceRequest): number | undefined {
    const pages = 2 ** order;
    if (pages + this.#claimedPages > this.#freePages && entry.claimedPages < pages) return undefined;
    const choice = { requested: place.node, isExact: place.isExactNode, online: this.#online };
    const affinity = entry.nodeAffinity.length > 0 ? entry.nodeAffinity : this.#online;
    const nodes = nodeOrder({ ...choice, affinity, lastNode: entry.lastNode });
    const zoneMax = place.addressBits === undefined ? Number.POSITIVE_INFINITY : zoneBelow(place.addressBits);
    const aboveDma = this.#dmaBits === 0 ? 0 : zoneBelow(this.#dmaBits) + 1;
    const zonesFrom = aboveDma > 0 && aboveDma <= zoneMax ? [aboveDma, 0] : [0];
    for (const zoneMin of zonesFrom) {
      for (const node of nodes) {
        const page = this.#freeOf(node).take(order, zoneMin, zoneMax);
        if (page === undefined) continue;
        entry.lastNode = node;
        this.#freePages -= pages;
        return page;
      }
    }
    return undefined;
  }

  /** Gives back 2^order pages of a domain. @returns false, and nothing is done, where they are not all its own */
  release(domid: number, page: number, order: number): boolean {
    if (!this.owns(domid, page, order)) return false;
    this.#isolate(page, order);
    return true;
  }

  /** Whether 2^order pages from a multiple of their number on are all a domain's. */
  owns(domid: number, page: number, order: number): boolean {
    if (page % 2 ** order !== 0) return false;
    const holding = this.#holding(page, order);
    if (holding !== undefined) return this.#owned.get(holding)?.domid === domid;
    if (order === 0) return false;
    return this.owns(domid, page, order - 1) && this.owns(domid, page + 2 ** (order - 1), order - 1);
  }

  /** The first page of the block that has all of 2^order pages in it. */
  #holding(page: number, order: number): number | undefined {
    for (let size = order; size <= orderMax; size++) {
      const first = page - (page % 2 ** size);
      const block = this.#owned.get(first);
      if (block !== undefined && block.order >= size) return first;
    }
    return undefined;
  }

  /** Cuts owned blocks so that these pages stand alone, and gives them back. */
  #isolate(page: number, order: number): void {
    const first = this.#holding(page, order);
    if (first === undefined) {
      this.#isolate(page, order - 1);
      this.#isolate(page + 2 ** (order - 1), order - 1);
      return;
    }
    const block = this.#owned.get(first)!;
    this.#owned.delete(first);
    let rest = first;
    for (let half = block.order - 1; half >= order; half--) {
      const middle = rest + 2 ** half;
      this.#owned.set(page < middle ? middle : rest, { domid: block.domid, order: half });
      if (page >= middle) rest = middle;
    }
    this.#owned.set(page, { domid: block.domid, order });
    this.#giveBack(page, order);
  }

  #giveBack(page: number, order: number): void {
    const block = this.#owned.get(page);
    assert(block?.order === order, `no block of order ${order} at page ${page}`);
    this.#owned.delete(page);
    this.#freeOf(this.nodeOf(page)).give(page, order);
    this.#freePages += 2 ** order;
    this.#countPages(this.#entryOf(block.domid), -(2 ** order));
    this.#lookAtLowMemory();
  }

  /** The node that a page is on. */
  nodeOf(page: number): number {
    const node = this.#nodes.findIndex(({ ranges }) =>
      ranges.some(({ startPage, endPage }) => page >= startPage && page < endPage),
    );
    assert(node >= 0, `page ${page} is nowhere`);
    return node;
  }

  /** Pages of a domain by node. */
  pagesByNode(domid: number): readonly number[] {
    const pages = this.#nodes.map(() => 0);
    for (const [page, block] of this.#owned) {
      if (block.domid === domid) pages[this.nodeOf(page)]! += 2 ** block.order;
    }
    return pages;
  }

  /** While there is a claim, what a domain has and what it claims make a sum that stays (`domain_adjust_tot_pages`). */
  #countPages(entry: DomainEntry, pages: number): void {
    entry.pages += pages;
    if (entry.claimedPages > 0) this.#setClaim(entry, Math.max(0, entry.claimedPages - pages));
  }

  #setClaim(entry: DomainEntry, pages: number): void {
    this.#claimedPages += pages - entry.claimedPages;
    entry.claimedPages = pages;
  }

  #lookAtLowMemory(): void {
    if (this.#lowMemory.look(this.unclaimedPages)) this.#onLowMemory();
  }

  #freeOf(node: number): FreeBlocks {
    const entry = this.#nodes[node];
    assert(entry !== undefined, `no node ${node}`);
    return entry.free;
  }

  #entryOf(domid: number): DomainEntry {
    const entry = this.#domains.get(domid);
    assert(entry !== undefined, `no domain ${domid}`);
    return entry;
  }
}

const ascending = (nodes: readonly number[]): readonly number[] => [...new Set(nodes)].sort((a, b) => a - b);

/** A range as the largest blocks that lie at multiples of their size. */
function* blocksIn(startPage: number, endPage: number): Iterable<readonly [number, number]> {
  let page = startPage;
  while (page < endPage) {
    let order = 0;
    while (order < orderMax && page % 2 ** (order + 1) === 0 && page + 2 ** (order + 1) <= endPage) order++;
    yield [page, order];
    page += 2 ** order;
  }
}
