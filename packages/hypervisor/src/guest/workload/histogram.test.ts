import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Histogram } from './histogram.ts';

const histogramOf = (values: readonly number[]): Histogram => {
  const histogram = new Histogram();
  for (const value of values) histogram.add(value);
  return histogram;
};

const values = fc.array(fc.oneof(fc.nat(100), fc.nat(1e9), fc.maxSafeNat()), { minLength: 1 });

test('count and maximum are exact, and a quantile is at most 1/32 above the one of the sorted values', () => {
  fc.assert(
    fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (given, q) => {
      const histogram = histogramOf(given);
      const sorted = given.toSorted((a, b) => a - b);
      const exact = sorted[Math.max(1, Math.ceil(q * given.length)) - 1]!;
      expect(histogram.count).toBe(given.length);
      expect(histogram.max).toBe(sorted.at(-1));
      const quantile = histogram.quantile(q);
      expect(quantile).toBeGreaterThanOrEqual(exact);
      expect(quantile).toBeLessThanOrEqual(exact + exact / 32);
    }),
  );
});

test.each([0, 1, 31, 32, 33, 63, 64, 2 ** 20 - 1, 2 ** 20, 2 ** 49 - 1, 2 ** 49, Number.MAX_SAFE_INTEGER])(
  'a single value %d is every quantile of itself',
  (value) => {
    const histogram = histogramOf([value]);
    expect([histogram.quantile(0), histogram.quantile(0.5), histogram.quantile(1)]).toEqual([value, value, value]);
  },
);

test('adding one to another is adding its values', () => {
  // Small enough for a sum without rounding.
  const small = fc.array(fc.nat(1e9), { minLength: 1 });
  fc.assert(
    fc.property(small, small, (first, second) => {
      const sum = histogramOf(first);
      sum.addAll(histogramOf(second));
      expect(sum).toEqual(histogramOf([...first, ...second]));
    }),
  );
});

test('of nothing everything is 0, also after clearing', () => {
  const histogram = histogramOf([5, 7]);
  expect([histogram.mean, histogram.sum]).toEqual([6, 12]);
  histogram.clear();
  expect([histogram.count, histogram.mean, histogram.max, histogram.quantile(0.5)]).toEqual([0, 0, 0, 0]);
});
