import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Campaign } from './campaign.ts';
import { definitionChanges, definitionJson } from './definition-changes.ts';
import { parseCampaign as parse } from './parse-campaign.ts';
import { problemText } from './yaml-value.ts';

const whole = `
name: everything
what: All that there is.
runs: 5
warm-up: 2
order: shuffled
seed: 7
confidence: 99.5
reference: plain
time-limit: 10 min
threads: [8, 1]
data: {directory: /dev/shm, tmpfs: true, free: 1G}
workloads:
  pg:
    kind: pgbench
    scale: 3
    seconds: 20 s
    script: select-only
    protocol: prepared
    settings: {shared_buffers: 64MB, fsync: off}
    threads: [4]
  zip: {kind: pbzip2, size: 512M, block-size: 1}
  kernel: {kind: build, source: /usr/src/linux.tar, prepare: make tinyconfig, versions: {ld: ld --version}}
  cpu:
    kind: command
    before: sync
    command: sysbench --threads=$THREADS cpu run
    figure: {regexp: 'events per second: *([0-9.]+)', unit: events/s, better: more}
configurations:
  plain:
  pinned:
    kernel: {has: [xen_nopvspin], lacks: [quiet]}
    environment: {LIMIT: 12}
    prefix: [taskset, -c, 0-3]
    before: sysctl -q x=1
    check: {command: dmesg, says: PV spinlocks (dis|en)abled}
  far: {in: host, host: ssh://root@dom0}
  crowd:
    in: guests
    host: ssh://root@dom0
    vms: 2
    vcpus: 8
    memory: 2GiB
    guest-command-line: nopvspin
    scheduler: credit
    timeslice: 5 ms
    placement: 0-3,^2,6
    files: {/bench/dup: {make: cc -o "$OUT" dup.c}, /binary: motd}
  pooled:
    in: guests
    host: {address: "ssh://dom0:2222", identity-file: /keys/id, known-hosts-file: /keys/known}
    type: pvh
    guest-kernel: /boot/vmlinux
    guest-ramdisk: /boot/initrd
    disk: /srv/disk.raw
    pool: batch
    placement: 1
  emulated: {in: guests, host: "lab:lab2", placement: 0-1}
`;

/** Of addresses, one has a port that is none. */
const parseCampaign = (text: string): ReturnType<typeof parse> =>
  parse(text, (address) => (address.endsWith(':0') ? 'a port is 1 to 65535' : undefined));

function parsed(text: string): Campaign {
  const campaign = parseCampaign(text);
  if (!campaign.ok) throw new Error(campaign.error.map((problem) => problemText('campaign.yaml', problem)).join('\n'));
  return campaign.value;
}

const dom0 = { kind: 'address', address: 'ssh://root@dom0', identityFile: undefined, knownHostsFile: undefined };
const guests = {
  kind: 'guests',
  type: 'pv',
  vms: 1,
  vcpus: 1,
  memoryBytes: 2 ** 30,
  commandLine: '',
  kernel: undefined,
  ramdisk: undefined,
  disk: undefined,
  files: [],
};
const everywhere = {
  kernel: { has: [], lacks: [] },
  environment: [],
  prefix: [],
  before: undefined,
  check: undefined,
} as const;

