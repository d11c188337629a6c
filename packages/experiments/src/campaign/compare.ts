/** Student's t test with pooled variance, in the shape in which the statistics have it. */
import { studentT } from '../statistics/student-t.ts';
import type { Summary } from '../statistics/summary.ts';

export interface Comparison {
  /** The sample's mean less the reference's. */
  readonly difference: number;
  /** Half the width of the confidence interval of the difference. */
  readonly margin: number;
  /** Both by the reference's mean. */
  readonly relative: number;
  readonly relativeMargin: number;
  /** Whether the difference is larger than its margin. */
  readonly proven: boolean;
}

/** @param confidence between 0 and 1 */
export function compare(reference: Summary, sample: Summary, confidence: number): Comparison {
  const degrees = reference.n + sample.n - 2;
  const squares = (reference.n - 1) * reference.sd ** 2 + (sample.n - 1) * sample.sd ** 2;
  const margin = studentT(degrees, confidence) * Math.sqrt((squares / degrees) * (1 / reference.n + 1 / sample.n));
  const difference = sample.mean - reference.mean;
  return {
    difference,
    margin,
    relative: difference / reference.mean,
    relativeMargin: margin / Math.abs(reference.mean),
    proven: Math.abs(difference) > margin,
  };
}
