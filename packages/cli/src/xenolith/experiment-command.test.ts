import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

const main = new URL('../xenolith.ts', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'xenolith-experiment-'));
afterAll(() => rmSync(folder, { recursive: true }));

function xenolith(...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'experiment', ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

const quick = ['cpupools', '--case', 'six-vms', '--duration', '4', '--runs', '2'];

test('lists the experiments with their cases', () => {
  const { status, stdout } = xenolith();
  expect(status).toBe(0);
  expect(stdout).toMatch(/^cpupools {2}/);
  expect(stdout).toContain('--case isolation');
});

test('a table, and the charts in a file', () => {
  const svg = join(folder, 'x.svg');
  const { status, stdout, stderr } = xenolith(...quick, '--seed', '7', '--svg', svg);
  // Progress is for terminals.
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout).toContain('seed 7, 4.000 s each, 2 runs');
  expect(stdout).toContain('4 of 4 statements hold');
  expect(readFileSync(svg, 'utf8')).toMatch(/^<svg .*six VMs on two pCPUs.*<\/svg>\n$/s);
});

test('JSON and CSV say the same', () => {
  const json = JSON.parse(xenolith(...quick, '--json').stdout) as {
    readonly cases: readonly {
      readonly variants: readonly { readonly summaries: { readonly vm1: { readonly mean: number } } }[];
    }[];
  };
  const mean = json.cases[0]!.variants[0]!.summaries.vm1.mean;
  expect(xenolith(...quick, '--csv').stdout.split('\n')[1]).toContain(`,${mean},`);
});

