/** `xenolith bench`: campaigns of real programs on this machine, killed and gone on with. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  chmodSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { requires } from '../requires.ts';
import { runProgram } from './model-pool.ts';

const main = new URL('../../packages/cli/src/xenolith.ts', import.meta.url).pathname;

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'xenolith-bench-'));
  // A server that does not run as root must get through it.
  chmodSync(directory, 0o711);
});
afterEach(() => rmSync(directory, { recursive: true }));

const file = (name: string): string => join(directory, name);
const define = (text: string): void => writeFileSync(file('c.yaml'), text);
const data = (): string => file('c');
const lines = (): readonly string[] =>
  existsSync(join(data(), 'samples.jsonl'))
    ? readFileSync(join(data(), 'samples.jsonl'), 'utf8').split('\n').slice(0, -1)
    : [];

interface SampleLine {
  readonly step: string;
  readonly value?: number;
  readonly problem?: string;
  readonly programs: Readonly<Record<string, string>>;
  readonly machine: { readonly host: string; readonly kernel: { readonly release: string; readonly bootId: string } };
}
const samples = (): readonly SampleLine[] => lines().map((line) => JSON.parse(line) as SampleLine);

interface Ended {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

const bench = (...args: readonly string[]): Promise<Ended> => runProgram(process.execPath, [main, 'bench', ...args]);
const run = (...args: readonly string[]): Promise<Ended> =>
  bench('run', file('c.yaml'), '--directory', data(), ...args);
const planned = async (): Promise<readonly string[]> => (await run('--plan')).stdout.trim().split('\n');

/** Whatever stands in the data directory; campaigns have a directory of their own there. */
const leftInData = (): readonly string[] => readdirSync(directory).filter((name) => name.startsWith('xenolith-bench'));

/** A campaign whose runs count themselves; `before` each the shell may do something, with `count` and `runner` known. */
const counting = (before = ''): string => `
name: counted
what: Tiny commands.
runs: 3
threads: [1, 2]
time-limit: 50 s
data: {directory: ${directory}}
workloads:
  count:
    kind: command
    command: |
      echo . >>${file('count')}
      count=$(wc -l <${file('count')})
      runner=$(sed -n 's/^PPid:[^0-9]*//p' /proc/$PPID/status)
      ${before}
      echo "figure $THREADS$EXTRA"
    figure: {regexp: 'figure (.*)', unit: things, better: more}
    versions: {sh: echo one of them}
configurations:
  plain: {environment: {EXTRA: '0'}}
  other: {environment: {EXTRA: '1'}, check: {command: echo it is so, says: so$}}
`;

