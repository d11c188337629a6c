import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { heapFaults } from '../check/heap-invariants.ts';
import { orderMax, zoneOf } from './free-blocks.ts';
import { LowMemoryWatch } from './low-memory.ts';
import { cycleNode, nodeOrder } from './node-order.ts';
import { PageHeap, type PageHeapOptions } from './page-heap.ts';
import { decrease, exchange, populate } from './reservation.ts';

const gib = 262_144;

/** Two nodes of one GiB, but for page 0. */
const heapOf = (options: Partial<PageHeapOptions> = {}): PageHeap =>
  new PageHeap({
    nodes: [[{ startPage: 0, endPage: gib }], [{ startPage: gib, endPage: 2 * gib }]],
    lowMemoryPages: 0,
    ...options,
  });

function withDomain(options: Partial<PageHeapOptions> = {}, maxPages?: number, affinity?: readonly number[]): PageHeap {
  const heap = heapOf(options);
  heap.addDomain(1, maxPages, affinity);
  return heap;
}

describe('striping', () => {
  test('round about', () => {
    expect([cycleNode(-1, [0, 2]), cycleNode(0, [0, 2]), cycleNode(2, [0, 2]), cycleNode(0, [])]).toEqual([
      0,
      2,
      0,
      undefined,
    ]);
  });

  test.each<[string, Parameters<typeof nodeOrder>[0], readonly number[]]>([
    ['at first', { affinity: [0, 1, 2, 3], online: [0, 1, 2, 3], lastNode: -1 }, [0, 1, 2, 3]],
    ['after node 1', { affinity: [0, 1, 2, 3], online: [0, 1, 2, 3], lastNode: 1 }, [2, 3, 0, 1]],
    ['affinity first, then the rest', { affinity: [1, 3], online: [0, 1, 2, 3], lastNode: 1 }, [3, 1, 0, 2]],
    ['a wish', { requested: 2, affinity: [1, 3], online: [0, 1, 2, 3], lastNode: 1 }, [2, 1, 3, 0]],
    ['an exact wish', { requested: 2, isExact: true, affinity: [1], online: [0, 1, 2], lastNode: 1 }, [2]],
    ['an exact wish for nothing', { requested: 5, isExact: true, affinity: [1], online: [0, 1], lastNode: 1 }, []],
    ['affinity to what is not there', { affinity: [7], online: [0, 1], lastNode: 0 }, [1, 0]],
  ])('%s', (_, choice, expected) => {
    expect(nodeOrder(choice)).toEqual(expected);
  });

  test('1 GiB in extents of 2 MiB lies on two nodes in equal parts, in one extent on one', () => {
    const heap = withDomain();
    expect(populate(heap, 1, { extents: 512, order: 9 }).done).toBe(512);
    expect(heap.pagesByNode(1)).toEqual([gib / 2, gib / 2]);
    const other = withDomain();
    expect(populate(other, 1, { extents: 1, order: 18, privilege: 'control' }).done).toBe(1);
    expect(other.pagesByNode(1)).toEqual([0, gib]);
  });

  test('affinity is a wish: what does not fit goes elsewhere, unless the node is exact', () => {
    const heap = withDomain({}, undefined, [1]);
    expect(populate(heap, 1, { extents: 600, order: 9 }).done).toBe(600);
    expect(heap.pagesByNode(1)).toEqual([88 * 512, gib]);
    expect(populate(heap, 1, { extents: 1, order: 9, node: 1, isExactNode: true })).toMatchObject({
      done: 0,
      refusal: 'ENOMEM',
    });
  });
});

