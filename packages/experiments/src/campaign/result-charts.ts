/** The charts of a campaign: means and their confidence intervals over the numbers of threads, for each workload. */
import { barChart } from '../plot/bar-chart.ts';
import { chartDocument } from '../plot/chart-document.ts';
import { lineChart } from '../plot/line-chart.ts';
import type { Series } from '../plot/panel.ts';
import type { SvgElement } from '../plot/svg.ts';
import type { CampaignResult, Cell } from './campaign-result.ts';

/** A workload, its chart, and what it does not show. */
export interface WorkloadChart {
  readonly workload: string;
  /** Absent as long as there is nothing that all configurations have. */
  readonly chart: SvgElement | undefined;
  readonly notes: readonly string[];
}

/** A chart for each workload. Only numbers of threads for which every shown configuration has figures are shown. */
export function campaignCharts({ cells }: CampaignResult): readonly WorkloadChart[] {
  return [...Map.groupBy(cells, ({ workload }) => workload)].map(([workload, own]) => chartOf(workload, own));
}

function chartOf(workload: string, cells: readonly Cell[]): WorkloadChart {
  const names = cells[0]!.rows.map(({ configuration }) => configuration);
  const shownNames = names.filter((_, at) => cells.some(({ rows }) => rows[at]!.summary !== undefined));
  const isShown = (configuration: string): boolean => shownNames.includes(configuration);
  const shown = cells.filter(({ rows }) =>
    rows.every(({ configuration, summary }) => !isShown(configuration) || summary !== undefined),
  );
  const notes = [
    ...names.filter((name) => !isShown(name)).map((name) => `Not shown, as it has no figures yet: ${name}.`),
    ...(shown.length === cells.length || shownNames.length === 0
      ? []
      : [
          `Not shown, as figures are missing: ${cells
            .filter((cell) => !shown.includes(cell))
            .map(({ threads }) => threads)
            .join(', ')} threads.`,
        ]),
  ];
  if (shownNames.length === 0 || shown.length === 0) return { workload, chart: undefined, notes };
  const series = shownNames.map((name): Series => ({
    name,
    values: shown.map(({ rows }) => {
      const { summary, halfWidth } = rows.find(({ configuration }) => configuration === name)!;
      return { value: summary!.mean, halfWidth };
    }),
  }));
  const { unit, better } = cells[0]!;
  const title = `${workload}, ${better} is better`;
  const threads = shown.map((cell) => cell.threads);
  const chart =
    threads.length === 1
      ? barChart(title, unit, [`${threads[0]} ${threads[0] === 1 ? 'thread' : 'threads'}`], series)
      : lineChart(title, unit, 'threads', threads, series);
  return { workload, chart, notes };
}

/** All charts of a campaign as one SVG document. */
export function campaignSvg(result: CampaignResult): string {
  const { campaign, confidencePercent, origin } = result;
  const charts = campaignCharts(result).flatMap(({ chart }) => (chart === undefined ? [] : [chart]));
  return chartDocument(campaign.name, sourceText([...origin.machines, ...origin.hosts], confidencePercent), charts);
}

/** Where the figures of a chart come from. */
export const sourceText = (machines: readonly string[], confidencePercent: number): string =>
  `measured, means with ${confidencePercent} % confidence intervals; ${machines.join('; ')}`;
