/** The charts of a result as one SVG document, below each other. */
import { assert } from '@xenolith/base';
import type { MeasureChart } from '../experiment.ts';
import { barChart } from '../plot/bar-chart.ts';
import { chartDocument } from '../plot/chart-document.ts';
import { lineChart } from '../plot/line-chart.ts';
import type { Series } from '../plot/panel.ts';
import type { SvgElement } from '../plot/svg.ts';
import type { CaseResult, ExperimentResult, VariantResult } from '../run-experiment.ts';
import { sourceLine } from './table-report.ts';

export function svgReport(result: ExperimentResult): string {
  const charts = result.cases.flatMap((each) =>
    each.of.charts.map((chart) =>
      chart.kind === 'picture' ? chart.draw(`${each.of.name}: ${chart.title}`, result.seed) : chartOf(each, chart),
    ),
  );
  return chartDocument(result.of.title, sourceLine(result), charts);
}

function chartOf({ of, variants }: CaseResult, chart: MeasureChart): SvgElement {
  const shown = variants.filter(({ name }) => chart.variants?.includes(name) ?? true);
  const measures = chart.measures.map((name) => of.measures.find((measure) => measure.name === name));
  const unit = measures[0]?.unit;
  assert(unit !== undefined && measures.every((measure) => measure?.unit === unit), `a unit of ${chart.title}`);
  const title = `${of.name}: ${chart.title}`;
  if (chart.kind === 'bars') {
    return barChart(
      title,
      unit,
      shown.map(({ name }) => name),
      seriesOf(chart.measures, shown),
    );
  }
  const onAxis = shown.filter(({ x }) => x !== undefined).sort((a, b) => a.x! - b.x!);
  const xs = onAxis.map(({ x }) => x!);
  return lineChart(title, unit, chart.xLabel ?? '', xs, seriesOf(chart.measures, onAxis));
}

const seriesOf = (measures: readonly string[], variants: readonly VariantResult[]): readonly Series[] =>
  measures.map((name) => ({
    name,
    values: variants.map(({ summaries }) => {
      const { mean, halfWidth } = summaries[name]!;
      return { value: mean, halfWidth };
    }),
  }));
