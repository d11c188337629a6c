/** What is printed against what `xl` of Xen 4.17 printed, byte for byte. */
import { readFileSync } from 'node:fs';
import {
  parseCpupoolList,
  parseSchedCredit2,
  parseXlInfo,
  parseXlList,
  parseXlVcpuList,
  type XlBitmap,
} from '@xenolith/wire';
import { describe, expect, test } from 'vitest';
import {
  cpupoolListText,
  infoText,
  lines,
  listText,
  poolLine,
  schedLines,
  vcpuListText,
  type DomainLine,
  type ListColumns,
  type VcpuLine,
} from './layout.ts';

/** A recording without the line of its command. */
const recorded = (name: string): string => {
  const text = readFileSync(new URL(`../../../../tests/fixtures/xl/${name}.txt`, import.meta.url), 'utf8');
  return text.slice(text.indexOf('\n') + 1);
};
const numbers = (mask: XlBitmap | undefined, total: number): readonly number[] =>
  mask === 'all' || mask === undefined ? Array.from({ length: total }, (_, i) => i) : mask;
const vcpu = (state: string, timeSeconds: number): VcpuLine => ({
  vcpu: 0,
  pcpu: 0,
  state,
  timeSeconds,
  hard: [],
  soft: [],
});

const domainsIn = (text: string): readonly DomainLine[] =>
  parseXlList(text).map(({ name, domid, uuid, memoryMib, vcpus, state, cpuTimeSeconds, cpupool, nodeAffinity }) => ({
    name,
    domid,
    uuid: uuid ?? '',
    memoryMib,
    vcpusOnline: vcpus,
    paused: state.paused,
    cpupool: cpupool ?? '',
    vcpus: [vcpu(state.running ? 'running' : state.blocked ? 'blocked' : 'runnable', cpuTimeSeconds)],
    nodes: numbers(nodeAffinity, 2),
  }));

describe('list', () => {
  const none: ListColumns = { verbose: false, cpupool: false, numa: false };
  test.each([
    ['guests-xl-list', none],
    ['guests-xl-list-v', { ...none, verbose: true }],
    ['guests-xl-list-n', { ...none, numa: true }],
    ['idle-xl-list', none],
    ['idle-xl-list-v', { ...none, verbose: true }],
    ['idle-xl-list-n', { ...none, numa: true }],
  ] as const)('%s', (name, columns) => {
    const text = recorded(name);
    expect(listText(domainsIn(text), columns, 2)).toBe(text);
  });

  test('pools, a paused guest and one between two pCPUs are read back', () => {
    const [dom0, ...guests] = domainsIn(recorded('guests-xl-list-v'));
    if (dom0 === undefined) throw new Error('no Domain-0');
    const all = [
      { ...dom0, cpupool: 'Pool-0' },
      ...guests.map((guest) => ({ ...guest, paused: true, cpupool: 'numa1', vcpus: [vcpu('blocked', 1)] })),
      { ...dom0, domid: 9, name: 'w', cpupool: 'numa1', vcpus: [vcpu('blocked', 1), vcpu('runnable', 2)] },
    ];
    const read = parseXlList(listText(all, { verbose: true, cpupool: true, numa: true }, 2));
    expect(read.map(({ cpupool }) => cpupool)).toEqual(['Pool-0', 'numa1', 'numa1', 'numa1']);
    expect(read[1]?.state).toMatchObject({ running: false, blocked: false, paused: true });
    expect(read[3]).toMatchObject({ state: { running: false, blocked: false }, cpuTimeSeconds: 3 });
  });
});

describe('vcpu-list', () => {
  test.each(['guests-xl-vcpu-list', 'idle-xl-vcpu-list'])('%s', (name) => {
    const text = recorded(name);
    const domains = parseXlVcpuList(text).map((line): DomainLine => ({
      ...domainsIn(recorded('idle-xl-list'))[0]!,
      name: line.name,
      domid: line.domid,
      vcpus: [
        {
          vcpu: line.vcpuId,
          pcpu: line.pcpuId,
          state: line.state,
          timeSeconds: line.cpuTimeSeconds,
          hard: numbers(line.hardAffinity, 8),
          soft: numbers(line.softAffinity, 8),
        },
      ],
    }));
    expect(vcpuListText(domains, 8)).toBe(text);
  });

  test('one that is offline', () => {
    const offline = { ...vcpu('offline', 0), pcpu: undefined, hard: [4, 5, 6, 7], soft: [4, 6] };
    const [dom0] = domainsIn(recorded('idle-xl-list'));
    const text = vcpuListText([{ ...dom0!, name: 'pvn', domid: 28, vcpus: [offline] }], 8);
    expect(text.split('\n')[1]).toBe('pvn                                 28     0    -   --p       0.0  4-7 / 4,6');
  });
});

