import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { e820Types, sanitiseE820, typicalE820, usablePages, type E820Entry } from './e820.ts';

const entry = (startByte: number, endByte: number, type: E820Entry['type'] = 'usable'): E820Entry => ({
  startByte,
  endByte,
  type,
});

describe('sanitiseE820', () => {
  test.each<[string, readonly E820Entry[], readonly E820Entry[]]>([
    ['nothing', [], []],
    ['order', [entry(10, 20), entry(0, 5)], [entry(0, 5), entry(10, 20)]],
    ['neighbours', [entry(0, 5), entry(5, 9)], [entry(0, 9)]],
    ['an empty one', [entry(5, 5, 'reserved'), entry(0, 9)], [entry(0, 9)]],
    [
      'a reserved one inside',
      [entry(0, 30), entry(10, 20, 'reserved')],
      [entry(0, 10), entry(10, 20, 'reserved'), entry(20, 30)],
    ],
    ['the higher type counts', [entry(0, 10, 'ACPI NVS'), entry(0, 10, 'reserved')], [entry(0, 10, 'ACPI NVS')]],
  ])('%s', (_, entries, expected) => {
    expect(sanitiseE820(entries)).toEqual(expected);
  });

  test('says of every byte what the highest type over it says, in order, and nothing twice', () => {
    const region = fc
      .tuple(fc.nat(40), fc.nat(40), fc.constantFrom(...e820Types))
      .map(([a, b, type]) => entry(Math.min(a, b), Math.max(a, b), type));
    fc.assert(
      fc.property(fc.array(region, { maxLength: 12 }), (entries) => {
        const map = sanitiseE820(entries);
        for (let at = 0; at < 41; at++) {
          const over = entries.filter(({ startByte, endByte }) => at >= startByte && at < endByte);
          const highest = Math.max(-1, ...over.map(({ type }) => e820Types.indexOf(type)));
          const found = map.filter(({ startByte, endByte }) => at >= startByte && at < endByte);
          expect(found.map(({ type }) => type)).toEqual(highest < 0 ? [] : [e820Types[highest]]);
        }
        for (const [index, { startByte, type }] of map.slice(1).entries()) {
          const before = map[index]!;
          expect(startByte > before.endByte || (startByte === before.endByte && type !== before.type)).toBe(true);
        }
      }),
    );
  });
});

test('pages count when they are whole', () => {
  expect(usablePages([entry(1, 4096 * 3), entry(4096 * 8, 4096 * 9 + 4095)])).toBe(3);
});

test.each([
  [2 * 2 ** 30, 2 * 2 ** 30],
  [48 * 2 ** 30, 49 * 2 ** 30],
])('a typical machine of %d bytes ends at %d', (memoryBytes, endByte) => {
  const map = typicalE820(memoryBytes);
  expect(sanitiseE820(map)).toEqual(map);
  expect(usablePages(map)).toBe(memoryBytes / 4096 - 97);
  expect(Math.max(...map.filter(({ type }) => type === 'usable').map((one) => one.endByte))).toBe(endByte);
});
