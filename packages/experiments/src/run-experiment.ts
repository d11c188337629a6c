/** Runs an experiment: every variant of every case, as often as asked for, each time with another seed. */
import { assert, present } from '@xenolith/base';
import type { Topology } from '@xenolith/hypervisor';
import type { Experiment, ExperimentCase, MeanOf, RunContext, Variant } from './experiment.ts';
import { summarise, type Summary } from './statistics/summary.ts';

export interface RunOptions {
  /** Seed of the first run; the others follow. */
  readonly seed: number;
  readonly durationNs: number;
  readonly repetitions: number;
  /** The machine to try it on; its own where absent. */
  readonly topology?: Topology;
  /** Is told before each run how many are done, of how many, and what comes. */
  readonly onProgress?: (done: number, total: number, what: string) => void;
}

export interface VariantResult {
  readonly name: string;
  readonly x: number | undefined;
  /** In the order of the runs, by measure. */
  readonly values: Readonly<Record<string, readonly number[]>>;
  readonly summaries: Readonly<Record<string, Summary>>;
}

/** A statement and what came of it. */
export interface Verdict {
  readonly statement: string;
  readonly value: number;
  readonly unit: string;
  readonly holds: boolean;
}

export interface CaseResult {
  readonly of: ExperimentCase;
  readonly variants: readonly VariantResult[];
  readonly verdicts: readonly Verdict[];
}

export interface ExperimentResult {
  readonly of: Experiment;
  readonly seed: number;
  readonly durationNs: number;
  readonly repetitions: number;
  readonly cases: readonly CaseResult[];
}

/** The most runs of one variant. */
export const repetitionsMax = 1000;

/** One run of a variant, by the names that an experiment knows them under. */
export interface RunTask {
  readonly caseName: string;
  readonly variantName: string;
  readonly seed: number;
}

/** What a run came to, by measure. */
export type RunValues = Readonly<Record<string, number>>;

/** The runs that a result is made of, in the order in which {@link experimentResult} wants them. */
export function plannedRuns({ cases }: Experiment, { seed, repetitions }: RunOptions): readonly RunTask[] {
  assert(repetitions >= 1 && repetitions <= repetitionsMax, `${repetitions} repetitions`);
  return cases.flatMap(({ name: caseName, variants }) =>
    variants.flatMap(({ name: variantName }) =>
      Array.from({ length: repetitions }, (_, index) => ({ caseName, variantName, seed: seed + index })),
    ),
  );
}

/** Does one of the planned runs. @throws AssertionError for one that does not give every measure its value */
export function runTask(
  experiment: Experiment,
  { caseName, variantName, seed }: RunTask,
  { durationNs, topology }: Pick<RunOptions, 'durationNs' | 'topology'>,
): RunValues {
  assert(topology === undefined || isRoom(experiment, topology), `${experiment.name} on another machine`);
  const of = present(
    experiment.cases.find(({ name }) => name === caseName),
    caseName,
  );
  const variant = present(
    of.variants.find(({ name }) => name === variantName),
    variantName,
  );
  return runVariant(of, variant, { seed, durationNs, ...(topology && { topology }) });
}

/** Does all runs, one after the other. @throws AssertionError for a run that does not give every measure its value */
export function runExperiment(experiment: Experiment, options: RunOptions): ExperimentResult {
  const tasks = plannedRuns(experiment, options);
  const runs = tasks.map((task, done) => {
    options.onProgress?.(done, tasks.length, `${task.caseName}: ${task.variantName}`);
    return runTask(experiment, task, options);
  });
  options.onProgress?.(tasks.length, tasks.length, '');
  return experimentResult(experiment, options, runs);
}

/** What the planned runs make together. @param runs their values, in the order of {@link plannedRuns} */
export function experimentResult(
  experiment: Experiment,
  { seed, durationNs, repetitions }: RunOptions,
  runs: readonly RunValues[],
): ExperimentResult {
  let at = 0;
  const cases = experiment.cases.map((each): CaseResult => {
    const variants = each.variants.map((variant) => {
      const own = runs.slice(at, (at += repetitions));
      assert(own.length === repetitions, 'every run has been done');
      return variantResult(each, variant, own);
    });
    return { of: each, variants, verdicts: judge(each, variants) };
  });
  return { of: experiment, seed, durationNs, repetitions, cases };
}

/** Whether an experiment can be tried on a machine. */
export const isRoom = ({ pcpusMin }: Experiment, { pcpus }: Topology): boolean =>
  pcpusMin !== undefined && pcpus.length >= pcpusMin;

/** Runs one variant once. */
export function runVariant(
  { name, measures }: Pick<ExperimentCase, 'name' | 'measures'>,
  variant: Variant,
  context: RunContext,
): RunValues {
  const values = variant.run(context);
  for (const measure of measures) {
    const value = values[measure.name];
    assert(value !== undefined && Number.isFinite(value), `${name}, ${variant.name}: ${measure.name} is ${value}`);
  }
  return values;
}

function variantResult({ measures }: ExperimentCase, { name, x }: Variant, runs: readonly RunValues[]): VariantResult {
  const values = Object.fromEntries(measures.map((measure) => [measure.name, runs.map((run) => run[measure.name]!)]));
  const summaries = Object.fromEntries(Object.entries(values).map(([measure, each]) => [measure, summarise(each)]));
  return { name, x, values, summaries };
}

function judge({ name, expectations }: ExperimentCase, variants: readonly VariantResult[]): readonly Verdict[] {
  const of =
    (figure: 'mean' | 'sd'): MeanOf =>
    (variant, measure) => {
      const summary = variants.find((each) => each.name === variant)?.summaries[measure];
      assert(summary !== undefined, `${name} has a ${measure} of ${variant}`);
      return summary[figure];
    };
  const mean = of('mean');
  return expectations.map(({ statement, unit, value, holds }) => {
    const figure = value(mean, of('sd'));
    return { statement, value: figure, unit, holds: holds(figure, mean) };
  });
}
