import { AssertionError } from '@xenolith/base';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compare } from './compare.ts';
import { summarise } from './summary.ts';

describe('a comparison', () => {
  test('of known values', () => {
    const comparison = compare(summarise([1, 2, 3]), summarise([4, 5, 6, 7]), 0.95);
    // The pooled variance is (2·1 + 3·5/3) / 5; t(5, 0.95) = 2.570582.
    expect(comparison.pooledSd).toBeCloseTo(Math.sqrt(1.4), 12);
    expect(comparison.margin).toBeCloseTo(2.570582 * Math.sqrt(1.4 * (1 / 3 + 1 / 4)), 5);
    expect(comparison).toMatchObject({ confidence: 0.95, difference: 3.5, relative: 1.75, proven: true });
    expect(comparison.relativeMargin).toBeCloseTo(comparison.margin / 2, 12);
    expect(compare(summarise([1, 2, 3]), summarise([4, 5, 6, 7]), 0.995).proven).toBe(false);
  });

  test('relative to a negative mean, and to none', () => {
    const [low, zero, high] = [
      [-3, -2, -1],
      [-1, 0, 1],
      [1, 2, 3],
    ].map((values) => summarise(values)) as [
      ReturnType<typeof summarise>,
      ReturnType<typeof summarise>,
      ReturnType<typeof summarise>,
    ];
    const negative = compare(low, high, 0.9);
    expect(negative.relative).toBe(-2);
    expect(negative.relativeMargin).toBeGreaterThan(0);
    expect(compare(zero, high, 0.9)).toMatchObject({ relative: Infinity, relativeMargin: Infinity, proven: true });
    expect(compare(zero, zero, 0.9)).toMatchObject({ difference: 0, relative: Number.NaN, proven: false });
  });

  test('the other way round it is the opposite; moved samples differ the same; a higher confidence has a wider margin', () => {
    const values = fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 2, maxLength: 20 });
    fc.assert(
      fc.property(values, values, fc.integer({ min: -1000, max: 1000 }), (a, b, by) => {
        const moved = (given: readonly number[]): ReturnType<typeof summarise> =>
          summarise(given.map((value) => value + by));
        const [x, y] = [summarise(a), summarise(b)];
        const there = compare(x, y, 0.95);
        const back = compare(y, x, 0.95);
        expect(back.difference).toBeCloseTo(-there.difference, 9);
        expect(back.margin).toBeCloseTo(there.margin, 9);
        expect(compare(moved(a), moved(b), 0.95).margin).toBeCloseTo(there.margin, 6);
        expect(compare(x, y, 0.99).margin).toBeGreaterThanOrEqual(there.margin);
      }),
    );
  });

  test('of a single value there is none', () => {
    expect(() => compare(summarise([1]), summarise([1, 2]), 0.95)).toThrow(AssertionError);
  });
});
