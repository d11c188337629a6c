/** Cpupools and schedulers by xl: the scripts in a real shell, with an xl made for the test that says what files say. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytes, domId, nodeId, pcpuId, uuid, vcpuId } from '@xenolith/base';
import type { CpupoolErrno } from '@xenolith/hypervisor';
import type { HostErrorCode, HostFacts } from '@xenolith/xapi';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { XlScheduling } from './xl-scheduling.ts';

const web = { domid: domId(7), uuid: uuid('930c6acf-e7a8-4cb5-a9af-617328058e48') };
const odd = `it's "a"; $(touch here) \\`;

/** What the host says; the words and exit code are those of whatever changes something. */
interface Host {
  readonly pools?: readonly (readonly [name: string, scheduler: string, pcpus: readonly number[], domains: number])[];
  readonly parameters?: { readonly [command in 'credit' | 'credit2' | 'rtds']?: string };
  readonly webPool?: string;
  readonly webState?: string;
  /** What `xl list 7` says of it, when asked just before the work. */
  readonly webStateThen?: string;
  readonly vcpus?: readonly string[];
}

interface Answer {
  readonly later?: Host;
  readonly words?: string;
  readonly exitCode?: number;
}

const xl = `#!/bin/sh
d=\${0%/*}
case "$*" in
  cpupool-list|'cpupool-list -c'|sched-credit|sched-credit2|'sched-rtds -v all'|'list -v -c'|'list -v'|'list 7'|'vcpu-list 7')
    cat "$d/now/$*"; exit ;;
esac
for word; do printf '<%s>' "$word" >>"$d/ran"; done
cat "$d/words" >&2
[ ! -d "$d/later" ] || cp "$d"/later/* "$d/now/"
exit "$(cat "$d/exit")"
`;

let directory = '';
let xenVersion = '4.17.7';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'xl-scheduling-'));
  writeFileSync(join(directory, 'xl'), xl, { mode: 0o755 });
  writeFileSync(join(directory, 'xenstore-read'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  xenVersion = '4.17.7';
});
afterEach(() => {
  expect(existsSync('here')).toBe(false);
  rmSync(directory, { recursive: true });
});

function write(place: string, host: Host): void {
  mkdirSync(join(directory, place), { recursive: true });
  const file = (name: string, text: string): void => writeFileSync(join(directory, place, name), text);
  const pools = host.pools ?? [['Pool-0', 'credit2', [0, 1, 2], 2]];
  const rows = pools.map(
    ([name, scheduler, pcpus, domains]) =>
      `${name.padEnd(19)}${String(pcpus.length).padStart(3)} ${scheduler.padStart(9)}       y       ${domains}\n`,
  );
  file('cpupool-list', `Name               CPUs   Sched     Active   Domain count\n${rows.join('')}`);
  const cpus = pools.map(([name, , pcpus]) => `${name.padEnd(19)}${pcpus.join(',')}\n`);
  file('cpupool-list -c', `Name               CPU list\n${cpus.join('')}`);
  file('sched-credit', host.parameters?.credit ?? '');
  const isFirst = (host.webPool ?? 'Pool-0') === 'Pool-0';
  file('sched-credit2', host.parameters?.credit2 ?? (isFirst ? credit2('Pool-0', 256, 0) : ''));
  file('sched-rtds -v all', host.parameters?.rtds ?? '');
  const title = 'Name                                        ID   Mem VCPUs\tState\tTime(s)';
  const long = `${title}   UUID                            Reason-Code\tSecurity Label         Cpupool\n`;
  const domain = (name: string, id: number, state: string): string =>
    `${name.padEnd(40)} ${String(id).padStart(5)}   128     2     ${state}       7.6`;
  const rest = (id: string, pool: string): string => ` ${id}        -                -${pool.padStart(16)}\n`;
  const zero = domain('Domain-0', 0, 'r-----') + rest('00000000-0000-0000-0000-000000000000', 'Pool-0');
  const state = host.webState ?? '-b----';
  for (const name of ['list -v -c', 'list -v'])
    file(name, long + zero + domain('web', 7, state) + rest(web.uuid, host.webPool ?? 'Pool-0'));
  file('list 7', `${title}\n${domain('web', 7, host.webStateThen ?? state)}\n`);
  const vcpuTitle = 'Name                                ID  VCPU   CPU State   Time(s) Affinity (Hard / Soft)\n';
  const vcpus = host.vcpus ?? ['0    1   -b-       7.6  all / all', '1    -   --p       0.0  all / all'];
  file('vcpu-list 7', vcpuTitle + vcpus.map((each) => `web                                  7     ${each}\n`).join(''));
}

const credit2 = (pool: string, weight: number, cap: number): string =>
  `Cpupool ${pool}: ratelimit=1000us\nName                                ID Weight  Cap\n` +
  `web                                  7    ${weight}    ${cap}\n`;
