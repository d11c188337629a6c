/** Recipes against a real shell: words from a definition reach programs as they are. */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import type { Workload } from './campaign.ts';
import { machineFactsScript, parseMachineFacts } from './machine-facts.ts';
import { recipeOf } from './recipe.ts';

test('every script is one for a POSIX shell', () => {
  const workloads: readonly Workload[] = [
    {
      name: 'a',
      threads: [1],
      kind: 'pgbench',
      scale: 1,
      script: 'select-only',
      protocol: 'simple',
      length: { kind: 'seconds', seconds: 1 },
      settings: [['search_path', `"$user", 'x; y' $(z)`]],
    },
    { name: 'b', threads: [1], kind: 'pbzip2', sizeBytes: 1, blockSize: 9 },
    {
      name: 'c',
      threads: [1],
      kind: 'build',
      source: `/it's $(here)`,
      prepare: undefined,
      clean: 'make clean',
      command: 'make',
      versions: [],
    },
  ];
  for (const { prepare, service, before, run, versions } of workloads.map(recipeOf)) {
    for (const script of [prepare, service, before, run, ...versions.map((each) => each.script)]) {
      const { status, stderr } = spawnSync('sh', ['-n', '-c', script ?? ''], { encoding: 'utf8' });
      expect({ script, status, stderr }).toEqual({ script, status: 0, stderr: '' });
    }
  }
  expect(recipeOf(workloads[0]!).service).toContain(`-c 'search_path="$user", '\\''x; y'\\'' $(z)'`);
  expect(recipeOf(workloads[2]!).prepare).toContain(`cp -a '/it'\\''s $(here)'/.`);
});

test.each([
  ['tps = 812.5 (including connections establishing)\ntps = 814.25 (excluding connections establishing)\n', '814.25'],
  ['latency average = 1.2 ms\ntps = 900.125 (without initial connection time)\n', '900.125'],
])('the figure of pgbench in %j', (output, expected) => {
  const { figure } = recipeOf({
    name: 'a',
    threads: [1],
    kind: 'pgbench',
    scale: 1,
    script: 'tpcb-like',
    protocol: 'simple',
    length: { kind: 'transactions', count: 1 },
    settings: [],
  });
  expect(figure.kind === 'regexp' && [...output.matchAll(new RegExp(figure.regexp, 'gm'))].at(-1)?.[1]).toBe(expected);
});

test('what this machine says of itself is read', () => {
  const { stdout, stderr, status } = spawnSync('sh', ['-c', machineFactsScript], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const facts = parseMachineFacts(stdout);
  expect(facts.cpus).toBeGreaterThan(0);
  expect(facts.memoryKib).toBeGreaterThan(1000);
  expect(facts.host).not.toBe('');
  expect(facts.kernel.release).not.toBe('');
  expect(facts.kernel.commandLine).not.toBe('');
});
