/** The known answers of libxl's search are in tools/kat.test.ts; here are the specification's own, and each quirk. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { NumaRelease } from './node-affinity.ts';
import { nodeSets } from './node-sets.ts';
import {
  placeAutomatically,
  placementEffect,
  type AutomaticPlacementRequest,
  type PlacementDomain,
} from './place-automatically.ts';

const gib = 2 ** 30;
const gibKib = 2 ** 20;
const pcpus = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);
const every = pcpus(0, 15);
const pcpuNode = every.map((pcpu) => Math.floor(pcpu / 8));

const vm = (
  vcpus: number,
  hard: readonly number[] = every,
  nodeAffinity: readonly number[] = [0, 1],
): PlacementDomain => ({
  poolPcpus: every,
  nodeAffinity,
  vcpus: Array.from({ length: vcpus }, () => hard),
});

/** Two nodes of 8 pCPUs with 5 GiB free each, and a VM of 4 vCPUs and 1 GiB. */
const twoNodes: AutomaticPlacementRequest = {
  freeBytes: [5 * gib, 5 * gib],
  pcpuNode,
  poolPcpus: every,
  domains: [],
  vcpus: 4,
  memoryKib: gibKib,
};

const nodesOf = (request: AutomaticPlacementRequest, release: NumaRelease = '4.5'): unknown => {
  const placement = placeAutomatically(release, request);
  return placement.isPlaced ? placement.candidate.nodes : placement.reason;
};

describe('the answers of the specification', () => {
  test.each([[[]], [[vm(16)]]])('a: four VMs go to 0, 1, 0 and 1, with dom0 or without', (domains) => {
    const there: PlacementDomain[] = [...domains];
    const freeBytes = [5 * gib, 5 * gib];
    const chosen = [1, 2, 3, 4].map(() => {
      const placement = placeAutomatically('4.5', { ...twoNodes, domains: there, freeBytes });
      const [node] = placement.isPlaced ? placement.candidate.nodes : [];
      freeBytes[node!]! -= gib;
      there.push(vm(4, every, [node!]));
      return node;
    });
    expect(chosen).toEqual([0, 1, 0, 1]);
  });

  test.each<[string, Partial<AutomaticPlacementRequest>, unknown]>([
    ['b: the node that has room', { freeBytes: [0.5 * gib, 6 * gib] }, [1]],
    ['c: more vCPUs than a node has pCPUs', { vcpus: 12 }, [0, 1]],
    ['d: more memory than a node has', { memoryKib: 7 * gibKib }, [0, 1]],
    ['e: a pool of node 1', { poolPcpus: pcpus(8, 15) }, [1]],
    ['e: which has not the memory', { poolPcpus: pcpus(8, 15), memoryKib: 6 * gibKib }, 'no-room'],
    ['one node', { freeBytes: [5 * gib], pcpuNode: [0, 0], poolPcpus: [0, 1], vcpus: 1 }, 'one-node'],
    ['17 nodes', { freeBytes: pcpus(0, 16).map(() => gib), pcpuNode: pcpus(0, 16) }, 'too-many-nodes'],
    ['a pool without pCPUs', { poolPcpus: [] }, 'no-room'],
  ])('%s', (_, change, nodes) => {
    expect(nodesOf({ ...twoNodes, ...change })).toEqual(nodes);
  });
});

describe('quirks', () => {
  test('hard affinity is looked at, and plays no part', () => {
    const hardAffinity = pcpus(8, 15);
    expect(nodesOf({ ...twoNodes, hardAffinity })).toEqual([0]);
    expect(nodesOf({ ...twoNodes, hardAffinity, poolPcpus: pcpus(0, 7) })).toBe('hard-affinity');
  });

  test('KiB are cut off node by node', () => {
    const request = { ...twoNodes, freeBytes: [gib + 1023, gib + 1023], vcpus: 1 };
    expect(nodesOf({ ...request, memoryKib: 2 * gibKib })).toEqual([0, 1]);
    expect(nodesOf({ ...request, memoryKib: 2 * gibKib + 1 })).toBe('no-room');
  });

  test('4 TiB of free memory and one are one', () => {
    const freeBytes = [4096 * gib + gib, 3 * gib];
    expect(nodesOf({ ...twoNodes, freeBytes })).toEqual([1]);
    expect(nodesOf({ ...twoNodes, freeBytes, memoryKib: 4 * gibKib })).toEqual([0, 1]);
  });

  test('of two nodes 2 TiB apart and more, the one with less is taken', () => {
    expect(nodesOf({ ...twoNodes, freeBytes: [10 * gib, 2057 * gib] })).toEqual([1]);
    expect(nodesOf({ ...twoNodes, freeBytes: [10 * gib, 2059 * gib] })).toEqual([0]);
  });

  test('a vCPU that spans two nodes counts twice for both; once in 4.2', () => {
    const request = { ...twoNodes, vcpus: 12, domains: [vm(3)] };
    const counted = (release: NumaRelease): unknown => {
      const placement = placeAutomatically(release, request);
      return placement.isPlaced && placement.candidate.vcpusOnNodes;
    };
    expect([counted('4.2'), counted('4.3'), counted('4.5')]).toEqual([3, 6, 6]);
  });

  test('4.2 asks for pinning only: not for the node affinity, and not for the pool', () => {
    const domains = [vm(2, pcpus(0, 7), [1])];
    expect(nodesOf({ ...twoNodes, domains }, '4.5')).toEqual([0]);
    expect(nodesOf({ ...twoNodes, domains }, '4.2')).toEqual([1]);
    const elsewhere = [{ ...vm(2, pcpus(0, 7), [0]), poolPcpus: pcpus(8, 15) }];
    expect(nodesOf({ ...twoNodes, domains: elsewhere }, '4.5')).toEqual([0]);
    expect(nodesOf({ ...twoNodes, domains: elsewhere }, '4.2')).toEqual([1]);
  });
});

test.each<[NumaRelease, unknown]>([
  ['4.2', { hardAffinity: pcpus(8, 15) }],
  ['4.3', { nodeAffinity: [1] }],
  ['4.5', { nodeAffinity: [1], softAffinity: pcpus(8, 15) }],
])('what %s makes of it', (release, effect) => {
  expect(placementEffect(release, [1], pcpuNode)).toEqual(effect);
});

describe('sets of nodes', () => {
  test('in lexicographic order', () => {
    expect([...nodeSets([0, 2, 3, 7], 2)]).toEqual([
      [0, 2],
      [0, 3],
      [0, 7],
      [2, 3],
      [2, 7],
      [3, 7],
    ]);
    expect([...nodeSets([1, 2], 3)]).toEqual([]);
  });

  test('each once, as many as there are', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), (count, size) => {
        const sets = [...nodeSets(pcpus(0, count - 1), size)];
        let binomial = 1;
        for (let k = 0; k < size; k++) binomial = (binomial * (count - k)) / (k + 1);
        expect(sets.length).toBe(Math.max(0, binomial));
        expect(new Set(sets.map(String)).size).toBe(sets.length);
        expect(sets.every((set) => set.every((node, at) => at === 0 || node > set[at - 1]!))).toBe(true);
      }),
    );
  });
});
