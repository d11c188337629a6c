import type { ExperimentResult } from '../run-experiment.ts';

const head = 'experiment,case,variant,x,measure,unit,source,seed,duration_ns,n,mean,sd,min,median,max,ci95_half_width';

/** A line for each measure of each variant (RFC 4180, but for line ends, which are Unix's). */
export function csvReport({ of, seed, durationNs, cases }: ExperimentResult): string {
  const lines = cases.flatMap((each) =>
    each.variants.flatMap((variant) =>
      each.of.measures.map(({ name, unit }) => {
        const { n, mean, sd, min, median, max, halfWidth } = variant.summaries[name]!;
        const figures = [seed, durationNs, n, mean, sd, min, median, max, halfWidth];
        return csvLine([of.name, each.of.name, variant.name, variant.x, name, unit, of.source, ...figures]);
      }),
    ),
  );
  return `${[head, ...lines].join('\n')}\n`;
}

/** A line of CSV without its end. */
export const csvLine = (values: readonly (string | number | undefined)[]): string => values.map(field).join(',');

function field(value: string | number | undefined): string {
  const text = value === undefined ? '' : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
