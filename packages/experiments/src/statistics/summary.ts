/** What several runs of one measurement say together. */
import { assert } from '@xenolith/base';
import { studentT } from './student-t.ts';

/** Confidence of the intervals that are given. */
export const confidence = 0.95;

export interface Summary {
  readonly n: number;
  readonly mean: number;
  /** Standard deviation of the sample (n - 1); 0 of a single value. */
  readonly sd: number;
  readonly min: number;
  readonly median: number;
  readonly max: number;
  /**
   * Half the width of the confidence interval of the mean at 95 %, by Student's t; undefined of a single value, which
   * says nothing of the others.
   */
  readonly halfWidth: number | undefined;
}

/** @throws AssertionError for no values, and for one that is no finite number */
export function summarise(values: readonly number[]): Summary {
  const n = values.length;
  assert(n > 0, 'values to summarise');
  for (const value of values) assert(Number.isFinite(value), `a value ${value}`);
  const sorted = values.toSorted((a, b) => a - b);
  const mean = sum(values) / n;
  const sd = n === 1 ? 0 : Math.sqrt(sum(values.map((value) => (value - mean) ** 2)) / (n - 1));
  const middle = n >> 1;
  return {
    n,
    mean,
    sd,
    min: sorted[0]!,
    median: n % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2,
    max: sorted[n - 1]!,
    halfWidth: n === 1 ? undefined : (studentT(n - 1, confidence) * sd) / Math.sqrt(n),
  };
}

/** The sum, with what rounding loses carried along (Neumaier). */
function sum(values: readonly number[]): number {
  let total = 0;
  let lost = 0;
  for (const value of values) {
    const next = total + value;
    lost += Math.abs(total) >= Math.abs(value) ? total - next + value : value - next + total;
    total = next;
  }
  return total + lost;
}
