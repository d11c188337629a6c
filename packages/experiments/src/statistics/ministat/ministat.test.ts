/** What FreeBSD's ministat printed for these values; tests/api compares many more with the program itself. */
import { AssertionError } from '@xenolith/base';
import { describe, expect, test } from 'vitest';
import { ministatJson, ministatNotes } from './json.ts';
import { plotLines } from './plot.ts';
import { compareDataSets, dataSet, ministatT } from './summary.ts';
import { legendLines, tableLines } from './table.ts';

const set = (name: string, ...values: readonly number[]): ReturnType<typeof dataSet> =>
  dataSet(name, Float64Array.from(values));
const [a, b] = [set('a', 1, 2, 3), set('b', 4, 5, 6, 7)];
const neg = set('neg', -1, -2.5, 30);
/** The variance by ministat's running sums is negative. */
const lost = set('lost', 100000000.05, 100000000.03, 100000000.03, 100000000.14, 100000000.1);

const plot = (width: number, separateBars: boolean, ...sets: readonly ReturnType<typeof dataSet>[]): string[] => [
  ...plotLines(sets, { width, separateBars }),
];

describe('the table', () => {
  test('of two that differ', () => {
    expect([...legendLines([a, b]), ...tableLines([a, b], 95)].join('\n')).toBe(
      `x a
+ b
    N           Min           Max        Median           Avg        Stddev
x   3             1             3             2             2             1
+   4             4             7             6           5.5     1.2909944
Difference at 95.0% confidence
\t3.5 +/- 2.3234
\t175% +/- 116.17%
\t(Student's t, pooled s = 1.18322)`,
    );
  });

  test('of two that are not known to, and without comparison', () => {
    expect(tableLines([b, neg], 99.5).slice(3)).toEqual(['No difference proven at 99.5% confidence']);
    expect(tableLines([a, b], undefined)).toHaveLength(3);
  });

  test('relative to a negative average and to none', () => {
    const hundred = set('hundred', 101, 102, 103);
    expect(tableLines([set('', -1, -2, -3), hundred], 95)[5]).toBe('\t-5200% +/- -113.33%');
    expect(tableLines([set('', -1, 0, 1), hundred], 95)[5]).toBe('\tinf% +/- inf%');
  });
});

describe('the picture', () => {
  test('with the bars on one line, where later ones leave marks of earlier ones alone but for their own', () => {
    expect(plot(74, false, b, neg)).toEqual([
      '+--------------------------------------------------------------------------+',
      '|             +  +        x x x x                                         +|',
      '||_______________M________|__AM|___A_________________________________|     |',
      '+--------------------------------------------------------------------------+',
    ]);
  });

  test('with a line for each bar, and a mark of its own where points coincide', () => {
    expect(plot(74, true, a, set('same', 2, 2, 2))).toEqual([
      '+--------------------------------------------------------------------------+',
      '|                                     +                                    |',
      '|                                     +                                    |',
      '|x                                    *                                   x|',
      '||____________________________________A___________________________________||',
      '|                                     A                                    |',
      '+--------------------------------------------------------------------------+',
    ]);
  });

  test('is as high as the last one needs, and cuts stacks of those before it', () => {
    const stack = (value: number, height: number): ReturnType<typeof dataSet> =>
      set('', 0, 40, ...Array.from({ length: height }, () => value));
    const heights = plot(41, false, stack(10, 9), stack(20, 3), stack(30, 5)).slice(1, -2);
    expect(heights).toHaveLength(5);
    // Column of the first one's stack, from above.
    expect(heights.map((line) => line.charAt(11)).join('')).toBe('  xxx');
    expect(heights.map((line) => line.charAt(31)).join('')).toBe('*****');
  });

  test('of equal values and of what is too far apart there is none', () => {
    expect(plot(74, false, set('', 5, 5, 5))).toEqual(['[no plot, span is zero width]']);
    expect(plot(74, false, set('', -1e308, 1e308, 1e308))).toEqual(['[no plot, span is infinite width]']);
  });

  test('has no bar where there is no standard deviation', () => {
    expect(plot(74, false, lost).at(-2)).toBe(
      '|             M             A                                              |',
    );
  });
});

describe('the figures', () => {
  test('have the upper of two values in the middle as median, and the zero that stands there', () => {
    expect(a.summary).toEqual({ n: 3, min: 1, max: 3, median: 2, average: 2, variance: 1, stddev: 1 });
    expect(b.summary.median).toBe(6);
    expect(set('', 0, -0, -0, 0).summary).toMatchObject({ min: 0, median: -0, max: 0 });
    expect(set('', -0, 0, 0, -0).summary).toMatchObject({ min: -0, median: 0, max: -0 });
    expect(() => set('', 1, 2)).toThrow(AssertionError);
  });

  test('t has three decimals, is that of infinity above 100 degrees, and 99.5 per cent have that of 99.8', () => {
    expect([4, 100, 101, 5000].map((degrees) => ministatT(degrees, 0.95))).toEqual([2.776, 1.984, 1.96, 1.96]);
    expect([4, 6, 7, 12, 13, 100, 101].map((degrees) => ministatT(degrees, 0.995))).toEqual([
      7.173, 5.208, 4.782, 3.929, 3.852, 3.174, 3.09,
    ]);
  });

  test('as JSON are the same, not rounded, and what is no number is null', () => {
    const { differences, ...rest } = JSON.parse(ministatJson([a, b], 95)) as { readonly differences: unknown };
    expect(rest).toEqual({
      source: 'measured',
      datasets: [
        { name: 'a', mark: 'x', n: 3, min: 1, max: 3, median: 2, average: 2, stddev: 1 },
        { name: 'b', mark: '+', n: 4, min: 4, max: 7, median: 6, average: 5.5, stddev: b.summary.stddev },
      ],
      notes: [],
    });
    expect(differences).toEqual([{ reference: 'a', dataset: 'b', ...compareDataSets(a, b, 95) }]);
    expect(JSON.parse(ministatJson([a, lost], undefined))).toMatchObject({
      datasets: [{}, { stddev: null }],
      differences: [],
      notes: [expect.stringContaining('the standard deviation is 0.048476798, not -nan')],
    });
    expect(ministatNotes([a, b, neg])).toEqual([]);
  });
});
