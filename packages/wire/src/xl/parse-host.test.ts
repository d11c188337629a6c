import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCpupoolList, parseCpupoolLists } from './parse-cpupool-list.ts';
import { parseXlBlockList, parseXlNetworkList } from './parse-devices.ts';
import { parseXlInfo, xlNoDistance } from './parse-info.ts';
import { parseSchedCredit, parseSchedCredit2, parseSchedDomains, parseSchedRtds } from './parse-sched.ts';
import { parseXenstoreLs } from './parse-xenstore-ls.ts';
import { XlParseError } from './xl-parse-error.ts';

const fixture = (name: string): string =>
  readFileSync(new URL(`../../../../tests/fixtures/xl/${name}.txt`, import.meta.url), 'utf8');

/** Recorded output: the first line of a recording is the command. */
const recorded = (name: string): string => fixture(name).replace(/^\$.*\n/, '');

/** Every output of one command in the recording of a session, which has `rc=` after each. */
const session = (command: string): readonly string[] =>
  fixture('cpupools')
    .split(/^(?=\$ )/m)
    .filter((part) => part.startsWith(`$ ${command}\n`))
    .map((part) => part.slice(command.length + 3, part.indexOf('\nrc=') + 1));

describe('parseXlInfo', () => {
  test('recorded: with -n', () => {
    const info = parseXlInfo(recorded('guests-xl-info-n'));
    expect(info).toMatchObject({
      host: 'xenlab1',
      release: '6.1.0-56-amd64',
      version: '#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)',
      machine: 'x86_64',
      nrCpus: 8,
      maxCpuId: 7,
      nrNodes: 2,
      coresPerSocket: 4,
      threadsPerCore: 1,
      cpuMhz: 2596.142,
      virtCaps: ['pv', 'hvm', 'hap', 'gnttab-v1', 'gnttab-v2'],
      totalMemoryMib: 4095,
      freeMemoryMib: 2768,
      sharingFreedMemoryMib: 0,
      sharingUsedMemoryMib: 0,
      outstandingClaimsMib: 0,
      freeCpus: 0,
      deviceTopology: [],
      numaNodes: [
        { nodeId: 0, memsizeMib: 2048, memfreeMib: 1583, distances: [10, 20] },
        { nodeId: 1, memsizeMib: 3072, memfreeMib: 1185, distances: [20, 10] },
      ],
      xenMajor: 4,
      xenMinor: 17,
      xenExtra: '.7',
      xenVersion: '4.17.7',
      xenCaps: ['xen-3.0-x86_64', 'hvm-3.0-x86_32', 'hvm-3.0-x86_32p', 'hvm-3.0-x86_64'],
      xenScheduler: 'credit2',
      xenPagesizeBytes: 4096,
      platformParams: 'virt_start=0xffff800000000000',
      xenChangeset: '',
      commandline: 'dom0_mem=1024M,max:1024M loglvl=info com1=115200,8n1 console=com1 bootscrub=0 dom0_max_vcpus=1',
      ccCompileDate: 'Wed Nov  4 16:52:28 UTC 2026',
      buildId: '151b373fd64b321593bf987fd923cd10dabadac4',
      xendConfigFormat: 4,
    });
    expect(info.hwCaps).toHaveLength(8);
    expect(info.cpuTopology).toHaveLength(8);
    expect(info.cpuTopology[5]).toEqual({ cpuId: 5, coreId: 1, socketId: 1, nodeId: 1 });
    expect(info.others.size).toBe(0);
  });

  test('recorded: without -n', () => {
    for (const name of ['guests-xl-info', 'idle-xl-info']) {
      const info = parseXlInfo(recorded(name));
      expect(info).toMatchObject({ nrCpus: 8, cpuTopology: [], numaNodes: [] });
      expect(info.others.size).toBe(0);
    }
    expect(parseXlInfo(recorded('idle-xl-info-n')).numaNodes).toHaveLength(2);
    expect(session('xl info -n').map((text) => parseXlInfo(text).freeCpus)).toEqual([2]);
  });

  test('a device topology, and keys of other releases', () => {
    const text = recorded('idle-xl-info-n')
      .replace('No device topology data available', '0000:00:1f.2      1')
      .concat('xenstore_features      : 0x3\nnew key                : a : b\n');
    const info = parseXlInfo(text);
    expect(info.deviceTopology).toEqual([{ device: '0000:00:1f.2', nodeId: 1 }]);
    expect([...info.others]).toEqual([
      ['xenstore_features', '0x3'],
      ['new key', 'a : b'],
    ]);
    expect(info.numaNodes).toHaveLength(2);
  });

  test('a firmware that tells no distance: xl prints -1, and it is the farthest', () => {
    const text = recorded('idle-xl-info-n')
      .replace(/10,20$/m, '10,-1')
      .replace(/20,10$/m, '-1,10');
    const { numaNodes } = parseXlInfo(text);
    expect(numaNodes.map(({ distances }) => distances)).toEqual([
      [10, xlNoDistance],
      [xlNoDistance, 10],
    ]);
    for (const distances of ['10,-2', '10,--1', '10,1-1']) {
      expect(() => parseXlInfo(text.replace('10,-1', distances))).toThrow(XlParseError);
    }
  });

  test.each([
    ['', /no host/],
    ['garbage', /"garbage"/],
    [recorded('idle-xl-info').replace(/^nr_cpus.*\n/m, ''), /no nr_cpus/],
    [recorded('idle-xl-info').replace(/^(nr_cpus +: ).*$/m, '$1many'), /"nr_cpus: many"/],
  ])('refused', (text, message) => {
    expect(() => parseXlInfo(text)).toThrow(XlParseError);
    expect(() => parseXlInfo(text)).toThrow(message);
  });
});

