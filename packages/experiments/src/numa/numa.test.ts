import { AssertionError } from '@xenolith/base';
import { buildTopology, calibratedMemoryCost } from '@xenolith/hypervisor';
import { describe, expect, test } from 'vitest';
import { runExperiment, type ExperimentResult } from '../run-experiment.ts';
import { hostHeap, numaWork, type NumaHost, type NumaVm } from './numa-machine.ts';
import { numa } from './numa.ts';

const caseOf = (name: string): typeof numa => ({ ...numa, cases: numa.cases.filter((each) => each.name === name) });

// All of what the command does: the statements are about means of five runs that are long enough.
test('the statements of the post hold on the model', () => {
  const { seed, durationNs, repetitions } = { ...numa, seed: 1 };
  const result = runExperiment(caseOf('smt'), { seed, durationNs, repetitions });
  expect(result.cases.flatMap(({ verdicts }) => verdicts.filter(({ holds }) => !holds))).toEqual([]);
  expect(result.cases[0]!.verdicts.map(({ statement }) => statement.slice(0, 2))).toEqual(
    expect.arrayContaining(['T1', 'T2', 'T3', 'T4', 'T5', 'T6']),
  );
}, 240_000);

test('not with 16 cores of their own, where the memory controller of VM#1 is what it waits for', () => {
  const result = runExperiment(caseOf('cores'), { seed: 1, durationNs: 1_000_000_000, repetitions: 2 });
  const failing = result.cases[0]!.verdicts.filter(({ holds }) => !holds);
  expect(failing.map(({ statement }) => statement.slice(0, 2))).toEqual(expect.arrayContaining(['T1', 'T3']));
}, 60_000);

test('a seed is a result', () => {
  const of = (seed: number): ExperimentResult['cases'][number]['variants'] =>
    runExperiment(
      { ...numa, cases: [{ ...numa.cases[0]!, variants: numa.cases[0]!.variants.slice(1, 3), expectations: [] }] },
      { seed, durationNs: 200_000_000, repetitions: 2 },
    ).cases[0]!.variants;
  expect(of(3)).toEqual(of(3));
  expect(of(3)).not.toEqual(of(4));
});

describe('a host', () => {
  const topology = buildTopology({ nodes: 2, socketsPerNode: 1, coresPerSocket: 4, threadsPerCore: 1 });
  const host: NumaHost = {
    topology,
    nodeMib: [1024, 3072],
    dom0Mib: 512,
    dom0Vcpus: 1,
    cost: calibratedMemoryCost,
    scheduler: 'credit',
    xenVersion: '4.23',
  };
  const vm: NumaVm = { name: 'vm', vcpus: 2, memoryMib: 1024, workload: { kind: 'hog' } };
  const context = { seed: 1, durationNs: 500_000_000 };

  test("has dom0's memory on all nodes alike", () => {
    expect(hostHeap(host).pagesByNode(0)).toEqual([256 * 256, 256 * 256]);
  });

  test('gives VMs what is left: where a node is full they are slower than all local ones', () => {
    const near = { ...vm, nodeAffinity: [0], hardAffinity: [0, 1, 2, 3] };
    const [alone] = numaWork(host, [{ ...near, memoryMib: 512 }], context);
    // A quarter of it does not fit on the node.
    const [spilled] = numaWork(host, [near], context);
    expect(alone).toBeGreaterThan(1.9);
    expect(spilled).toBeLessThan(alone! * 0.98);
  });

  test('refuses what does not fit', () => {
    expect(() => numaWork(host, [vm, { ...vm, memoryMib: 2561 }], context)).toThrow(AssertionError);
    expect(() => hostHeap({ ...host, dom0Mib: 5000 })).toThrow(AssertionError);
  });
});
