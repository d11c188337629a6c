/** ministat's table of figures and differences. */
import { printfG } from '../printf-g.ts';
import { compareDataSets, type DataSet } from './summary.ts';

/** The marks of the data sets; also, what is drawn where several have a point: the bits of their numbers, from 1, together. */
export const marks = 'x+*%#@O';

const numberWidth = 13;

/** The lines that say which mark stands for which data set. */
export const legendLines = (sets: readonly DataSet[]): readonly string[] =>
  sets.map(({ name }, index) => `${marks.charAt(index)} ${name}`);

/**
 * The lines with the figures of each data set and, where a confidence is given, how those after the first differ from it.
 * @param confidencePercent one of `confidencesPercent`
 */
export function tableLines(sets: readonly DataSet[], confidencePercent: number | undefined): readonly string[] {
  const [reference] = sets;
  return [
    `    N${['Min', 'Max', 'Median', 'Avg', 'Stddev'].map((title) => title.padStart(numberWidth + 1)).join('')}`,
    ...sets.flatMap((set, index) => [
      figuresLine(set, index),
      ...(reference === undefined || index === 0 || confidencePercent === undefined
        ? []
        : differenceLines(reference, set, confidencePercent)),
    ]),
  ];
}

function figuresLine({ summary }: DataSet, index: number): string {
  const { n, min, max, median, average, stddev } = summary;
  const figures = [min, max, median, average, stddev].map((value) => ` ${printfG(value, 8).padStart(numberWidth)}`);
  return `${marks.charAt(index)} ${String(n).padStart(3)}${figures.join('')}`;
}

function differenceLines(reference: DataSet, sample: DataSet, confidencePercent: number): readonly string[] {
  const { difference, margin, pooledSd, proven } = compareDataSets(reference, sample, confidencePercent);
  const percent = confidencePercent.toFixed(1);
  if (!proven) return [`No difference proven at ${percent}% confidence`];
  // The sign of a negative reference stays on the margin.
  const relative = (value: number): string => `${printfG((value * 100) / reference.summary.average)}%`;
  return [
    `Difference at ${percent}% confidence`,
    `\t${printfG(difference)} +/- ${printfG(margin)}`,
    `\t${relative(difference)} +/- ${relative(margin)}`,
    `\t(Student's t, pooled s = ${printfG(pooledSd)})`,
  ];
}
