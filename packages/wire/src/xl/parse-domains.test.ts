import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { formatXlBitmap, parseXlBitmap } from './bitmap.ts';
import { parseXlListLong } from './parse-list-long.ts';
import { parseXlList } from './parse-list.ts';
import { parseXlUptime } from './parse-uptime.ts';
import { parseXlVcpuList } from './parse-vcpu-list.ts';
import { parseXentop } from './parse-xentop.ts';
import { XlParseError } from './xl-parse-error.ts';

/** Recorded output: the first line of a recording is the command. */
const recorded = (name: string): string =>
  readFileSync(new URL(`../../../../tests/fixtures/xl/${name}.txt`, import.meta.url), 'utf8').replace(/^\$.*\n/, '');

const idle = { running: false, blocked: false, paused: false, shutdown: false, crashed: false, dying: false };

describe('parseXlList', () => {
  test('recorded: no options', () => {
    const domains = parseXlList(recorded('guests-xl-list'));
    expect(
      domains.map(({ name, domid, memoryMib, vcpus, cpuTimeSeconds }) => [
        name,
        domid,
        memoryMib,
        vcpus,
        cpuTimeSeconds,
      ]),
    ).toEqual([
      ['Domain-0', 0, 1024, 1, 35.2],
      ['pv', 1, 128, 2, 7.6],
      ['pvh', 2, 128, 2, 16.8],
    ]);
    expect(domains.map(({ state }) => state)).toEqual([
      { ...idle, running: true },
      { ...idle, blocked: true },
      { ...idle, blocked: true },
    ]);
    expect(domains[0]).toMatchObject({
      uuid: undefined,
      cpupool: undefined,
      nodeAffinity: undefined,
      shutdownReason: undefined,
    });
  });

  test('recorded: -v and -n', () => {
    expect(parseXlList(recorded('guests-xl-list-v')).map(({ uuid }) => uuid)).toEqual([
      '00000000-0000-0000-0000-000000000000',
      '930c6acf-e7a8-4cb5-a9af-617328058e48',
      'dbcfa15d-8a2f-4d99-8705-421053ed5ac7',
    ]);
    expect(parseXlList(recorded('guests-xl-list-n')).map(({ nodeAffinity }) => nodeAffinity)).toEqual([
      'all',
      [0],
      [1],
    ]);
  });

  test.each(['idle-xl-list', 'idle-xl-list-v', 'idle-xl-list-n'])('recorded: %s', (name) => {
    expect(parseXlList(recorded(name))).toMatchObject([{ name: 'Domain-0', domid: 0, memoryMib: 1024, vcpus: 1 }]);
  });

  const header = 'Name                                        ID   Mem VCPUs\tState\tTime(s)';
  const row = (name: string, rest: string): string => `${name.padEnd(40)} ${rest}`;

  test.each([
    ['r-----', { running: true }, undefined],
    ['------', {}, undefined],
    ['--p---', { paused: true }, undefined],
    ['---s--', { shutdown: true }, 'poweroff'],
    ['---sr-', { shutdown: true }, 'reboot'],
    ['---ss-', { shutdown: true }, 'suspend'],
    ['---sc-', { shutdown: true, crashed: true }, 'crash'],
    ['---sw-', { shutdown: true }, 'watchdog'],
    ['---sS-', { shutdown: true }, 'soft-reset'],
    ['---s?d', { shutdown: true, dying: true }, 'unknown'],
    ['-----d', { dying: true }, undefined],
  ])('state %s', (letters, flags, reason) => {
    const [domain] = parseXlList(`${header}\n${row('a', `    7   128     2     ${letters}       4.5`)}\n`);
    expect(domain).toMatchObject({ state: { ...idle, ...flags }, shutdownReason: reason });
  });

  test.each([
    'with spaces in it',
    'ends in numbers 1 2 3',
    'b     1   128     2     -b----       7.6',
    '  leading',
    'x'.repeat(60),
    '',
    '(null)',
    'two\nlines',
    '"; reboot',
    'Name',
  ])('a domain named %j', (name) => {
    expect(parseXlList(`${header}\n${row(name, '    7   128     2     -b----       4.5')}\n`)).toMatchObject([
      { name, domid: 7, memoryMib: 128, vcpus: 2, cpuTimeSeconds: 4.5 },
    ]);
  });

  test('-v -c -n at once, and a cpupool whose name touches the column before it', () => {
    const text = [
      `${header}   UUID                            Reason-Code\tSecurity Label         Cpupool NODE Affinity`,
      row(
        'a',
        '    7   128     2     ---sc-       4.5 930c6acf-e7a8-4cb5-a9af-617328058e48        3 system_u:object_r          Pool-0 0-1,3',
      ),
      row(
        'b',
        '    8   128     2     -b----       4.5 930c6acf-e7a8-4cb5-a9af-617328058e49        -                -a-long-cpupool-name all',
      ),
    ].join('\n');
    const [a, b] = parseXlList(text);
    expect(a).toMatchObject({
      shutdownReason: 'crash',
      securityLabel: 'system_u:object_r',
      cpupool: 'Pool-0',
      nodeAffinity: [0, 1, 3],
    });
    expect(b).toMatchObject({
      domid: 8,
      securityLabel: undefined,
      cpupool: 'a-long-cpupool-name',
      nodeAffinity: 'all',
    });
  });

  test('-c', () => {
    const text = `${header}         Cpupool\n${row('a', '    7   128     2     -b----      14.5          Pool-0')}\n${row('b', '    8   128     2     -b----      14.5a-long-cpupool-name')}\n`;
    expect(parseXlList(text).map(({ cpupool, cpuTimeSeconds }) => [cpupool, cpuTimeSeconds])).toEqual([
      ['Pool-0', 14.5],
      ['a-long-cpupool-name', 14.5],
    ]);
  });

  test('claims', () => {
    const text = `${header}  Claimed\n${row('a', '    7   128     2     --p---       4.5    64')}\n`;
    expect(parseXlList(text)).toMatchObject([{ claimedMib: 64 }]);
  });

  test.each(['', 'libxl: error', `${header}\nnot a domain`, `${header}\n${row('a', '  x  128  2  -b----  1.0')}`])(
    '%j is refused',
    (text) => {
      expect(() => parseXlList(text)).toThrow(XlParseError);
    },
  );

  test('an error quotes the line', () => {
    expect(() => parseXlList(`${header}\nnonsense "here"`)).toThrow('"nonsense \\"here\\""');
  });
});