describe('parseCpupoolList', () => {
  test('recorded', () => {
    const pool = { name: 'Pool-0', nrCpus: 8, pcpuIds: undefined, scheduler: 'credit2', active: true };
    expect(parseCpupoolList(recorded('guests-xl-cpupool-list'))).toEqual([{ ...pool, domains: 3 }]);
    expect(parseCpupoolList(recorded('idle-xl-cpupool-list'))).toEqual([{ ...pool, domains: 1 }]);
    for (const name of ['guests-xl-cpupool-list-c', 'idle-xl-cpupool-list-c']) {
      expect(parseCpupoolList(recorded(name))).toMatchObject([
        { name: 'Pool-0', nrCpus: 8, pcpuIds: [0, 1, 2, 3, 4, 5, 6, 7] },
      ]);
    }
  });

  test('recorded: a session with several', () => {
    expect(
      session('xl cpupool-list').map((text) =>
        parseCpupoolList(text).map(({ name, nrCpus, domains }) => [name, nrCpus, domains]),
      ),
    ).toEqual([
      [['Pool-0', 8, 1]],
      [
        ['Pool-node0', 4, 1],
        ['Pool-node1', 4, 0],
      ],
      [
        ['Pool-node0', 4, 1],
        ['credit-pool', 1, 0],
        ['c2', 1, 0],
      ],
      [
        ['Pool-node0', 4, 1],
        ['credit-pool', 1, 2],
        ['c2', 1, 2],
      ],
    ]);
    expect(session('xl cpupool-list -c').at(1)).toBeDefined();
    expect(parseCpupoolList(session('xl cpupool-list -c')[1] ?? '')).toMatchObject([
      { name: 'Pool-node0', pcpuIds: [0, 1, 2, 3] },
      { name: 'numa1', nrCpus: 0, pcpuIds: [] },
    ]);
  });

  test.each([
    ['a name 4            1,2', { name: 'a name 4', pcpuIds: [1, 2] }],
    ['a name 4           ', { name: 'a name 4', pcpuIds: [] }],
    ['a name 4', { name: 'a name 4', pcpuIds: [] }],
    ['a-very-long-pool-name1,2', { name: 'a-very-long-pool-name', pcpuIds: [1, 2] }],
    ['a-very-long-pool-name', { name: 'a-very-long-pool-name', pcpuIds: [] }],
  ])('%j', (line, pool) => {
    expect(parseCpupoolList(`Name               CPU list\n${line}\n`)).toMatchObject([pool]);
  });

  test.each([
    '',
    'x',
    'Name               CPU list\na                  x',
    'Name  CPUs Sched Active Domain count\na b',
  ])('%j is refused', (text) => {
    expect(() => parseCpupoolList(text)).toThrow(XlParseError);
  });
});

