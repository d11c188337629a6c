import { buildTopology } from '@xenolith/hypervisor';
import { expect, test } from 'vitest';
import { runExperiment } from '../run-experiment.ts';
import { placeVms, whatIfExperiment, whatIfPolicies, type WhatIfPolicy, type WhatIfQuestion } from './what-if.ts';

const question: WhatIfQuestion = {
  topology: buildTopology({ nodes: 2, socketsPerNode: 1, coresPerSocket: 4, threadsPerCore: 1 }),
  freeMib: [4096, 4096],
  vms: [{ count: 3, vcpus: 2, memoryMib: 1024 }],
  policies: whatIfPolicies,
};
const nodes = [
  [0, 1, 2, 3],
  [4, 5, 6, 7],
];

test.each<[WhatIfPolicy, readonly object[]]>([
  ['any', [{}, {}, {}]],
  ['best_effort', [0, 1, 0].map((node) => ({ nodeAffinity: [node], softAffinity: nodes[node]! }))],
  ['strict', [0, 1, 0].map((node) => ({ nodeAffinity: [node], hardAffinity: nodes[node]! }))],
  ['xl', [0, 1, 0].map((node) => ({ nodeAffinity: [node], softAffinity: nodes[node]! }))],
])('%s puts VMs one after the other where it puts them', (policy, where) => {
  const placed = placeVms(question, policy);
  const found = placed.ok
    ? placed.value.map(({ name: _n, vcpus: _v, memoryMib: _m, workload: _w, ...each }) => each)
    : [];
  expect(found).toEqual(where);
});

test.each(['best_effort', 'strict', 'xl'] as const)('%s: VMs that are there count, not only their memory', (policy) => {
  const placed = placeVms({ ...question, freeMib: [4096, 9000] }, policy);
  expect(placed.ok && placed.value.map(({ nodeAffinity }) => nodeAffinity)).toEqual([[1], [0], [1]]);
});

test('a VM that xl has no place for is everywhere, where there is memory; else it is refused by all', () => {
  const wide = { ...question, vms: [{ count: 1, vcpus: 12, memoryMib: 6000 }] };
  const [vm] = (placeVms(wide, 'xl') as { readonly value: readonly object[] }).value;
  expect(Object.keys(vm!)).toEqual(['name', 'vcpus', 'memoryMib', 'workload']);
  for (const policy of whatIfPolicies) {
    const full = placeVms({ ...question, vms: [{ count: 9, vcpus: 1, memoryMib: 1024 }] }, policy);
    expect(full).toEqual({ ok: false, error: expect.stringMatching(/vm9/) });
  }
});

test('local memory is worth something, and who is refused is said', () => {
  const asked = whatIfExperiment({ ...question, vms: [{ count: 2, vcpus: 4, memoryMib: 2048 }] });
  expect(asked.ok).toBe(true);
  const experiment = (asked as { readonly value: Parameters<typeof runExperiment>[0] }).value;
  const { cases } = runExperiment(experiment, { seed: 1, durationNs: 500_000_000, repetitions: 2 });
  const means = Object.fromEntries(cases[0]!.variants.map(({ name, summaries }) => [name, summaries['all']!.mean]));
  for (const policy of ['best_effort', 'strict', 'xl']) expect(means[policy]).toBeGreaterThan(means['any']! * 1.03);
  const wide = whatIfExperiment({ ...question, vms: [{ count: 1, vcpus: 12, memoryMib: 1000 }] });
  expect(wide).toMatchObject({ value: { what: expect.stringContaining('strict refuses vm1') } });
  const none = whatIfExperiment({ ...question, policies: ['strict'], vms: [{ count: 1, vcpus: 12, memoryMib: 1000 }] });
  expect(none).toEqual({ ok: false, error: expect.stringContaining('strict refuses vm1') });
});
