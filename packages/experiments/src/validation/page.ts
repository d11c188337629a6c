/** A validation report as a page for people, in Markdown. */
import { unreachable } from '@xenolith/base';
import { figureText } from '../report/figure-text.ts';
import type { Summary } from '../statistics/summary.ts';
import type { Question, Tolerance } from './question.ts';
import {
  verdictCounts,
  type AskedQuestion,
  type ClaimRow,
  type MetricRow,
  type StepRow,
  type ValidationReport,
} from './result.ts';

/** The page of a report, with a table for each question and every verdict, and the name of every question that was not asked. */
export function validationPage(report: ValidationReport, all: readonly Question[]): string {
  const counts = verdictCounts(report);
  const sections = all.map((question) => {
    const answer = report.questions.find(({ result }) => result.id === question.id);
    return answer === undefined ? notAskedText(question) : questionText(question, answer);
  });
  return [
    '# The model against real Xen\n',
    'Written by `xenolith lab validate`, which anybody can repeat: it boots real Xen in an emulated machine, asks it through this project’s own driver, and asks the model the same.\n',
    `**${counts.holds} hold, ${counts.fails} fail, ${counts['not measured']} were not measured; ${report.questions.length} of ${all.length} questions were asked.**\n`,
    ...hosts(report.questions),
    ...howText,
    ...sections,
  ].join('\n');
}

/** What is the same of every host once, and what is not with each question. */
function hosts(questions: readonly AskedQuestion[]): readonly string[] {
  const [first, ...others] = questions.map(({ asked }) => asked.host);
  const shared = Object.entries(first ?? {}).filter(([name, value]) => others.every((other) => other[name] === value));
  return shared.length === 0 ? [] : [table(['', ''], shared)];
}

const howText: readonly string[] = [
  '## How it is done\n',
  'The machine is emulated, and its CPUs share those of another machine: seconds mean nothing there, ratios, orders and counts do. A run is a window that ends when the guests together have had as much CPU time as the model gives them in the seconds that are given with the question. Runs on real Xen are windows of the same guests, one after the other; the model’s are as many with different seeds. CPU times of real Xen come in steps of 0.1 s (`xl list`).\n',
  'Both values are means. The difference is that of the real one to the model’s, the spread is the least and the greatest of the runs. The model is not fitted to these figures: one outside of its tolerance is shown as it is.\n',
];

const notAskedText = ({ id, title, what }: Question): string =>
  `## ${id}: ${title}\n\n${what}\n\n**Not measured: it was not asked yet.**\n`;

function questionText({ id, title, what, notes }: Question, { asked, result }: AskedQuestion): string {
  const { metrics, claims, steps, trouble } = result;
  const { date, command, host, seconds, runs } = asked;
  const conditions = ['Machine', 'Load'].flatMap((name) => host[name] ?? []).join('; ');
  const how = metrics.length === 0 ? '' : ` ${runs} runs of ${figureText(seconds)} s.`;
  return [
    `## ${id}: ${title}\n`,
    `${what}\n`,
    `Asked on ${date} with \`${command}\`.${how} ${conditions}.\n`,
    ...(metrics.length === 0 ? [] : [table(metricHeads, metrics.map(metricCells))]),
    ...(claims.length === 0 ? [] : [table(['statement', 'model', 'real Xen', 'verdict'], claims.map(claimCells))]),
    ...(steps.length === 0 ? [] : [stepsText(steps)]),
    ...notes.map((note) => `${note}\n`),
    ...trouble.map((each) => `**${each}**\n`),
  ].join('\n');
}

const metricHeads = ['figure', 'model', 'real Xen', 'difference', 'tolerance', 'runs', 'spread', 'verdict'];

const metricCells = ({ metric, unit, model, real, tolerance, verdict }: MetricRow): readonly string[] => [
  metric,
  withUnit(model.mean, unit),
  real === undefined ? '–' : withUnit(real.mean, unit),
  real === undefined ? '–' : differenceText(tolerance, model.mean, real.mean, unit),
  toleranceText(tolerance, unit),
  real === undefined ? '–' : String(real.n),
  real === undefined ? '–' : spreadText(real),
  verdict === 'fails' ? '**fails**' : verdict,
];

const claimCells = ({ statement, model, real, verdict }: ClaimRow): readonly string[] => [
  statement,
  yesNo(model),
  real === undefined ? '–' : yesNo(real),
  verdict === 'fails' ? '**fails**' : verdict,
];

function stepsText(steps: readonly StepRow[]): string {
  const isByHand = steps.some(({ byHand }) => byHand !== undefined);
  const heads = ['step', 'model', 'real Xen, through our driver', ...(isByHand ? ['`xl` by hand'] : []), 'verdict'];
  return table(
    heads,
    steps.map(({ step, model, real, byHand, verdict }) => [
      step,
      model,
      real === model ? 'the same' : real,
      ...(isByHand ? [byHand ?? ''] : []),
      verdict === 'fails' ? '**fails**' : verdict,
    ]),
  );
}

const yesNo = (holds: boolean): string => (holds ? 'yes' : 'no');

const withUnit = (value: number, unit: string): string => `${figureText(value)}${unit === '' ? '' : ` ${unit}`}`;

const spreadText = ({ n, min, max }: Summary): string => (n === 1 ? '–' : `${figureText(min)} … ${figureText(max)}`);

function differenceText(tolerance: Tolerance, model: number, real: number, unit: string): string {
  const difference = real - model;
  const sign = difference > 0 ? '+' : '';
  if (tolerance.kind === 'factor' || tolerance.kind === 'shown') {
    return model > 0 ? `× ${figureText(real / model)}` : `${sign}${withUnit(difference, unit)}`;
  }
  if (tolerance.kind === 'percent' && model !== 0) return `${sign}${figureText((difference / model) * 100)} %`;
  return `${sign}${withUnit(difference, unit)}`;
}

function toleranceText(tolerance: Tolerance, unit: string): string {
  switch (tolerance.kind) {
    case 'percent':
      return `± ${tolerance.percent} %`;
    case 'absolute':
      return `± ${tolerance.by}`;
    case 'factor':
      return `× or ÷ ${tolerance.factor}, or both below ${withUnit(tolerance.floor * tolerance.factor, unit)}`;
    case 'at least':
      return `≥ ${withUnit(tolerance.value, unit)}`;
    case 'shown':
      return 'none';
    default:
      return unreachable(tolerance);
  }
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cellText).join(' | ')} |\n`;
  return `${line(heads)}${line(heads.map(() => '---')).replaceAll(' --- ', '---')}${rows.map(line).join('')}`;
}

/** What a table's cell may not hold: its own sign, and the end of the line. */
const cellText = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s*\n\s*/g, '; ');