describe('parseCpupoolLists', () => {
  const long = 'Name               CPUs   Sched     Active   Domain count\n';
  const short = 'Name               CPU list\n';
  const row = (name: string, cpus: number): string =>
    `${name.padEnd(19)}${String(cpus).padStart(3)}   credit2       y          1\n`;
  const list = (name: string, cpus: number): string => `${name.padEnd(19)}${[...Array(cpus).keys()].join(',')}\n`;

  test('recorded', () => {
    const [texts, cpus] = [session('xl cpupool-list'), session('xl cpupool-list -c')];
    expect(parseCpupoolLists(texts[1] ?? '', cpus[0] ?? '')).toEqual([
      { name: 'Pool-node0', nrCpus: 4, pcpuIds: [0, 1, 2, 3], scheduler: 'credit2', active: true, domains: 1 },
      { name: 'Pool-node1', nrCpus: 4, pcpuIds: [4, 5, 6, 7], scheduler: 'credit2', active: true, domains: 0 },
    ]);
    expect(parseCpupoolLists(texts[2] ?? '', cpus[2] ?? '').map(({ name, scheduler }) => [name, scheduler])).toEqual([
      ['Pool-node0', 'credit2'],
      ['credit-pool', 'credit'],
      ['c2', 'credit2'],
    ]);
  });

  test.each([
    ['a 1', 0],
    ['1,2', 3],
    ['a pool with 12 pcpus 4', 12],
    ['a-very-long-pool-name-1', 128],
    ['a-very-long-pool-name-', 100],
    ['x'.repeat(63), 1],
  ])('the name %j with %i pCPUs', (name, cpus) => {
    expect(parseCpupoolLists(long + row(name, cpus), short + list(name, cpus))).toMatchObject([
      { name, nrCpus: cpus, pcpuIds: [...Array(cpus).keys()], scheduler: 'credit2', domains: 1 },
    ]);
  });

  test.each([
    ['', short],
    [long, ''],
    [long + row('a', 1), short],
    [long + row('a', 1), short + list('b', 1)],
    [long + row('a', 1), short + list('a', 2)],
    [`${long}nonsense\n`, short + list('a', 1)],
  ])('refused: %j, %j', (text, cpus) => {
    expect(() => parseCpupoolLists(text, cpus)).toThrow(XlParseError);
  });
});

