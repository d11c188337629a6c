import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { domId, uuid } from '@xenolith/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { saveScript } from './host-script.ts';

const domain = { domid: domId(7), uuid: uuid('930c6acf-e7a8-4cb5-a9af-617328058e48') };

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'save-script-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** An xl that writes what it was asked to save, whether it then succeeds or not. */
const xl = (exitCode: number): string => `xl() { echo "domain $2" >"$3"; return ${exitCode}; }; `;

/** Runs the script in a real shell; gives its exit code and what is in the directory then. */
function run(before: string, name = 'saved'): { readonly status: number | null; readonly files: readonly string[] } {
  const { status } = spawnSync('sh', ['-c', before + saveScript(domain, join(directory, name))]);
  return { status, files: readdirSync(directory) };
}

test('a saved domain has its name, and nothing else is left', () => {
  expect(run(xl(0), "it's saved")).toEqual({ status: 0, files: ["it's saved"] });
  expect(readFileSync(join(directory, "it's saved"), 'utf8')).toBe('domain 7\n');
});

test('what xl did not finish is removed', () => {
  expect(run(xl(1))).toEqual({ status: 1, files: [] });
});

test('a whole state is kept when it cannot get its name', () => {
  expect(run(`${xl(0)}mv() { return 1; }; `)).toEqual({ status: 1, files: ['saved.part'] });
});
