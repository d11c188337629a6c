import { availableParallelism } from 'node:os';
import { runExperiment } from '@xenolith/experiments';
import { expect, test } from 'vitest';
import { knownExperiment, runOnThreads, threadsFor } from './experiment-threads.ts';

const cpupools = knownExperiment('cpupools');
const brief = { ...cpupools, cases: cpupools.cases.filter(({ name }) => name === 'six-vms') };
const options = { seed: 3, durationNs: 50_000_000, repetitions: 3 };

test.each([1, 2, 5, 50])('on %d threads it is the same result, and every run is told', async (threads) => {
  const told: number[] = [];
  const onProgress = (done: number, total: number): void => {
    expect(total).toBe(6);
    told.push(done);
  };
  expect(await runOnThreads(brief, { ...options, onProgress }, threads)).toEqual(runExperiment(brief, options));
  expect([told.length, told.at(-1)]).toEqual([7, 6]);
});

test('a run that fails is a failure of all', async () => {
  const broken = { ...brief, cases: brief.cases.map((each) => ({ ...each, name: 'unknown' })) };
  await expect(runOnThreads(broken, options, 2)).rejects.toThrow('unknown');
});

test('few runs are not worth a thread', () => {
  expect([threadsFor(1), threadsFor(31), threadsFor(1e6)]).toEqual([1, 1, availableParallelism()]);
});
