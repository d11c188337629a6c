/** `xenolith xl` over the XenAPI, against a modelled host. */
import { domId, mibBytes } from '@xenolith/base';
import {
  isStruct,
  parseCpupoolList,
  parseSchedCredit,
  parseSchedCredit2,
  parseXlInfo,
  parseXlList,
  parseXlListLong,
  parseXlVcpuList,
} from '@xenolith/wire';
import { beforeEach, describe, expect, test } from 'vitest';
import { runXlCommand } from '../../packages/cli/src/xl/program.ts';
import { ApiError, type Rpc } from '@xenolith/xe';
import { startNumaModel, type NumaModel } from './numa-model.ts';

let model: NumaModel;
let rpc: Rpc;

beforeEach(async () => {
  model = await startNumaModel();
  ({ rpc } = model);
  for (const [name, weight] of [
    ['web', '256'],
    ['db', '512'],
  ] as const) {
    const vm = await model.newVm(name);
    await rpc.call('VM.set_VCPUs_max', vm, 2);
    await rpc.call('VM.set_VCPUs_at_startup', vm, 2);
    await rpc.call('VM.set_VCPUs_params', vm, { weight });
    await rpc.call('VM.start', vm, false, false);
  }
  await model.pool.clock.advanceAsync(10_000);
});

/** What a command line prints, and says on stderr. */
async function xl(...argv: readonly string[]): Promise<{ readonly out: string; readonly said: readonly string[] }> {
  let out = '';
  const said: string[] = [];
  await runXlCommand(argv, () => Promise.resolve({ ...rpc, close: () => Promise.resolve() }), {
    print: (text) => (out += text),
    warn: (line) => said.push(line),
  });
  return { out, said };
}
const out = async (line: string): Promise<string> => (await xl(...line.split(' '))).out;
const refusal = (line: string): Promise<string> =>
  xl(...line.split(' ')).then(
    () => 'no refusal',
    (error: unknown) => (error instanceof ApiError ? (error.params[2] ?? error.code) : String(error)),
  );

test('what is listed is read back by the readers of xl', async () => {
  expect(parseXlList(await out('list -v -c -n'))).toMatchObject([
    { name: 'Domain-0', domid: 0, vcpus: 8, cpupool: 'Pool-0', memoryMib: 1024, nodeAffinity: 'all' },
    { name: 'web', domid: 1, cpupool: 'Pool-0', cpuTimeSeconds: 2, nodeAffinity: [0] },
    { name: 'db', domid: 2, nodeAffinity: [1] },
  ]);
  expect(parseXlList(await out('list db'))).toHaveLength(1);
  expect(parseXlVcpuList(await out('vcpu-list web 2'))).toMatchObject([
    ...model.machine.cpupools.vcpusOf(domId(1)).map(({ vcpu, pcpu, state }) => ({
      name: 'web',
      vcpuId: vcpu,
      pcpuId: pcpu,
      state,
      hardAffinity: 'all',
      softAffinity: [0, 1, 2, 3],
    })),
    { name: 'db' },
    {},
  ]);
  expect(parseCpupoolList(await out('cpupool-list'))).toMatchObject([
    { name: 'Pool-0', nrCpus: 8, scheduler: 'credit2', active: true, domains: 3 },
  ]);
  const free = (node: number): number => (model.machine.hypervisor.nodeMemory()[node]?.freeBytes ?? 0) / mibBytes;
  expect(parseXlInfo(await out('info -n'))).toMatchObject({
    host: 'model',
    nrCpus: 8,
    freeCpus: 0,
    freeMemoryMib: free(0) + free(1),
    cpuTopology: expect.arrayContaining([{ cpuId: 7, coreId: 3, socketId: 1, nodeId: 1 }]),
    numaNodes: [{ memsizeMib: 8192, memfreeMib: free(0), distances: [10, 20] }, { memfreeMib: free(1) }],
  });
  expect(parseSchedCredit2(await out('sched-credit2'))).toMatchObject([
    { cpupool: 'Pool-0', ratelimitUs: 1000, domains: [{ name: 'Domain-0' }, { weight: 256 }, { weight: 512, cap: 0 }] },
  ]);
  expect(await out('sched-credit')).toBe('');
  expect(parseXlListLong(await out('list -l db'))).toMatchObject([
    { domid: 2, type: 'pv', name: 'db', maxVcpus: 2, onlineVcpus: 2, schedParams: { sched: 'credit2', weight: 512 } },
  ]);
  expect(parseXlListLong(await out('list -l'))).toHaveLength(3);
});