describe('a campaign of tiny commands', () => {
  test('is run, kept and reported', async () => {
    define(counting());
    const { code, stdout, stderr } = await run();
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('16/16 count, 2 threads, ') });
    expect(samples().map(({ step }) => step)).toEqual(await planned());
    expect(samples()[0]).toMatchObject({
      step: 'count/1/plain/w1',
      value: 10,
      source: 'measured',
      exitStatus: 0,
      programs: { sh: 'one of them' },
      machine: { kernel: { release: readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim() } },
    });
    expect(samples()[1]).toMatchObject({ step: 'count/1/other/w1', value: 11, said: 'it is so' });
    expect(stdout).toContain('Source: measured\n');
    expect(stdout).toMatch(/^ +1 {2}plain +3 +10\.00 .* reference\n +other +3 +11\.00 .*\+10\.00 % ±0 % +better$/m);
    expect(readFileSync(join(data(), 'report.html'), 'utf8')).toContain('<title>counted</title>');
    expect(leftInData()).toEqual([]);

    // Nothing is left to do: nothing is done again.
    const again = await run('--json');
    expect(again.code).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({ source: 'measured', campaign: { name: 'counted' } });
    expect(lines()).toHaveLength(16);

    const svg = file('charts.svg');
    const csv = await bench('report', data(), '--csv', '--confidence', '99', '--svg', svg);
    expect(csv.stdout.split('\n')).toHaveLength(6);
    expect(csv.stdout).toContain(',99,plain,');
    expect(readFileSync(svg, 'utf8')).toContain('measured, means with 99 % confidence intervals');
  });

  test('killed with -9 again and again goes on where it was: every run is made to its end once, and nothing is left behind', async () => {
    // At its 2nd, 5th, 6th and 11th command the runner is killed, and the command would stay for ever.
    define(counting(
      `case $count in 2|5|6|11) echo $$ >>${file('killed')}; kill -KILL "$runner"; while :; do sleep 1000; done;; esac`,
    ));
    for (let kills = 1; kills <= 4; kills++) {
      await expect(run()).rejects.toThrow();
      // As if it had been killed while it wrote.
      if (kills % 2 === 0) writeFileSync(join(data(), 'samples.jsonl'), '{"format":"xenolith sam', { flag: 'a' });
    }
    const { code, stdout } = await run();
    expect(code).toBe(0);
    expect(samples().map(({ step }) => step)).toEqual(await planned());
    expect(samples().every(({ value }) => value !== undefined)).toBe(true);
    // Only what was under way was begun again.
    expect(readFileSync(file('count'), 'utf8').trim().split('\n')).toHaveLength(16 + 4);
    expect(stdout).not.toContain('to come');
    const pids = readFileSync(file('killed'), 'utf8').trim().split('\n');
    expect(pids).toHaveLength(4);
    for (const pid of pids) await expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 20_000 }).toBe(false);
    await expect.poll(leftInData, { timeout: 20_000 }).toEqual([]);
  });

  test('makes as many rounds as it is asked for, and goes on with the next', async () => {
    define(counting());
    expect(await run('--rounds', '1')).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('stopped after 1 of the rounds: 12 runs are still to be made'),
    });
    expect(samples().map(({ step }) => step)).toEqual((await planned()).filter((step) => step.endsWith('/w1')));
    expect(await run('--rounds', '2')).toMatchObject({ code: 3 });
    expect(await run('--rounds', '9')).toMatchObject({ code: 0 });
    expect(
      samples()
        .map(({ step }) => step)
        .toSorted(),
    ).toEqual((await planned()).toSorted());
  });

  test('on a host, through its shell, is killed with -9 and goes on, and nothing is left behind there', async () => {
    const killing = `[ $count != 3 ] || {
        runner=$PPID
        until readlink /proc/$runner/exe | grep -q node; do runner=$(sed -n 's/^PPid:[^0-9]*//p' /proc/$runner/status); done
        echo $$ >${file('killed')}; kill -KILL $runner; while :; do sleep 1000; done
      }`;
    define(counting(killing).replaceAll('{environment', '{in: host, host: "local:", environment'));
    await expect(run()).rejects.toThrow();
    expect(lines()).toHaveLength(2);
    const pid = readFileSync(file('killed'), 'utf8').trim();
    await expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 20_000 }).toBe(false);
    await expect.poll(leftInData, { timeout: 20_000 }).toEqual([]);
    expect(await run()).toMatchObject({ code: 0 });
    expect(samples().map(({ step }) => step)).toEqual(await planned());
    expect(samples()[1]).toMatchObject({ value: 11, said: 'it is so', place: 'this machine as a host' });
    expect(leftInData()).toEqual([]);
  });

  test('interrupted says so, ends what runs, and goes on later', async () => {
    define(counting('[ $count != 4 ] || { kill -INT "$runner"; sleep 1000; }'));
    expect(await run()).toMatchObject({
      code: 130,
      stderr: expect.stringContaining('interrupted: what was measured is kept'),
    });
    expect(lines()).toHaveLength(3);
    expect(leftInData()).toEqual([]);
    expect(await run()).toMatchObject({ code: 0 });
    expect(samples().map(({ step }) => step)).toEqual(await planned());
  });

  test('is not gone on with when its definition has changed', async () => {
    define(counting());
    await run();
    define(counting().replace('runs: 3', 'runs: 4'));
    expect(await run()).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/the definition has changed since .* was begun[^]*\n {2}runs: 3 became 4\n/),
    });
    expect(lines()).toHaveLength(16);
  });

  test('stops after three failures in a row, keeps them, and tries again', async () => {
    define(counting(`[ -e ${file('mended')} ] || [ $count -lt 3 ] || { echo broken >&2; exit 9; }`));
    expect(await run()).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/3 runs failed one after the other, the last: .*: exit status 9\nbroken/),
    });
    expect(samples().map(({ problem }) => problem)).toEqual([
      undefined,
      undefined,
      'exit status 9',
      'exit status 9',
      'exit status 9',
    ]);
    writeFileSync(file('mended'), '');
    expect(await run()).toMatchObject({ code: 0 });
    expect(samples().filter(({ value }) => value !== undefined)).toHaveLength(16);
  });

  test('is worked on by one program at a time', async () => {
    const inner = [process.execPath, main, 'bench', 'run', file('c.yaml'), '--directory', data()].join(' ');
    define(counting(`[ $count != 1 ] || { ${inner} >${file('inner')} 2>&1; echo $? >>${file('inner')}; }`));
    expect(await run()).toMatchObject({ code: 0 });
    expect(readFileSync(file('inner'), 'utf8')).toMatch(/is being worked on by another program .*\n1\n$/);
    expect(lines()).toHaveLength(16);
  });
});

