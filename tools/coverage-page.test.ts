import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { coverageCommand, coveragePage, coverageText } from './coverage-page.ts';

test('the page of what is implemented is up to date', () => {
  const upToDate = readFileSync(coveragePage, 'utf8') === coverageText();
  expect(upToDate, `docs/reference/xenapi-coverage.md is out of date: run ${coverageCommand}`).toBe(true);
});