const rtds = (pool: string, period: number, budget: number, extratime: string): string =>
  `Cpupool ${pool}: sched=RTDS\n` +
  'Name                                ID VCPU    Period    Budget  Extratime\n' +
  [0, 1]
    .map((vcpu) => `web                                  7    ${vcpu}  ${period}  ${budget}  ${extratime}\n`)
    .join('');

const facts = (): HostFacts => ({
  hostname: 'dom0',
  xenVersion,
  xenCapabilities: [],
  virtCapabilities: [],
  xenScheduler: 'credit2',
  xenCommandLine: '',
  kernelRelease: '',
  machine: 'x86_64',
  memoryTotalBytes: bytes(0),
  memoryFreeBytes: bytes(0),
  coresPerSocket: 4,
  threadsPerCore: 1,
  pcpus: [0, 1, 2, 3].map((pcpu) => ({ pcpu: pcpuId(pcpu), core: pcpu, socket: 0, node: nodeId(pcpu < 2 ? 0 : 1) })),
  nodes: [],
  interfaces: [],
  guests: [],
});

/** A host that says `before`, and after the first change what the answer says. */
function host(before: Host, { later, words = '', exitCode = 0 }: Answer = {}) {
  write('now', before);
  if (later !== undefined) write('later', { ...before, ...later });
  writeFileSync(join(directory, 'words'), words);
  writeFileSync(join(directory, 'exit'), String(exitCode));
  let changes = 0;
  const scheduling = new XlScheduling({
    run: (_, text) => {
      const PATH = `${directory}:${process.env['PATH'] ?? ''}`;
      const { status, stdout, stderr } = spawnSync('sh', ['-c', text], { encoding: 'utf8', env: { PATH } });
      return status === 0
        ? Promise.resolve({ exitCode: 0, stdout, stderr })
        : Promise.reject(new Error(`${status}: ${stderr}`));
    },
    facts,
    changed: () => changes++,
  });
  const ran = (): string => (existsSync(join(directory, 'ran')) ? readFileSync(join(directory, 'ran'), 'utf8') : '');
  return { scheduling, ran, changes: () => changes };
}

const two: NonNullable<Host['pools']> = [
  ['Pool-0', 'credit2', [0, 1, 2], 1],
  [odd, 'credit', [], 1],
];
const creditOdd = {
  credit:
    `Cpupool ${odd}: tslice=30ms ratelimit=1000us migration-delay=0us\n` +
    'Name                                ID Weight  Cap\nweb                                  7    256    0\n',
};
const inOdd: Host = { pools: two, parameters: creditOdd, webPool: odd };

