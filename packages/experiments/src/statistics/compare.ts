/** Whether two samples differ: Student's t test with the variances pooled. */
import { assert } from '@xenolith/base';
import { studentT } from './student-t.ts';
import type { Summary } from './summary.ts';

/** What a test on means takes of a sample. */
export interface Moments {
  readonly n: number;
  readonly mean: number;
  /** Of the sample (n - 1). */
  readonly variance: number;
}

/** How a sample differs from a reference. */
export interface Comparison {
  /** Such as 0.95. */
  readonly confidence: number;
  /** The sample's mean less the reference's. */
  readonly difference: number;
  /** Half the width of the confidence interval of the difference. */
  readonly margin: number;
  /** The difference by the reference's mean: 0.1 is 10 % more; infinite or NaN where that mean is 0. */
  readonly relative: number;
  /** The margin by the reference's mean without its sign. */
  readonly relativeMargin: number;
  /** The standard deviation within both samples. */
  readonly pooledSd: number;
  /** Whether the difference is larger than its margin: otherwise the samples do not tell the means apart. */
  readonly proven: boolean;
}

/**
 * Compares a sample with a reference, as `summarise` gives them. The test supposes that both are normally distributed with the
 * same variance.
 * @param confidence between 0 and 1
 * @throws AssertionError where one of them is a single value, which says nothing of its spread
 */
export const compare = (
  reference: Pick<Summary, 'n' | 'mean' | 'sd'>,
  sample: Pick<Summary, 'n' | 'mean' | 'sd'>,
  confidence: number,
): Comparison => compareMoments(moments(reference), moments(sample), confidence, studentT);

const moments = ({ n, mean, sd }: Pick<Summary, 'n' | 'mean' | 'sd'>): Moments => ({ n, mean, variance: sd ** 2 });

/** The same with a t of the caller's, by degrees of freedom and confidence. */
export function compareMoments(
  reference: Moments,
  sample: Moments,
  confidence: number,
  tOf: (degrees: number, confidence: number) => number,
): Comparison {
  assert(reference.n > 1 && sample.n > 1, `samples of ${reference.n} and ${sample.n} values`);
  const degrees = reference.n + sample.n - 2;
  const squares = (sample.n - 1) * sample.variance + (reference.n - 1) * reference.variance;
  const pooledSd = Math.sqrt(squares / degrees);
  const margin = tOf(degrees, confidence) * (pooledSd * Math.sqrt(1 / sample.n + 1 / reference.n));
  const difference = sample.mean - reference.mean;
  return {
    confidence,
    difference,
    margin,
    relative: difference / reference.mean,
    relativeMargin: margin / Math.abs(reference.mean),
    pooledSd,
    proven: Math.abs(difference) > margin,
  };
}
