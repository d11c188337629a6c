import { homeNodes } from '@xenolith/hypervisor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nodeMemoryOf, numaFields } from './node-memory.ts';

test.each([
  ['nothing', [], [0, false, {}]],
  ['one of two', [5, 0], [1, true, { 0: 5 }]],
  ['both', [5, 5], [2, false, { 0: 5, 1: 5 }]],
  ['the only one', [5], [1, false, { 0: 5 }]],
  ['a sliver elsewhere', [0, 1000, 9], [1, true, { 1: 1000, 2: 9 }]],
  ['a hundredth elsewhere', [0, 990, 10], [2, true, { 1: 990, 2: 10 }]],
] as const)('metrics of a VM on %s', (_, bytesByNode, [nodes, optimised, memory]) => {
  expect(numaFields(bytesByNode)).toEqual({
    numa_nodes: nodes,
    numa_optimised: optimised,
    numa_node_memory: memory,
  });
});

test('memory by node comes back from the metrics, but for nodes at the end that have none', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(10_000), { maxLength: 8 }), (bytesByNode) => {
      const back = nodeMemoryOf(numaFields(bytesByNode));
      expect([...back, ...bytesByNode.slice(back.length)]).toEqual(bytesByNode);
      expect(homeNodes(back)).toEqual(homeNodes(bytesByNode));
    }),
  );
});