describe('what is run', () => {
  test.each<[string, Host, Host, (scheduling: XlScheduling) => Promise<unknown>, string]>([
    [
      'create',
      {},
      {
        pools: [
          ['Pool-0', 'credit2', [0, 1, 2], 2],
          [odd, 'credit2', [3], 0],
        ],
      },
      (xl) => xl.createCpupool({ name: odd, pcpus: [pcpuId(3)] }),
      `<cpupool-create><name="it's \\"a\\"; $(touch here) \\\\"><sched="credit2"><cpus=["3"]>`,
    ],
    [
      'destroy',
      { pools: [two[0]!, [odd, 'credit', [3], 0]], parameters: creditOdd },
      { pools: [two[0]!] },
      (xl) => xl.destroyCpupool(odd),
      `<sched-credit><-s><-p><${odd}><-t><1000><cpupool-destroy><--><${odd}><sched-credit><-s><-p><${odd}><-t><30>`,
    ],
    [
      'rename',
      inOdd,
      { pools: [two[0]!, ['x y', 'credit', [], 1]] },
      (xl) => xl.renameCpupool(odd, 'x y'),
      `<cpupool-rename><--><${odd}><x y>`,
    ],
    [
      'add',
      { pools: two },
      { pools: [['Pool-0', 'credit2', [0, 1, 2, 3], 2], two[1]!] },
      (xl) => xl.addPcpu('Pool-0', pcpuId(3)),
      '<cpupool-cpu-add><--><Pool-0><3>',
    ],
    [
      'add, under credit',
      { ...inOdd, parameters: creditOdd },
      { pools: [two[0]!, [odd, 'credit', [3], 1]], parameters: creditOdd },
      (xl) => xl.addPcpu(odd, pcpuId(3)),
      `<sched-credit><-s><-p><${odd}><-t><1000><cpupool-cpu-add><--><${odd}><3><sched-credit><-s><-p><${odd}><-t><30>`,
    ],
    [
      'remove',
      {},
      { pools: [['Pool-0', 'credit2', [0, 1], 2]] },
      (xl) => xl.removePcpu('Pool-0', pcpuId(2)),
      '<cpupool-cpu-remove><--><Pool-0><2>',
    ],
    [
      'remove, under credit',
      { pools: [two[0]!, [odd, 'credit', [3], 0]], parameters: creditOdd },
      { pools: [two[0]!, [odd, 'credit', [], 0]], parameters: creditOdd },
      (xl) => xl.removePcpu(odd, pcpuId(3)),
      `<sched-credit><-s><-p><${odd}><-t><1000><cpupool-cpu-remove><--><${odd}><3><sched-credit><-s><-p><${odd}><-t><30>`,
    ],
    [
      'move',
      { pools: [two[0]!, ['b', 'credit', [3], 0]] },
      { webPool: 'b' },
      (xl) => xl.moveDomain(web, 'b'),
      '<cpupool-migrate><--><7><b>',
    ],
    [
      'split',
      {},
      {
        pools: [
          ['Pool-node0', 'credit2', [0, 1], 2],
          ['Pool-node1', 'credit2', [2, 3], 0],
        ],
      },
      (xl) => xl.numaSplit(),
      '<cpupool-numa-split>',
    ],
    [
      'parameters of a pool',
      inOdd,
      { parameters: { credit: creditOdd.credit.replace('30ms', '10ms').replace('1000us', '0us') } },
      (xl) => xl.setCpupoolParameters(odd, { tsliceMs: 10, ratelimitUs: 0 }),
      `<sched-credit><-s><-p><${odd}><-t><10><-r><0>`,
    ],
    [
      'parameters of a domain',
      {},
      { parameters: { credit2: credit2('Pool-0', 512, 50) } },
      (xl) => xl.setDomainParameters(web, { weight: 512, cap: 50 }),
      '<sched-credit2><-d><7><-w><512><-c><50>',
    ],
    [
      'rtds wants all three',
      {
        pools: [two[0]!, ['rt', 'rtds', [3], 1]],
        webPool: 'rt',
        parameters: { rtds: rtds('rt', 10_000, 4000, 'yes') },
      },
      { parameters: { rtds: rtds('rt', 10_000, 5000, 'yes') } },
      (xl) => xl.setDomainParameters(web, { budgetUs: 5000 }),
      '<sched-rtds><-d><7><-v><all><-p><10000><-b><5000><-e><1>',
    ],
    [
      'pins',
      {},
      { vcpus: ['0    1   -b-       7.6  0-1 / all', '1    -   --p       0.0  0-1 / all'] },
      (xl) => xl.pinVcpu(web, { hard: [pcpuId(1), pcpuId(0), pcpuId(99)], soft: [0, 1, 2, 3].map(pcpuId) }),
      '<vcpu-pin><7><all><0-1><all>',
    ],
    [
      'a soft pin of one',
      {},
      { vcpus: ['0    1   -b-       7.6  all / all', '1    -   --p       0.0  all / 2'] },
      (xl) => xl.pinVcpu(web, { vcpu: vcpuId(1), soft: [pcpuId(2)] }),
      '<vcpu-pin><7><1><-><2>',
    ],
  ])('%s', async (_, before, later, work, command) => {
    // What a list shows decides, not how xl ended.
    const { scheduling, ran, changes } = host(before, { later, exitCode: 1 });
    await work(scheduling);
    expect(ran()).toBe(command);
    expect(changes()).toBe(1);
  });

  test('a number of vCPUs is asked of the guest, and not waited for', async () => {
    const { scheduling, ran, changes } = host({});
    await scheduling.setVcpusOnline(web, 1);
    expect([ran(), changes()]).toEqual(['<vcpu-set><7><1>', 1]);
    const refused = host({}, { words: 'libxl: error: vcpu-set: no' }).scheduling.setVcpusOnline(web, 9);
    await expect(refused).rejects.toThrow();
    const gone = host({}).scheduling.setVcpusOnline({ ...web, domid: domId(8) }, 1);
    await expect(gone).rejects.toThrow('there is no domain 8');
  });

  test.each<[string, Host, (scheduling: XlScheduling) => Promise<unknown>]>([
    ['no parameter', {}, (xl) => xl.setCpupoolParameters('Pool-0', {})],
    ['no parameter of a domain', {}, (xl) => xl.setDomainParameters(web, {})],
    ['no pin', {}, (xl) => xl.pinVcpu(web, {})],
  ])('nothing: %s', async (_, before, work) => {
    const { scheduling, ran } = host(before);
    await work(scheduling);
    expect(ran()).toBe('');
  });
});

