import { buildTopology } from '@xenolith/hypervisor';
import { expect, test } from 'vitest';
import { runExperiment } from '../run-experiment.ts';
import { capacityExperiment, capacityOf, type CapacityQuestion } from './capacity.ts';

/** Two nodes of 4 cores with 2 threads and 10 GiB each. */
const question: CapacityQuestion = {
  topology: buildTopology({ nodes: 2, socketsPerNode: 1, coresPerSocket: 4, threadsPerCore: 2 }),
  freeMib: [10_240, 10_240],
  cpupools: [{ name: 'Pool-0', pcpus: Array.from({ length: 16 }, (_, pcpu) => pcpu) }],
  vms: [],
  vm: { vcpus: 2, memoryMib: 3072 },
};

test.each<[string, Partial<CapacityQuestion>, readonly [number, number, number, number]]>([
  ['three on each node, and half of another from what is left', {}, [6, 6, 6, 4]],
  ['of 4 GiB there are five by memory, and two on each node', { vm: { vcpus: 2, memoryMib: 4096 } }, [5, 4, 4, 4]],
  ['of many vCPUs threads are what there is too little of', { vm: { vcpus: 6, memoryMib: 512 } }, [40, 40, 2, 1]],
  ['a VM that needs two nodes has them', { vm: { vcpus: 2, memoryMib: 12_288 } }, [1, 1, 1, 1]],
  ['a VM that is too large for the machine', { vm: { vcpus: 17, memoryMib: 512 } }, [40, 0, 0, 0]],
  ['others are there first', { vms: [{ count: 2, vcpus: 4, memoryMib: 6144 }] }, [2, 2, 2, 0]],
  [
    'a pool of half a node has its memory, and few threads',
    { cpupools: [{ name: 'half', pcpus: [0, 1, 2, 3] }] },
    [3, 3, 2, 1],
  ],
])('%s', (_, change, [memory, local, threads, cores]) => {
  const asked = { ...question, ...change };
  expect(capacityOf(asked, asked.cpupools[0]!)).toEqual({ memory, local, threads, cores });
});

test('pools side by side: each by itself, and what is there is in the first', () => {
  const cpupools = [
    { name: 'first', pcpus: [0, 1, 2, 3, 4, 5, 6, 7] },
    { name: 'second', pcpus: [8, 9, 10, 11, 12, 13, 14, 15] },
  ];
  const asked = { ...question, cpupools, vms: [{ count: 2, vcpus: 2, memoryMib: 3072 }] };
  const { cases } = runExperiment(capacityExperiment(asked), { seed: 1, durationNs: 0, repetitions: 1 });
  expect(cases[0]!.variants.map(({ name, values }) => [name, values['memory'], values['threads']])).toEqual([
    ['first', [1], [1]],
    ['second', [3], [3]],
  ]);
});
