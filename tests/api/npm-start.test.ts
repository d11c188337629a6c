/** `npm start`, as a newcomer and as a script use it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { requires } from '../requires.ts';
import { runProgram } from './model-pool.ts';

const root = new URL('../..', import.meta.url).pathname;
const needed = requires(['python3', 'curl']);

describe.skipIf(needed.skip)(`npm start ${needed.reason}`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'xenolith-npm-'));
  const envFile = join(directory, 'env');
  let npm: ChildProcess;
  let output = '';

  beforeAll(async () => {
    const args = ['start', '--', '--listen', '127.0.0.1:0', '--data', join(directory, 'data'), '--env-file', envFile];
    npm = spawn('npm', args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise<void>((resolve, reject) => {
      npm.stdout?.on('data', (chunk) => {
        output += String(chunk);
        if (output.includes('python3 -c')) resolve();
      });
      npm.once('exit', (code) => reject(new Error(`npm start ended with ${code}: ${output}`)));
    });
  });

  afterAll(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  test('the lines to try work as they stand', async () => {
    const lines = output
      .slice(output.indexOf('Try:\n') + 5)
      .trim()
      .split('\n');
    expect(lines.map((line) => line.trim().split(' ')[0])).toEqual(['npx', 'curl', 'python3']);
    const [xe, curl, python] = await Promise.all(
      lines.map((line) => runProgram('/bin/sh', ['-c', `cd "$1" && ${line}`, 'sh', root])),
    );
    expect(xe).toMatchObject({ code: 0, stdout: expect.stringMatching(/name-label.*: /) });
    expect(curl).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\{"jsonrpc":"2\.0","result":"OpaqueRef:/) });
    expect(python).toMatchObject({ code: 0, stdout: expect.stringMatching(/: (Running|Halted)$/m) });
  });

  test('a shell can log in with the env file', async () => {
    const script = `. "$1"; curl -sk "$(echo "$XENOLITH_URL" | sed s/http:/https:/)/jsonrpc" -d "{\\"method\\":\\"session.login_with_password\\",\\"params\\":[\\"$XENOLITH_USER\\",\\"$XENOLITH_PASSWORD\\"],\\"id\\":1}"`;
    const { stdout } = await runProgram('/bin/sh', ['-c', script, 'sh', envFile]);
    expect(JSON.parse(stdout)).toMatchObject({ result: expect.stringMatching(/^OpaqueRef:/), error: null });
    expect(Object.keys(parseEnv(readFileSync(envFile, 'utf8')))).toEqual([
      'XENOLITH_URL',
      'XENOLITH_USER',
      'XENOLITH_PASSWORD',
    ]);
  });

  test('a signal to npm ends it', async () => {
    const { XENOLITH_URL = '' } = parseEnv(readFileSync(envFile, 'utf8'));
    const ended = once(npm, 'exit');
    npm.kill('SIGTERM');
    await ended;
    await expect(fetch(XENOLITH_URL)).rejects.toThrow('fetch failed');
  });
});

const parseEnv = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    text
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
