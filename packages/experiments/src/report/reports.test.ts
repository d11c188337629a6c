import { AssertionError, present } from '@xenolith/base';
import { describe, expect, test } from 'vitest';
import type { Experiment } from '../experiment.ts';
import { runExperiment, type ExperimentResult } from '../run-experiment.ts';
import { csvReport } from './csv-report.ts';
import { figureText } from './figure-text.ts';
import { jsonReport } from './json-report.ts';
import { svgReport } from './svg-report.ts';
import { tableReport } from './table-report.ts';

/** Values that are easily told: the seed, and ten times it. */
const experiment: Experiment = {
  name: 'e',
  title: 'An <experiment>',
  what: 'What it is.',
  source: 'model',
  release: 'Xen 4.23',
  durationNs: 2_000_000_000,
  repetitions: 3,
  cases: [
    {
      name: 'c',
      what: 'what happens?',
      measures: [
        { name: 'one', unit: 'ms', what: 'first' },
        { name: 'ten', unit: '', what: 'second' },
      ],
      variants: [
        { name: 'plain', x: 1, run: ({ seed }) => ({ one: seed, ten: seed * 10 }) },
        { name: 'with "quotes", a comma', x: 2, run: ({ durationNs }) => ({ one: durationNs / 1e9, ten: 0 }) },
      ],
      expectations: [
        { statement: 'the mean is', unit: 'ms', value: (mean) => mean('plain', 'one'), holds: (value) => value === 6 },
        { statement: 'this is not', unit: '', value: (mean) => mean('plain', 'ten'), holds: (value) => value < 0 },
      ],
      charts: [
        { kind: 'bars', title: 'bars', measures: ['one'] },
        { kind: 'lines', title: 'lines', measures: ['ten'], xLabel: 'n' },
      ],
    },
  ],
};

const only = present(experiment.cases[0], 'the case');

const result = (): ExperimentResult => runExperiment(experiment, { seed: 5, durationNs: 2e9, repetitions: 3 });

test('every run has its own seed, and is told before it begins', () => {
  const told: (readonly [number, number, string])[] = [];
  const { cases } = runExperiment(experiment, {
    seed: 5,
    durationNs: 2e9,
    repetitions: 3,
    onProgress: (...progress) => told.push(progress),
  });
  expect(cases[0]?.variants[0]?.values).toEqual({ one: [5, 6, 7], ten: [50, 60, 70] });
  expect(told.map(([done, total]) => `${done}/${total}`)).toEqual(['0/6', '1/6', '2/6', '3/6', '4/6', '5/6', '6/6']);
  expect(told[3]).toEqual([3, 6, 'c: with "quotes", a comma']);
});

test('a table with means, intervals and verdicts', () => {
  expect(tableReport(result())).toBe(`An <experiment>
What it is.
Source: model (Xen 4.23), seed 5, 2.000 s each, 3 runs, mean ± 95 % confidence interval

c: what happens?

                              one [ms]           ten
  plain                   6.000 ±2.484  60.00 ±24.84
  with "quotes", a comma         2.000             0

  holds  the mean is: 6.000 ms
  FAILS  this is not: 60.00

1 of 2 statements hold
`);
});

test('a table that is too wide changes its rows and columns', () => {
  const run = (): { one: number; ten: number } => ({ one: 1, ten: 2 });
  const measures = only.measures.map((measure) => ({ ...measure, unit: 'u'.repeat(60) }));
  const wide = { ...experiment, cases: [{ ...only, measures, expectations: [], variants: [{ name: 'v', run }] }] };
  const text = tableReport(runExperiment(wide, { seed: 1, durationNs: 1e9, repetitions: 1 }));
  expect(text).toMatch(/^ {2} +v\n {2}one \[u+\] {2}1\.000\n {2}ten \[u+\] {2}2\.000\n/m);
});

test('CSV, with what needs quotes in quotes', () => {
  const lines = csvReport(result()).split('\n');
  expect(lines[0]).toBe(
    'experiment,case,variant,x,measure,unit,source,seed,duration_ns,n,mean,sd,min,median,max,ci95_half_width',
  );
  expect(lines[1]).toMatch(/^e,c,plain,1,one,ms,model,5,2000000000,3,6,1,5,6,7,2\.484/);
  expect(lines[4]).toBe('e,c,"with ""quotes"", a comma",2,ten,,model,5,2000000000,3,0,0,0,0,0,0');
  expect(lines.length).toBe(6);
});

test('JSON, with the values of each run', () => {
  expect(JSON.parse(jsonReport(result()))).toMatchObject({
    experiment: 'e',
    source: 'model',
    seed: 5,
    durationNs: 2e9,
    repetitions: 3,
    cases: [
      {
        case: 'c',
        measures: [{ name: 'one', unit: 'ms', what: 'first', source: 'model' }, { name: 'ten' }],
        variants: [{ variant: 'plain', x: 1, values: { one: [5, 6, 7] }, summaries: { one: { mean: 6, sd: 1 } } }, {}],
        verdicts: [
          { statement: 'the mean is', value: 6, unit: 'ms', holds: true },
          { value: 60, holds: false },
        ],
      },
    ],
  });
});

test('SVG, well-formed, with title, source and seed', () => {
  const svg = svgReport(result());
  const open: string[] = [];
  for (const [, closing, name = '', rest = ''] of svg.matchAll(/<(\/?)([a-z]+)([^<>]*)>/g)) {
    if (closing === '/') expect(open.pop()).toBe(name);
    else if (!rest.endsWith('/')) open.push(name);
  }
  expect(open).toEqual([]);
  expect(svg).toContain('An &lt;experiment&gt;');
  expect(svg).toContain('Source: model (Xen 4.23), seed 5');
  expect(svg).toContain('>c: bars [ms]<');
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
});

describe('is refused', () => {
  test('a run that gives no value for a measure', () => {
    const broken = { ...experiment, cases: [{ ...only, variants: [{ name: 'v', run: () => ({ one: 1 }) }] }] };
    expect(() => runExperiment(broken, { seed: 1, durationNs: 1, repetitions: 1 })).toThrow(AssertionError);
  });

  test.each([0, 1001])('%d repetitions', (repetitions) => {
    expect(() => runExperiment(experiment, { seed: 1, durationNs: 1, repetitions })).toThrow(AssertionError);
  });
});

test.each([
  [0, '0'],
  [1 / 3, '0.3333'],
  [33.333, '33.33'],
  [931.66, '931.7'],
  [12_345.6, '12346'],
  [-2.5, '-2.500'],
  [0.0000123, '0.000012'],
])('%d as text is %s', (value, text) => {
  expect(figureText(value)).toBe(text);
});
