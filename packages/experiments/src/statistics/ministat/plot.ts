/** ministat's picture: a column of marks for the points of each data set, and bars for average, median and standard deviation. */
import { assert } from '@xenolith/base';
import type { DataSet, MinistatSummary } from './summary.ts';
import { marks } from './table.ts';

export interface PlotOptions {
  /** Characters between the borders, at least 2. */
  readonly width: number;
  /** A line for the bar of each data set; otherwise all are drawn on one. */
  readonly separateBars: boolean;
}

/** Where the outermost values so far are looked for, at the beginning: none beyond is ever the smallest or the largest. */
const beyond = 999e99;

interface Scale {
  readonly columnOf: (value: number) => number;
  readonly width: number;
}

/** The lines of the picture, from above; as many as the most points that share a column, and those of the bars and the borders. */
export function* plotLines(sets: readonly DataSet[], options: PlotOptions): Generator<string> {
  const { width } = options;
  assert(Number.isSafeInteger(width) && width >= 2, `a width of ${width}`);
  const [low, high] = range(sets.map(({ summary }) => summary));
  if (!(high - low > 0 && high - low < Infinity)) {
    yield `[no plot, span is ${low === high ? 'zero' : 'infinite'} width]`;
    return;
  }
  const step = (high - low) / (width - 1);
  // Halves go to the right, but for what the shift to the left by half a column rounds away.
  const scale: Scale = { width, columnOf: (value) => Math.trunc((value - (low - 0.5 * step)) / step) };
  const border = `+${'-'.repeat(width)}+`;
  yield border;
  yield* pointLines(sets, scale);
  yield* barLines(sets, scale, options.separateBars);
  yield border;
}

/** From the smallest to the largest that is drawn: points, and averages less and plus their standard deviation. */
function range(summaries: readonly MinistatSummary[]): readonly [low: number, high: number] {
  let [low, high] = [beyond, -beyond];
  for (const { min, max, average, stddev } of summaries) {
    for (const value of [min, max, average - stddev, average + stddev]) {
      // NaN is neither.
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return [low, high];
}

function* pointLines(sets: readonly DataSet[], { columnOf, width }: Scale): Generator<string> {
  const stacks = sets.map(({ values }) => {
    const counts = new Uint32Array(width);
    for (const value of values) counts[columnOf(value)]!++;
    return counts;
  });
  // Each data set makes the picture as high as its own highest stack, and so cuts what those before it have above that.
  const rows = stacks.map((counts) => counts.reduce((highest, count) => Math.max(highest, count), 0));
  const kept = rows.map((_, index) => Math.min(...rows.slice(index)));
  const shown = stacks.map((counts, index) => counts.map((count) => Math.min(count, kept[index]!)));
  // From one height of a stack down to the next one the lines are the same.
  const heights = [...new Set(shown.flatMap((counts) => [...counts]))].toSorted((a, b) => b - a);
  for (const [index, height] of heights.entries()) {
    if (height === 0) break;
    const line = pointLine(shown, height, width);
    for (let row = height; row > (heights[index + 1] ?? 0); row--) yield line;
  }
}

/** What the stacks that are so high or higher have in a row. */
function pointLine(stacks: readonly Uint32Array[], height: number, width: number): string {
  let line = '|';
  for (let column = 0; column < width; column++) {
    const numbers = stacks.reduce((bits, counts, index) => (counts[column]! >= height ? bits | (index + 1) : bits), 0);
    line += numbers === 0 ? ' ' : marks.charAt(numbers - 1);
  }
  return `${line}|`;
}

function* barLines(sets: readonly DataSet[], scale: Scale, separate: boolean): Generator<string> {
  const empty = (): string[] => Array.from({ length: scale.width }, () => ' ');
  const lines = separate ? sets.map(empty) : [empty()];
  for (const [index, { summary }] of sets.entries()) drawBar(lines[separate ? index : 0]!, summary, scale);
  for (const line of lines) yield `|${line.join('')}|`;
}

function drawBar(line: string[], { average, median, stddev }: MinistatSummary, { columnOf }: Scale): void {
  if (!Number.isNaN(stddev)) {
    const [begin, end] = [columnOf(average - stddev), columnOf(average + stddev)];
    for (let column = begin + 1; column < end; column++) if (line[column] === ' ') line[column] = '_';
    line[begin] = '|';
    line[end] = '|';
  }
  line[columnOf(median)] = 'M';
  line[columnOf(average)] = 'A';
}
