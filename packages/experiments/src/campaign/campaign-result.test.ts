import { err, ok } from '@xenolith/base';
import { describe, expect, test } from 'vitest';
import type { Campaign, Figure } from './campaign.ts';
import { campaignResult, type CampaignResult } from './campaign-result.ts';
import { readFigure, type CommandOutcome } from './figure.ts';
import { kernelMismatch, parseMachineFacts } from './machine-facts.ts';
import { parseCampaign } from './parse-campaign.ts';
import { planSteps } from './plan.ts';
import { campaignSvg } from './result-charts.ts';
import { campaignCsv, campaignJson } from './result-data.ts';
import { campaignPage } from './result-page.ts';
import { campaignText } from './result-text.ts';
import { parseSamples, sampleLine, sampleOf, stepsLeft, type Sample } from './sample.ts';

const definition = `
name: known answers
what: Two & <more>
runs: 3
warm-up: 1
threads: [1, 4]
workloads:
  zip: {kind: command, command: x}
  pg: {kind: command, command: x, figure: {regexp: '(.)', unit: tps, better: more}, threads: [2]}
configurations:
  plain:
  tuned:
  late:
`;
const campaign = ((): Campaign => {
  const read = parseCampaign(definition, () => undefined);
  if (!read.ok) throw new Error('a definition');
  return read.value;
})();

const machine = parseMachineFacts(
  [
    'host=box',
    'cpu=Some CPU',
    'cpus=8',
    'memory=16777216',
    'hypervisor=',
    'distribution=Debian',
    'release=6.1',
    'version=#1',
    'architecture=x86_64',
    'command-line=root=/dev/sda quiet',
    'boot=b1',
    'clocksource=tsc',
  ].join('\n'),
);
const outcome: CommandOutcome = { exitStatus: 0, seconds: 1, isTimedOut: false, stdout: 'out', stderr: '' };

/** What zip and pg took, by configuration and threads; a warm-up of each is far off. */
const figures: Readonly<Record<string, readonly number[]>> = {
  'zip/1/plain': [10, 11, 12],
  'zip/1/tuned': [7, 8, 9],
  'zip/4/plain': [10, 11, 12],
  'zip/4/tuned': [10, 12, 11.5],
  'pg/2/plain': [100, 101, 102],
  'pg/2/tuned': [90, 91, 92],
  'zip/1/late': [5],
};

function sample(id: string, value: number | undefined, over: Partial<Sample> = {}): Sample {
  const step = planSteps(campaign).find((each) => each.id === id)!;
  const figure = value === undefined ? err('exit status 3') : ok(value);
  const circumstances = {
    unit: 's',
    startedAt: '2026-01-02T03:04:05.000Z',
    endedAt: '2026-01-02T03:04:06.000Z',
    place: 'this machine',
    machine,
    programs: { zip: '1.0' },
    said: undefined,
  };
  return { ...sampleOf(step, outcome, figure, circumstances), ...over };
}

const samples = [
  ...Object.entries(figures).flatMap(([cell, values]) => [
    sample(`${cell}/w1`, 1000),
    ...values.map((value, at) => sample(`${cell}/${at + 1}`, value)),
  ]),
  sample('zip/1/late/2', undefined),
];
const result = (confidence?: number): CampaignResult => campaignResult(campaign, samples, confidence);

