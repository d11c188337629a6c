import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { topologyPresets } from '../topology/presets.ts';
import { topologyOf } from '../topology/topology-of.ts';
import { buildTopology } from '../topology/topology.ts';
import {
  nodesNeeded,
  placeByPolicy,
  type NumaOccupant,
  type NumaReservation,
  type PolicyPlacementRequest,
} from './place-by-policy.ts';

const gibKib = 2 ** 20;
const pcpus = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);
const pool = (list: readonly number[]): PolicyPlacementRequest['cpupool'] => ({ name: 'Pool-0', pcpus: list });
const occupant = (vcpus: number, nodes: readonly number[] = [], cpupool = 'Pool-0'): NumaOccupant => ({
  cpupool,
  vcpus,
  nodes,
});

/** Two nodes of 8 cores with 5 GiB free each, and a VM of 4 vCPUs and 1 GiB. */
const twoNodes: PolicyPlacementRequest = {
  topology: buildTopology({ nodes: 2, socketsPerNode: 1, coresPerSocket: 8, threadsPerCore: 1 }),
  freeKib: [5 * gibKib, 5 * gibKib],
  cpupool: pool(pcpus(0, 15)),
  occupants: [],
  reservations: [],
  policy: 'strict',
  vcpus: 4,
  memoryKib: gibKib,
};

const nodesOf = (request: PolicyPlacementRequest): unknown => {
  const placement = placeByPolicy(request);
  return placement.ok ? placement.value.nodes : placement.error.lack;
};

test.each([[0], [16]])('a: four VMs go to 0, 1, 0 and 1, with a dom0 of %d vCPUs', (dom0) => {
  const occupants = [occupant(dom0)];
  const freeKib = [...twoNodes.freeKib];
  const chosen = [1, 2, 3, 4].map(() => {
    const placement = placeByPolicy({ ...twoNodes, occupants, freeKib });
    const [node] = placement.ok ? placement.value.nodes : [];
    freeKib[node!]! -= gibKib;
    occupants.push(occupant(4, [node!]));
    return node;
  });
  expect(chosen).toEqual([0, 1, 0, 1]);
});

test.each<[string, Partial<PolicyPlacementRequest>, unknown]>([
  ['b: the node that has room', { freeKib: [gibKib / 2, 6 * gibKib] }, [1]],
  ['c: more vCPUs than a node has pCPUs', { vcpus: 12 }, [0, 1]],
  ['d: more memory than a node has', { memoryKib: 7 * gibKib }, [0, 1]],
  ['e: a pool of node 1', { cpupool: pool(pcpus(8, 15)) }, [1]],
  ['e: which has not the memory', { cpupool: pool(pcpus(8, 15)), memoryKib: 6 * gibKib }, 'memory'],
  ['more vCPUs than pCPUs', { vcpus: 17 }, 'pcpus'],
  ['more vCPUs than pCPUs with memory', { vcpus: 12, freeKib: [0, 5 * gibKib] }, 'pcpus'],
  ['two nodes where one is allowed', { vcpus: 12, nodesMax: 1 }, 'nodes'],
  ['an empty pool', { cpupool: pool([]) }, 'memory'],
  ['more than 2 TiB apart, where libxl errs', { freeKib: [10 * gibKib, 2059 * gibKib] }, [1]],
  ['VMs of another pool on the same node do not count', { occupants: [occupant(8, [0], 'other')] }, [0]],
])('%s', (_, change, nodes) => {
  expect(nodesOf({ ...twoNodes, ...change })).toEqual(nodes);
});

test.each<[string, Partial<PolicyPlacementRequest>, number | undefined]>([
  ['one', {}, 1],
  ['by vCPUs', { vcpus: 12 }, 2],
  ['by memory', { memoryKib: 7 * gibKib }, 2],
  ['one, whoever is there', { occupants: [occupant(16, [0]), occupant(16, [1])] }, 1],
  [
    'memory on the one node and pCPUs on the other',
    { freeKib: [5 * gibKib, 0], cpupool: pool([0, 8, 9, 10, 11]) },
    undefined,
  ],
  [
    'both, as neither has the memory and the pCPUs',
    { freeKib: [5 * gibKib, gibKib / 2], cpupool: pool([0, 8, 9, 10, 11]) },
    2,
  ],
  ['more than there is', { vcpus: 17 }, undefined],
])('nodes that a VM needs: %s', (_, change, nodes) => {
  expect(nodesNeeded({ ...twoNodes, ...change })).toBe(nodes);
});

