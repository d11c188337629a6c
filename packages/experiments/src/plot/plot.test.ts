import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { barChart } from './bar-chart.ts';
import { lineChart } from './line-chart.ts';
import { placeOf, scaleFor } from './scale.ts';
import { element, svgText } from './svg.ts';

test('a scale covers its values and 0 with 2 to 12 marks, evenly apart by 1, 2 or 5 times a power of ten', () => {
  const values = fc.array(
    fc.oneof(fc.double({ min: -1e9, max: 1e9, noNaN: true }), fc.double({ min: 1e-6, max: 1, noNaN: true })),
    {
      minLength: 1,
    },
  );
  fc.assert(
    fc.property(values, (given) => {
      fc.pre(given.every((value) => value === 0 || Math.abs(value) > 1e-9));
      const { min, max, marks } = scaleFor(given);
      const size = Math.max(max, -min);
      expect(min).toBeLessThanOrEqual(Math.min(0, ...given) + size * 1e-6);
      expect(max).toBeGreaterThanOrEqual(Math.max(0, ...given) - size * 1e-6);
      expect(marks).toContain(0);
      expect(marks.length).toBeGreaterThanOrEqual(2);
      expect(marks.length).toBeLessThanOrEqual(12);
      const [first = 0, second = 0] = marks;
      const step = second - first;
      for (const [index, mark] of marks.entries())
        expect(Math.abs(mark - (min + index * step))).toBeLessThan(size * 1e-9);
      const digit = Number(step.toExponential(6).split('e')[0]);
      expect([1, 2, 5, 10].some((each) => Math.abs(each - digit) < 1e-3)).toBe(true);
    }),
  );
});

test.each([
  [[0], [0, 1]],
  [[100], [0, 20, 40, 60, 80, 100]],
  [[7], [0, 2, 4, 6, 8]],
  [
    [0.03, 0.011],
    [0, 0.01, 0.02, 0.03],
  ],
  [
    [-3, 4],
    [-4, -2, 0, 2, 4],
  ],
])('the marks of %j', (values, marks) => {
  expect(scaleFor(values).marks).toEqual(marks);
});

test('a place on a scale', () => {
  expect(placeOf(scaleFor([100]), 25, 200, 0)).toBe(150);
});

test('what is written into SVG is escaped', () => {
  const hostile = '</text><script>alert("1")</script>&\u0000\ud800';
  const text = svgText(element('text', { id: hostile, x: 1.005 }, hostile));
  const safe = '&lt;/text&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;\ufffd\ufffd';
  expect(text).toBe(`<text id="${safe}" x="1">${safe}</text>`);
});

/** The rectangles of a chart's bars: those below the legend. */
const bars = (svg: string): readonly { readonly y: number; readonly height: number }[] =>
  [...svg.matchAll(/<rect x="[\d.]+" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"/g)]
    .map(([, y, height]) => ({ y: Number(y), height: Number(height) }))
    .filter(({ y }) => y !== 31);

describe('charts', () => {
  const value = (of: number, halfWidth?: number): { value: number; halfWidth: number | undefined } => ({
    value: of,
    halfWidth,
  });

  test('bars stand on 0 and are as high as their values', () => {
    const series = [
      { name: 'a', values: [value(50), value(100)] },
      { name: 'b', values: [value(25, 5), value(0)] },
    ];
    const svg = svgText(barChart('title <1>', 'ms', ['x', 'y & z'], series));
    // A scale to 100 over 220 pixels from 56 to 276.
    expect(bars(svg)).toEqual([
      { y: 166, height: 110 },
      { y: 221, height: 55 },
      { y: 56, height: 220 },
      { y: 276, height: 0 },
    ]);
    for (const text of ['title &lt;1&gt; [ms]', '>a<', '>b<', '>x<', '>y &amp; z<', '>50.00<'])
      expect(svg).toContain(text);
    // One value has an interval.
    expect(svg.match(/<path/g)?.length).toBe(1);
  });

  test('a bar below 0 hangs from it', () => {
    const svg = svgText(barChart('t', 's', ['x', 'y'], [{ name: 'a', values: [value(-4), value(4)] }]));
    expect(bars(svg)).toEqual([
      { y: 166, height: 110 },
      { y: 56, height: 110 },
    ]);
  });

  test('lines go through their values', () => {
    const series = [{ name: 'a', values: [value(0), value(5, 1), value(10)] }];
    const svg = svgText(lineChart('t', 'ms', 'slice', [0, 5, 10], series));
    expect(svg).toContain('points="64.00,276.00 400.00,166.00 736.00,56.00"');
    expect(svg).toContain('>slice<');
    expect(svg).not.toContain('NaN');
  });
});
