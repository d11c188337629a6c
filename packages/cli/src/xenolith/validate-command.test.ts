import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const main = new URL('../xenolith.ts', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'xenolith-validate-'));
afterAll(() => rmSync(folder, { recursive: true }));

const others = join(folder, 'others.json');
writeFileSync(others, '{"questions": []}');

test.each<[readonly string[], RegExp]>([
  [['--only', 'Q99'], /no question Q99: there is Q1, Q2, .*Q9/],
  [['--only', 'weights'], /Expected such as Q1,Q7/],
  [['--runs', '0'], /Expected a whole number from 1 to 100/],
  [['--seconds', '1.5'], /Expected a whole number from 1 to 3600/],
  [['--results', others], /holds no answers of this suite/],
])('%j ends with 2 and says why, before anything is booted', (args, message) => {
  const { status, stderr } = spawnSync(process.execPath, [main, 'lab', 'validate', ...args], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([2, expect.stringMatching(message)]);
});
