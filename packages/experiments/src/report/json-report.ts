import type { ExperimentResult } from '../run-experiment.ts';

/** Everything of a result as JSON: the values of every run, summaries, verdicts, and what they were got with. */
export function jsonReport({ of, seed, durationNs, repetitions, cases }: ExperimentResult): string {
  const { name, title, source, release } = of;
  const value = {
    experiment: name,
    title,
    source,
    release,
    seed,
    durationNs,
    repetitions,
    cases: cases.map((each) => ({
      case: each.of.name,
      what: each.of.what,
      measures: each.of.measures.map((measure) => ({ ...measure, source })),
      variants: each.variants.map((variant) => ({
        variant: variant.name,
        ...(variant.x === undefined ? {} : { x: variant.x }),
        values: variant.values,
        summaries: variant.summaries,
      })),
      verdicts: each.verdicts,
    })),
  };
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
