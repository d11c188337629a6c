/** A data set's figures as ministat reckons them. */
import { assert } from '@xenolith/base';
import { compareMoments, type Comparison } from '../compare.ts';
import { orderStatistic } from '../order-statistic.ts';
import { studentT } from '../student-t.ts';

/** ministat says nothing of fewer values. */
export const valuesMin = 3;

/**
 * What ministat tells of a data set. It is not quite what `summarise` tells: of an even number of values the median is the upper of the two in the
 * middle, and average and variance come from running sums of the values and their squares, which lose digits where values are large beside
 * their spread: the variance may even be negative, and its root NaN.
 */
export interface MinistatSummary {
  readonly n: number;
  readonly min: number;
  readonly max: number;
  readonly median: number;
  readonly average: number;
  readonly variance: number;
  readonly stddev: number;
}

export interface DataSet {
  readonly name: string;
  readonly summary: MinistatSummary;
  readonly values: Float64Array;
}

/** @throws AssertionError for fewer values than `valuesMin` */
export function dataSet(name: string, values: Float64Array): DataSet {
  const n = values.length;
  assert(n >= valuesMin, `${n} values`);
  let sum = 0;
  let squares = 0;
  let min = Infinity;
  let max = -Infinity;
  for (const value of values) {
    // Of equal ones, which 0 and -0 are, the first is the smallest and the last is the largest.
    if (value < min) min = value;
    if (value >= max) max = value;
    sum += value;
    squares += value * value;
  }
  const variance = (squares - (sum * sum) / n) / (n - 1);
  const summary: MinistatSummary = {
    n,
    min,
    max,
    median: orderStatistic(values, n >> 1),
    average: sum / n,
    variance,
    stddev: Math.sqrt(variance),
  };
  return { name, summary, values };
}

/**
 * The standard deviation of a data set whose digits ministat's running sums have lost, which `stddev` is not; undefined where
 * the two agree to six digits.
 */
export function lostStddev({ summary, values }: DataSet): number | undefined {
  const { n, average, stddev } = summary;
  let squares = 0;
  for (const value of values) squares += (value - average) ** 2;
  const exact = Math.sqrt(squares / (n - 1));
  return Math.abs(stddev - exact) <= exact * 1e-6 ? undefined : exact;
}

/** The levels of confidence that there are, in per cent. */
export const confidencesPercent: readonly number[] = [80, 90, 95, 98, 99, 99.5];

/** Beyond, ministat takes t for infinitely many degrees of freedom; a million give its three decimals. */
const degreesMax = 100;
const manyDegrees = 1_000_000;

/** What stands in ministat's table for 99.5 per cent is t at 99.8. */
const highest = { said: 0.995, meant: 0.998 } as const;

/** Where the table for 99.5 per cent has another figure than t at 99.8 rounded to three decimals, by degrees of freedom. */
const misprints: Readonly<Record<number, number>> = {
  7: 4.782,
  8: 4.499,
  9: 4.296,
  10: 4.143,
  11: 4.024,
  12: 3.929,
};

/**
 * ministat's t: three decimals, which were seen for 4 to 130 degrees of freedom at each of its levels.
 * @param confidence one of `confidencesPercent`, as a part of 1
 */
export function ministatT(degrees: number, confidence: number): number {
  const isHighest = confidence === highest.said;
  const misprint = isHighest ? misprints[degrees] : undefined;
  if (misprint !== undefined) return misprint;
  const exact = studentT(degrees > degreesMax ? manyDegrees : degrees, isHighest ? highest.meant : confidence);
  return Math.round(exact * 1000) / 1000;
}

/** Compares two data sets by ministat's figures and its t. */
export const compareDataSets = (reference: DataSet, sample: DataSet, confidencePercent: number): Comparison =>
  compareMoments(moments(reference), moments(sample), confidencePercent / 100, ministatT);

const moments = ({ summary }: DataSet): { readonly n: number; readonly mean: number; readonly variance: number } => ({
  n: summary.n,
  mean: summary.average,
  variance: summary.variance,
});
