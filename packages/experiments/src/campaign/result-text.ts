/** The words that all reports of a campaign share, and the report for a terminal. */
import { unreachable } from '@xenolith/base';
import { figureText } from '../report/figure-text.ts';
import type { CampaignResult, Cell, Row, Verdict } from './campaign-result.ts';

/** A verdict in words. It never says that there is no difference: only that none is proven. */
export function verdictText(verdict: Verdict): string {
  switch (verdict.kind) {
    case 'reference':
      return 'reference';
    case 'too few runs':
      return 'too few runs';
    case 'no difference proven':
      return 'no difference proven';
    case 'difference':
      return verdict.isBetter ? 'better' : 'worse';
    default:
      return unreachable(verdict);
  }
}

/** A signed change in per cent with its margin: `+3.21 % ±0.4 %`. */
export function changeText(verdict: Verdict): string {
  if (verdict.kind !== 'difference' && verdict.kind !== 'no difference proven') return '';
  const { relative, relativeMargin } = verdict.by;
  if (!Number.isFinite(relative)) return '';
  return `${relative > 0 ? '+' : ''}${percentText(relative)} ±${percentText(relativeMargin)}`;
}

const percentText = (share: number): string => `${figureText(share * 100)} %`;

/** A mean with the half width of its confidence interval. */
export const meanText = ({ summary, halfWidth }: Row): string =>
  summary === undefined
    ? '–'
    : `${figureText(summary.mean)}${halfWidth === undefined ? '' : ` ±${figureText(halfWidth)}`}`;

/** Runs of a row that are wanting: `2 failed, 5 of 10 to come`; empty when there are none. */
export function wantingText({ failed, missing, values }: Row): string {
  const toCome = missing - failed;
  return [
    ...(failed === 0 ? [] : [`${failed} failed`]),
    ...(toCome === 0 ? [] : [`${toCome} of ${missing + values.length} to come`]),
  ].join(', ');
}

/** Where the figures come from: `measured`, when, on what. Each line has a name. */
export function originLines({
  origin,
  campaign,
  confidencePercent,
}: CampaignResult): readonly (readonly [string, string])[] {
  const { first, last, places, machines, hosts, kernels, programs, said } = origin;
  const order = campaign.order.kind === 'round' ? 'in rounds' : `shuffled with seed ${campaign.order.seed}`;
  return [
    ['Source', 'measured'],
    ...(first === undefined || last === undefined ? [] : [['Time', `${first} to ${last}`] as const]),
    ['Runs', `${campaign.runs} each, ${order}, after ${campaign.warmUps} of warm-up that do not count`],
    ['Compared with', `${campaign.reference}, by Student's t at ${confidencePercent} % confidence`],
    ...places.map((place) => ['Place', place] as const),
    ...machines.map((machine) => ['Machine', machine] as const),
    ...hosts.map((host) => ['Host', host] as const),
    ...kernels.map(({ kernel, configurations }) =>
      kernels.length === 1
        ? (['Kernel', kernel] as const)
        : (['Kernel', `${kernel} (${configurations.join(', ')})`] as const),
    ),
    ...programs.map(({ program, versions }) => ['Program', `${program}: ${versions.join('; ')}`] as const),
    ...said.map((each) => ['In force', `${each.configuration}: ${each.said.join('; ')}`] as const),
  ];
}

const heads = ['threads', 'configuration', 'n', 'min', 'max', 'median', 'mean', 'sd', 'change', 'verdict', ''];

/** The report for a terminal: a table for each workload. */
export function campaignText(result: CampaignResult): string {
  const { campaign, cells, origin } = result;
  const about = [
    campaign.name,
    ...(campaign.what === '' ? [] : [campaign.what]),
    ...originLines(result).map(([name, text]) => `${name}: ${text}`),
    ...origin.cautions.map((caution) => `Caution: ${caution}`),
  ];
  const tables = [...Map.groupBy(cells, ({ workload }) => workload)].map(([workload, own]) => {
    const { unit, better } = own[0]!;
    const rows = own.flatMap((cell) => cell.rows.map((row, at) => rowCells(cell, row, at === 0)));
    return `${workload} [${unit}], ${better} is better\n\n${table([heads, ...rows])}`;
  });
  return [about.join('\n'), ...tables].join('\n\n');
}

function rowCells({ threads }: Cell, row: Row, isFirst: boolean): readonly string[] {
  const { configuration, summary, verdict } = row;
  const figures =
    summary === undefined
      ? ['0', '–', '–', '–', '–', '–']
      : [String(summary.n), ...[summary.min, summary.max, summary.median, summary.mean, summary.sd].map(figureText)];
  return [
    isFirst ? String(threads) : '',
    configuration,
    ...figures,
    changeText(verdict),
    verdictText(verdict),
    wantingText(row),
  ];
}

/** Columns of words that are aligned at the left. */
const leftColumns: readonly number[] = [1, 9, 10];

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) => {
      const cells = row.map((cell, column) =>
        leftColumns.includes(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
      );
      return `  ${cells.join('  ').trimEnd()}\n`;
    })
    .join('');
}