test('everything that a definition can say', () => {
  expect(parsed(whole)).toEqual({
    name: 'everything',
    what: 'All that there is.',
    runs: 5,
    warmUps: 2,
    order: { kind: 'shuffled', seed: 7 },
    confidencePercent: 99.5,
    reference: 'plain',
    timeLimitSeconds: 600,
    data: { directory: '/dev/shm', isTmpfs: true, freeBytes: 2 ** 30 },
    workloads: [
      {
        name: 'pg',
        kind: 'pgbench',
        threads: [4],
        scale: 3,
        length: { kind: 'seconds', seconds: 20 },
        script: 'select-only',
        protocol: 'prepared',
        settings: [
          ['shared_buffers', '64MB'],
          ['fsync', 'off'],
        ],
      },
      { name: 'zip', kind: 'pbzip2', threads: [1, 8], sizeBytes: 2 ** 29, blockSize: 1 },
      {
        name: 'kernel',
        kind: 'build',
        threads: [1, 8],
        source: '/usr/src/linux.tar',
        prepare: 'make tinyconfig',
        clean: 'make clean',
        command: 'make -j"$THREADS"',
        versions: [{ program: 'ld', script: 'ld --version' }],
      },
      {
        name: 'cpu',
        kind: 'command',
        threads: [1, 8],
        prepare: undefined,
        before: 'sync',
        command: 'sysbench --threads=$THREADS cpu run',
        figure: { kind: 'regexp', regexp: 'events per second: *([0-9.]+)', unit: 'events/s', better: 'more' },
        versions: [],
      },
    ],
    configurations: [
      { name: 'plain', where: { kind: 'this machine' }, ...everywhere },
      {
        name: 'pinned',
        where: { kind: 'this machine' },
        kernel: { has: ['xen_nopvspin'], lacks: ['quiet'] },
        environment: [['LIMIT', '12']],
        prefix: ['taskset', '-c', '0-3'],
        before: 'sysctl -q x=1',
        check: { command: 'dmesg', says: 'PV spinlocks (dis|en)abled' },
      },
      { name: 'far', where: { kind: 'host', host: dom0 }, ...everywhere },
      {
        name: 'crowd',
        where: {
          ...guests,
          host: dom0,
          vms: 2,
          vcpus: 8,
          memoryBytes: 2 ** 31,
          commandLine: 'nopvspin',
          files: [
            { path: '/bench/dup', from: { kind: 'make', command: 'cc -o "$OUT" dup.c' } },
            { path: '/binary', from: { kind: 'file', path: 'motd' } },
          ],
          pool: { kind: 'own', scheduler: 'credit', pcpus: [0, 1, 3, 6], timesliceMs: 5 },
        },
        ...everywhere,
      },
      {
        name: 'pooled',
        where: {
          ...guests,
          host: {
            kind: 'address',
            address: 'ssh://dom0:2222',
            identityFile: '/keys/id',
            knownHostsFile: '/keys/known',
          },
          type: 'pvh',
          kernel: '/boot/vmlinux',
          ramdisk: '/boot/initrd',
          disk: '/srv/disk.raw',
          pool: { kind: 'named', name: 'batch', hardAffinity: [1] },
        },
        ...everywhere,
      },
      {
        name: 'emulated',
        where: { ...guests, host: { kind: 'lab', name: 'lab2' }, pool: { kind: 'first', hardAffinity: [0, 1] } },
        ...everywhere,
      },
    ],
  });
});

const inGuests = (more: string): string => small.replace('a:', `a: {in: guests, host: lab, ${more}}`);
const onHost = (host: string): string => small.replace('a:', `a: {in: host, host: ${host}}`);
const small = 'name: small\nworkloads:\n  w: {kind: command, command: "true"}\nconfigurations:\n  a:\n  b:\n';

test('what a definition need not say', () => {
  expect(parsed(small)).toMatchObject({
    runs: 10,
    warmUps: 1,
    order: { kind: 'round' },
    confidencePercent: 95,
    reference: 'a',
    timeLimitSeconds: 3600,
    data: { directory: '/tmp', isTmpfs: false, freeBytes: 0 },
    workloads: [{ threads: [1], figure: { kind: 'seconds' } }],
  });
});

const examples = new URL('../../../../docs/guide/campaigns/', import.meta.url).pathname;

test.each(readdirSync(examples).filter((name) => name.endsWith('.yaml')))(
  'the example %s can be run as it is',
  (name) => {
    const { workloads, configurations } = parsed(readFileSync(`${examples}${name}`, 'utf8'));
    expect(workloads.length * configurations.length).toBeGreaterThan(1);
    expect(configurations.every(({ where }) => where.kind === 'this machine' || where.host.kind === 'lab')).toBe(true);
  },
);

