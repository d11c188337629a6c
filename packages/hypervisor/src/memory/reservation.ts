/** The memory hypercalls of domains: more, less, other memory; extent by extent, and as far as they come. */
import type { MemoryRefusal, PageHeap, PlaceRequest } from './page-heap.ts';

/** What a domain may do to the machine, which bounds the size of its extents. */
export type DomainPrivilege = 'domu' | 'passthrough' | 'hardware' | 'control';

/** The largest extents on x86 (`memop-max-order=`). A domain that is several of these has the largest of theirs. */
export const extentOrderMax: Readonly<Record<DomainPrivilege, number>> = {
  domu: 9,
  passthrough: 12,
  hardware: 12,
  control: 18,
};

export interface ExtentRequest extends PlaceRequest {
  readonly extents: number;
  readonly order: number;
  readonly privilege?: DomainPrivilege;
}

/** How far a call came. The hypercall itself answers with the number of extents that were done, and no reason. */
export interface ExtentOutcome {
  readonly done: number;
  /** First pages of the new extents. */
  readonly pages: readonly number[];
  /** Why it ended before its end. */
  readonly refusal: MemoryRefusal | undefined;
}

/**
 * Gives a domain extents: XENMEM_populate_physmap (6), and XENMEM_increase_reservation (0) which differs in who says
 * where the guest sees them.
 */
export function populate(heap: PageHeap, domid: number, request: ExtentRequest): ExtentOutcome {
  const { extents, order, privilege = 'domu', ...place } = request;
  const pages: number[] = [];
  if (order > extentOrderMax[privilege]) return { done: 0, pages, refusal: 'EPERM' };
  while (pages.length < extents) {
    const page = heap.allocate(domid, order, place);
    if (!page.ok) return { done: pages.length, pages, refusal: page.error };
    pages.push(page.value);
  }
  return { done: pages.length, pages, refusal: undefined };
}

/**
 * Takes extents from a domain: XENMEM_decrease_reservation (1). Ends at the first that is not wholly its own.
 * @param pages their first pages
 */
export function decrease(
  heap: PageHeap,
  domid: number,
  pages: readonly number[],
  order: number,
  privilege: DomainPrivilege = 'domu',
): ExtentOutcome {
  if (order > extentOrderMax[privilege]) return { done: 0, pages: [], refusal: 'EPERM' };
  const done = pages.findIndex((page) => !heap.release(domid, page, order));
  return done < 0 ? { done: pages.length, pages: [], refusal: undefined } : { done, pages: [], refusal: 'EINVAL' };
}

export interface ExchangeRequest extends PlaceRequest {
  /** First pages of what is given. */
  readonly pages: readonly number[];
  readonly order: number;
  /** Of what is wanted for it. */
  readonly wantedOrder: number;
  readonly privilege?: DomainPrivilege;
}

/**
 * Changes memory for other memory of the same amount: XENMEM_exchange (11), as for buffers of devices. The larger of
 * both extents is changed at a time; the new memory must be free while the old is still there, and the maximum
 * reservation does not count meanwhile.
 * @returns `done` counts extents that were given
 */
export function exchange(heap: PageHeap, domid: number, request: ExchangeRequest): ExtentOutcome {
  const { pages: given, order, wantedOrder, privilege = 'domu', ...place } = request;
  const chunkOrder = Math.max(order, wantedOrder);
  const givenPerChunk = 2 ** (chunkOrder - order);
  const newPages: number[] = [];
  if (chunkOrder > extentOrderMax[privilege]) return { done: 0, pages: newPages, refusal: 'EPERM' };
  if (given.length % givenPerChunk !== 0) return { done: 0, pages: newPages, refusal: 'EINVAL' };
  for (let done = 0; done < given.length; done += givenPerChunk) {
    const chunk = given.slice(done, done + givenPerChunk);
    const refusal = exchangeChunk(heap, domid, { chunk, order, chunkOrder, wantedOrder, place, newPages });
    if (refusal !== undefined) return { done, pages: newPages, refusal };
  }
  return { done: given.length, pages: newPages, refusal: undefined };
}

interface Chunk {
  readonly chunk: readonly number[];
  readonly order: number;
  readonly chunkOrder: number;
  readonly wantedOrder: number;
  readonly place: PlaceRequest;
  readonly newPages: number[];
}

function exchangeChunk(
  heap: PageHeap,
  domid: number,
  { chunk, order, chunkOrder, wantedOrder, place, newPages }: Chunk,
): MemoryRefusal | undefined {
  const isOwn = new Set(chunk).size === chunk.length && chunk.every((page) => heap.owns(domid, page, order));
  if (!isOwn) return 'EINVAL';
  const { maxPages, pages } = heap.domain(domid);
  heap.setMaxPages(domid, Math.max(maxPages, pages + 2 ** chunkOrder));
  const extents = 2 ** (chunkOrder - wantedOrder);
  const got = populate(heap, domid, { ...place, extents, order: wantedOrder, privilege: 'control' });
  if (got.refusal === undefined) {
    decrease(heap, domid, chunk, order, 'control');
    newPages.push(...got.pages);
  } else decrease(heap, domid, got.pages, wantedOrder, 'control');
  heap.setMaxPages(domid, maxPages);
  return got.refusal;
}
