/** What bar and line charts have in common: a frame with title, scale, grid and legend. */
import { figureText } from '../report/figure-text.ts';
import { placeOf, type Scale } from './scale.ts';
import { element, type SvgElement } from './svg.ts';

/** Colours that people who see colours differently can tell apart (Okabe and Ito, 2008). */
const colours = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#999999', '#f0e442'] as const;
export const colourOf = (series: number): string => colours[series % colours.length]!;

/** A value and how far off it may be. */
export interface PlottedValue {
  readonly value: number;
  readonly halfWidth: number | undefined;
}

/** A row of values under one name, of one unit with the others of a chart. */
export interface Series {
  readonly name: string;
  readonly values: readonly PlottedValue[];
}

/** Pixels. */
export const panel = { width: 760, left: 64, right: 24, top: 56, plotHeight: 220, bottom: 52 } as const;
export const panelHeight = panel.top + panel.plotHeight + panel.bottom;
export const plotRight = panel.width - panel.right;
export const plotBottom = panel.top + panel.plotHeight;

const inkColour = '#222222';
const paleColour = '#666666';
const gridColour = '#dddddd';

/** What values and their intervals cover. */
export const extent = (series: readonly Series[]): readonly number[] =>
  series.flatMap(({ values }) =>
    values.flatMap(({ value, halfWidth = 0 }) => [
      value,
      value - Math.min(halfWidth, Math.abs(value)),
      value + halfWidth,
    ]),
  );

export const yOf = (scale: Scale, value: number): number => placeOf(scale, value, plotBottom, panel.top);

/** Title, legend, and a grid with the marks of the scale at its left. */
export function frame(title: string, unit: string, series: readonly Series[], scale: Scale): readonly SvgElement[] {
  const marks = scale.marks.flatMap((mark) => {
    const y = yOf(scale, mark);
    return [
      element('line', { x1: panel.left, x2: plotRight, y1: y, y2: y, stroke: mark === 0 ? paleColour : gridColour }),
      label(panel.left - 8, y + 4, markText(mark), { anchor: 'end' }),
    ];
  });
  return [
    label(panel.left, 20, `${title} [${unit}]`, { size: 15, weight: 'bold' }),
    ...(series.length > 1 ? legend(series) : []),
    ...marks,
  ];
}

/** The marks of a scale are round: no more digits than they need. */
export const markText = (mark: number): string => (Math.abs(mark) >= 1000 ? figureText(mark) : String(mark));

/** Width of a character of labels, about. */
const characterWidth = 6.6;

function legend(series: readonly Series[]): readonly SvgElement[] {
  let x: number = panel.left;
  return series.flatMap(({ name }, index) => {
    const at = x;
    x += 14 + name.length * characterWidth + 18;
    return [element('rect', { x: at, y: 31, width: 10, height: 10, fill: colourOf(index) }), label(at + 14, 40, name)];
  });
}

/** A line with ends from the low to the high end of the interval of a value. */
export function errorBar(x: number, scale: Scale, { value, halfWidth }: PlottedValue): readonly SvgElement[] {
  if (halfWidth === undefined || halfWidth <= Math.abs(value) * 1e-9) return [];
  const top = yOf(scale, value + halfWidth);
  const bottom = yOf(scale, Math.max(scale.min, value - halfWidth));
  const d = `M${x - 3} ${top}H${x + 3}M${x} ${top}V${bottom}M${x - 3} ${bottom}H${x + 3}`;
  return [element('path', { d, stroke: inkColour, fill: 'none' })];
}

export interface LabelStyle {
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly size?: number;
  readonly weight?: 'bold';
  readonly colour?: string;
}

export function label(x: number, y: number, text: string, style: LabelStyle = {}): SvgElement {
  const { anchor = 'start', size = 12, weight, colour = inkColour } = style;
  return element(
    'text',
    {
      x,
      y,
      'text-anchor': anchor,
      'font-size': size,
      fill: colour,
      ...(weight === undefined ? {} : { 'font-weight': weight }),
    },
    text,
  );
}

/** A label under the plot in lines that fit into a width. */
export function wrappedLabel(x: number, y: number, text: string, widthPixels: number): readonly SvgElement[] {
  const most = Math.max(6, Math.floor(widthPixels / characterWidth));
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= most) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.map((line, index) => label(x, y + index * 14, line, { anchor: 'middle' }));
}
