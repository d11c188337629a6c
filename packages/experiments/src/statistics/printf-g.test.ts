import fc from 'fast-check';
import { expect, test } from 'vitest';
import { printfG } from './printf-g.ts';

// What glibc's printf prints.
test.each<[number, number, string]>([
  [0, 6, '0'],
  [-0, 8, '-0'],
  [1, 6, '1'],
  [100_000, 6, '100000'],
  [1e6, 6, '1e+06'],
  [999_999.5, 6, '1e+06'],
  [0.0001, 6, '0.0001'],
  [0.00001234, 6, '1.234e-05'],
  [-1.5e-300, 6, '-1.5e-300'],
  [1 / 3, 8, '0.33333333'],
  [-2 / 3, 8, '-0.66666667'],
  // Exact halves go to the even digit; what only looks like a half goes where it is nearer to.
  [12_345_678.5, 8, '12345678'],
  [12_345_677.5, 8, '12345678'],
  [0.125, 2, '0.12'],
  [0.375, 2, '0.38'],
  [2.5, 1, '2'],
  [3.5, 1, '4'],
  [2.675, 3, '2.67'],
  [1.005, 3, '1'],
  [Infinity, 6, 'inf'],
  [-Infinity, 6, '-inf'],
  [Number.NaN, 6, '-nan'],
])('%d with %d digits is %s', (value, digits, expected) => {
  expect(printfG(value, digits)).toBe(expected);
});

test('17 digits are read back as the same number, fewer as one that is not farther than half a digit', () => {
  fc.assert(
    fc.property(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.integer({ min: 1, max: 12 }),
      (value, digits) => {
        expect(Number(printfG(value, 17))).toBe(value);
        if (Math.abs(value) < 1e-290 || Math.abs(value) > 1e290) return;
        const off = Math.abs(Number(printfG(value, digits)) / value - 1);
        expect(off).toBeLessThanOrEqual(5.001 * 10 ** -digits);
      },
    ),
  );
});