describe('policies', () => {
  test('any pins nothing, and takes memory from every node of the pool', () => {
    expect(placeByPolicy({ ...twoNodes, policy: 'any' })).toEqual({
      ok: true,
      value: {
        nodes: [0, 1],
        reservation: { cpupool: 'Pool-0', vcpus: 4, nodes: [], kibByNode: [gibKib / 2, gibKib / 2] },
      },
    });
  });

  const reservation = { cpupool: 'Pool-0', vcpus: 4, nodes: [1], kibByNode: [0, gibKib] };
  test.each([
    ['strict', { hardAffinity: [8, 9, 11] }],
    ['best_effort', { softAffinity: [8, 9, 11] }],
  ] as const)('%s gives the pCPUs of the pool', (policy, affinity) => {
    const cpupool = pool([11, 9, 8, 2]);
    const placement = placeByPolicy({ ...twoNodes, policy, cpupool, vcpus: 3 });
    expect(placement).toEqual({
      ok: true,
      value: { nodes: [1], ...affinity, reservation: { ...reservation, vcpus: 3 } },
    });
  });

  test('what strict refuses, best_effort does as any, and says why', () => {
    const request = { ...twoNodes, memoryKib: 11 * gibKib };
    const refusal = {
      lack: 'memory',
      needed: 11 * gibKib,
      available: 10 * gibKib,
      reason: 'the nodes of the cpupool have 10485760 KiB free, and 11534336 are needed',
    };
    expect(placeByPolicy(request)).toEqual({ ok: false, error: refusal });
    const any = placeByPolicy({ ...request, policy: 'any' });
    expect(placeByPolicy({ ...request, policy: 'best_effort' })).toEqual({
      ok: true,
      value: { ...(any.ok && any.value), fallback: refusal },
    });
    expect(placeByPolicy({ ...twoNodes, vcpus: 12, nodesMax: 1 })).toMatchObject({
      error: { needed: 2, available: 1, reason: '2 nodes are needed, and 1 allowed' },
    });
  });
});

