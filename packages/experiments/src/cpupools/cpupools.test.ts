import { expect, test } from 'vitest';
import { runExperiment, type ExperimentResult } from '../run-experiment.ts';
import { cpupools } from './cpupools.ts';

/** Shorter than what the command does, with the same answers. */
const run = (seed: number): ExperimentResult =>
  runExperiment(cpupools, { seed, durationNs: 4_000_000_000, repetitions: 2 });

test('what is said of cpupools holds on the model', () => {
  const failing = run(1).cases.flatMap(({ verdicts }) => verdicts.filter(({ holds }) => !holds));
  expect(failing).toEqual([]);
});

test('a seed is a result', () => {
  const cases = cpupools.cases.filter(({ name }) => name === 'side-by-side');
  const of = (seed: number): unknown =>
    runExperiment({ ...cpupools, cases }, { seed, durationNs: 500_000_000, repetitions: 2 }).cases.map(
      ({ variants }) => variants,
    );
  expect(of(3)).toEqual(of(3));
  expect(of(3)).not.toEqual(of(4));
});
