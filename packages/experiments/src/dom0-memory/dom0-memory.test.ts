import { parseDom0Mem, parseLinuxRelease, typicalE820 } from '@xenolith/hypervisor';
import { describe, expect, test } from 'vitest';
import { svgReport } from '../report/svg-report.ts';
import { tableReport } from '../report/table-report.ts';
import { runExperiment } from '../run-experiment.ts';
import { dom0Memory } from './dom0-memory.ts';
import { predictionCsv, predictionExperiment, predictionJson, predictionTable } from './prediction-report.ts';
import { predictDom0Memory, type Dom0Prediction, type Dom0Question } from './prediction.ts';

const once = { seed: 1, durationNs: 0, repetitions: 1 };

function question(memoryGib: number, dom0Mem: string, kernel: string): Dom0Question {
  const [spec, release] = [parseDom0Mem(dom0Mem), parseLinuxRelease(kernel)];
  if (!spec.ok || !release.ok) throw new Error('no question');
  return { map: typicalE820(memoryGib * 2 ** 30), dom0Mem: spec.value, release: release.value, vcpus: 1 };
}

function predict(of: Dom0Question): Dom0Prediction {
  const prediction = predictDom0Memory(of);
  if (!prediction.ok) throw new Error(prediction.error);
  return prediction.value;
}

describe('the experiment', () => {
  const result = runExperiment(dom0Memory, once);

  test('every statement holds', () => {
    const verdicts = result.cases.flatMap((each) => each.verdicts);
    expect(verdicts.filter(({ holds }) => !holds)).toEqual([]);
    expect(verdicts.length).toBe(8);
  });

  test('more memory in the machine never leaves more without max', () => {
    const lefts = result.cases[0]!.variants.map(({ summaries }) => summaries['6.1']!.mean);
    expect(lefts).toEqual(lefts.toSorted((a, b) => b - a));
    expect(lefts[0]! - lefts.at(-1)!).toBeGreaterThan(400);
  });

  test('a table and charts, without a word of time', () => {
    expect(tableReport(result)).toContain('Source: model (Linux 2.6.18 to 6.1 on Xen, PV, 64-bit), seed 1, one run\n');
    expect(svgReport(result)).toContain('left of a dom0 of 2 GiB');
  });
});

describe('a prediction', () => {
  const text = { kernel: '6.1', dom0Mem: '3G,max:3G', map: 'typical', vcpus: 1 };

  test('JSON: pages, MemTotal and overhead by kind; what is kept and left is what is owned', () => {
    const value = JSON.parse(predictionJson(text, predict(question(48, '3G,max:3G', '6.1')))) as {
      readonly pages: { readonly owned: number };
      readonly memTotalKib: number;
      readonly leftKib: number;
      readonly overhead: readonly { readonly kib: number; readonly inMemTotal: boolean }[];
    };
    expect(value).toMatchObject({
      experiment: 'dom0-memory',
      source: 'model',
      kernel: '6.1',
      policy: 'remap',
      pages: { initial: 786_432, maximum: 786_432, owned: 786_432, covered: 786_432, released: 0, remapped: 97 },
      imageKnown: true,
    });
    const kept = (isCounted: boolean): number =>
      value.overhead.reduce((sum, { kib, inMemTotal }) => sum + (inMemTotal || isCounted ? kib : 0), 0);
    expect(value.memTotalKib + kept(false)).toBe(value.pages.owned * 4);
    expect(value.leftKib + kept(true)).toBe(value.pages.owned * 4);
  });

  test('CSV and text say the same', () => {
    const prediction = predict(question(48, '3G', '3.2'));
    const lines = predictionCsv(prediction).trim().split('\n');
    expect(lines[0]).toBe('figure,pages,kib');
    expect(lines).toContain('pages-released,97,388');
    expect(lines).toContain('pages-maximum,,');
    expect(lines.every((line) => line.split(',').length === 3)).toBe(true);
    const table = predictionTable({ ...text, dom0Mem: '3G', kernel: '3.2' }, prediction);
    expect(table).toMatch(/^dom0 with dom0_mem=3G, Linux 3\.2 \(release\), 1 vCPU\n/);
    expect(table).toMatch(/given back for holes +97 +0\.4\n/);
    expect(table).toContain('The size of the kernel is that of 6.1');
  });

  test('without dom0_mem Xen gives all but 128 MiB', () => {
    const prediction = predict({ ...question(48, '3G', '6.1'), dom0Mem: {} });
    expect(prediction.size.initialPages).toBe(prediction.availablePages - 32_768);
    expect(predictionTable({ ...text, dom0Mem: undefined }, prediction)).toMatch(/^dom0 with no dom0_mem/);
  });

  test('as an experiment, beside what max: would change', () => {
    const result = runExperiment(predictionExperiment(text, question(48, '3G', '6.1')), once);
    const [asked, withMax] = result.cases[0]!.variants;
    expect(withMax!.summaries['left']!.mean - asked!.summaries['left']!.mean).toBeGreaterThan(500);
    expect(svgReport(result)).toContain('kept, by kind');
  });

  test.each([
    [48, '64G', /the initial amount is 65536 MiB, and there are/],
    [48, 'min:4G,max:2G', /min \(4096 MiB\) is more than max \(2048 MiB\)/],
    [48, '0', /the initial amount is nothing/],
  ])('%d GiB, %s makes no sense', (memoryGib, dom0Mem, message) => {
    const prediction = predictDom0Memory(question(memoryGib, dom0Mem, '6.1'));
    expect(prediction).toEqual({ ok: false, error: expect.stringMatching(message) });
  });
});