describe('scheduler parameters', () => {
  test('recorded: credit2', () => {
    expect(parseSchedCredit2(recorded('guests-xl-sched-credit2'))).toEqual([
      {
        cpupool: 'Pool-0',
        ratelimitUs: 1000,
        domains: [
          { name: 'Domain-0', domid: 0, weight: 256, cap: 0 },
          { name: 'pv', domid: 1, weight: 256, cap: 0 },
          { name: 'pvh', domid: 2, weight: 256, cap: 0 },
        ],
      },
    ]);
    expect(parseSchedCredit2(recorded('idle-xl-sched-credit2'))[0]?.domains).toHaveLength(1);
    expect(
      session('xl sched-credit2').map((text) =>
        parseSchedCredit2(text).map(({ cpupool, domains }) => [cpupool, domains.length]),
      ),
    ).toEqual([
      [
        ['Pool-node0', 1],
        ['c2', 0],
      ],
      [
        ['Pool-node0', 1],
        ['c2', 2],
      ],
    ]);
    expect(parseSchedCredit2(session('xl sched-credit2 -s -p c2')[1] ?? '')).toEqual([
      { cpupool: 'c2', ratelimitUs: 2000, domains: [] },
    ]);
  });

  test('recorded: credit', () => {
    expect(parseSchedCredit(session('xl sched-credit')[1] ?? '')).toEqual([
      {
        cpupool: 'credit-pool',
        tsliceMs: 10,
        ratelimitUs: 500,
        migrationDelayUs: 0,
        domains: [
          { name: 'g-credit-pool-256', domid: 21, weight: 256, cap: 0 },
          { name: 'g-credit-pool-512', domid: 22, weight: 512, cap: 0 },
        ],
      },
    ]);
    expect(parseSchedCredit('Cpupool a: b: tslice=30ms ratelimit=1000us\n')).toMatchObject([
      { cpupool: 'a: b', migrationDelayUs: undefined },
    ]);
  });

  test('recorded: one domain', () => {
    expect(parseSchedDomains(session('xl sched-credit -d g-credit-pool-512')[0] ?? '')).toEqual([
      { name: 'g-credit-pool-512', domid: 22, weight: 512, cap: 30 },
    ]);
  });

  // No recording: the Xen of the lab has no rtds. The layout is that of tools/xl/xl_sched.c.
  test('rtds, with its vCPUs or without', () => {
    const columns = (...texts: readonly string[]): string => {
      const [name = '', ...rest] = texts;
      return `${name.padEnd(33)} ${rest.map((text) => text.padStart(9)).join(' ')}\n`;
    };
    const domains = ['Cpupool rt: sched=RTDS\n', columns('Name', 'ID', 'Period', 'Budget', 'Extratime')];
    const vcpus = ['Cpupool r 2: sched=RTDS\n', columns('Name', 'ID', 'VCPU', 'Period', 'Budget', 'Extratime')];
    domains.push(columns('a 1', '3', '10000', '4000', 'yes'));
    vcpus.push(columns('b', '4', '0', '20000', '5000', 'no'), columns('b', '4', '1', '10000', '4000', 'yes'));
    expect(parseSchedRtds([...domains, ...vcpus].join(''))).toEqual([
      {
        cpupool: 'rt',
        domains: [{ name: 'a 1', domid: 3, vcpuId: undefined, periodUs: 10_000, budgetUs: 4000, extratime: true }],
      },
      {
        cpupool: 'r 2',
        domains: [
          { name: 'b', domid: 4, vcpuId: 0, periodUs: 20_000, budgetUs: 5000, extratime: false },
          { name: 'b', domid: 4, vcpuId: 1, periodUs: 10_000, budgetUs: 4000, extratime: true },
        ],
      },
    ]);
    expect(() => parseSchedRtds(domains.slice(1).concat('x').join(''))).toThrow(XlParseError);
    expect(() => parseSchedRtds(domains.concat('x').join(''))).toThrow(XlParseError);
  });

  test('no pool of that scheduler is no output', () => {
    expect(parseSchedCredit('')).toEqual([]);
    expect(parseSchedRtds('')).toEqual([]);
  });

  test('refused', () => {
    expect(() => parseSchedCredit2('x')).toThrow(XlParseError);
    expect(() => parseSchedCredit2('Cpupool a: ratelimit=1us\nx')).toThrow(XlParseError);
    expect(() => parseSchedDomains('')).toThrow(XlParseError);
  });
});