describe('what cannot be', () => {
  const tiny = 'name: c\nruns: 1\nwarm-up: 0\nworkloads: {w: {kind: command, command: "true"}}\n';
  test.each<[string, string, number, RegExp]>([
    ['a wrong definition', `${tiny}rnus: 3\n`, 2, /c\.yaml:5:1: there is no rnus here/],
    [
      'no such port',
      `${tiny}configurations: {a: {in: host, host: "ssh://dom0:70000"}}\n`,
      2,
      /c\.yaml:5:38: configurations\.a\.host: a port is 1 to 65535/,
    ],
    [
      'no tmpfs',
      `${tiny}configurations: {a: }\ndata: {directory: /proc, tmpfs: true}\n`,
      1,
      /\/proc is no tmpfs: it is proc/,
    ],
    [
      'no room',
      `${tiny}configurations: {a: }\ndata: {free: 32T}\n`,
      1,
      /\/tmp has .* GiB free, and the campaign needs 32768\.00 GiB/,
    ],
    [
      'no such lab',
      `${tiny}configurations: {a: , b: {in: guests, host: "lab:none"}}\n`,
      1,
      /no lab is up|no host none/,
    ],
    [
      'a host that does not answer',
      `${tiny}configurations: {a: {in: host, host: "ssh://127.0.0.1:1"}}\n`,
      1,
      /host 127\.0\.0\.1: (?:nothing to log in with|.*ECONNREFUSED)/,
    ],
    [
      'a file that cannot be made',
      `${tiny}configurations: {a: {in: guests, host: "local:", files: {/x: {make: no-such-compiler}}}}\n`,
      1,
      /making \/x of the guest ended with exit status 127\n.*no-such-compiler: not found/,
    ],
    [
      'another kernel',
      `${tiny}configurations: {a: {kernel: {has: [no_such_word]}}}\n`,
      3,
      /a waits for another kernel: this one's command line lacks no_such_word/,
    ],
    ['no such program', `${tiny.replace('"true"', '/no/such')}configurations: {a: }\n`, 1, /1 runs failed/],
    [
      'not in force',
      `${tiny}configurations: {a: {check: {command: echo no, says: yes}}}\n`,
      1,
      /w, 1 thread, a, run 1: failed: a is not in force: echo no \(exit status 0\) says nothing like yes/,
    ],
  ])('%s is said', async (_, definition, code, said) => {
    define(definition);
    expect(await run()).toMatchObject({ code, stderr: expect.stringMatching(said) });
  });

  test('a definition that is not there, and a report on nothing', async () => {
    expect(await run()).toMatchObject({ code: 1, stderr: expect.stringContaining('c.yaml') });
    expect(await bench('report', directory)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('holds no campaign'),
    });
    expect(await bench('report', directory, '--confidence', '12')).toMatchObject({ code: 2 });
  });
});

const needed = requires(['pbzip2', 'postgres', 'make']);

describe.skipIf(needed.skip)(`real programs ${needed.reason}`, () => {
  test('PostgreSQL, pbzip2 and make, in a tmpfs, of which nothing is left', async () => {
    mkdirSync(file('source'));
    writeFileSync(
      join(file('source'), 'Makefile'),
      'all: a.out b.out\n%.out:\n\thead -c 100000 /dev/urandom | od >$@\nclean:\n\trm -f *.out\n',
    );
    define(`
name: real
runs: 2
threads: [1, 2]
data: {tmpfs: true}
workloads:
  pgbench: {kind: pgbench, scale: 1, transactions: 20, settings: {fsync: off, shared_buffers: 16MB}}
  pbzip2: {kind: pbzip2, size: 300K, block-size: 1}
  build: {kind: build, source: ${file('source')}, prepare: test -e Makefile}
configurations:
  plain:
  first-cpu: {prefix: [taskset, -c, '0']}
`);
    const ours = (): readonly string[] =>
      readdirSync('/dev/shm').filter((name) => /^(xenolith-bench|PostgreSQL)\./.test(name));
    const before = ours();
    const { code, stderr } = await run();
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('36/36') });
    expect(samples().map(({ step }) => step)).toEqual(await planned());
    expect(samples().every(({ value }) => value !== undefined && value > 0)).toBe(true);
    const programs = (workload: string): unknown => samples().find(({ step }) => step.startsWith(workload))?.programs;
    expect(programs('pgbench')).toEqual({
      postgres: expect.stringMatching(/^postgres \(PostgreSQL\) \d/),
      pgbench: expect.stringMatching(/^pgbench \(PostgreSQL\) \d/),
    });
    expect(programs('pbzip2')).toEqual({ pbzip2: expect.stringMatching(/^Parallel BZIP2 v\d/) });
    expect(programs('build')).toMatchObject({ make: expect.stringMatching(/^GNU Make \d/) });
    expect(ours()).toEqual(before);
    const processes = readdirSync('/proc').filter(
      (name) => /^\d+$/.test(name) && commandOf(name).includes('xenolith-bench.'),
    );
    expect(processes.map(commandOf)).toEqual([]);
  });
});

/** The command line of a process; empty when it is gone. */
function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}