describe('starts that are under way', () => {
  const eightAtOnce = (keep: boolean): readonly unknown[] => {
    const reservations: NumaReservation[] = [];
    return pcpus(1, 8).map(() => {
      const placement = placeByPolicy({ ...twoNodes, reservations });
      if (!placement.ok) return placement.error.lack;
      if (keep) reservations.push(placement.value.reservation);
      return placement.value.nodes[0];
    });
  };

  test('take turns at nodes, as if each were done before the next', () => {
    expect(eightAtOnce(true)).toEqual([0, 1, 0, 1, 0, 1, 0, 1]);
    expect(eightAtOnce(false)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  test('count with their vCPUs where there is memory enough', () => {
    const request = { ...twoNodes, freeKib: [5 * gibKib, 9 * gibKib] };
    const first = placeByPolicy(request);
    expect(first.ok && first.value.nodes).toEqual([1]);
    expect(nodesOf({ ...request, reservations: first.ok ? [first.value.reservation] : [] })).toEqual([0]);
  });

  test('keep their memory, whatever their pool', () => {
    const reservation = { cpupool: 'other', vcpus: 8, nodes: [0], kibByNode: [4.5 * gibKib, 0] };
    expect(nodesOf({ ...twoNodes, reservations: [reservation] })).toEqual([1]);
    expect(nodesOf({ ...twoNodes, memoryKib: 6 * gibKib, reservations: [reservation] })).toBe('memory');
  });

  test('take equal parts, and from others what a node has not', () => {
    const placement = placeByPolicy({ ...twoNodes, memoryKib: 7 * gibKib, freeKib: [2 * gibKib, 6 * gibKib] });
    expect(placement.ok && placement.value.reservation.kibByNode).toEqual([2 * gibKib, 5 * gibKib]);
  });
});

describe('distances', () => {
  const { topology } = topologyPresets['epyc-8n64c128t']!;
  const request = { ...twoNodes, topology, freeKib: pcpus(0, 7).map(() => 8 * gibKib), cpupool: pool(pcpus(0, 127)) };

  test('two nodes are of one socket: near ones with some load rather than far ones without', () => {
    const occupants = [
      occupant(1, [0]),
      occupant(1, [1]),
      occupant(1, [2]),
      ...[4, 5, 6].map((node) => occupant(2, [node])),
    ];
    expect(nodesOf({ ...request, vcpus: 10, occupants, memoryKib: 12 * gibKib })).toEqual([0, 3]);
  });

  test('but not where vCPUs would have to share cores', () => {
    const occupants = [0, 2, 3, 4, 5, 7].map((node) => occupant(8, [node]));
    expect(nodesOf({ ...request, vcpus: 10, occupants, memoryKib: 12 * gibKib })).toEqual([1, 6]);
  });
});

test('a node of cores is better than one of as many threads', () => {
  // Node 0: two cores of two threads; node 1: four cores.
  const topology = topologyOf({
    node: [0, 0, 0, 0, 1, 1, 1, 1],
    socket: [0, 0, 0, 0, 1, 1, 1, 1],
    core: [0, 0, 1, 1, 0, 1, 2, 3],
  });
  const request = { ...twoNodes, topology, cpupool: pool(pcpus(0, 7)), vcpus: 2 };
  expect(nodesOf({ ...request, occupants: [occupant(1, [1])] })).toEqual([1]);
  expect(nodesOf({ ...request, occupants: [occupant(1, [0]), occupant(2, [1])] })).toEqual([1]);
  expect(nodesOf({ ...request, occupants: [occupant(3, [1])] })).toEqual([0]);
});

// All sets of 13 of 25 nodes are five million: they would take longer than a test may.
test('of more nodes than can be tried in all sets, those around each one', () => {
  const topology = buildTopology({ nodes: 26, socketsPerNode: 1, coresPerSocket: 2, threadsPerCore: 1 });
  const freeKib = pcpus(0, 25).map((node) => (node === 0 ? 0 : gibKib));
  const request = { ...twoNodes, topology, freeKib, cpupool: pool(pcpus(0, 51)) };
  expect(nodesOf({ ...request, vcpus: 26, memoryKib: 3 * gibKib })).toEqual(pcpus(1, 13));
});

describe('whatever there is', () => {
  const requests = fc
    .record({
      extents: fc.array(fc.integer({ min: 0, max: 2048 }), { minLength: 1, maxLength: 6 }),
      threadsPerCore: fc.constantFrom(1, 2),
      coresPerSocket: fc.integer({ min: 1, max: 4 }),
      vcpus: fc.integer({ min: 1, max: 20 }),
      memoryMib: fc.integer({ min: 1, max: 8192 }),
      loads: fc.array(fc.record({ vcpus: fc.integer({ min: 1, max: 8 }), node: fc.nat({ max: 5 }) }), { maxLength: 6 }),
    })
    .map(({ extents, threadsPerCore, coresPerSocket, vcpus, memoryMib, loads }): PolicyPlacementRequest => {
      const nodes = extents.length;
      return {
        topology: buildTopology({ nodes, socketsPerNode: 1, coresPerSocket, threadsPerCore }),
        freeKib: extents.map((count) => count * 2048),
        cpupool: pool(pcpus(0, nodes * coresPerSocket * threadsPerCore - 1)),
        occupants: loads.map((load) => occupant(load.vcpus, [load.node % nodes])),
        reservations: [],
        policy: 'strict',
        vcpus,
        memoryKib: memoryMib * 1024,
      };
    });

  test('there are no more nodes than needed, none without memory, and all memory is of them', () => {
    fc.assert(
      fc.property(requests, (request) => {
        const placement = placeByPolicy(request);
        const perNode = request.topology.nodes[0]!.pcpus.length;
        const rich = request.freeKib.filter((kib) => kib > 0).toSorted((a, b) => b - a);
        const enough = pcpus(1, rich.length).find(
          (size) =>
            rich.slice(0, size).reduce((sum, kib) => sum + kib, 0) >= request.memoryKib &&
            size * perNode >= request.vcpus,
        );
        if (!placement.ok) {
          expect(enough).toBeUndefined();
          return;
        }
        const { nodes, reservation } = placement.value;
        // Nodes are equal but for memory: the richest ones are as few as can be.
        expect(nodes.length).toBe(enough);
        expect(reservation.kibByNode.reduce((sum, kib) => sum + kib, 0)).toBe(request.memoryKib);
        for (const node of nodes) expect(reservation.kibByNode[node]).toBeGreaterThan(0);
        for (const [node, kib] of reservation.kibByNode.entries()) {
          expect(kib).toBeLessThanOrEqual(request.freeKib[node]!);
          if (kib > 0) expect(nodes).toContain(node);
        }
      }),
    );
  });

  test('more free memory never makes it more nodes, a larger VM never fewer', () => {
    const size = (request: PolicyPlacementRequest): number => {
      const placement = placeByPolicy(request);
      return placement.ok ? placement.value.nodes.length : Infinity;
    };
    fc.assert(
      fc.property(requests, fc.nat({ max: 5 }), fc.integer({ min: 0, max: 4 * gibKib }), (request, node, moreKib) => {
        const before = size(request);
        const freeKib = request.freeKib.map((kib, index) => (index === node ? kib + moreKib : kib));
        expect(size({ ...request, freeKib })).toBeLessThanOrEqual(before);
        expect(size({ ...request, memoryKib: request.memoryKib + moreKib })).toBeGreaterThanOrEqual(before);
        expect(size({ ...request, vcpus: request.vcpus + 1 })).toBeGreaterThanOrEqual(before);
      }),
    );
  });

  test('load elsewhere does not drive it away', () => {
    fc.assert(
      fc.property(requests, fc.nat({ max: 5 }), (request, node) => {
        const placement = placeByPolicy(request);
        if (!placement.ok || placement.value.nodes.includes(node) || node >= request.freeKib.length) return;
        expect(nodesOf({ ...request, occupants: [...request.occupants, occupant(3, [node])] })).toEqual(
          placement.value.nodes,
        );
      }),
    );
  });
});
