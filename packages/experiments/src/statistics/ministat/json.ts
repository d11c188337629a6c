/** What ministat tells, as data. */
import { printfG } from '../printf-g.ts';
import { compareDataSets, lostStddev, type DataSet } from './summary.ts';
import { marks } from './table.ts';

/**
 * The figures of the table, not rounded, and the notes on them; confidence and relative differences as parts of 1. What is
 * infinite or no number is null.
 * @param confidencePercent one of `confidencesPercent`; without one nothing is compared
 */
export function ministatJson(sets: readonly DataSet[], confidencePercent: number | undefined): string {
  const [reference, ...others] = sets;
  const value = {
    source: 'measured',
    datasets: sets.map(({ name, summary: { n, min, max, median, average, stddev } }, index) => ({
      name,
      mark: marks.charAt(index),
      n,
      min,
      max,
      median,
      average,
      stddev,
    })),
    differences:
      reference === undefined || confidencePercent === undefined
        ? []
        : others.map((set) => ({
            reference: reference.name,
            dataset: set.name,
            ...compareDataSets(reference, set, confidencePercent),
          })),
    notes: ministatNotes(sets),
  };
  return JSON.stringify(value, undefined, 2);
}

/** Where ministat's figures are not to be believed, a line each. */
export const ministatNotes = (sets: readonly DataSet[]): readonly string[] =>
  sets.flatMap((set) => {
    const stddev = lostStddev(set);
    if (stddev === undefined) return [];
    return [
      `${set.name}: the values are large beside their spread, and ministat's way of adding squares loses digits: the standard deviation is ${printfG(stddev, 8)}, not ${printfG(set.summary.stddev, 8)}`,
    ];
  });
