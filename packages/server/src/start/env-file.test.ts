import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeEnvFile } from './env-file.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'xenolith-env-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const usual = { url: 'http://127.0.0.1:8080', user: 'root', password: 'abc' };

test('it has three plain lines, for its owner alone, and leaves nothing else behind', () => {
  const path = join(directory, 'env');
  writeFileSync(path, 'old');
  writeEnvFile(path, usual);
  expect(readFileSync(path, 'utf8')).toBe(
    'XENOLITH_URL=http://127.0.0.1:8080\nXENOLITH_USER=root\nXENOLITH_PASSWORD=abc\n',
  );
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(directory)).toEqual(['env']);
});

test.each(['a b', "it's", '$(reboot)', '`id`', '"; x', '\\', 'ü\n#'])('a shell reads back %j', (password) => {
  const path = join(directory, 'env');
  writeEnvFile(path, { ...usual, url: 'http://[::1]:80', password });
  const read = execFileSync('/bin/sh', [
    '-c',
    '. "$1"; printf "%s|%s" "$XENOLITH_URL" "$XENOLITH_PASSWORD"',
    'sh',
    path,
  ]);
  expect(read.toString()).toBe(`http://[::1]:80|${password}`);
});

test('a password that is not known is left out', () => {
  const path = join(directory, 'env');
  writeEnvFile(path, { ...usual, password: undefined });
  expect(readFileSync(path, 'utf8')).not.toContain('PASSWORD');
});

test('a directory that is not there is an error, and nothing is made', () => {
  expect(() => writeEnvFile(join(directory, 'missing', 'env'), usual)).toThrow('ENOENT');
  expect(readdirSync(directory)).toEqual([]);
});