describe('what is wrong is said with its place', () => {
  const workload = (text: string): string => small.replace('{kind: command, command: "true"}', text);
  const first = (text: string): string => `${text}\n${small}`;
  test.each<[string, string]>([
    ['', '1:1: name is missing'],
    ['- a', '1:1: expected names with values, not a list'],
    ['a: [', '1:5: Flow sequence in block collection must be sufficiently indented and end with a ]'],
    ['name: a\nname: b', '2:1: Map keys must be unique'],
    [first('rnus: 3'), '1:1: there is no rnus here; there is name, what, runs, warm-up'],
    [first('runs: many'), "1:7: runs: expected a whole number from 1 to 10000, not 'many'"],
    [first('runs: 0'), "1:7: runs: expected a whole number from 1 to 10000, not '0'"],
    [first('runs:'), '1:1: runs: expected a whole number from 1 to 10000, not nothing'],
    [first('confidence: 100'), "1:13: confidence: expected a number from 50 to 99.99, not '100'"],
    [first('reference: c'), '1:12: reference: no configuration c; there is a, b'],
    [first('seed: 3'), '1:7: seed: a seed is of order: shuffled'],
    [first('order: any'), "1:8: order: expected round or shuffled, not 'any'"],
    [first('threads: [1, 2, 1]'), '1:10: threads: a number of threads is there twice'],
    [first('threads: [1, two]'), "1:14: threads[1]: expected a whole number from 1 to 1024, not 'two'"],
    [first('threads: 4'), '1:10: threads: expected a list, not a single value'],
    [first('time-limit: 5 years'), '1:13: time-limit: expected a time from 1 s to 604800 s'],
    [first('data: {directory: here}'), '1:19: data.directory: expected an absolute path'],
    [first('data: {directory: /a b}'), '1:19: data.directory: expected an absolute path'],
    [first('data: {free: lots}'), "1:14: data.free: expected a size such as 512M or 1G, not 'lots'"],
    [first('data: {tmpfs: maybe}'), "1:15: data.tmpfs: expected true or false, not 'maybe'"],
    [first('runs: 10000\nthreads: [1, 2, 3, 4, 5, 6]'), '1:1: 120012 runs altogether: the most are 100000'],
    ['name: a/b\nworkloads: {}\nconfigurations: {x: }', '1:7: name: expected a name of up to 40 letters'],
    ['name: a\nworkloads: {}\nconfigurations: {x: }', '2:12: workloads: expected at least one'],
    ['name: a\nconfigurations: {x: }', '1:1: workloads is missing'],
    [workload('3'), '3:6: workloads.w: expected names with values, not a single value'],
    [workload('{command: ls}'), '3:6: workloads.w: kind is missing'],
    [workload('{kind: guess}'), "3:13: workloads.w.kind: expected pgbench or pbzip2 or build or command, not 'guess'"],
    [workload('{kind: pbzip2}'), '3:6: workloads.w: size is missing'],
    [workload('{kind: pbzip2, size: 1M, scale: 3}'), '3:31: workloads.w: there is no scale here'],
    [workload('{kind: pbzip2, size: -1}'), "3:27: workloads.w.size: expected a size such as 512M or 1G, not '-1'"],
    [workload('{kind: command}'), '3:6: workloads.w: command is missing'],
    [
      workload('{kind: command, command: x, figure: {regexp: "(", unit: s, better: more}}'),
      '3:51: workloads.w.figure.regexp: Invalid regular expression',
    ],
    [
      workload('{kind: command, command: x, figure: {regexp: "a", unit: s, better: more}}'),
      '3:51: workloads.w.figure.regexp: its first group is what is read',
    ],
    [
      workload('{kind: command, command: x, figure: {regexp: "(a)", unit: s}}'),
      '3:42: workloads.w.figure: better is missing',
    ],
    [workload('{kind: build, source: src}'), '3:28: workloads.w.source: expected an absolute path'],
    [
      workload('{kind: pgbench, seconds: 3, transactions: 4}'),
      '3:48: workloads.w.transactions: either seconds or transactions',
    ],
    [workload('{kind: pgbench, seconds: 1.5}'), '3:31: workloads.w.seconds: expected whole seconds'],
    [
      workload('{kind: pgbench, settings: {port: 1}}'),
      '3:39: workloads.w.settings.port: port is set by the campaign itself',
    ],
    [small.replace('a:', 'a: {vms: 2}'), '5:7: configurations.a: there is no vms here'],
    [small.replace('a:', 'a: {in: guests, vms: 2}'), '5:6: configurations.a: host is missing'],
    [small.replace('a:', 'a: {kernel: {has: [a b]}}'), '5:22: configurations.a.kernel.has[0]: expected one word'],
    [
      small.replace('a:', 'a: {environment: {DATA: x}}'),
      '5:27: configurations.a.environment.DATA: DATA is set by the campaign itself',
    ],
    [
      small.replace('a:', 'a: {check: {command: x, says: "["}}'),
      '5:33: configurations.a.check.says: Invalid regular expression',
    ],
    [`${small}# ${'x'.repeat(300_000)}`, '1:1: over 262144 characters'],
  ])('%j', (text, expected) => {
    const campaign = parseCampaign(text);
    const said = campaign.ok ? [] : campaign.error.map((problem) => problemText('c.yaml', problem));
    expect(said.find((line) => line.startsWith(`c.yaml:${expected}`)) ?? said).toEqual(
      expect.stringContaining(expected),
    );
  });

  test.each([
    [inGuests('timeslice: 5 ms'), 'configurations.a.timeslice: a timeslice is of scheduler: credit'],
    [inGuests('scheduler: credit2, placement: 1, timeslice: 5 ms'), 'a timeslice is of scheduler: credit'],
    [inGuests('scheduler: credit, placement: 1, timeslice: 2 s'), 'configurations.a.timeslice: '],
    [inGuests('scheduler: sedf'), 'configurations.a.scheduler: '],
    [inGuests('scheduler: credit'), 'configurations.a.scheduler: a cpupool with this scheduler is made of the pCPUs'],
    [inGuests('scheduler: credit, pool: b'), 'configurations.a.scheduler: a cpupool that is there has its scheduler'],
    [inGuests('placement: all'), 'configurations.a.placement: expected pCPUs such as 0-3,6'],
    [inGuests('placement: 3-1'), 'configurations.a.placement: expected pCPUs such as 0-3,6'],
    [inGuests('placement: "1,^1"'), 'configurations.a.placement: no pCPU is left'],
    [inGuests('kernel: {has: [quiet]}'), 'configurations.a.kernel: guests are booted with guest-kernel'],
    [inGuests('disk: a.raw'), 'configurations.a.disk: expected an absolute path'],
    [inGuests('files: {bin/x: x}'), 'configurations.a.files.bin/x: its name is an absolute path in the guest'],
    [inGuests('files: {/opt/../x: x}'), 'configurations.a.files./opt/../x: its name is an absolute path in the guest'],
    [inGuests('files: {/./bin/x: x}'), 'configurations.a.files././bin/x: its name is an absolute path in the guest'],
    [
      inGuests('files: {/bench/x: x, /bin/x: x}'),
      "c.yaml:5:59: configurations.a.files./bin/x: /bin is the guest's own",
    ],
    [inGuests('files: {/lib64/x: {make: x}}'), "configurations.a.files./lib64/x: /lib64 is the guest's own"],
    [inGuests('files: {/etc/passwd: x}'), "configurations.a.files./etc/passwd: /etc is the guest's own"],
    [inGuests('files: {/init: x}'), "configurations.a.files./init: /init is the guest's own"],
    [inGuests('files: {/a/b/c: x, /a/b: x}'), 'c.yaml:5:46: configurations.a.files./a/b/c: it cannot be in /a/b'],
    [inGuests('memory: 128'), 'c.yaml:5:38: configurations.a.memory: it has no unit: 128M or 128G'],
    [inGuests('memory: 100K'), 'configurations.a.memory: expected whole MiB'],
    [inGuests('memory: 1025K'), 'configurations.a.memory: expected whole MiB'],
    [inGuests('pool: "a\\nb"'), 'c.yaml:5:36: configurations.a.pool: expected one line without control characters'],
    [inGuests('guest-kernel: "/a\\nb"'), 'configurations.a.guest-kernel: expected one line without control characters'],
    [
      inGuests('guest-ramdisk: "/a\\tb"'),
      'configurations.a.guest-ramdisk: expected one line without control characters',
    ],
    [inGuests('disk: "/\\ud800"'), 'configurations.a.disk: expected one line without control characters'],
    [inGuests(`disk: /${'x'.repeat(4096)}`), 'configurations.a.disk: over 4096 characters'],
    [inGuests(`guest-command-line: ${'x'.repeat(961)}`), 'configurations.a.guest-command-line: over 960 characters'],
    [onHost('ssh://dom0:0'), 'c.yaml:5:23: configurations.a.host: a port is 1 to 65535'],
    [onHost('{address: ssh://dom0:0}'), 'c.yaml:5:33: configurations.a.host.address: a port is 1 to 65535'],
    [inGuests('guest-command-line: "a\\nb"'), 'configurations.a.guest-command-line: expected one line of ASCII'],
    [onHost('dom0'), 'configurations.a.host: expected lab, lab:NAME, ssh://user@host:port or local:'],
    [onHost('"model:"'), 'configurations.a.host: a campaign measures, and a model cannot be measured'],
    [onHost('{address: lab, identity-file: /key}'), 'configurations.a.host.address: the lab has its own keys'],
    [onHost('{identity-file: /key}'), 'configurations.a.host: address is missing'],
    [onHost('{address: "ssh://h", identity-file: key}'), 'a.host.identity-file: expected an absolute path'],
    [small.replace('a:', 'a: {in: host, host: lab, vms: 2}'), 'configurations.a: there is no vms here'],
  ])('of hosts and guests: %j', (text, expected) => {
    const campaign = parseCampaign(text);
    const said = campaign.ok ? [] : campaign.error.map((problem) => problemText('c.yaml', problem));
    expect(said).toContainEqual(expect.stringContaining(expected));
  });

  test('everything at once, in the order of the file, and nothing twice', () => {
    const campaign = parseCampaign('name: a\nruns: x\nconfigurations: 3\nworkloads:\n  w: 3\n');
    expect(campaign.ok ? [] : campaign.error.map(({ line, path }) => `${line} ${path}`)).toEqual([
      '2 runs',
      '3 configurations',
      '5 workloads.w',
    ]);
  });

  test('an anchor is read where it is used', () => {
    const text =
      'name: a\nthreads: &t [1, 2]\nworkloads:\n  w: {kind: command, command: x, threads: *t}\nconfigurations: {x: }\n';
    expect(parsed(text).workloads[0]?.threads).toEqual([1, 2]);
  });
});