describe('the comparison', () => {
  const verdicts = (of: CampaignResult): readonly string[] =>
    of.cells.flatMap(({ workload, threads, rows }) =>
      rows.map(({ configuration, verdict }) => {
        const isBetter = verdict.kind === 'difference' ? (verdict.isBetter ? ' better' : ' worse') : '';
        return `${workload}/${threads}/${configuration}: ${verdict.kind}${isBetter}`;
      }),
    );

  test('calls better and worse only what is proven, by what the unit wants', () => {
    expect(verdicts(result())).toEqual([
      'zip/1/plain: reference',
      'zip/1/tuned: difference better',
      'zip/1/late: too few runs',
      'zip/4/plain: reference',
      'zip/4/tuned: no difference proven',
      'zip/4/late: too few runs',
      'pg/2/plain: reference',
      'pg/2/tuned: difference worse',
      'pg/2/late: too few runs',
    ]);
  });

  test('by a known margin, which the confidence widens', () => {
    // Both have a sd of 1: t(4, 0.95) = 2.77645 by the root of 2/3.
    const by = (confidence?: number): unknown => result(confidence).cells[0]!.rows[1]!.verdict;
    expect(by()).toMatchObject({
      by: {
        difference: -3,
        margin: expect.closeTo(2.26696, 4),
        relative: expect.closeTo(-3 / 11, 12),
        relativeMargin: expect.closeTo(0.206087, 5),
      },
    });
    // t(4, 0.99) = 4.60409: the margin is 3.759.
    expect(by(99)).toMatchObject({ kind: 'no difference proven', by: { margin: expect.closeTo(3.75924, 4) } });
  });

  test('leaves warm-ups out, and counts what failed and what is missing', () => {
    const rows = result().cells[0]!.rows;
    expect(rows.map(({ values, failed, missing }) => [values, failed, missing])).toEqual([
      [[10, 11, 12], 0, 0],
      [[7, 8, 9], 0, 0],
      [[5], 1, 2],
    ]);
    // t(2, 0.95) = 4.30265 by the root of 3.
    expect(rows[0]!.halfWidth).toBeCloseTo(2.48414, 4);
  });

  test('warns of samples that cannot be compared', () => {
    const other = { ...machine, host: 'other' };
    const mixed = [
      sample('zip/1/plain/1', 1),
      sample('zip/1/tuned/1', 1, { machine: other, programs: { zip: '2.0' } }),
    ];
    expect(campaignResult(campaign, mixed).origin.cautions).toEqual([
      'The samples come from 2 different machines.',
      'zip changed its version meanwhile: 1.0, 2.0.',
    ]);
    expect(result().origin.cautions).toEqual([]);
    const rebooted = { ...machine, kernel: { ...machine.kernel, bootId: 'b2' } };
    const apart = [sample('zip/1/plain/1', 1), sample('zip/1/tuned/1', 1, { machine: rebooted })];
    expect(campaignResult(campaign, apart).origin.cautions).toEqual([
      expect.stringContaining('their runs do not alternate'),
    ]);
    const together = [...apart, sample('zip/1/plain/2', 1, { machine: rebooted }), sample('zip/1/tuned/2', 1)];
    expect(campaignResult(campaign, together).origin.cautions).toEqual([]);
    const virtual = [sample('zip/1/plain/1', 1, { machine: { ...machine, hypervisor: 'xen' } })];
    expect(campaignResult(campaign, virtual).origin.cautions).toHaveLength(1);
  });
});

describe('reports', () => {
  test('as text', () => {
    const text = campaignText(result());
    expect(text).toContain('Source: measured\nTime: 2026-01-02T03:04:05.000Z');
    expect(text).toContain('Machine: box, 8 × Some CPU, 16.0 GiB, Debian\n');
    expect(text).toContain('Kernel: Linux 6.1 #1 x86_64, clocksource tsc, command line: root=/dev/sda quiet\n');
    expect(text).toContain('Program: zip: 1.0\n');
    expect(text.slice(text.indexOf('zip [s]'), text.indexOf('pg [tps]'))).toBe(
      [
        'zip [s], less is better',
        '',
        '  threads  configuration  n    min    max  median   mean     sd             change  verdict',
        '        1  plain          3  10.00  12.00   11.00  11.00  1.000                     reference',
        '           tuned          3  7.000  9.000   8.000  8.000  1.000  -27.27 % ±20.61 %  better',
        '           late           1  5.000  5.000   5.000  5.000      0                     too few runs          1 failed, 1 of 3 to come',
        '        4  plain          3  10.00  12.00   11.00  11.00  1.000                     reference',
        '           tuned          3  10.00  12.00   11.50  11.17  1.041  +1.515 % ±21.03 %  no difference proven',
        '           late           0      –      –       –      –      –                     too few runs          3 of 3 to come',
        '',
        '',
        '',
      ].join('\n'),
    );
  });

  test('as CSV, a line for each configuration of each cell', () => {
    const lines = campaignCsv(result()).trimEnd().split('\n');
    expect(lines).toHaveLength(10);
    const fields = lines.map((line) => line.split(','));
    expect(fields.every(({ length }) => length === fields[0]!.length)).toBe(true);
    const tuned = Object.fromEntries(fields[0]!.map((name, at) => [name, fields[2]![at]]));
    expect(tuned).toMatchObject({
      source: 'measured',
      workload: 'zip',
      threads: '1',
      configuration: 'tuned',
      n: '3',
      mean: '8',
      difference: '-3',
      verdict: 'better',
    });
  });

  test('as JSON, with the definition, every value and where they come from', () => {
    const json = JSON.parse(campaignJson(result()));
    expect(json).toMatchObject({ source: 'measured', campaign: { name: 'known answers' }, confidencePercent: 95 });
    expect(json.cells[0].rows[1]).toMatchObject({
      values: [7, 8, 9],
      verdict: 'better',
      comparison: { difference: -3 },
    });
    expect(json.origin.machines).toEqual(['box, 8 × Some CPU, 16.0 GiB, Debian']);
  });

  test('as charts: lines over threads, bars for a single number of them, without what has no figures', () => {
    const withoutLate = samples.filter(({ configuration }) => configuration !== 'late');
    const svg = campaignSvg(campaignResult(campaign, withoutLate));
    expect(svg).toContain('measured, means with 95 % confidence intervals; box');
    expect(svg).toContain('zip, less is better [s]');
    expect(svg.match(/<polyline/g)).toHaveLength(2);
    expect(svg).toContain('pg, more is better [tps]');
    expect(svg).toContain('2 threads');
  });

  test('as a page that needs nothing else, with its texts escaped', () => {
    const page = campaignPage(result(), 'made by a test');
    expect(page).toContain('<title>known answers</title>');
    expect(page).toContain('Two &amp; &lt;more&gt;');
    expect(page).toContain('<td class="text better">better</td>');
    expect(page).toContain('<td class="text">no difference proven</td>');
    expect(page).toContain('<td class="long">measured</td>');
    expect(page).toContain('10.00  11.00  12.00');
    expect(page).toContain('Not shown, as figures are missing: 4 threads.');
    expect(page).not.toMatch(/<(script|link|img|iframe)|\b(src|href)=/);
  });

  test('of nothing yet', () => {
    const empty = campaignResult(campaign, []);
    expect(campaignText(empty)).toContain('3 of 3 to come');
    expect(campaignPage(empty, '')).toContain('Not shown, as it has no figures yet: plain.');
    expect(campaignCsv(empty).trimEnd().split('\n')).toHaveLength(10);
  });
});