describe('blocks', () => {
  test('a request is served from the upper end of the block of the highest zone', () => {
    const heap = withDomain();
    expect(heap.allocate(1, 0, { node: 0 })).toEqual({ ok: true, value: gib - 1 });
    expect(heap.allocate(1, 0, { node: 0 })).toEqual({ ok: true, value: gib - 2 });
    expect(heap.allocate(1, 9, { node: 1 })).toEqual({ ok: true, value: 2 * gib - 512 });
  });

  test('addresses of so many bits, and low memory kept as long as there is other', () => {
    const heap = withDomain({ dmaBits: 29 });
    // 29 bits are 512 MiB: half of node 0.
    expect(heap.allocate(1, 0, { node: 0, addressBits: 24 })).toEqual({ ok: true, value: 4095 });
    expect(populate(heap, 1, { extents: 256, order: 9, node: 0 }).done).toBe(256);
    expect(heap.pagesByNode(1)).toEqual([1 + gib / 2, 0]);
    // The rest of node 0 is low: node 1 is taken though node 0 was wished.
    expect(populate(heap, 1, { extents: 2, order: 9, node: 0 }).done).toBe(2);
    expect(heap.pagesByNode(1)).toEqual([1 + gib / 2, 1024]);
  });

  test('zones are by address', () => {
    expect([0, 1, 2, 3, 4, 4095, 4096].map(zoneOf)).toEqual([0, 1, 2, 2, 3, 12, 13]);
  });
});

describe('maximum reservation', () => {
  test('grows up to it, and partly where the last extent is too much', () => {
    const heap = withDomain({}, 1000);
    expect(populate(heap, 1, { extents: 3, order: 9 })).toMatchObject({ done: 1, refusal: 'E2BIG' });
    expect(populate(heap, 1, { extents: 1000, order: 0 }).done).toBe(488);
  });

  test('below what there is, it stops growth and takes nothing', () => {
    const heap = withDomain({}, 1000);
    populate(heap, 1, { extents: 1, order: 9 });
    heap.setMaxPages(1, 100);
    expect(heap.domain(1).pages).toBe(512);
    expect(heap.allocate(1, 0)).toEqual({ ok: false, error: 'EPERM' });
  });

  test('a dying domain is given nothing', () => {
    const heap = withDomain();
    heap.setDying(1);
    expect(heap.allocate(1, 0)).toEqual({ ok: false, error: 'EINVAL' });
  });

  test.each([
    ['domu', 9],
    ['passthrough', 12],
    ['hardware', 12],
    ['control', 18],
  ] as const)('extents of a %s domain have at most order %d', (privilege, order) => {
    const heap = withDomain();
    expect(populate(heap, 1, { extents: 1, order, privilege }).done).toBe(1);
    expect(populate(heap, 1, { extents: 1, order: order + 1, privilege }).done).toBe(0);
  });
});

describe('claims', () => {
  test.each<[string, (heap: PageHeap) => void, number, string]>([
    ['a second one', (heap) => heap.claim(1, 100), 200, 'EINVAL'],
    ['no more than it has', (heap) => populate(heap, 1, { extents: 1, order: 9 }), 512, 'EINVAL'],
    ['more than it may have', (heap) => heap.setMaxPages(1, 100), 101, 'EINVAL'],
    ['more than is free', () => undefined, 2 * gib, 'ENOMEM'],
  ])('%s', (_, before, pages, refusal) => {
    const heap = withDomain();
    before(heap);
    expect(heap.claim(1, pages)).toEqual({ ok: false, error: refusal });
  });

  test('others do not get what is claimed, and each page of its own lowers it', () => {
    const heap = withDomain();
    heap.addDomain(2);
    expect(heap.claim(1, 2 * gib - 1 - 512)).toMatchObject({ ok: true });
    expect([heap.freePages, heap.unclaimedPages]).toEqual([2 * gib - 1, 512]);
    expect(populate(heap, 2, { extents: 2, order: 9 })).toMatchObject({ done: 1, refusal: 'ENOMEM' });
    expect(populate(heap, 1, { extents: 2, order: 9 }).done).toBe(2);
    expect(heap.claimedPages).toBe(2 * gib - 1 - 512 - 1024);
    heap.claim(1, 0);
    expect(populate(heap, 2, { extents: 2, order: 9 }).done).toBe(2);
  });

  test('a claim ends with its domain', () => {
    const heap = withDomain();
    heap.claim(1, gib);
    heap.removeDomain(1);
    expect([heap.unclaimedPages, heap.freePages]).toEqual([2 * gib - 1, 2 * gib - 1]);
  });
});

