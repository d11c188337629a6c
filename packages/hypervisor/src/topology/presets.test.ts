import { describe, expect, test } from 'vitest';
import { topologyPresets } from './presets.ts';

/** `2n`, `16c` and `32t` of a name. */
const countOf = (name: string, unit: string): number | undefined => {
  const count = new RegExp(`(\\d+)${unit}`).exec(name)?.[1];
  return count === undefined ? undefined : Number(count);
};

describe.each(Object.entries(topologyPresets))('%s', (name, { topology: { pcpus, nodes }, distances: words }) => {
  test('is what its name says', () => {
    const cores = new Set(pcpus.map(({ socket, core }) => `${socket} ${core}`));
    expect({ nodes: nodes.length, cores: cores.size, pcpus: pcpus.length }).toEqual({
      nodes: countOf(name, 'n') ?? 1,
      cores: countOf(name, 'c'),
      pcpus: countOf(name, 't') ?? countOf(name, 'c'),
    });
  });

  test('says of all its distances, and of no others, where they come from', () => {
    const values = [...new Set(nodes.flatMap(({ distances }) => distances))].toSorted((a, b) => a - b);
    const said = /^([\d ,and]+), (assumed: |published (?:of|by) |as xl info -n has them$)/.exec(words ?? '')?.[1] ?? '';
    expect(said.match(/\d+/g)?.map(Number) ?? [10]).toEqual(values);
  });

  test('has a place for each pCPU, nodes of one size, and distances that are the same both ways', () => {
    expect(pcpus.map(({ pcpu }) => pcpu)).toEqual([...pcpus.keys()]);
    expect(new Set(nodes.map((node) => node.pcpus.length)).size).toBe(1);
    expect(nodes.flatMap((node) => node.pcpus)).toEqual(pcpus.map(({ pcpu }) => pcpu));
    for (const [node, { distances }] of nodes.entries()) {
      expect(distances).toHaveLength(nodes.length);
      for (const [other, distance] of distances.entries()) {
        expect(distance).toBe(nodes[other]!.distances[node]);
        if (other === node) expect(distance).toBe(10);
        else expect(distance).toBeGreaterThan(10);
      }
    }
  });
});

test('a socket may have several nodes; another socket is further away', () => {
  const { pcpus, nodes } = topologyPresets['epyc-8n64c128t']!.topology;
  expect(pcpus.map(({ socket }) => socket).lastIndexOf(0)).toBe(63);
  expect(pcpus[63]).toMatchObject({ node: 3, core: 31, thread: 1 });
  expect(nodes[4]!.distances).toEqual([32, 32, 32, 32, 10, 12, 12, 12]);
});
