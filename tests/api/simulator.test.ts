/** xenolith sim as its users have it: the program, the examples of the guide, and a pool that was captured from another. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPool } from '@xenolith/server/sim';
import { afterAll, describe, expect, test } from 'vitest';
import { requires } from '../requires.ts';
import { runProgram } from './model-pool.ts';

const directory = mkdtempSync(join(tmpdir(), 'xenolith-sim-'));
const guide = readFileSync(new URL('../../docs/guide/simulator.md', import.meta.url), 'utf8');
const xenolith = new URL('../../packages/cli/src/xenolith.ts', import.meta.url).pathname;

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** The first block of a language in the guide. */
function example(language: string): string {
  const block = new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(guide)?.[1];
  if (block === undefined) throw new Error(`the guide has no example in ${language}`);
  return block;
}

interface Started {
  readonly child: ChildProcess;
  readonly url: string;
  /** Exit code, once it has ended. */
  readonly ended: Promise<number | null>;
}

async function startSim(args: readonly string[]): Promise<Started> {
  const envFile = join(directory, 'pool.env');
  rmSync(envFile, { force: true });
  const child = spawn(
    process.execPath,
    ['--', xenolith, 'sim', '--listen', '127.0.0.1:0', '--env-file', envFile, ...args],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const ended = new Promise<number | null>((resolve) => {
    child.on('exit', resolve);
  });
  // It prints when it is ready, and the file is there by then.
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    void ended.then((code) => reject(new Error(`xenolith sim ended with ${code}`)));
  });
  const url = /XENOLITH_URL=(\S+)/.exec(readFileSync(envFile, 'utf8'))?.[1] ?? '';
  return { child, url, ended };
}

test('the program: ready, the same for the same seed, nothing on disk, ended by SIGTERM', async () => {
  const inventories: string[] = [];
  for (let run = 0; run < 2; run++) {
    const { child, url, ended } = await startSim(['--hosts', '2', '--vms', '5', '--seed', '7']);
    expect(await (await fetch(`${url}/_sim/health`)).json()).toEqual({ status: 'ok' });
    inventories.push(await (await fetch(`${url}/_sim/inventory`)).text());
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  }
  expect(inventories[0]).toContain('vm-005');
  // Where a console is to be found follows from the port.
  const withoutPort = inventories.map((text) => text.replaceAll(/127\.0\.0\.1:\d+/g, 'HERE'));
  expect(withoutPort[1]).toBe(withoutPort[0]);
  expect(readdirSync(directory)).toEqual(['pool.env']);
});

test('the example in TypeScript', async () => {
  const program = join(directory, 'example.ts');
  const sim = new URL('../../packages/server/src/sim/index.ts', import.meta.url).href;
  const text = example('ts').replace("'@xenolith/server/sim'", JSON.stringify(sim));
  writeFileSync(
    program,
    `${text}\nconsole.log(JSON.stringify({ refusal, starts: starts.map(({ outcome }) => outcome) }));\n`,
  );
  const { code, stdout, stderr } = await runProgram(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    program,
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(stdout)).toEqual({
    refusal: ['HOST_NOT_ENOUGH_FREE_MEMORY', '1073741824', '0'],
    starts: ['success', 'failure'],
  });
});

const needed = requires(['python3', 'XenAPI.py']);

describe.skipIf(needed.skip)(`XenAPI.py ${needed.reason}`, () => {
  test('the example in Python', async () => {
    await using pool = await createPool();
    const program = join(directory, 'example.py');
    const environment = { XENOLITH_URL: pool.url, XENOLITH_USER: pool.username, XENOLITH_PASSWORD: pool.password };
    writeFileSync(program, `import os\nos.environ.update(${JSON.stringify(environment)})\n${example('python')}`);
    const { code, stdout, stderr } = await runProgram('/usr/bin/python3', [program]);
    expect({ code, stderr, stdout }).toEqual({ code: 0, stderr: '', stdout: 'HOST_OFFLINE\nRunning\n10\n' });
  });
});

test('a pool is captured and simulated', async () => {
  await using live = await createPool({ hosts: 1, vms: 5, seed: 3 });
  const [web = ''] = await live.call<string[]>('VM.get_by_name_label', 'vm-001');
  await live.call('VM.set_name_label', web, 'payroll');
  const args = ['--', xenolith, 'capture', live.url, '--user', 'root', '--scramble-names', 'key'];
  const program = ['-c', `XENOLITH_PASSWORD=${live.password} exec "$@"`, 'sh', process.execPath, ...args];
  const { code, stdout, stderr } = await runProgram('/bin/sh', program);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).not.toContain('payroll');
  const file = join(directory, 'pool.json');
  writeFileSync(file, stdout);
  const { child, url, ended } = await startSim(['--inventory', file]);
  expect(await (await fetch(`${url}/_sim`)).json()).toMatchObject({ hosts: 1, vms: 5 });
  const { classes } = (await (await fetch(`${url}/_sim/inventory`)).json()) as {
    readonly classes: { readonly VM: Readonly<Record<string, { readonly power_state: string }>> };
  };
  expect(classes.VM[web]).toMatchObject({ power_state: 'Running' });
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
});

test.each([
  [['--hosts', 'none'], 64, '--hosts none: expected a number'],
  [['--inventory', '/nonexistent'], 1, 'ENOENT'],
])('%j is refused', async (args, code, words) => {
  const finished = await runProgram(process.execPath, ['--', xenolith, 'sim', ...args]);
  expect(finished).toMatchObject({ code, stderr: expect.stringContaining(words) as string });
});
