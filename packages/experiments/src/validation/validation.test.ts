import { expect, test } from 'vitest';
import type { RunFigures } from './arrangement.ts';
import { modelAnswer } from './model-answer.ts';
import { validationPage } from './page.ts';
import type { Tolerance } from './question.ts';
import { validationQuestions } from './questions.ts';
import { emptyReport, judge, measuredResult, verdictCounts, withAnswers } from './result.ts';

const shape = { nodes: 2, socketsPerNode: 1, coresPerSocket: 5, threadsPerCore: 1 };
const measured = validationQuestions.filter(({ parts }) => parts.length > 0);
const model = (index: number, seed: number): readonly RunFigures[] =>
  measured[index]!.parts.map(({ arrangement }) => modelAnswer(arrangement, { shape, seed, durationNs: 3e9 }));

test('the model answers every question with numbers, and bears out every statement itself', () => {
  for (const [index, question] of measured.entries()) {
    const [one, two] = [model(index, 1), model(index, 2)];
    const parts = question.parts.map((part, at) => ({ part, model: [one[at]!], real: [two[at]!] }));
    const { metrics, claims } = measuredResult(question, parts, []);
    expect(metrics.length).toBeGreaterThan(0);
    expect(claims.filter(({ verdict }) => verdict !== 'holds')).toEqual([]);
  }
});

test.each<[Tolerance, number, number, string]>([
  [{ kind: 'percent', percent: 5 }, 2, 2.09, 'holds'],
  [{ kind: 'percent', percent: 5 }, 2, 1.91, 'holds'],
  [{ kind: 'percent', percent: 5 }, 2, 1.89, 'fails'],
  [{ kind: 'absolute', by: 0.02 }, 1, 0.981, 'holds'],
  [{ kind: 'absolute', by: 0.02 }, 1, 0.979, 'fails'],
  [{ kind: 'factor', factor: 10, floor: 0.1 }, 3, 30, 'holds'],
  [{ kind: 'factor', factor: 10, floor: 0.1 }, 3, 0.29, 'fails'],
  [{ kind: 'factor', factor: 10, floor: 0.1 }, 0, 1, 'holds'],
  [{ kind: 'factor', factor: 10, floor: 0.1 }, 0, 1.01, 'fails'],
  [{ kind: 'at least', value: 98 }, 100, 98, 'holds'],
  [{ kind: 'at least', value: 98 }, 97, 100, 'fails'],
  [{ kind: 'shown' }, 1, 1000, 'shown'],
])('%j: %d and %d: %s', (tolerance, ofModel, ofReal, verdict) => {
  expect(judge(tolerance, ofModel, ofReal)).toBe(verdict);
});

test('what real Xen gave no figure of is not measured, and the page says all of it', () => {
  const [first] = measured;
  const [part] = first!.parts;
  const figures = model(0, 1)[0]!;
  const far: RunFigures = { cpuNs: { ...figures.cpuNs, 'credit-512': 9e9 } };
  const half = { ...figures.cpuNs };
  delete half['credit2-512'];
  const runs = { part: part!, model: [figures] };
  const fails = measuredResult(first!, [{ ...runs, real: [far] }], []);
  const partly = measuredResult(first!, [{ ...runs, real: [{ cpuNs: half }] }], ['the host | went\naway']);
  const nothing = measuredResult(first!, [{ ...runs, real: [] }], []);
  expect([fails, partly, nothing].map(({ metrics }) => metrics.map(({ verdict }) => verdict))).toEqual([
    ['fails', 'holds'],
    ['holds', 'not measured'],
    ['not measured', 'not measured'],
  ]);
  const asked = { date: '2026-01-01', command: 'xenolith lab validate', host: { Xen: '4.17' }, seconds: 3, runs: 1 };
  const report = withAnswers(
    emptyReport,
    [fails, partly, nothing].map((result, index) => ({ asked, result: { ...result, id: `Q${9 - index}` } })),
  );
  expect(withAnswers(report, report.questions.slice(0, 1))).toEqual(report);
  expect(report.questions.map(({ result }) => result.id)).toEqual(['Q7', 'Q8', 'Q9']);
  expect(verdictCounts(report)).toEqual({ holds: 2, fails: 1, 'not measured': 3, shown: 0 });
  const page = validationPage(report, validationQuestions);
  expect(page).toContain('**2 hold, 1 fail, 3 were not measured; 3 of 9 questions were asked.**');
  expect(page).toMatch(/## Q1: .*\n\n.*\n\n\*\*Not measured: it was not asked yet/);
  expect(page).toMatch(
    /weight 512 to that of 256 \| [\d.]+ \| [\d.]+ \| \+[\d.]+ % \| ± 5 % \| 1 \| – \| \*\*fails\*\* \|/,
  );
  // A table has as many cells in each row as in its head.
  for (const line of page.split('\n').filter((each) => each.startsWith('|'))) {
    expect([3, 5, 9]).toContain(line.replaceAll('\\|', '').split('|').length - 1);
  }
});
