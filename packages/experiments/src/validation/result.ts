/** What came of asking the model and real Xen the same. */
import { unreachable } from '@xenolith/base';
import { summarise, type Summary } from '../statistics/summary.ts';
import type { RunFigures } from './arrangement.ts';
import type { Claim, Metric, Part, Question, Tolerance } from './question.ts';

export type ValidationVerdict = 'holds' | 'fails' | 'not measured' | 'shown';

/** A figure of the model beside that of real Xen. */
export interface MetricRow {
  readonly metric: string;
  readonly unit: string;
  readonly model: Summary;
  /** Absent where real Xen was not asked, or gave none. */
  readonly real?: Summary;
  readonly tolerance: Tolerance;
  readonly verdict: ValidationVerdict;
}

/** A statement, and whether the means of each side bear it out. */
export interface ClaimRow {
  readonly statement: string;
  readonly model: boolean;
  readonly real?: boolean;
  readonly verdict: ValidationVerdict;
}

/** A step whose outcome is exact: an operation with its refusal or success and what there is afterwards. */
export interface StepRow {
  readonly step: string;
  readonly model: string;
  readonly real: string;
  /** What Xen's own tool said to the same, where it was asked without our driver. */
  readonly byHand?: string;
  readonly verdict: 'holds' | 'fails';
}

/** How a question was asked. */
export interface Asked {
  /** Day, as 2026-01-31. */
  readonly date: string;
  /** What asks it again. */
  readonly command: string;
  /** The host: version and command line of Xen, its machine, how busy the machine was that emulates it. */
  readonly host: Readonly<Record<string, string>>;
  /** Model time whose CPU time a window waited for, and windows. */
  readonly seconds: number;
  readonly runs: number;
}

export interface QuestionResult {
  readonly id: string;
  readonly metrics: readonly MetricRow[];
  readonly claims: readonly ClaimRow[];
  readonly steps: readonly StepRow[];
  /** Why real Xen was not measured, or only in part. */
  readonly trouble: readonly string[];
}

/** A question, what came of it, and how it was asked. */
export interface AskedQuestion {
  readonly asked: Asked;
  readonly result: QuestionResult;
}

/** What is kept of the suite. */
export interface ValidationReport {
  readonly format: 'xenolith validation 1';
  readonly questions: readonly AskedQuestion[];
}

/** A report with other questions in it, or newer answers in the place of older ones; in the order of their numbers. */
export function withAnswers({ questions }: ValidationReport, newer: readonly AskedQuestion[]): ValidationReport {
  const ids = new Set(newer.map(({ result }) => result.id));
  const kept = questions.filter(({ result }) => !ids.has(result.id));
  const numberOf = ({ result }: AskedQuestion): number => Number(result.id.slice(1));
  return { ...emptyReport, questions: [...kept, ...newer].toSorted((a, b) => numberOf(a) - numberOf(b)) };
}

export const emptyReport: ValidationReport = { format: 'xenolith validation 1', questions: [] };

/** What came of a question that is measured, each of its parts with the runs of both sides. */
export function measuredResult(
  { id }: Question,
  parts: readonly {
    readonly part: Part;
    readonly model: readonly RunFigures[];
    readonly real: readonly RunFigures[];
  }[],
  trouble: readonly string[],
): QuestionResult {
  const rows = parts.map(({ part, model, real }) => {
    const metrics = part.metrics.map((metric) => metricRow(metric, model, real));
    return { metrics, claims: part.claims.map((claim) => claimRow(claim, metrics)) };
  });
  return {
    id,
    metrics: rows.flatMap(({ metrics }) => metrics),
    claims: rows.flatMap(({ claims }) => claims),
    steps: [],
    trouble,
  };
}

function metricRow(metric: Metric, model: readonly RunFigures[], real: readonly RunFigures[]): MetricRow {
  const summaryOf = (runs: readonly RunFigures[]): Summary => summarise(runs.map(metric.read));
  const ofModel = summaryOf(model);
  // A value that is no number was not in what the host gave.
  const values = real.map(metric.read).filter((value) => Number.isFinite(value));
  const ofReal = values.length === 0 ? undefined : summarise(values);
  return {
    metric: metric.name,
    unit: metric.unit,
    model: ofModel,
    ...(ofReal === undefined ? {} : { real: ofReal }),
    tolerance: metric.tolerance,
    verdict: ofReal === undefined ? 'not measured' : judge(metric.tolerance, ofModel.mean, ofReal.mean),
  };
}

/** Whether real Xen's mean is as near to the model's as it must be. */
export function judge(tolerance: Tolerance, model: number, real: number): ValidationVerdict {
  switch (tolerance.kind) {
    case 'percent':
      return verdict(Math.abs(real - model) <= (Math.abs(model) * tolerance.percent) / 100);
    case 'absolute':
      return verdict(Math.abs(real - model) <= tolerance.by);
    case 'factor':
      return verdict(ratio(Math.max(model, tolerance.floor), Math.max(real, tolerance.floor)) <= tolerance.factor);
    case 'at least':
      return verdict(model >= tolerance.value && real >= tolerance.value);
    case 'shown':
      return 'shown';
    default:
      return unreachable(tolerance);
  }
}

const ratio = (a: number, b: number): number => Math.max(a, b) / Math.min(a, b);
const verdict = (holds: boolean): ValidationVerdict => (holds ? 'holds' : 'fails');

function claimRow({ statement, holds }: Claim, rows: readonly MetricRow[]): ClaimRow {
  const mean =
    (side: 'model' | 'real') =>
    (metric: string): number =>
      rows.find((row) => row.metric === metric)?.[side]?.mean ?? Number.NaN;
  const model = holds(mean('model'));
  if (rows.some(({ real }) => real === undefined)) return { statement, model, verdict: 'not measured' };
  const real = holds(mean('real'));
  return { statement, model, real, verdict: verdict(model && real) };
}

/** How many of the verdicts of a report are which. */
export function verdictCounts({ questions }: ValidationReport): Readonly<Record<ValidationVerdict, number>> {
  const counts: Record<ValidationVerdict, number> = { holds: 0, fails: 0, 'not measured': 0, shown: 0 };
  for (const { result } of questions) {
    const { metrics, claims, steps } = result;
    for (const row of [...metrics, ...claims, ...steps]) counts[row.verdict] += 1;
  }
  return counts;
}