describe('two definitions', () => {
  test('are the same whatever their layout', () => {
    const relaid = `# a comment\n${small.replace('{kind: command, command: "true"}', '\n    command: "true"\n    kind: command')}`;
    expect(definitionChanges(definitionJson(parsed(small)), parsed(relaid))).toEqual([]);
    expect(definitionChanges(definitionJson(parsed(whole)), parsed(whole))).toEqual([]);
  });

  test.each<[string, (text: string) => string, readonly string[]]>([
    ['a number', (text) => text.replace('runs: 5', 'runs: 6'), ['runs: 5 became 6']],
    ['a size', (text) => text.replace('512M', '1G'), ['workloads.zip.sizeBytes: 536870912 became 1073741824']],
    [
      'a list',
      (text) => text.replace('[8, 1]', '[8, 2]'),
      [
        'workloads.zip.threads: [1,8] became [2,8]',
        'workloads.kernel.threads: [1,8] became [2,8]',
        'workloads.cpu.threads: [1,8] became [2,8]',
      ],
    ],
    [
      'something new',
      (text) => text.replace('  plain:\n', '  plain:\n    before: sync\n'),
      ['configurations.plain.before: nothing became "sync"'],
    ],
    [
      'something gone',
      (text) => text.replace('  far: {in: host, host: ssh://root@dom0}\n', ''),
      [
        'configurations.far: {"name":"far","where":{"kind":"host","host":{"kind":"address","address":"ssh://r… became nothing',
      ],
    ],
    [
      'the order',
      (text) => text.replace('  plain:\n', '').concat('  plain:\n'),
      [
        'configurations: the order plain, pinned, far, crowd, pooled, emulated became pinned, far, crowd, pooled, emulated, plain',
      ],
    ],
  ])('differ by %s', (_, change, expected) => {
    expect(change(whole)).not.toBe(whole);
    expect(definitionChanges(definitionJson(parsed(whole)), parsed(change(whole)))).toEqual(expected);
  });
});
