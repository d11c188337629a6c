import {
  colourOf,
  errorBar,
  extent,
  frame,
  label,
  markText,
  panel,
  plotBottom,
  plotRight,
  yOf,
  type Series,
} from './panel.ts';
import { placeOf, scaleFor } from './scale.ts';
import { element, type SvgElement } from './svg.ts';

/** Of lines that lie on each other, each is to be seen. */
const dashes = ['none', '9 5', '4 4', '12 4 3 4'] as const;

/**
 * Lines over an axis.
 * @param xs where the values lie, ascending; each series has a value for each of them
 */
export function lineChart(
  title: string,
  unit: string,
  xLabel: string,
  xs: readonly number[],
  series: readonly Series[],
): SvgElement {
  const scale = scaleFor(extent(series));
  const xScale = scaleFor(xs);
  const xOf = (x: number): number => placeOf(xScale, x, panel.left, plotRight);
  const marks = xScale.marks.flatMap((mark) => [
    element('line', { x1: xOf(mark), x2: xOf(mark), y1: plotBottom, y2: plotBottom + 4, stroke: '#666666' }),
    label(xOf(mark), plotBottom + 18, markText(mark), { anchor: 'middle' }),
  ]);
  const lines = series.flatMap(({ values }, index) => {
    const points = values.map(({ value }, at) => `${xOf(xs[at]!).toFixed(2)},${yOf(scale, value).toFixed(2)}`);
    return [
      element('polyline', {
        points: points.join(' '),
        fill: 'none',
        stroke: colourOf(index),
        'stroke-width': 2,
        'stroke-dasharray': dashes[index % dashes.length]!,
      }),
      ...values.flatMap((plotted, at) => [
        ...errorBar(xOf(xs[at]!), scale, plotted),
        element('circle', { cx: xOf(xs[at]!), cy: yOf(scale, plotted.value), r: 3.5, fill: colourOf(index) }),
      ]),
    ];
  });
  return element(
    'g',
    {},
    ...frame(title, unit, series, scale),
    ...marks,
    label((panel.left + plotRight) / 2, plotBottom + 40, xLabel, { anchor: 'middle' }),
    ...lines,
  );
}