describe('decrease and exchange', () => {
  test('single pages out of a large extent; the rest can be given back too', () => {
    const heap = withDomain();
    const [page = 0] = populate(heap, 1, { extents: 1, order: 9 }).pages;
    expect(decrease(heap, 1, [page + 7, page + 7], 0)).toEqual({ done: 1, pages: [], refusal: 'EINVAL' });
    expect(heapFaults(heap, 2 * gib - 1)).toEqual([]);
    expect(decrease(heap, 1, [page], 9)).toMatchObject({ done: 0 });
    const rest = Array.from({ length: 512 }, (_, at) => page + at).filter((each) => each !== page + 7);
    expect(decrease(heap, 1, rest, 0).done).toBe(511);
    expect(heap.freeBlocksOn(0).pages).toBe(gib - 1);
  });

  test('a large extent of small blocks', () => {
    const heap = withDomain({}, undefined, [1]);
    const { pages } = populate(heap, 1, { extents: 512, order: 0 });
    expect(decrease(heap, 1, [Math.min(...pages)], 9).done).toBe(1);
    expect(heap.freeBlocksOn(1).blocksOf(orderMax)).toBe(1);
  });

  test('pages of another domain stay', () => {
    const heap = withDomain();
    heap.addDomain(2);
    const { pages } = populate(heap, 1, { extents: 1, order: 0 });
    expect(decrease(heap, 2, pages, 0)).toMatchObject({ done: 0, refusal: 'EINVAL' });
  });

  test('small for large and back, at its maximum', () => {
    const heap = withDomain({}, 512);
    const { pages } = populate(heap, 1, { extents: 512, order: 0 });
    const large = exchange(heap, 1, { pages, order: 0, wantedOrder: 9, addressBits: 28 });
    expect(large).toMatchObject({ done: 512, refusal: undefined });
    expect(large.pages.length).toBe(1);
    expect(large.pages[0]!).toBeLessThan(65_536);
    expect(exchange(heap, 1, { pages: large.pages, order: 9, wantedOrder: 0 }).pages.length).toBe(512);
    expect(heap.domain(1)).toMatchObject({ pages: 512, maxPages: 512 });
  });

  test.each([
    ['not a whole chunk', (pages: readonly number[]) => pages.slice(1), 'EINVAL'],
    ['one page twice', (pages: readonly number[]) => pages.map(() => pages[0]!), 'EINVAL'],
  ])('%s', (_, pagesOf, refusal) => {
    const heap = withDomain();
    const { pages } = populate(heap, 1, { extents: 512, order: 0 });
    expect(exchange(heap, 1, { pages: pagesOf(pages), order: 0, wantedOrder: 9 })).toMatchObject({ done: 0, refusal });
    expect(heap.domain(1).pages).toBe(512);
  });

  test('where there is no other memory nothing changes', () => {
    const heap = new PageHeap({ nodes: [[{ startPage: 0, endPage: 1024 }]], lowMemoryPages: 0 });
    heap.addDomain(1);
    const { pages } = populate(heap, 1, { extents: 600, order: 0 });
    const given = pages.slice(0, 512);
    expect(exchange(heap, 1, { pages: given, order: 0, wantedOrder: 9 })).toMatchObject({ done: 0, refusal: 'ENOMEM' });
    expect(given.every((page) => heap.owns(1, page, 0))).toBe(true);
  });
});

describe('VIRQ_ENOMEM', () => {
  test('at the threshold, at each half of it, and again after growth to four times', () => {
    const watch = new LowMemoryWatch(16_384);
    const told = [20_000, 16_384, 16_384, 8193, 8192, 4096, 9000, 8192, 4000].map((pages) => watch.look(pages));
    expect(told).toEqual([false, true, false, false, true, true, false, false, true]);
    expect(watch.thresholdPages).toBe(2048);
    [100_000, 100_000, 100_000, 100_000].forEach((pages) => watch.look(pages));
    expect(watch.thresholdPages).toBe(16_384);
  });

  test('the heap tells, and claims count', () => {
    let told = 0;
    const heap = withDomain({ lowMemoryPages: 16_384, onLowMemory: () => told++ });
    heap.claim(1, 2 * gib - 16_385);
    expect(told).toBe(1);
    heap.claim(1, 0);
    populate(heap, 1, { extents: 900, order: 9 });
    expect(told).toBe(1);
    populate(heap, 1, { extents: 100, order: 9 });
    expect(told).toBe(2);
  });

  test('0 is never', () => {
    expect(new LowMemoryWatch(0).look(0)).toBe(false);
  });
});

