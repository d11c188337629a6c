import { describe, expect, test } from 'vitest';
import { topologyOf, type PcpuPlaces } from './topology-of.ts';
import { buildTopology } from './topology.ts';

/** The places that a regular topology has, as `xl info -n` would list them. */
function placesOf(shape: Parameters<typeof buildTopology>[0]): PcpuPlaces {
  const { pcpus } = buildTopology(shape);
  return {
    node: pcpus.map(({ node }) => node),
    socket: pcpus.map(({ socket }) => socket),
    core: pcpus.map(({ core }) => core),
  };
}

describe('a topology from places', () => {
  test.each([
    { nodes: 1, socketsPerNode: 1, coresPerSocket: 1, threadsPerCore: 1 },
    { nodes: 2, socketsPerNode: 1, coresPerSocket: 4, threadsPerCore: 2 },
    { nodes: 2, socketsPerNode: 2, coresPerSocket: 3, threadsPerCore: 1 },
  ])('is the regular one where the places are: %o', (shape) => {
    expect(topologyOf(placesOf(shape))).toEqual(buildTopology(shape));
  });

  test('knows threads of one core that are far apart in number, as firmware likes to have them', () => {
    const { pcpus, shape } = topologyOf({ node: [0, 0, 0, 0], socket: [0, 0, 0, 0], core: [0, 1, 0, 1] });
    expect(pcpus.map(({ thread }) => thread)).toEqual([0, 0, 1, 1]);
    expect(shape).toEqual({ nodes: 1, socketsPerNode: 1, coresPerSocket: 2, threadsPerCore: 2 });
  });

  test('tells cores of the same number in two sockets apart, and takes the largest of unequal sockets', () => {
    const { pcpus, shape, nodes } = topologyOf({
      node: [0, 0, 0, 1, 1],
      socket: [0, 0, 0, 1, 1],
      core: [0, 1, 2, 0, 0],
    });
    expect(pcpus.map(({ thread }) => thread)).toEqual([0, 0, 0, 0, 1]);
    expect(shape).toEqual({ nodes: 2, socketsPerNode: 1, coresPerSocket: 3, threadsPerCore: 2 });
    expect(nodes.map((node) => node.pcpus)).toEqual([
      [0, 1, 2],
      [3, 4],
    ]);
  });

  test('has the distances that are given, else 10 and 20', () => {
    const places: PcpuPlaces = { node: [0, 1], socket: [0, 1], core: [0, 0] };
    expect(topologyOf(places).nodes.map(({ distances }) => distances)).toEqual([
      [10, 20],
      [20, 10],
    ]);
    const distances = [
      [10, 31],
      [17, 10],
    ];
    expect(topologyOf({ ...places, distances }).nodes.map((node) => node.distances)).toEqual(distances);
  });

  test('has nodes without pCPUs where their numbers are left out', () => {
    const { nodes } = topologyOf({ node: [0, 2], socket: [0, 1], core: [0, 0] });
    expect(nodes.map(({ pcpus }) => pcpus.length)).toEqual([1, 0, 1]);
  });

  test.each<[string, PcpuPlaces]>([
    ['none', { node: [], socket: [], core: [] }],
    ['a socket too few', { node: [0, 0], socket: [0], core: [0, 1] }],
    ['a core too many', { node: [0], socket: [0], core: [0, 1] }],
  ])('%s: refused', (_, places) => {
    expect(() => topologyOf(places)).toThrow('a place for each pCPU');
  });
});
