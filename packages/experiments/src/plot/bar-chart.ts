import { figureText } from '../report/figure-text.ts';
import {
  colourOf,
  errorBar,
  extent,
  frame,
  label,
  panel,
  plotBottom,
  plotRight,
  wrappedLabel,
  yOf,
  type Series,
} from './panel.ts';
import { scaleFor } from './scale.ts';
import { element, type SvgElement } from './svg.ts';

/** Share of the place of a group that its bars take. */
const groupFill = 0.76;
const barWidthMax = 56;
/** A bar that is narrower has no figure above it. */
const figureWidthMin = 26;

/**
 * Groups of bars, one bar of each series in a group.
 * @param groups names of the groups; each series has a value for each of them
 */
export function barChart(
  title: string,
  unit: string,
  groups: readonly string[],
  series: readonly Series[],
): SvgElement {
  const scale = scaleFor(extent(series));
  const groupWidth = (plotRight - panel.left) / groups.length;
  const barWidth = Math.min(barWidthMax, (groupWidth * groupFill) / series.length);
  const bars = groups.flatMap((group, at) => {
    const middle = panel.left + (at + 0.5) * groupWidth;
    const first = middle - (barWidth * series.length) / 2;
    const own = series.flatMap(({ values }, index) => {
      const plotted = values[at]!;
      const x = first + index * barWidth;
      const [top, zero] = [yOf(scale, plotted.value), yOf(scale, 0)];
      const width = barWidth - 2;
      const figureY = yOf(scale, plotted.value + (plotted.halfWidth ?? 0)) - 4;
      return [
        element('rect', {
          x: x + 1,
          y: Math.min(top, zero),
          width,
          height: Math.abs(zero - top),
          fill: colourOf(index),
        }),
        ...errorBar(x + barWidth / 2, scale, plotted),
        ...(barWidth < figureWidthMin
          ? []
          : [label(x + barWidth / 2, figureY, figureText(plotted.value), { anchor: 'middle', size: 10 })]),
      ];
    });
    return [...own, ...wrappedLabel(middle, plotBottom + 18, group, groupWidth)];
  });
  return element('g', {}, ...frame(title, unit, series, scale), ...bars);
}
