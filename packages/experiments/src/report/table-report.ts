/** The results of an experiment for people at a terminal. */
import type { Measure } from '../experiment.ts';
import type { CaseResult, ExperimentResult, VariantResult } from '../run-experiment.ts';
import { figureText } from './figure-text.ts';

/** Text with a table of means and confidence intervals for each case, and a verdict for each statement. */
export function tableReport(result: ExperimentResult): string {
  const { of } = result;
  const verdicts = result.cases.flatMap((each) => each.verdicts);
  const holding = verdicts.filter(({ holds }) => holds).length;
  return [
    `${of.title}\n${of.what}\n${sourceLine(result)}\n`,
    ...result.cases.map(caseText),
    ...(verdicts.length === 0 ? [] : [`${holding} of ${verdicts.length} statements hold\n`]),
  ].join('\n');
}

/** Where the figures of a result come from, and how they were got. */
export function sourceLine({ of, seed, durationNs, repetitions }: ExperimentResult): string {
  const runs = repetitions === 1 ? 'one run' : `${repetitions} runs, mean ± 95 % confidence interval`;
  // What is reckoned, and not run, takes no time.
  const each = durationNs === 0 ? '' : ` ${figureText(durationNs / 1e9)} s each,`;
  return `Source: ${of.source} (${of.release}), seed ${seed},${each} ${runs}`;
}

/** Columns that a table of variants may have before its rows and columns change places. */
const widthMax = 120;

function caseText({ of, variants, verdicts }: CaseResult): string {
  const heads = of.measures.map(({ name, unit }) => (unit === '' ? name : `${name} [${unit}]`));
  const cells = variants.map((variant) => of.measures.map((measure) => cellText(variant, measure)));
  const byVariant = columns([['', ...heads], ...variants.map(({ name }, row) => [name, ...cells[row]!])]);
  const byMeasure = columns([
    ['', ...variants.map(({ name }) => name)],
    ...heads.map((head, column) => [head, ...cells.map((row) => row[column]!)]),
  ]);
  const table = byVariant.indexOf('\n') <= widthMax ? byVariant : byMeasure;
  const lines = verdicts.map(
    ({ statement, value, unit, holds }) =>
      `  ${holds ? 'holds' : 'FAILS'}  ${statement}: ${figureText(value)}${unit === '' ? '' : ` ${unit}`}\n`,
  );
  return `${of.name}: ${of.what}\n\n${table}\n${lines.join('')}`;
}

function cellText({ summaries }: VariantResult, { name }: Measure): string {
  const { mean, halfWidth } = summaries[name]!;
  // Rounding alone makes a spread of equal values that is not quite nothing.
  const isExact = halfWidth === undefined || halfWidth <= Math.abs(mean) * 1e-9;
  return isExact ? figureText(mean) : `${figureText(mean)} ±${figureText(halfWidth)}`;
}

/** Rows in columns, the first to the left and the others to the right. */
function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) => {
      const cells = row.map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!),
      );
      return `  ${cells.join('  ').trimEnd()}\n`;
    })
    .join('');
}
