/** The report of a campaign as one page of HTML that needs nothing else: charts, tables, and the figure of every run. */
import { figureText } from '../report/figure-text.ts';
import { element, svgText, type SvgElement } from '../plot/svg.ts';
import { panel, panelHeight } from '../plot/panel.ts';
import type { CampaignResult, Cell, Row } from './campaign-result.ts';
import { campaignCharts, sourceText, type WorkloadChart } from './result-charts.ts';
import { changeText, meanText, originLines, verdictText, wantingText } from './result-text.ts';

/** Elements of HTML are written as those of SVG are: what is text is escaped. */
type Part = SvgElement | string;

const style = `
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 66rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.7rem; border-bottom: 1px solid #ddd; text-align: right; vertical-align: top; white-space: nowrap; }
th { border-bottom-color: #666; } .text { text-align: left; } .long { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.better { color: #00664a; font-weight: bold; } .worse { color: #a34700; font-weight: bold; }
.caution { border-left: 4px solid #e69f00; padding-left: 0.8rem; }
svg { max-width: 100%; height: auto; } details { margin: 1rem 0; }
`;

/** @param about how the page was made: a line at its end */
export function campaignPage(result: CampaignResult, about: string): string {
  const { campaign, origin } = result;
  const charts = campaignCharts(result);
  const sections = charts.map((chart) =>
    workloadSection(
      result,
      chart,
      result.cells.filter(({ workload }) => workload === chart.workload),
    ),
  );
  const page = element(
    'html',
    { lang: 'en' },
    element(
      'head',
      {},
      element('meta', { charset: 'utf-8' }),
      element('meta', { name: 'viewport', content: 'width=device-width' }),
      element('title', {}, campaign.name),
      element('style', {}, style),
    ),
    element(
      'body',
      {},
      element('h1', {}, campaign.name),
      ...(campaign.what === '' ? [] : [element('p', {}, campaign.what)]),
      ...origin.cautions.map((caution) => element('p', { class: 'caution' }, caution)),
      table(
        ['', ''],
        originLines(result).map(([name, text]) => [cell(name, 'text'), cell(text, 'long')]),
      ),
      ...sections,
      element('h2', {}, 'How to read it'),
      element('p', {}, howToRead(result)),
      element('p', {}, about),
    ),
  );
  return `<!doctype html>\n${svgText(page)}\n`;
}

const howToRead = ({ campaign, confidencePercent }: CampaignResult): string =>
  `A change is that of a configuration's mean to the mean of ${campaign.reference}, with the margin that Student's t gives it at ${confidencePercent} % confidence. ` +
  'It is called better or worse only where it is larger than its margin. "No difference proven" does not say that there is none: ' +
  'only that, with so many runs and so much spread, these figures do not show one; the margin says how large one could still be. ' +
  'Bars at points are the confidence intervals of the means.';

function workloadSection(
  result: CampaignResult,
  { workload, chart, notes }: WorkloadChart,
  cells: readonly Cell[],
): Part {
  const { unit, better } = cells[0]!;
  const picture =
    chart === undefined
      ? []
      : [
          element(
            'svg',
            {
              xmlns: 'http://www.w3.org/2000/svg',
              width: panel.width,
              height: panelHeight,
              viewBox: `0 0 ${panel.width} ${panelHeight}`,
              'font-family': 'system-ui, sans-serif',
              role: 'img',
            },
            element(
              'title',
              {},
              `${workload}: ${sourceText([...result.origin.machines, ...result.origin.hosts], result.confidencePercent)}`,
            ),
            chart,
          ),
        ];
  return element(
    'section',
    {},
    element('h2', {}, workload),
    element('p', {}, `Measured in ${unit}: ${better} is better.`),
    ...picture,
    ...notes.map((note) => element('p', {}, note)),
    table(
      ['threads', 'configuration', 'n', 'min', 'max', 'median', 'mean', 'sd', 'change', 'verdict', ''],
      cells.flatMap((each) => each.rows.map((row) => rowCells(each, row))),
    ),
    element(
      'details',
      {},
      element('summary', {}, 'The figure of every run'),
      table(
        ['threads', 'configuration', `in the order of the runs [${unit}]`],
        cells.flatMap(({ threads, rows }) =>
          rows.map(({ configuration, values }) => [
            cell(String(threads)),
            cell(configuration, 'text'),
            cell(values.map(figureText).join('  '), 'long'),
          ]),
        ),
      ),
    ),
  );
}

function rowCells({ threads }: Cell, row: Row): readonly SvgElement[] {
  const { configuration, values, summary, verdict } = row;
  const figure = (value: number | undefined): SvgElement => cell(value === undefined ? '–' : figureText(value));
  return [
    cell(String(threads)),
    cell(configuration, 'text'),
    cell(String(values.length)),
    ...[summary?.min, summary?.max, summary?.median].map(figure),
    cell(meanText(row)),
    figure(summary?.sd),
    cell(changeText(verdict)),
    cell(verdictText(verdict), verdict.kind === 'difference' ? `text ${verdictText(verdict)}` : 'text'),
    cell(wantingText(row), 'text'),
  ];
}

const cell = (text: string, kind?: string): SvgElement =>
  element('td', kind === undefined ? {} : { class: kind }, text);

const table = (heads: readonly string[], rows: readonly (readonly SvgElement[])[]): SvgElement =>
  element(
    'table',
    {},
    ...(heads.every((head) => head === '')
      ? []
      : [element('thead', {}, element('tr', {}, ...heads.map((head) => element('th', {}, head))))]),
    element('tbody', {}, ...rows.map((row) => element('tr', {}, ...row))),
  );
