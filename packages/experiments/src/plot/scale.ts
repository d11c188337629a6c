/** A linear scale with round marks. */
export interface Scale {
  readonly min: number;
  readonly max: number;
  readonly marks: readonly number[];
}

/** Marks that a scale should have about. */
const marksWanted = 5;

/** A scale from 0 (or below, where values are) to a round number at or above the greatest value. */
export function scaleFor(values: readonly number[]): Scale {
  const low = Math.min(0, ...values);
  const high = Math.max(0, ...values);
  if (low === high) return { min: 0, max: 1, marks: [0, 1] };
  const step = roundStep((high - low) / marksWanted);
  const from = Math.floor(low / step);
  const to = Math.ceil(high / step - 1e-9);
  const marks = Array.from({ length: to - from + 1 }, (_, index) => rounded((from + index) * step));
  return { min: marks[0]!, max: marks.at(-1)!, marks };
}

/** 1, 2 or 5 times a power of ten, at least `step`. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const factor = [1, 2, 5].find((each) => each * power >= step * (1 - 1e-9)) ?? 10;
  return factor * power;
}

/** Without the dust of binary fractions. */
const rounded = (value: number): number => Number(value.toPrecision(12));

/** Where a value lies between `from` and `to`. */
export const placeOf = ({ min, max }: Scale, value: number, from: number, to: number): number =>
  from + ((value - min) / (max - min)) * (to - from);
