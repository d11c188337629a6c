import { describe, expect, test } from 'vitest';
import { outputEnd } from './output-end.ts';

describe('the end of what a command says', () => {
  test('is its last characters, whatever pieces it comes in', () => {
    const all = Array.from({ length: 300 }, (_, at) => String.fromCodePoint(0x4e00 + at)).join('');
    for (const piece of [1, 2, 3, 7, 9, 10, 11, 20, 21, 299]) {
      const end = outputEnd(10);
      for (let at = 0; at < all.length; at += piece) {
        end.add(all.slice(at, at + piece));
        expect(end.text()).toBe(all.slice(0, at + piece).slice(-10));
      }
    }
  });

  test('is copied once for as many characters as it has, and never grows', () => {
    const end = outputEnd(1000);
    let cuts = 0;
    let longest = 0;
    for (let said = 0, before = 0; said < 100_000; said++, before = end.length) {
      end.add('x');
      if (end.length <= before) cuts++;
      longest = Math.max(longest, end.length);
    }
    expect(cuts).toBeLessThanOrEqual(100);
    expect(longest).toBeLessThanOrEqual(2000);
  });
});