describe('parseXlListLong', () => {
  test('recorded: Domain-0, PV and PVH', () => {
    const domains = parseXlListLong(recorded('guests-xl-list-l'));
    expect(domains.map(({ domid, type, name }) => [domid, type, name])).toEqual([
      [0, 'pv', 'Domain-0'],
      [1, 'pv', 'pv'],
      [2, 'pvh', 'pvh'],
    ]);
    expect(domains[0]).toMatchObject({
      uuid: undefined,
      maxVcpus: undefined,
      onlineVcpus: undefined,
      maxMemKib: 1048576,
      targetMemKib: 1048575,
      disks: [],
    });
    expect(domains[2]).toMatchObject({
      uuid: 'dbcfa15d-8a2f-4d99-8705-421053ed5ac7',
      maxVcpus: 2,
      onlineVcpus: 2,
      maxMemKib: 131072,
      targetMemKib: 131072,
      kernel: '/root/guest/vmlinux',
      ramdisk: '/root/guest/gird.gz',
      cmdline: 'console=hvc0 panic=1',
      schedParams: { sched: 'credit2', weight: 256, cap: 0 },
      onReboot: 'restart',
      onPoweroff: undefined,
      cpupool: undefined,
    });
  });

  test('recorded: disks and vifs', () => {
    const [domain] = parseXlListLong(recorded('disks-xl-list-l'));
    expect(domain?.disks).toEqual([
      {
        path: '/srv/d1.img',
        vdev: 'xvda',
        format: 'raw',
        backendtype: undefined,
        script: undefined,
        readonly: false,
        cdrom: false,
      },
    ]);
    expect(domain?.vifs).toMatchObject([{ devid: 0, mac: '00:16:3e:00:00:11', bridge: 'xenbr0', nictype: 'vif' }]);
  });

  test.each([
    ['guests-xl-list-l-pv', 1],
    ['guests-xl-list-l-pvh', 2],
    ['idle-xl-list-l', 0],
  ])('recorded: %s', (name, domid) => {
    expect(parseXlListLong(recorded(name)).map((domain) => domain.domid)).toEqual([domid]);
  });

  test('missing and odd parts are absent', () => {
    const odd = {
      c_info: { name: 7, pool_name: 'p' },
      b_info: { max_vcpus: '4', vcpu_hard_affinity: [[0, 1], []] },
      disks: 'none',
      nics: [1, {}],
    };
    const [bare, domain] = parseXlListLong(JSON.stringify([{ domid: 3 }, { domid: 4, config: odd }]));
    expect(bare).toMatchObject({
      domid: 3,
      type: undefined,
      name: undefined,
      disks: [],
      vifs: [],
      schedParams: undefined,
    });
    expect(domain).toMatchObject({
      name: undefined,
      cpupool: 'p',
      maxVcpus: undefined,
      vcpuHardAffinity: [[0, 1], []],
      disks: [],
    });
    expect(domain?.vifs).toHaveLength(1);
  });

  test("libxl's default of a size is absent", () => {
    const text = '[{"domid":1,"config":{"b_info":{"max_memkb":18446744073709551615}}}]';
    expect(parseXlListLong(text)).toMatchObject([{ maxMemKib: undefined }]);
  });

  test.each(['', '{}', '[{}]', '[1]', '[{"domid":"1"}]', '[{"domid":1}', '[[[['])('%j is refused', (text) => {
    expect(() => parseXlListLong(text)).toThrow(XlParseError);
  });

  test('no domains', () => {
    expect(parseXlListLong('[\n\n]\n')).toEqual([]);
  });
});