describe('pools', () => {
  test('are made, filled, renamed, split and destroyed as with xl', async () => {
    expect(await refusal('cpupool-create name=a cpus=6')).toContain('cpu 6 illegal or not free');
    await xl('cpupool-cpu-remove', 'Pool-0', '6-7');
    expect(parseXlInfo(await out('info')).freeCpus).toBe(2);
    expect(await out('cpupool-create name="a" sched="credit" cpus=["7"]')).toBe(
      'Using config file "command line"\ncpupool name:   a\nscheduler:      credit\nnumber of cpus: 1\n',
    );
    expect(await refusal('cpupool-create name=a')).toContain('Pool name "a" already exists');
    await xl('cpupool-cpu-add', 'a', '6');
    await xl('cpupool-rename', 'a', 'fast');
    expect(await out('cpupool-list -c fast')).toBe('Name               CPU list\nfast               6,7\n');
    await xl('sched-credit', '-s', '-p', 'fast', '-t', '5', '-r', '500');
    expect(await out('sched-credit -s -p fast')).toBe('Cpupool fast: tslice=5ms ratelimit=500us migration-delay=0us\n');
    await xl('cpupool-migrate', 'db', 'fast');
    expect(parseSchedCredit(await out('sched-credit'))).toMatchObject([{ domains: [{ name: 'db', weight: 512 }] }]);
    expect(await refusal('cpupool-destroy fast')).toBe("Can't destroy cpupool 'fast' (there are domains in it)");
    expect(await refusal('cpupool-migrate 0 fast')).toMatch(/^Error moving domain to cpupool/);
    expect(await refusal('cpupool-numa-split')).toBe('splitting not possible, already cpupools in use');
    await xl('cpupool-migrate', '2', 'Pool-0');
    await xl('cpupool-destroy', 'fast');
    await xl('cpupool-cpu-add', 'Pool-0', 'node:1');
    await xl('cpupool-numa-split');
    expect(await out('cpupool-list -c')).toBe(
      'Name               CPU list\nPool-node0         0,1,2,3\nPool-node1         4,5,6,7\n',
    );
  });

  test('a CPU that cannot be taken keeps the others from nothing', async () => {
    await xl('cpupool-cpu-remove', 'Pool-0', '7');
    const { said } = await xl('cpupool-cpu-remove', 'Pool-0', '6-7');
    expect(said).toEqual([
      'Error removing cpu 7 from cpupool: Cannot assign requested address (pCPU 7 is not in it)',
      "Some cpus may have not or only partially been removed from 'Pool-0'.",
      "If a cpu can't be added to another cpupool, add it to 'Pool-0' again and retry.",
    ]);
    expect(model.machine.cpupools.list()[0]?.pcpus).toEqual([0, 1, 2, 3, 4, 5]);
  });
});

describe('domains', () => {
  test('weights and caps are set, and kept in the records', async () => {
    await xl('sched-credit2', '-d', 'web', '-w', '1024', '-c', '30');
    expect(await out('sched-credit2 -d web')).toBe(
      'Name                                ID Weight  Cap\nweb                                  1   1024   30\n',
    );
    const all = await rpc.call('VM.get_all_records');
    const web = Object.values(isStruct(all) ? all : {}).find((vm) => isStruct(vm) && vm['name_label'] === 'web');
    expect(web).toMatchObject({ VCPUs_params: { weight: '1024', cap: '30' } });
    expect(await refusal('sched-credit2 -d web -w 0')).toBe('INVALID_VALUE');
    expect(await refusal('sched-credit -d web')).toContain('whose scheduler is credit2');
  });

  test('vCPUs are pinned', async () => {
    await xl('vcpu-pin', 'web', 'all', '0-3', '2');
    expect(parseXlVcpuList(await out('vcpu-list web'))[0]).toMatchObject({
      hardAffinity: [0, 1, 2, 3],
      softAffinity: [2],
    });
    await xl('vcpu-pin', 'web', '0', 'node:1');
    expect(parseXlVcpuList(await out('vcpu-list web'))[0]).toMatchObject({
      hardAffinity: [4, 5, 6, 7],
      softAffinity: [2],
    });
  });
});

test.each([
  'fly',
  'list a b',
  'list -x',
  'cpupool-destroy',
  'sched-credit2 -w 5',
  'sched-credit2 -s -d web',
  'vcpu-pin web x all',
  '--host nowhere list',
])('%s is a wrong command line', async (line) => {
  await expect(xl(...line.split(' '))).rejects.toMatchObject({ name: 'UsageError' });
});

test.each([
  'vcpu-pin web all node:9',
  'vcpu-pin web 0 - node:1,9',
  'cpupool-cpu-remove Pool-0 node:9',
  'cpupool-create name="a" nodes="9"',
])('a node that is not there is refused, and nothing changes: %s', async (line) => {
  const state = async (): Promise<string> => `${await out('vcpu-list')}${await out('cpupool-list -c')}`;
  const before = (await state()).replaceAll(/\d+\.\d/g, '');
  expect(await refusal(line)).toContain('there is no node 9 with cpus');
  expect((await state()).replaceAll(/\d+\.\d/g, '')).toBe(before);
});

test('what is not there is told in the words of xl', async () => {
  expect(await refusal('cpupool-list x')).toContain("Pool 'x' does not exist");
  expect(await refusal('cpupool-destroy x')).toContain("unknown cpupool 'x'");
  expect(await refusal('list x')).toContain('x is an invalid domain identifier');
});

test('help knows every subcommand, and the host can be named', async () => {
  expect(await out('help')).toContain('cpupool-numa-split');
  expect(await out('help vcpu-pin')).toContain('Usage: xenolith xl vcpu-pin <Domain>');
  expect(await out('--host model cpupool-list')).toContain('Pool-0');
});
