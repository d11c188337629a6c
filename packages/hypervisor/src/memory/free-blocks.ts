import { assert } from '@xenolith/base';

/** The largest block has 2^18 pages, 1 GiB (`MAX_ORDER`). */
export const orderMax = 18;

/** The zone of a page: of zone z are the pages whose number has z bits, so those below 2^(z + 12) bytes and no lower zone. */
export const zoneOf = (page: number): number => (page === 0 ? 0 : Math.floor(Math.log2(page)) + 1);

/** Highest zone whose pages all have addresses of so many bits. */
export const zoneBelow = (addressBits: number): number => addressBits - 12;

interface Link {
  previous: number;
  next: number;
}

const none = -1;

/** Free blocks of one size, in order, each found by its first page. */
class BlockList {
  readonly #links = new Map<number, Link>();
  #head = none;
  #tail = none;

  get size(): number {
    return this.#links.size;
  }

  get head(): number {
    return this.#head;
  }

  has(block: number): boolean {
    return this.#links.has(block);
  }

  addFirst(block: number): void {
    this.#links.set(block, { previous: none, next: this.#head });
    if (this.#head === none) this.#tail = block;
    else this.#links.get(this.#head)!.previous = block;
    this.#head = block;
  }

  addLast(block: number): void {
    this.#links.set(block, { previous: this.#tail, next: none });
    if (this.#tail === none) this.#head = block;
    else this.#links.get(this.#tail)!.next = block;
    this.#tail = block;
  }

  remove(block: number): void {
    const link = this.#links.get(block);
    assert(link !== undefined, `no free block ${block}`);
    if (link.previous === none) this.#head = link.next;
    else this.#links.get(link.previous)!.next = link.next;
    if (link.next === none) this.#tail = link.previous;
    else this.#links.get(link.next)!.previous = link.previous;
    this.#links.delete(block);
  }

  blocks(): Iterable<number> {
    return this.#links.keys();
  }
}

/** A free block of 2^order pages. */
export interface FreeBlock {
  readonly page: number;
  readonly order: number;
  readonly zone: number;
}

/**
 * Free pages of one NUMA node in buddy lists, by zone and order (`heap[node][zone][order]` in
 * xen/common/page_alloc.c).
 */
export class FreeBlocks {
  readonly #lists: BlockList[][] = [];
  readonly #pagesInZone: number[] = [];
  readonly #allTogether = new Int32Array(orderMax + 1);
  #pages = 0;

  /** Free pages. */
  get pages(): number {
    return this.#pages;
  }

  pagesInZone(zone: number): number {
    return this.#pagesInZone[zone] ?? 0;
  }

  get zones(): number {
    return this.#lists.length;
  }

  /** Free blocks of an order, in all zones. */
  blocksOf(order: number): number {
    return this.#allTogether[order]!;
  }

  /**
   * Takes a block out of the highest zone that has one, not above `zoneMax` and not below `zoneMin`: the first of the
   * smallest that are large enough. A larger one is cut in half until it fits; its lower half stays each time, so that
   * the request is served from the upper end.
   * @returns its first page, or undefined where there is none
   */
  take(order: number, zoneMin: number, zoneMax: number): number | undefined {
    for (let zone = Math.min(zoneMax, this.#lists.length - 1); zone >= zoneMin; zone--) {
      if (this.pagesInZone(zone) < 2 ** order) continue;
      for (let size = order; size <= orderMax; size++) {
        const block = this.#lists[zone]?.[size]?.head ?? none;
        if (block === none) continue;
        this.#remove(block, size, zone);
        return this.#cut(block, size, order, zone);
      }
    }
    return undefined;
  }

  #cut(block: number, size: number, order: number, zone: number): number {
    let page = block;
    for (let half = size - 1; half >= order; half--) {
      this.#add(page, half, zone, true);
      page += 2 ** half;
    }
    return page;
  }

  /**
   * Gives pages back. With its buddy, if that is free and of one zone with it, a block becomes one of the next order.
   * Freed blocks go to the end of their list, as they wait to be scrubbed.
   */
  give(page: number, order: number): void {
    const zone = zoneOf(page);
    let [block, size] = [page, order];
    while (size < orderMax) {
      const pages = 2 ** size;
      const buddy = (block / pages) % 2 === 0 ? block + pages : block - pages;
      if (!(this.#lists[zone]?.[size]?.has(buddy) ?? false)) break;
      this.#remove(buddy, size, zone);
      block = Math.min(block, buddy);
      size++;
    }
    this.#add(block, size, zone, false);
  }

  #add(block: number, order: number, zone: number, isFirst: boolean): void {
    const list = this.#listOf(zone, order);
    if (isFirst) list.addFirst(block);
    else list.addLast(block);
    this.#count(2 ** order, order, zone, 1);
  }

  #remove(block: number, order: number, zone: number): void {
    this.#listOf(zone, order).remove(block);
    this.#count(2 ** order, order, zone, -1);
  }

  #count(pages: number, order: number, zone: number, sign: 1 | -1): void {
    this.#pages += sign * pages;
    this.#pagesInZone[zone] = this.pagesInZone(zone) + sign * pages;
    this.#allTogether[order]! += sign;
  }

  #listOf(zone: number, order: number): BlockList {
    while (this.#lists.length <= zone) this.#lists.push(Array.from({ length: orderMax + 1 }, () => new BlockList()));
    return this.#lists[zone]![order]!;
  }

  /** Every free block, for checks. */
  *blocks(): Iterable<FreeBlock> {
    for (const [zone, orders] of this.#lists.entries()) {
      for (const [order, list] of orders.entries()) {
        for (const page of list.blocks()) yield { page, order, zone };
      }
    }
  }
}
