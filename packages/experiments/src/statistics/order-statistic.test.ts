import { AssertionError } from '@xenolith/base';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { orderStatistic } from './order-statistic.ts';

const value = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(0, -0), fc.double({ noNaN: true }));

test('it is what stands there after sorting, equal ones in their order, and the values stay as they are', () => {
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 60 }), fc.nat(), (given, where) => {
      const index = where % given.length;
      const values = Float64Array.from(given);
      expect(orderStatistic(values, index)).toBe(given.toSorted((a, b) => a - b)[index]);
      expect([...values]).toEqual(given);
    }),
  );
});

/** Each pivot is nearly the smallest: the ends and the middle hold the next three. */
function slowOrder(length: number): Float64Array {
  const places = Array.from({ length }, (_, index) => index);
  const values = new Float64Array(length);
  let next = 0;
  while (places.length > 0) {
    values[places.splice(places.length >> 1, 1)[0]!] = next++;
    if (places.length > 0) values[places.shift()!] = next++;
  }
  return values;
}

test('an order that is made to be slow', () => {
  const values = slowOrder(3001);
  expect([0, 1500, 2999].map((index) => orderStatistic(values, index))).toEqual([0, 1500, 2999]);
});

test.each([-1, 2, 0.5])('at %d of two there is none', (index) => {
  expect(() => orderStatistic(Float64Array.of(1, 2), index)).toThrow(AssertionError);
});