describe('on another machine', () => {
  const recording = new URL('../../../../tests/fixtures/xl/guests-xl-info-n.txt', import.meta.url);
  const xlInfo = join(folder, 'xl-info.txt');
  // Without the command line above it.
  writeFileSync(xlInfo, readFileSync(recording, 'utf8').replace(/^\$.*\n/, ''));
  const figures = (...args: readonly string[]): unknown => {
    const brief = ['cpupools', '--case', 'timeslice', '--duration', '0.2', '--runs', '1', '--json'];
    return (JSON.parse(xenolith(...brief, ...args).stdout) as { readonly cases: unknown }).cases;
  };

  test('by its name: the title says so, and the figures are those of a machine with threads', () => {
    const { status, stdout } = xenolith(...quick, '--topology', 'xeon-2n16c32t');
    expect(status).toBe(0);
    expect(stdout).toContain('what they do to VMs, on xeon-2n16c32t\n');
    expect(figures('--topology', 'xeon-2n16c32t')).not.toEqual(figures());
  });

  test('as xl info -n has it: here it is the lab, which has a name too', () => {
    expect(figures('--topology', xlInfo)).toEqual(figures('--topology', 'lab-2n8c'));
  });

  test.each([
    ['a name that nobody knows', 'nowhere', /no machine of that name, and no file .*\n  lab-2n8c +the lab/],
    ['a file of something else', main, /xl info: neither a key/],
    ['a folder', folder, /no machine of that name, and no file \(EISDIR/],
    ['a name that every object has', 'constructor', /no machine of that name/],
  ])('%s is refused', (_, name, message) => {
    const { status, stderr } = xenolith(...quick, '--topology', name);
    expect(status).toBe(2);
    expect(stderr).toMatch(message);
  });

  test('one that is too small is refused', () => {
    const small = join(folder, 'small.txt');
    writeFileSync(small, readFileSync(xlInfo, 'utf8').replace(/^ {2}7:.*\n/m, ''));
    const { status, stderr } = xenolith(...quick, '--topology', small);
    expect(status).toBe(2);
    expect(stderr).toContain('cpupools needs 8 pCPUs, and');
    expect(stderr).toContain('has 7');
  });
});

test('traces of a variant, for two kinds of readers', () => {
  const [chrome, xentrace] = [join(folder, 't.json'), join(folder, 't.xentrace')];
  const options = ['--duration', '0.1', '--variant', 'credit2', '--trace'];
  const first = xenolith('cpupools', '--case', 'six-vms', ...options, chrome);
  expect(first.stdout).toMatch(/^six-vms: credit2, seed 1: \d+ decisions\n$/);
  const { traceEvents } = JSON.parse(readFileSync(chrome, 'utf8')) as {
    readonly traceEvents: readonly { readonly name: string }[];
  };
  expect(new Set(traceEvents.map(({ name }) => name))).toContain('vm6v0');
  xenolith('cpupools', '--case', 'six-vms', ...options, xentrace);
  // The first record names a pCPU.
  expect(readFileSync(xentrace).readUInt32LE(0)).toBe(0x2001f003);
});

describe('a wrong command line ends with 2 and says why', () => {
  test.each<[readonly string[], RegExp]>([
    [['nothing'], /no experiment nothing: there is cpupools/],
    [['cpupools', '--case', 'nope'], /no case nope of cpupools: there is six-vms/],
    [['cpupools', '--runs', '0'], /Expected 1 to 999/],
    [['cpupools', '--threads', '0'], /Expected 1 to 256/],
    [['cpupools', '--duration', '1e9'], /Expected seconds from 0\.001 to 3600/],
    [['cpupools', '--seed', '-1'], /Expected a whole number/],
    [['cpupools', '--json', '--csv'], /two different outputs/],
    [['cpupools', '--trace', join(folder, 'no')], /--trace is of one --case/],
    [
      ['cpupools', '--case', 'six-vms', '--trace', join(folder, 'no'), '--variant', 'x'],
      /there is "credit", "credit2"/,
    ],
  ])('%j', (args, message) => {
    const { status, stderr } = xenolith(...args);
    expect([status, stderr]).toEqual([2, expect.stringMatching(message)]);
  });
});

describe('numa', () => {
  test('the first host by itself, the other when it is asked for; on threads and without the same', () => {
    const brief = ['numa', '--duration', '0.1', '--runs', '1', '--json'];
    const casesOf = (...args: readonly string[]): readonly { readonly case: string }[] =>
      (JSON.parse(xenolith(...brief, ...args).stdout) as { readonly cases: { readonly case: string }[] }).cases;
    const one = casesOf('--threads', '1');
    expect(one.map((each) => each.case)).toEqual(['smt']);
    expect(casesOf('--threads', '2')).toEqual(one);
    expect(casesOf('--case', 'cores').map((each) => each.case)).toEqual(['cores']);
  }, 120_000);
});

describe("numa on a machine of one's own", () => {
  const xlInfo = join(folder, 'own.txt');
  const recording = new URL('../../../../tests/fixtures/xl/guests-xl-info-n.txt', import.meta.url);
  writeFileSync(xlInfo, readFileSync(recording, 'utf8').replace(/^\$.*\n/, ''));
  const brief = ['numa', '--topology', xlInfo, '--duration', '0.2', '--runs', '2'];

  test('the policies side by side, on threads and without the same', () => {
    const of = (...args: readonly string[]): unknown => JSON.parse(xenolith(...brief, '--json', ...args).stdout);
    const one = of('--vms', '2x2:512M,1:300M', '--threads', '1');
    expect(one).toMatchObject({
      experiment: 'numa',
      source: 'model',
      cases: [{ case: 'what-if', variants: ['any', 'best_effort', 'strict', 'xl'].map((variant) => ({ variant })) }],
    });
    expect(of('--vms', '2x2:512M,1:300M', '--threads', '2')).toEqual(one);
  }, 60_000);

  test.each<[readonly string[], RegExp]>([
    [['--vms', '0x2:1G'], /Expected up to 512 VMs as COUNTxVCPUS:MEMORY/],
    [['--vms', '513x1:1M'], /Expected up to 512 VMs/],
    [['--vms', '1x2'], /Expected up to 512 VMs/],
    [['--policy', 'any'], /needs --vms and --topology/],
    [['--vms', '1x1:64M', '--policy', 'worst'], /no policy worst: there is any, best_effort, strict, xl/],
    [['--vms', '1x17:64M', '--policy', 'strict'], /strict refuses vm1: .* have 8 pCPUs, and there are 17 vCPUs/],
    [['--vms', '2x1:2G'], /any: |there is no memory for vm2/],
  ])('%j is refused', (args, message) => {
    const { status, stderr } = xenolith(...brief, ...args);
    expect([status, stderr]).toEqual([2, expect.stringMatching(message)]);
  });
});

describe('capacity', () => {
  const onLab = ['capacity', '--topology', 'lab-2n8c'];

  test("by itself, and of pools of a machine of one's own", () => {
    expect(xenolith('capacity').stdout).toContain('Capacity: VMs of 4 vCPUs and 6144 MiB');
    const pools = ['--pool', 'batch=0-3', '--pool', 'rest=4,5,6-7'];
    const { cases } = JSON.parse(xenolith(...onLab, '--vm', '2:6G', '--vms', '2x1:16G', ...pools, '--json').stdout) as {
      readonly cases: readonly {
        readonly variants: readonly { readonly variant: string; readonly values: object }[];
      }[];
    };
    expect(cases[0]!.variants.map(({ variant, values }) => [variant, values])).toEqual([
      ['batch', { memory: [0], local: [0], threads: [0], cores: [0] }],
      ['rest', { memory: [5], local: [5], threads: [2], cores: [2] }],
    ]);
  });

  test.each<[readonly string[], RegExp]>([
    [['--pool', 'batch=0-3'], /needs --vm and --topology/],
    [['--vm', '2x4:1G'], /Expected one VM as VCPUS:MEMORY/],
    [['--vm', '4:1G', '--pool', 'batch'], /Expected NAME=PCPUS/],
    [['--vm', '4:1G', '--pool', 'a=3-1'], /Expected NAME=PCPUS/],
    [['--vm', '4:1G', '--pool', 'a=7-8'], /no pCPU 8: there are 8/],
    [['--vm', '4:1G', '--pool', 'a=1', '--pool', 'b=0-1'], /have a pCPU or a name in common/],
  ])('%j is refused', (args, message) => {
    const { status, stderr } = xenolith(...onLab, ...args);
    expect([status, stderr]).toEqual([2, expect.stringMatching(message)]);
  });

  test.each<[readonly string[], RegExp]>([
    [['--live'], /needs --vm/],
    [['--vm', '4:1G', '--disk', '20G'], /--disk and --domain-type are of --live/],
    [['--live', '--vm', '4:1G', '--topology', 'lab-2n8c'], /machines of its own: no --topology/],
    [['--live', '--vm', '4:1G', '--vms', '4:1G'], /no --vms, no --pool/],
    [['--live', '--vm', '4:1G', '--policy', 'xl'], /no policy xl here: there is any, best_effort, strict/],
    [['--live', '--vm', '4:1G', '--disk', '0G'], /Expected SIZE or SIZE@REPOSITORY/],
    [['--live', '--vm', '4:1G', '--domain-type', 'lxc'], /Allowed choices are pv, pvh, hvm/],
  ])('%j is refused', (args, message) => {
    const { status, stderr } = xenolith('capacity', ...args);
    expect([status, stderr]).toEqual([2, expect.stringMatching(message)]);
  });

  test("its options are no others'", () => {
    expect(xenolith('numa', '--vm', '4:1G')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('are of capacity'),
    });
  });
});