test('any order of calls leaves every page free once or owned once', () => {
  const domids = [1, 2, 3];
  const order = fc.integer({ min: 0, max: 5 });
  const call = fc.oneof(
    fc.record({
      kind: fc.constant('populate' as const),
      domid: fc.constantFrom(...domids),
      order,
      extents: fc.integer({ min: 1, max: 12 }),
      node: fc.option(fc.nat(2), { nil: undefined }),
      isExactNode: fc.boolean(),
      addressBits: fc.option(fc.integer({ min: 18, max: 24 }), { nil: undefined }),
    }),
    fc.record({ kind: fc.constant('decrease' as const), domid: fc.constantFrom(...domids), order, pick: fc.nat(999) }),
    fc.record({
      kind: fc.constant('exchange' as const),
      domid: fc.constantFrom(...domids),
      order,
      wantedOrder: order,
      pick: fc.nat(999),
    }),
    fc.record({ kind: fc.constant('claim' as const), domid: fc.constantFrom(...domids), pages: fc.nat(1200) }),
    fc.record({ kind: fc.constant('max' as const), domid: fc.constantFrom(...domids), pages: fc.nat(900) }),
    fc.record({ kind: fc.constant('renew' as const), domid: fc.constantFrom(...domids) }),
  );
  fc.assert(
    fc.property(fc.array(call, { maxLength: 60 }), fc.constantFrom(0, 21), (calls, dmaBits) => {
      // Odd borders: pages at the ends of nodes have no buddies.
      const heap = new PageHeap({
        nodes: [
          [{ startPage: 0, endPage: 700 }],
          [{ startPage: 703, endPage: 1500 }],
          [{ startPage: 1500, endPage: 1800 }],
        ],
        dmaBits,
        lowMemoryPages: 256,
      });
      const all = 699 + 797 + 300;
      domids.forEach((domid) => heap.addDomain(domid, 1000, domid === 3 ? [2] : []));
      for (const each of calls) {
        const blocks = [...heap.owned].filter(([, { domid }]) => domid === each.domid);
        if (each.kind === 'populate') {
          const before = heap.domain(each.domid).pages;
          const { done } = populate(heap, each.domid, each);
          expect(heap.domain(each.domid).pages).toBe(before + done * 2 ** each.order);
          if (done > 0) expect(heap.domain(each.domid).pages).toBeLessThanOrEqual(heap.domain(each.domid).maxPages);
        } else if (each.kind === 'claim') heap.claim(each.domid, each.pages);
        else if (each.kind === 'max') heap.setMaxPages(each.domid, each.pages);
        else if (each.kind === 'renew') {
          heap.removeDomain(each.domid);
          heap.addDomain(each.domid, 1000);
        } else if (blocks.length > 0) {
          const [page] = blocks[each.pick % blocks.length]!;
          if (each.kind === 'decrease') decrease(heap, each.domid, [page], each.order);
          else {
            const before = heap.domain(each.domid).pages;
            exchange(heap, each.domid, { pages: [page], order: each.order, wantedOrder: each.wantedOrder });
            expect(heap.domain(each.domid).pages).toBe(before);
          }
        }
        expect(heapFaults(heap, all)).toEqual([]);
      }
      domids.forEach((domid) => heap.removeDomain(domid));
      expect([heap.freePages, heap.claimedPages]).toEqual([all, 0]);
      expect(heapFaults(heap, all)).toEqual([]);
    }),
    { numRuns: 60 },
  );
});
