/**
 * `npm test`: every test that this machine can run, the quick ones first, then one line for each group that was
 * skipped, and how to enable it. Arguments are passed on to vitest.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { groups, missingPackages } from '../tests/requires.ts';

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** What failed, a line or a few for each: what vitest printed about it may be far up in the output by then. */
function failures({ testResults }: Report): readonly string[] {
  return testResults.flatMap(({ name, status, message, assertionResults }) => {
    const failedTests = assertionResults.filter((test) => test.status === 'failed');
    if (failedTests.length === 0) return status === 'failed' ? [`failed: ${name}: ${message}`] : [];
    return failedTests.map((test) => `failed: ${name} > ${test.fullName}\n${test.failureMessages.join('\n')}`);
  });
}

const directory = mkdtempSync(join(tmpdir(), 'xenolith-tests-'));
/** Of the text of one failure. */
const failureTextMax = 2000;
const totals = { passed: 0, failed: 0, skipped: 0 };
let failed = false;
const failedTests: string[] = [];

const wanted = process.argv.slice(2);
const projects = wanted.some((argument) => argument.startsWith('--project')) ? [undefined] : ['unit', 'api', 'lab'];
for (const project of projects) {
  const file = join(directory, `${project ?? 'all'}.json`);
  const selection = project === undefined ? [] : ['--project', project];
  const result = spawnSync(
    process.execPath,
    [
      'node_modules/vitest/vitest.mjs',
      'run',
      '--passWithNoTests',
      ...selection,
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${file}`,
      ...wanted,
    ],
    { stdio: 'inherit' },
  );
  failed ||= result.status !== 0;
  try {
    const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
    totals.passed += report.numPassedTests;
    totals.failed += report.numFailedTests;
    totals.skipped += report.numPendingTests;
    failed ||= report.numFailedTests > 0;
    failedTests.push(...failures(report));
  } catch {
    // Without a report vitest itself did not come to its end, and has said why.
    failed = true;
  }
}
rmSync(directory, { recursive: true, force: true });

for (const line of failedTests) console.log(line.slice(0, failureTextMax));
for (const group of groups) {
  const missing = missingPackages(group.needs);
  if (missing.length > 0) console.log(`skipped ${group.what}; to enable: apt-get install ${missing.join(' ')}`);
}
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = failed ? 1 : 0;