describe('cpupool-list', () => {
  const long = parseCpupoolList(recorded('guests-xl-cpupool-list'));
  const pools = long.map(({ name, scheduler = '', domains = 0 }) => ({
    name,
    scheduler,
    domains,
    parameters: {},
    cpus: [0, 1, 2, 3, 4, 5, 6, 7],
  }));
  test('with the schedulers', () => expect(cpupoolListText(pools, false)).toBe(recorded('guests-xl-cpupool-list')));
  test('with the CPUs', () => expect(cpupoolListText(pools, true)).toBe(recorded('guests-xl-cpupool-list-c')));
  test('an empty one', () => {
    const text = cpupoolListText([{ ...pools[0]!, name: 'numa1', cpus: [] }], true);
    expect(text).toBe('Name               CPU list\nnuma1              \n');
  });
});

test('no name of a pool moves the cursor', () => {
  const pool = { name: '\u001b[2J\u009b', scheduler: 'credit2', cpus: [0], domains: 0, parameters: {} };
  for (const text of [cpupoolListText([pool], false), cpupoolListText([pool], true), poolLine(pool)]) {
    expect(text).toContain('\\u001b[2J\\u009b');
    expect(text).not.toMatch(/[^\P{Cc}\n]/u);
  }
});

describe('schedulers', () => {
  test('credit2 with its domains', () => {
    const text = recorded('guests-xl-sched-credit2');
    const blocks = parseSchedCredit2(text).map(({ cpupool, ratelimitUs, domains }) => [
      poolLine({
        name: cpupool,
        scheduler: 'credit2',
        cpus: [],
        domains: 0,
        parameters: { ratelimit_us: String(ratelimitUs) },
      }),
      ...schedLines(
        'credit2',
        domains.map(({ name, domid, weight, cap }) => ({
          name,
          domid,
          parameters: { weight: String(weight), cap: String(cap) },
        })),
      ),
    ]);
    expect(lines(blocks.flat())).toBe(text);
  });

  test('the other pools', () => {
    const pool = { name: 'p', cpus: [], domains: 0 };
    const credit = { tslice_ms: '30', ratelimit_us: '1000', migration_delay_us: '0' };
    expect(poolLine({ ...pool, scheduler: 'credit', parameters: credit })).toBe(
      'Cpupool p: tslice=30ms ratelimit=1000us migration-delay=0us',
    );
    expect(poolLine({ ...pool, scheduler: 'rtds', parameters: {} })).toBe('Cpupool p: sched=RTDS');
    expect(
      schedLines('rtds', [{ name: 'g', domid: 3, parameters: { period: '10000', budget: '4000', extratime: '1' } }]),
    ).toEqual([
      'Name                                ID    Period    Budget  Extratime',
      'g                                    3     10000      4000        yes',
    ]);
  });
});

describe('info', () => {
  const text = recorded('guests-xl-info-n');
  const kept = /^(?:version|sharing_|outstanding|xen_pagesize|platform_params|xen_changeset|cc_|build_id|xend_config)/;
  const read = parseXlInfo(text);
  const info = Object.fromEntries(
    text.split('\n').flatMap((line) => {
      const match = /^(\w+) *: (.*)$/.exec(line);
      return match === null || kept.test(line) ? [] : [[match[1] ?? '', match[2] ?? ''] as const];
    }),
  );
  const tables = {
    cpus: read.cpuTopology.map(({ cpuId, coreId, socketId, nodeId }) => ({
      cpu: String(cpuId),
      core: String(coreId),
      socket: String(socketId),
      node: String(nodeId),
    })),
    nodes: read.numaNodes.map(({ nodeId, memsizeMib, memfreeMib, distances }) => ({
      node: String(nodeId),
      memory_bytes: String(memsizeMib * 2 ** 20),
      memory_free_bytes: String(memfreeMib * 2 ** 20),
      distances: distances.join(','),
    })),
  };

  test('with the tables, in the lines and the order of xl, what is not known left out', () => {
    const expected = text.split('\n').filter((line) => !kept.test(line));
    expect(infoText(info, tables)).toBe(expected.join('\n'));
  });

  test('without them', () => {
    const short = infoText(info, undefined);
    expect(parseXlInfo(short)).toMatchObject({ nrCpus: 8, cpuTopology: [], xenScheduler: 'credit2' });
  });
});
