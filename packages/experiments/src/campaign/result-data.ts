/** The reports of a campaign for programs. */
import { csvLine } from '../report/csv-report.ts';
import type { CampaignResult, Row } from './campaign-result.ts';
import { verdictText } from './result-text.ts';

/** Everything as JSON: the definition, the values of every run, summaries, comparisons, and where they come from. */
export function campaignJson({ campaign, confidencePercent, cells, origin }: CampaignResult): string {
  const value = {
    format: 'xenolith campaign 1',
    source: 'measured',
    campaign,
    confidencePercent,
    origin,
    cells: cells.map((cell) => ({ ...cell, rows: cell.rows.map(rowJson) })),
  };
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function rowJson({ verdict, ...row }: Row): object {
  const comparison = verdict.kind === 'difference' || verdict.kind === 'no difference proven' ? verdict.by : undefined;
  return { ...row, verdict: verdictText(verdict), ...(comparison && { comparison }) };
}

const head = [
  'campaign,source,workload,threads,configuration,unit,better,n,failed,missing,min,max,median,mean,sd,half_width',
  'confidence_percent,reference,difference,margin,relative,relative_margin,verdict',
].join(',');

/** A line for each configuration with each workload and number of threads. */
export function campaignCsv({ campaign, confidencePercent, cells }: CampaignResult): string {
  const lines = cells.flatMap(({ workload, threads, unit, better, rows }) =>
    rows.map(({ configuration, values, failed, missing, summary, halfWidth, verdict }) => {
      const by = verdict.kind === 'difference' || verdict.kind === 'no difference proven' ? verdict.by : undefined;
      return csvLine([
        campaign.name,
        'measured',
        workload,
        threads,
        configuration,
        unit,
        better,
        values.length,
        failed,
        missing,
        summary?.min,
        summary?.max,
        summary?.median,
        summary?.mean,
        summary?.sd,
        halfWidth,
        confidencePercent,
        campaign.reference,
        by?.difference,
        by?.margin,
        by?.relative,
        by?.relativeMargin,
        verdictText(verdict),
      ]);
    }),
  );
  return `${[head, ...lines].join('\n')}\n`;
}
