import { AssertionError } from '@xenolith/base';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { studentT } from './student-t.ts';
import { summarise } from './summary.ts';

describe("Student's t, from printed tables", () => {
  test.each([
    [1, 0.95, 12.706],
    [2, 0.95, 4.303],
    [3, 0.95, 3.182],
    [4, 0.95, 2.776],
    [9, 0.95, 2.262],
    [10, 0.95, 2.228],
    [30, 0.95, 2.042],
    [120, 0.95, 1.98],
    [1_000_000, 0.95, 1.96],
    [1, 0.9, 6.314],
    [5, 0.9, 2.015],
    [1, 0.99, 63.657],
    [4, 0.99, 4.604],
    [20, 0.99, 2.845],
    [10, 0.999, 4.587],
  ])('%d degrees of freedom at %d: %d', (degrees, confidence, expected) => {
    expect(Math.abs(studentT(degrees, confidence) - expected)).toBeLessThan(0.0006);
  });

  test('one and two degrees have closed forms', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 0.999, noNaN: true }), (confidence) => {
        expect(studentT(1, confidence) / Math.tan((Math.PI / 2) * confidence)).toBeCloseTo(1, 8);
        const squared = (2 * confidence ** 2) / (1 - confidence ** 2);
        expect(studentT(2, confidence) / Math.sqrt(squared)).toBeCloseTo(1, 8);
      }),
    );
  });

  test.each([
    [0, 0.95],
    [4, 0],
    [4, 1],
  ])('of %d degrees at %d there is none', (degrees, confidence) => {
    expect(() => studentT(degrees, confidence)).toThrow(AssertionError);
  });
});

describe('a summary', () => {
  test('of known values', () => {
    const { halfWidth, ...rest } = summarise([2, 4, 4, 4, 5, 5, 7, 9]);
    expect(rest).toEqual({ n: 8, mean: 5, sd: Math.sqrt(32 / 7), min: 2, median: 4.5, max: 9 });
    // t(7, 0.95) = 2.36462, times the sd of 2.13809, by the root of 8.
    expect(halfWidth).toBeCloseTo(1.78749, 4);
  });

  test('of one value says nothing of its spread', () => {
    expect(summarise([3])).toEqual({ n: 1, mean: 3, sd: 0, min: 3, median: 3, max: 3, halfWidth: undefined });
  });

  test('of large numbers close to each other loses nothing', () => {
    const { mean, sd } = summarise([10_000_000.2, 10_000_000.1, 10_000_000.3]);
    expect(mean).toBeCloseTo(10_000_000.2, 8);
    expect(sd).toBeCloseTo(0.1, 8);
  });

  test('does not depend on the order, and moves and grows with its values', () => {
    const values = fc.array(fc.integer({ min: -1e6, max: 1e6 }), { minLength: 2, maxLength: 50 });
    fc.assert(
      fc.property(values, fc.integer({ min: -1e6, max: 1e6 }), (given, by) => {
        const summary = summarise(given);
        expect(summarise(given.toReversed()).mean).toBeCloseTo(summary.mean, 9);
        const moved = summarise(given.map((value) => value + by));
        expect(moved.mean).toBeCloseTo(summary.mean + by, 6);
        expect(moved.sd).toBeCloseTo(summary.sd, 6);
        expect(moved.median).toBeCloseTo(summary.median + by, 6);
        const doubled = summarise(given.map((value) => value * 2));
        expect(doubled.halfWidth).toBeCloseTo(summary.halfWidth! * 2, 5);
      }),
    );
  });

  test.each([[[]], [[Number.NaN]], [[1, Infinity]]])('of %j there is none', (values) => {
    expect(() => summarise(values)).toThrow(AssertionError);
  });
});