describe('parseXlVcpuList', () => {
  test('recorded', () => {
    const vcpus = parseXlVcpuList(recorded('guests-xl-vcpu-list'));
    expect(vcpus).toHaveLength(5);
    expect(vcpus[0]).toEqual({
      name: 'Domain-0',
      domid: 0,
      vcpuId: 0,
      pcpuId: 6,
      state: 'running',
      cpuTimeSeconds: 39.3,
      hardAffinity: 'all',
      softAffinity: 'all',
    });
    expect(vcpus[4]).toMatchObject({ name: 'pvh', vcpuId: 1, pcpuId: 1, state: 'blocked', softAffinity: [4, 5, 6, 7] });
    expect(parseXlVcpuList(recorded('idle-xl-vcpu-list'))).toHaveLength(1);
  });

  const header = 'Name                                ID  VCPU   CPU State   Time(s) Affinity (Hard / Soft)';

  test.each([
    [
      'pvn                                 28     1    -   --p       0.0  4-7 / 4-7',
      { state: 'offline', pcpuId: undefined, hardAffinity: [4, 5, 6, 7] },
    ],
    [
      'g 1                                 21     0    7   ---      10.3  all / 4,6',
      { name: 'g 1', state: 'runnable', softAffinity: [4, 6] },
    ],
    [
      'old                                  1     0    3   -b-       1.0  any cpu',
      { hardAffinity: 'all', softAffinity: undefined },
    ],
    [
      'a                                    1     0    3   -b-       1.0  none / 0',
      { hardAffinity: [], softAffinity: [0] },
    ],
  ])('%s', (line, vcpu) => {
    expect(parseXlVcpuList(`${header}\n${line}\n`)).toMatchObject([vcpu]);
  });

  test.each([
    '',
    'x',
    `${header}\nx`,
    `${header}\na 1 0 3 -b- 1.0 9-1 / all`,
    `${header}\na 1 0 3 -b- 1.0 0-99999 / all`,
  ])('%j is refused', (text) => {
    expect(() => parseXlVcpuList(text)).toThrow(XlParseError);
  });
});

test.each([
  ['all', 'all'],
  ['none', []],
  ['0', [0]],
  ['0-2,5', [0, 1, 2, 5]],
  ['', undefined],
  ['a', undefined],
  ['1-', undefined],
  ['3-1', undefined],
])('parseXlBitmap(%j)', (text, members) => {
  expect(parseXlBitmap(text)).toEqual(members);
});

