import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { explicitNodeAffinity, nodeAffinityOf, type NumaRelease, type VcpuAffinity } from './node-affinity.ts';

/** Three nodes of two pCPUs. */
const pcpuNode = [0, 0, 1, 1, 2, 2];
const everyPcpu = [0, 1, 2, 3, 4, 5];

test.each<[string, NumaRelease, VcpuAffinity[], number[], number[]]>([
  ['no vCPU yet', '4.2', [], everyPcpu, [0, 1, 2]],
  ['no vCPU yet', '4.5', [], [0, 1], [0, 1, 2]],
  ['free', '4.2', [{}], everyPcpu, [0, 1, 2]],
  ['free in a pool', '4.5', [{}, {}], [2, 4, 5], [1, 2]],
  ['two pinned', '4.2', [{ hard: [5] }, { hard: [0] }], everyPcpu, [0, 2]],
  ['pinned, partly outside of the pool', '4.2', [{ hard: [1, 3] }], [2, 3], [1]],
  ['pinned outside of the pool', '4.5', [{ hard: [0] }], [2, 3], []],
  ['soft, before it counted', '4.2', [{ soft: [4] }], everyPcpu, [0, 1, 2]],
  ['soft, before it counted', '4.3', [{ soft: [4] }], everyPcpu, [0, 1, 2]],
  ['soft', '4.5', [{ soft: [4] }], everyPcpu, [2]],
  ['soft of one, none of the other', '4.5', [{ soft: [4] }, {}], everyPcpu, [0, 1, 2]],
  [
    'soft of one inside of what the other must',
    '4.5',
    [
      { hard: [0], soft: [2] },
      { hard: [2], soft: [9] },
    ],
    everyPcpu,
    [1],
  ],
  ['soft and hard have nothing in common', '4.5', [{ hard: [0, 1], soft: [4] }], everyPcpu, [0]],
  ['soft outside of the pool', '4.5', [{ soft: [4] }], [0, 1, 2], [0, 1]],
])('%s (%s)', (_, release, vcpus, poolPcpus, nodes) => {
  expect(nodeAffinityOf(release, { pcpuNode, poolPcpus, vcpus })).toEqual(nodes);
});

describe('what was set', () => {
  const question = { pcpuNode, poolPcpus: everyPcpu, vcpus: [{ hard: [0] }], explicitNodes: [2, 1] };

  test.each<[NumaRelease, number[]]>([
    ['4.2', [0]],
    ['4.3', [1, 2]],
    ['4.5', [1, 2]],
  ])('holds from 4.3 on (%s)', (release, nodes) => {
    expect(nodeAffinityOf(release, question)).toEqual(nodes);
  });

  test.each<[string, NumaRelease, number[], unknown]>([
    ['some nodes', '4.3', [2, 0, 2], { ok: true, value: [0, 2] }],
    ['every node: Xen derives it again', '4.5', [0, 2, 1], { ok: true, value: undefined }],
    ['none: Xen derives it again', '4.5', [], { ok: true, value: undefined }],
    ['a node that is not there', '4.5', [1, 7, 3], { ok: false, error: 'no node 3, 7: there is 0, 1, 2' }],
    ['anything in 4.2', '4.2', [1], { ok: false, error: 'Xen 4.2 always derives the node affinity itself' }],
  ])('%s (%s)', (_, release, wanted, outcome) => {
    expect(explicitNodeAffinity(release, wanted, [0, 1, 2])).toEqual(outcome);
  });
});

test('a node without pCPUs is among all nodes, and in no affinity that is derived', () => {
  const question = { pcpuNode, poolPcpus: everyPcpu, nodes: [0, 1, 2, 3] };
  expect(nodeAffinityOf('4.5', { ...question, vcpus: [] })).toEqual([0, 1, 2, 3]);
  expect(nodeAffinityOf('4.5', { ...question, vcpus: [{}] })).toEqual([0, 1, 2]);
});

test('soft affinity never leads out of what hard affinity gives', () => {
  const pcpus = fc.subarray(everyPcpu);
  const vcpu = fc.record({ hard: pcpus, soft: pcpus });
  fc.assert(
    fc.property(fc.array(vcpu, { minLength: 1, maxLength: 3 }), pcpus, (vcpus, poolPcpus) => {
      const hard = nodeAffinityOf('4.2', { pcpuNode, poolPcpus, vcpus });
      const both = nodeAffinityOf('4.5', { pcpuNode, poolPcpus, vcpus });
      expect(hard).toEqual(expect.arrayContaining([...both]));
      expect(both.length > 0).toBe(hard.length > 0);
    }),
  );
});