describe('what is not done', () => {
  const cpu = 'libxl: error: libxl_cpupool.c:365:libxl_cpupool_cpuremove: Error removing cpu 2 from cpupool: ';
  test.each<
    [string, (scheduling: XlScheduling) => Promise<unknown>, string, HostErrorCode, CpupoolErrno | undefined, string]
  >([
    [
      'Xen is busy, xl ends with 0',
      (xl) => xl.removePcpu('Pool-0', pcpuId(2)),
      `${cpu}Resource temporarily unavailable\n`,
      'xen-refused',
      'EAGAIN',
      `${cpu}Resource temporarily unavailable`,
    ],
    ['no word', (xl) => xl.numaSplit(), '', 'command-failed', undefined, 'nothing has changed'],
    [
      'other words',
      (xl) => xl.numaSplit(),
      'failed to offline vcpus\n',
      'command-failed',
      undefined,
      'failed to offline vcpus',
    ],
    [
      'a scheduler that is not there',
      (xl) => xl.createCpupool({ name: 'rt', scheduler: 'rtds', pcpus: [pcpuId(3)] }),
      'libxl: error: libxl_cpupool.c:157:libxl_cpupool_create: Could not create cpupool\nerror on creating cpupool\n',
      'xen-refused',
      'ENOENT',
      'Could not create cpupool (this Xen was built without the scheduler rtds)',
    ],
  ])('%s', async (_, work, words, code, errno, message) => {
    const { scheduling, changes } = host({}, { words });
    await expect(work(scheduling)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
      details: { exitCode: 0, stderr: words.trim(), ...(errno === undefined ? {} : { errno }) },
    });
    expect(changes()).toBe(1);
  });

  test('a domain that goes before the command is run', async () => {
    const { scheduling, ran } = host({});
    const gone = readFileSync(join(directory, 'now', 'list -v'), 'utf8').replace(
      web.uuid,
      uuid('dbcfa15d-8a2f-4d99-8705-421053ed5ac7'),
    );
    writeFileSync(join(directory, 'now', 'list -v'), gone);
    await expect(scheduling.setDomainParameters(web, { weight: 5 })).rejects.toMatchObject({ code: 'no-such-domain' });
    expect(ran()).toBe('');
  });

  test('a pool of digits, as somebody may have made by hand, would be taken for an id', async () => {
    const { scheduling, ran } = host({
      pools: [
        ['Pool-0', 'credit2', [0], 2],
        ['7', 'credit2', [], 0],
      ],
    });
    await expect(scheduling.destroyCpupool('7')).rejects.toMatchObject({ code: 'bad-config' });
    expect(ran()).toBe('');
  });
});

describe('a paused domain and Xen 4.17', () => {
  const before: Host = { pools: [two[0]!, ['b', 'credit', [3], 0]] };
  const busy = {
    code: 'xen-refused',
    details: { errno: 'EBUSY' },
    message: expect.stringContaining('unpause it') as string,
  };

  test('it does not leave a credit2 pool, also when it was paused only just now', async () => {
    const paused = host({ ...before, webState: '--p---' });
    await expect(paused.scheduling.moveDomain(web, 'b')).rejects.toMatchObject(busy);
    const lately = host({ ...before, webStateThen: '--p---' });
    await expect(lately.scheduling.moveDomain(web, 'b')).rejects.toMatchObject(busy);
    expect(paused.ran() + lately.ran()).toBe('');
  });

  test.each<[string, string, Host, string]>([
    ['another release', '4.19.1', { ...before, webState: '--p---' }, 'b'],
    ['4.170 is not 4.17', '4.170', { ...before, webState: '--p---' }, 'b'],
    [
      'out of a credit pool',
      '4.17.7',
      { pools: two, parameters: creditOdd, webPool: odd, webState: '--p---' },
      'Pool-0',
    ],
  ])('it moves: %s', async (_, version, now, target) => {
    xenVersion = version;
    const { scheduling, ran } = host(now, { later: { webPool: target } });
    await scheduling.moveDomain(web, target);
    expect(ran()).toBe(`<cpupool-migrate><--><7><${target}>`);
  });
});

test('vCPUs, and the parameters of a domain', async () => {
  const { scheduling } = host({
    parameters: { credit2: credit2('Pool-0', 300, 20) },
    vcpus: ['0    1   r--       7.6  0-2 / 1', '1    -   --p       0.0  all / all'],
  });
  const all = [0, 1, 2, 3];
  expect(await scheduling.vcpus(web)).toEqual([
    { vcpu: 0, pcpu: 1, state: 'running', cpuTimeNs: 7.6e9, hardAffinity: [0, 1, 2], softAffinity: [1] },
    { vcpu: 1, state: 'offline', cpuTimeNs: 0, hardAffinity: all, softAffinity: all },
  ]);
  expect(await scheduling.domainParameters(web)).toEqual({ weight: 300, cap: 20 });
  expect(await scheduling.cpupools()).toEqual([
    { name: 'Pool-0', scheduler: 'credit2', parameters: { ratelimitUs: 1000 }, pcpus: [0, 1, 2], domainCount: 2 },
  ]);
});
