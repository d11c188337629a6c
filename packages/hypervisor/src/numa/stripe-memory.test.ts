import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { heapFaults } from '../check/heap-invariants.ts';
import { PageHeap } from '../memory/page-heap.ts';
import { stripeMemory, type StripeRequest } from './stripe-memory.ts';

const mib = 256;
const gib = 1024 * mib;

/** Nodes of so much memory each, one after the other. Page 0 is never free. */
function heapOf(sizes: readonly number[], affinity: readonly number[] = [], maxPages = Infinity): PageHeap {
  let end = 0;
  const nodes = sizes.map((pages) => [{ startPage: end, endPage: (end += pages) }]);
  const heap = new PageHeap({ nodes, lowMemoryPages: 0 });
  heap.addDomain(1, maxPages, affinity);
  return heap;
}

const twoNodes = [6 * gib, 6 * gib];
const threeNodes = [2 * gib, 2 * gib, 2 * gib];

test.each<[string, readonly number[], readonly number[], StripeRequest, readonly number[], number]>([
  ['1 GiB is half on each of two nodes', twoNodes, [], { pages: gib }, [gib / 2, gib / 2], 0],
  ['in one extent it is on one', twoNodes, [], { pages: gib, extentOrder: 18 }, [gib, 0], 0],
  ['3 GiB in extents of 1', twoNodes, [], { pages: 3 * gib, extentOrder: 18 }, [2 * gib, gib], 0],
  ['what is left over comes in pages', twoNodes, [], { pages: 1030, extentOrder: 9 }, [515, 515], 0],
  ['and of 1 GiB extents in 2 MiB first', twoNodes, [], { pages: gib + 512, extentOrder: 18 }, [gib, 512], 0],
  ['in pages all the time', twoNodes, [], { pages: 1001, extentOrder: 0 }, [501, 500], 0],
  ['only on the nodes of the affinity', threeNodes, [0, 2], { pages: gib }, [gib / 2, 0, gib / 2], 0],
  [
    'a node that is full: the others of the affinity',
    [gib / 4, 2 * gib, 2 * gib],
    [0, 1],
    { pages: gib },
    [gib / 4 - 512, 0.75 * gib + 512, 0],
    0,
  ],
  ['exact ones take turns too', threeNodes, [0, 2], { pages: gib, isExact: true }, [gib / 2, 0, gib / 2], 0],
  ['then outside of it', threeNodes, [1], { pages: 3 * gib }, [gib, 2 * gib, 0], gib],
  [
    'but not where it is exact',
    [gib / 4, 2 * gib, 2 * gib],
    [0, 1],
    { pages: gib, isExact: true },
    [gib / 4 - 512, 0.75 * gib + 512, 0],
    0,
  ],
])('%s', (_, sizes, affinity, request, pagesByNode, outsidePages) => {
  const heap = heapOf(sizes, affinity);
  const { freePages } = heap;
  const outcome = stripeMemory(heap, 1, request);
  expect(outcome).toEqual({ ok: true, value: { pagesByNode, outsidePages } });
  expect(heap.pagesByNode(1)).toEqual(pagesByNode);
  expect(heapFaults(heap, freePages)).toEqual([]);
});

describe('refused, and nothing is taken', () => {
  test.each<[string, readonly number[], number, StripeRequest, string]>([
    ['more than there is', [], Infinity, { pages: 13 * gib }, 'ENOMEM'],
    ['more than the affinity has, exactly', [1], Infinity, { pages: 6 * gib + 1, isExact: true }, 'ENOMEM'],
    ['more than the maximum reservation', [], gib, { pages: gib + 512 }, 'E2BIG'],
    ['the same, exactly', [], gib, { pages: gib + 512, isExact: true }, 'E2BIG'],
  ])('%s', (_, affinity, maxPages, request, error) => {
    const heap = heapOf(twoNodes, affinity, maxPages);
    const { freePages } = heap;
    expect(stripeMemory(heap, 1, request)).toEqual({ ok: false, error });
    expect([heap.freePages, heap.domain(1).pages]).toEqual([freePages, 0]);
    expect(heapFaults(heap, freePages)).toEqual([]);
  });
});

test('a second domain begins at the first node too: where one was last is its own', () => {
  const heap = heapOf(twoNodes);
  heap.addDomain(2);
  stripeMemory(heap, 1, { pages: gib, extentOrder: 18 });
  expect(stripeMemory(heap, 2, { pages: gib, extentOrder: 18 })).toMatchObject({ value: { pagesByNode: [gib, 0] } });
});

test('equal parts to an extent, as long as there is room', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 2000 }),
      fc.constantFrom(0, 3, 9),
      (nodes, pages, extentOrder) => {
        const heap = heapOf(Array.from({ length: nodes }, () => 8192));
        const outcome = stripeMemory(heap, 1, { pages, extentOrder });
        const parts = outcome.ok ? outcome.value.pagesByNode : [];
        expect(parts.reduce((sum, part) => sum + part, 0)).toBe(pages);
        expect(Math.max(...parts) - Math.min(...parts)).toBeLessThanOrEqual(2 * 2 ** extentOrder);
      },
    ),
    { numRuns: 40 },
  );
});
