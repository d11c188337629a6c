/** Where a domain's memory lands when it is built: extents from one node after the other. */
import { err, ok, type Result } from '@xenolith/base';
import { cycleNode } from '../memory/node-order.ts';
import type { MemoryRefusal, PageHeap } from '../memory/page-heap.ts';
import { decrease, populate } from '../memory/reservation.ts';

/** Extents of 2 MiB: 1 GiB on two nodes is half on each. libxc begins with 1 GiB (order 18) where it can: all of it on one. */
export const defaultExtentOrder = 9;

export interface StripeRequest {
  readonly pages: number;
  /** The largest extents that are asked for, of 2^order pages; what is left over, and what there is no block for, comes in smaller ones. */
  readonly extentOrder?: number;
  /** No other nodes than those of the node affinity; where absent or false the affinity is a wish. */
  readonly isExact?: boolean;
}

/** What a domain was given. */
export interface StripedMemory {
  /** Index is the node's number. */
  readonly pagesByNode: readonly number[];
  /** Those on nodes outside of the domain's affinity. */
  readonly outsidePages: number;
}

/**
 * Gives a domain of a heap its memory, as libxc does when it builds one (`meminit_hvm` in tools/libs/guest/xg_dom_x86.c): extents
 * of the largest order first, each from the next node of the domain's affinity round about, or, unless `isExact`, from elsewhere
 * where these have none.
 * @returns the refusal of the first page that it cannot have; then nothing is taken
 */
export function stripeMemory(
  heap: PageHeap,
  domid: number,
  { pages, extentOrder = defaultExtentOrder, isExact = false }: StripeRequest,
): Result<StripedMemory, MemoryRefusal> {
  const given: Extents[] = [];
  const { nodeAffinity } = heap.domain(domid);
  const own = nodeAffinity.length > 0 ? nodeAffinity : heap.nodes;
  let left = pages;
  let refusal: MemoryRefusal | undefined;
  for (const order of [extentOrder, 9, 0].filter((each, index) => index === 0 || each < extentOrder)) {
    const extents = Math.floor(left / 2 ** order);
    const outcome = isExact
      ? populateExactly(heap, domid, extents, order, own)
      : populateAnywhere(heap, domid, extents, order);
    given.push({ order, pages: outcome.pages });
    left -= outcome.pages.length * 2 ** order;
    ({ refusal } = outcome);
  }
  if (left > 0) {
    for (const { order, pages: first } of given) decrease(heap, domid, first, order, 'control');
    return err(refusal ?? 'ENOMEM');
  }
  const pagesByNode = Array.from({ length: Math.max(...heap.nodes) + 1 }, () => 0);
  for (const { order, pages: first } of given) for (const page of first) pagesByNode[heap.nodeOf(page)]! += 2 ** order;
  const outsidePages = pagesByNode.reduce((sum, count, node) => (own.includes(node) ? sum : sum + count), 0);
  return ok({ pagesByNode, outsidePages });
}

/** First pages of extents of one order. */
interface Extents {
  readonly order: number;
  readonly pages: readonly number[];
}

interface Outcome {
  readonly pages: readonly number[];
  readonly refusal: MemoryRefusal | undefined;
}

const populateAnywhere = (heap: PageHeap, domid: number, extents: number, order: number): Outcome =>
  populate(heap, domid, { extents, order, privilege: 'control' });

/** The toolstack takes turns itself, and asks for each node exactly. */
function populateExactly(
  heap: PageHeap,
  domid: number,
  extents: number,
  order: number,
  nodes: readonly number[],
): Outcome {
  const pages: number[] = [];
  let withRoom = nodes;
  let last = -1;
  while (pages.length < extents) {
    const node = cycleNode(last, withRoom);
    if (node === undefined) return { pages, refusal: 'ENOMEM' };
    const page = heap.allocate(domid, order, { node, isExactNode: true });
    if (page.ok) {
      pages.push(page.value);
      last = node;
    } else if (page.error === 'ENOMEM') withRoom = withRoom.filter((each) => each !== node);
    else return { pages, refusal: page.error };
  }
  return { pages, refusal: undefined };
}