describe('the file of samples', () => {
  const lines = samples.slice(0, 3).map(sampleLine);

  test('is read back', () => {
    expect(parseSamples(lines.join(''))).toEqual({
      ok: true,
      value: { samples: samples.slice(0, 3), wholeLength: lines.join('').length },
    });
  });

  test('cut anywhere has the whole lines before the cut, and no other', () => {
    const text = lines.join('');
    const ends = lines.map((_, at) => lines.slice(0, at + 1).join('').length);
    for (let cut = 0; cut <= text.length; cut++) {
      const read = parseSamples(text.slice(0, cut));
      const whole = ends.filter((end) => end <= cut);
      expect(read).toMatchObject({ ok: true, value: { wholeLength: whole.at(-1) ?? 0 } });
      expect(read.ok && read.value.samples.length).toBe(whole.length);
    }
  });

  test.each([
    ['no JSON', '{\n'],
    ['an empty line', '\n'],
    ['another format', '{"format":"other"}\n'],
    ['neither value nor problem', sampleLine(samples[0]!).replace('"value":1000,', '')],
    ['a model’s figure', sampleLine(samples[0]!).replace('measured', 'model')],
  ])('with %s in it is refused, with the line', (_, line) => {
    expect(parseSamples(lines[1]! + line)).toEqual({ ok: false, error: 'line 2 is no sample' });
  });

  test('with a second figure for a run is refused; one after a failure is not', () => {
    expect(parseSamples(lines[0]! + lines[0]!)).toEqual({
      ok: false,
      error: 'line 2 is another sample of zip/1/plain/w1',
    });
    const failed = sampleLine(sample('zip/1/plain/w1', undefined));
    expect(parseSamples(failed + failed + lines[0]!)).toMatchObject({ ok: true });
  });

  test('tells what is left: what has no figure, failed runs too', () => {
    const left = stepsLeft(planSteps(campaign), samples).map(({ id }) => id);
    expect(left.filter((id) => id.startsWith('zip/1/'))).toEqual(['zip/1/late/2', 'zip/1/late/3']);
    expect(left).toHaveLength(36 - 7 - 19);
  });
});

describe('a figure', () => {
  const tps: Figure = { kind: 'regexp', regexp: '^tps = ([-0-9.e]*)', unit: 'tps', better: 'more' };
  const seconds: Figure = { kind: 'seconds', unit: 's', better: 'less' };
  test.each<[Figure, Partial<CommandOutcome>, ReturnType<typeof readFigure>]>([
    [seconds, { seconds: 2.5 }, ok(2.5)],
    [seconds, { exitStatus: 3 }, err('exit status 3')],
    [seconds, { isTimedOut: true, exitStatus: 143 }, err('not done within its time limit: ended after 1.0 s')],
    [tps, { stdout: 'x\ntps = 12.5 (a)\n' }, ok(12.5)],
    [tps, { stdout: 'tps = 1\ntps = 2e3\n' }, ok(2000)],
    [tps, { stdout: '' }, err('nothing in its output matches ^tps = ([-0-9.e]*)')],
    [tps, { stdout: 'tps = -e' }, err("'-e' in its output is no number")],
    [tps, { stdout: 'tps = ' }, err("'' in its output is no number")],
    [tps, { stdout: 'tps = 5', exitStatus: 1 }, err('exit status 1')],
  ])('%j of %j', (figure, over, expected) => {
    expect(readFigure(figure, { ...outcome, ...over })).toEqual(expected);
  });
});

test.each([
  [{ has: ['quiet'], lacks: ['debug'] }, []],
  [{ has: ['quie'], lacks: ['root=/dev/sda'] }, ['lacks quie', 'has root=/dev/sda']],
])('a kernel for %j', (wanted, expected) => {
  expect(kernelMismatch(wanted, machine.kernel)).toEqual(expected);
});
