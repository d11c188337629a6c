import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as pcpuMask from './pcpu-mask.ts';

/** Three words, the last one not full: bits 31, 32, 63 and 64 are the edges. */
const pcpus = 71;
const words = pcpuMask.maskWords(pcpus);
const pcpu = fc.oneof(fc.nat(pcpus - 1), fc.constantFrom(0, 31, 32, 63, 64, 70));
const set = fc.array(pcpu, { maxLength: 80 }).map((list) => new Set(list));

const maskOf = (of: ReadonlySet<number>): pcpuMask.PcpuMask => pcpuMask.maskOf(words, of);
const unionOf = (a: ReadonlySet<number>, b: Iterable<number>): ReadonlySet<number> => new Set([...a, ...b]);
const both = (a: ReadonlySet<number>, b: ReadonlySet<number>): readonly number[] => [...a].filter((one) => b.has(one));
const without = (a: ReadonlySet<number>, b: ReadonlySet<number>): readonly number[] =>
  [...a].filter((one) => !b.has(one));
const sorted = (of: Iterable<number>): readonly number[] => [...of].sort((a, b) => a - b);

describe('masks of pCPUs', () => {
  test.each([
    [1, 1],
    [32, 1],
    [33, 2],
    [4095, 128],
  ])('%i pCPUs need %i words', (count, expected) => {
    expect(pcpuMask.maskWords(count)).toBe(expected);
  });

  test('have the pCPUs of a set', () => {
    fc.assert(
      fc.property(set, pcpu, (own, other) => {
        const mask = maskOf(own);
        expect(pcpuMask.pcpusOf(mask)).toEqual(sorted(own));
        expect(pcpuMask.count(mask)).toBe(own.size);
        expect(pcpuMask.isEmpty(mask)).toBe(own.size === 0);
        expect(pcpuMask.has(mask, other)).toBe(own.has(other));
        expect(pcpuMask.first(mask)).toBe(sorted(own)[0] ?? -1);
        expect(pcpuMask.last(mask)).toBe(sorted(own).at(-1) ?? -1);
        pcpuMask.addTo(mask, other);
        expect(pcpuMask.pcpusOf(mask)).toEqual(sorted(unionOf(own, [other])));
        pcpuMask.removeFrom(mask, other);
        expect(pcpuMask.pcpusOf(mask)).toEqual(sorted(without(own, new Set([other]))));
      }),
    );
  });

  test('go on from any pCPU, round about', () => {
    fc.assert(
      fc.property(set, fc.integer({ min: -1, max: words * 32 }), (own, from) => {
        const above = sorted(own).find((one) => one > from) ?? -1;
        expect(pcpuMask.next(from, maskOf(own))).toBe(above);
        expect(pcpuMask.cycle(from, maskOf(own))).toBe(above >= 0 ? above : (sorted(own)[0] ?? -1));
      }),
    );
  });

  test('are joined, cut and compared as sets are', () => {
    fc.assert(
      fc.property(set, set, fc.boolean(), (a, b, within) => {
        const other = within ? unionOf(a, b) : b;
        const [maskA, maskB] = [maskOf(a), maskOf(other)];
        const out = maskOf(new Set([5, 40]));
        expect(pcpuMask.intersect(out, maskA, maskB)).toBe(both(a, other).length > 0);
        expect(pcpuMask.pcpusOf(out)).toEqual(sorted(both(a, other)));
        expect(pcpuMask.subtract(out, maskA, maskB)).toBe(without(a, other).length > 0);
        expect(pcpuMask.pcpusOf(out)).toEqual(sorted(without(a, other)));
        pcpuMask.unite(out, maskA, maskB);
        expect(pcpuMask.pcpusOf(out)).toEqual(sorted(unionOf(a, other)));
        expect(pcpuMask.intersects(maskA, maskB)).toBe(both(a, other).length > 0);
        expect(pcpuMask.isSubset(maskA, maskB)).toBe(without(a, other).length === 0);
        expect(pcpuMask.isSame(maskA, maskB)).toBe(without(a, other).length + without(other, a).length === 0);
        expect(pcpuMask.isSame(maskA, maskOf(a))).toBe(true);
        // What goes in may come out in the same mask.
        pcpuMask.subtract(maskA, maskA, maskB);
        expect(pcpuMask.pcpusOf(maskA)).toEqual(sorted(without(a, other)));
      }),
    );
  });
});