describe('dom0-memory', () => {
  test('the experiment: statements hold', () => {
    const { status, stdout } = xenolith('dom0-memory');
    expect([status, stdout]).toEqual([0, expect.stringContaining('8 of 8 statements hold')]);
  });

  test('a prediction, and its charts in a file', () => {
    const svg = join(folder, 'one.svg');
    const one = ['--memory', '48G', '--dom0-mem', '3G,max:3G', '--kernel', '6.1', '--json', '--svg', svg];
    const { status, stdout } = xenolith('dom0-memory', ...one);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ dom0Mem: '3G,max:3G', pages: { owned: 786_432, covered: 786_432 } });
    expect(readFileSync(svg, 'utf8')).toContain('prediction: left [MiB]');
  });

  test.each<[readonly string[], number, RegExp]>([
    [['cpupools', '--memory', '48G'], 2, /are of dom0-memory/],
    [['dom0-memory', '--memory', '48'], 2, /Expected memory from 64M to 64T/],
    [['dom0-memory', '--memory', '48G', '--dom0-mem', '64G'], 2, /the initial amount is 65536 MiB, and there are/],
    [['dom0-memory', '--map', join(folder, 'none')], 1, /^xenolith: ENOENT/],
  ])('%j ends with %d', (args, code, message) => {
    const { status, stdout, stderr } = xenolith(...args);
    expect([status, stdout, stderr]).toEqual([code, '', expect.stringMatching(message)]);
  });
});

test('a file that cannot be written is a failure', () => {
  const { status, stderr } = xenolith(...quick, '--svg', join(folder, 'not', 'there.svg'));
  expect([status, stderr]).toEqual([1, expect.stringMatching(/^xenolith: ENOENT/)]);
});