describe('devices', () => {
  test('recorded: vifs', () => {
    expect(parseXlNetworkList(recorded('disks-network-list'))).toEqual([
      {
        devid: 0,
        backendDomid: 0,
        mac: '00:16:3e:00:00:11',
        handle: 0,
        state: 4,
        eventChannel: -1,
        txRingRef: 522,
        rxRingRef: 523,
        backendPath: '/local/domain/0/backend/vif/9/0',
      },
      {
        devid: 0,
        backendDomid: 0,
        mac: '00:16:3e:00:00:12',
        handle: 0,
        state: 4,
        eventChannel: -1,
        txRingRef: 521,
        rxRingRef: 522,
        backendPath: '/local/domain/0/backend/vif/10/0',
      },
    ]);
  });

  test('recorded: disks', () => {
    expect(parseXlBlockList(recorded('disks-block-list'))).toEqual([
      {
        vdev: 51712,
        backendDomid: 0,
        handle: 9,
        state: 4,
        eventChannel: 8,
        ringRef: 8,
        backendPath: '/local/domain/0/backend/vbd/9/51712',
      },
      {
        vdev: 51712,
        backendDomid: 0,
        handle: 10,
        state: 4,
        eventChannel: 8,
        ringRef: 8,
        backendPath: '/local/domain/0/backend/qdisk/10/51712',
      },
    ]);
  });

  test('refused', () => {
    for (const parse of [parseXlNetworkList, parseXlBlockList]) {
      expect(() => parse('')).toThrow(XlParseError);
      expect(() => parse('nonsense')).toThrow(XlParseError);
    }
    expect(() => parseXlBlockList(`${recorded('disks-block-list')}x`)).toThrow(XlParseError);
    expect(() => parseXlNetworkList(`${recorded('disks-network-list')}x`)).toThrow(XlParseError);
  });
});

describe('parseXenstoreLs', () => {
  test.each([
    ['guests-xenstore-ls-f', '/local/domain/1/name', 'pv'],
    [
      'disks-xenstore-ls-f',
      '/vm/433bd262-9241-461c-924f-c92d7138c0b4/image/cmdline',
      'console=hvc0 panic=1 ip4=10.9.0.11/24',
    ],
    ['idle-xenstore-ls-f', '/local/domain/0/name', 'Domain-0'],
  ])('recorded: %s', (name, path, value) => {
    const entries = parseXenstoreLs(recorded(name));
    expect(entries).toHaveLength(recorded(name).split('\n').length - 1);
    expect(entries.find((entry) => entry.path === path)).toEqual({ path, value, permissions: undefined });
  });

  test('recorded: with permissions', () => {
    const entries = parseXenstoreLs(recorded('guests-xenstore-ls-fp'));
    expect(entries.find((entry) => entry.path === '/local/domain/1/console/backend-id')).toEqual({
      path: '/local/domain/1/console/backend-id',
      value: '0',
      permissions: [
        { domid: 1, access: 'n' },
        { domid: 0, access: 'r' },
      ],
    });
    expect(entries.map(({ path, value }) => [path, value])).toEqual(
      parseXenstoreLs(recorded('guests-xenstore-ls-f')).map(({ path, value }) => [path, value]),
    );
  });

  test.each([
    ['/a = "say "hi" = "x""', 'say "hi" = "x"'],
    [String.raw`/a = "a\nb\tc\rd\\e"`, 'a\nb\tc\rd\\e'],
    [String.raw`/a = "\0\1x\033[0m"`, '\0\u0001x\u001b[0m'],
    [String.raw`/a = "\342\202\254"`, '€'],
    [String.raw`/a = "\377"`, '\u00ff'],
    ['/a = "x"   (n0)"', 'x"   (n0)'],
    ['/a = "x"   (n0,r1)"   (n0,b7)', 'x"   (n0,r1)'],
  ])('%s', (line, value) => {
    expect(parseXenstoreLs(`${line}\n`)).toMatchObject([{ path: '/a', value }]);
  });

  test.each(['x', '/a = x', '/a = "x', String.raw`/a = "\q"`])('%j is refused', (text) => {
    expect(() => parseXenstoreLs(text)).toThrow(XlParseError);
  });
});

test('any text gives a value or an XlParseError', () => {
  const parsers = [
    parseXlInfo,
    parseCpupoolList,
    parseSchedCredit,
    parseSchedCredit2,
    parseXlBlockList,
    parseXlNetworkList,
    parseXenstoreLs,
  ];
  const lines = fixture('cpupools').split('\n');
  const text = fc.array(fc.oneof(fc.constantFrom(...lines), fc.string({ unit: 'binary' })), { maxLength: 8 });
  fc.assert(
    fc.property(text, (parts) => {
      for (const parse of parsers) {
        try {
          parse(parts.join('\n'));
        } catch (error) {
          if (!(error instanceof XlParseError)) throw error;
        }
      }
    }),
    { numRuns: 300 },
  );
});