describe('parseXlUptime', () => {
  test('recorded', () => {
    expect(parseXlUptime(recorded('guests-xl-uptime'))).toEqual([
      { name: 'Domain-0', domid: 0, uptimeSeconds: 119 },
      { name: 'pv', domid: 1, uptimeSeconds: 67 },
      { name: 'pvh', domid: 2, uptimeSeconds: 56 },
    ]);
    expect(parseXlUptime(recorded('idle-xl-uptime'))).toEqual([{ name: 'Domain-0', domid: 0, uptimeSeconds: 47 }]);
  });

  test.each([
    ['a b                                  3 1 day,  2:03:04', 'a b', 93_784],
    ['a 1                                  3 10 days, 12:00:00', 'a 1', 907_200],
  ])('%s', (line, name, uptimeSeconds) => {
    expect(parseXlUptime(`Name                                ID Uptime\n${line}\n`)).toEqual([
      { name, domid: 3, uptimeSeconds },
    ]);
  });

  test('refused', () => {
    expect(() => parseXlUptime('')).toThrow(XlParseError);
    expect(() => parseXlUptime('Name ID Uptime\na 1 soon')).toThrow(XlParseError);
  });
});

describe('parseXentop', () => {
  test('recorded: two iterations', () => {
    const iterations = parseXentop(recorded('guests-xentop'));
    expect(iterations.map((domains) => domains.map(({ name, cpuPercent }) => [name, cpuPercent]))).toEqual([
      [
        ['Domain-0', 0],
        ['pv', 0],
        ['pvh', 0],
      ],
      [
        ['Domain-0', 8],
        ['pv', 0.7],
        ['pvh', 1.9],
      ],
    ]);
    expect(iterations[1]?.[1]).toMatchObject({
      state: { running: false, blocked: true, dying: false },
      cpuTimeSeconds: 7,
      memoryKib: 131072,
      memoryPercent: 3.1,
      maxMemoryKib: 132096,
      vcpus: 2,
    });
  });

  test.each(['idle-xentop', 'disks-xentop'])('recorded: %s', (name) => {
    const iterations = parseXentop(recorded(name));
    expect(iterations).toHaveLength(2);
    expect(iterations.every((domains) => domains[0]?.name === 'Domain-0')).toBe(true);
  });

  test('recorded: vifs, VBDs and vCPUs', () => {
    const [domains] = parseXentop(recorded('disks-xentop-nx'));
    expect(domains).toHaveLength(3);
    expect(domains?.[1]).toMatchObject({
      name: 'dphy',
      vifs: 1,
      netTxKib: 2,
      vbds: 1,
      vbdReadRequests: 3,
      vbdReadSectors: 24,
      vcpuSeconds: [6],
      networks: [
        {
          index: 0,
          rxBytes: 648,
          rxPackets: 10,
          rxErrors: 0,
          rxDrops: 0,
          txBytes: 2616,
          txPackets: 32,
          txErrors: 0,
          txDrops: 0,
        },
      ],
      vbdDetails: [
        {
          backend: 'BlkBack',
          device: 51712,
          outOfRequests: 0,
          readRequests: 3,
          writeRequests: 0,
          readSectors: 24,
          writeSectors: 0,
        },
      ],
    });
    expect(domains?.[2]).toMatchObject({ name: 'dqd', vbdDetails: [] });
  });

  test('no limit, and a name with spaces', () => {
    const [header = ''] = recorded('idle-xentop').split('\n');
    const line =
      '   my dom 1 --b---          7    0.0     131072    3.1   no limit       n/a     2    0        0        0    0        0        0        0          0          0    0';
    expect(parseXentop(`${header}\n${line}\n`)[0]).toMatchObject([
      { name: 'my dom 1', maxMemoryKib: undefined, maxMemoryPercent: undefined },
    ]);
    expect(() => parseXentop(`${header}\nnonsense\n`)).toThrow(XlParseError);
    expect(() => parseXentop(line)).toThrow(XlParseError);
  });
});

test.each([
  [[], 'none'],
  [[0], '0'],
  [[5, 0, 2, 1, 5], '0-2,5'],
  [[0, 2, 4, 5], '0,2,4-5'],
])('formatXlBitmap(%j)', (members, text) => {
  expect(formatXlBitmap(members)).toBe(text);
});
