/**
 * How many more VMs of a size a pool has room for, over the XenAPI, against modelled hosts of two nodes; and that it is so: as many
 * are started, and one more is refused.
 */
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Ref } from '@xenolith/base';
import { liveCapacityExperiment, runExperiment } from '@xenolith/experiments';
import type { WireValue } from '@xenolith/wire';
import { describe, expect, test } from 'vitest';
import { readLiveCapacity, type LiveAsk } from '../../packages/cli/src/numa/live-capacity.ts';
import { ApiError, type Rpc } from '@xenolith/xe';
import { modelAddress, ModelPool, numaModelAddress } from '../../packages/host/src/testing/model-pool.ts';
import { runProgram, startModelPool, type Finished } from './model-pool.ts';

const mib = 2 ** 20;
const gib = 2 ** 30;

const rpcOf = (pool: ModelPool): Rpc => ({
  async call(method, ...params) {
    const answer = await pool.answer(method, ...params);
    if (answer?.ok !== true) throw new ApiError(answer?.error ?? ['STOPPED']);
    return answer.value as WireValue;
  },
});

interface Size {
  readonly vcpus: number;
  readonly memoryMib: number;
}

/** A halted VM of a size, PVH as in {@link ask}. */
async function newVm(pool: ModelPool, { vcpus, memoryMib }: Size, fields: object = {}): Promise<Ref<'VM'>> {
  const vm = await pool.newVm();
  const bytes = memoryMib * mib;
  const memory = { memory_static_max: bytes, memory_dynamic_max: bytes, memory_dynamic_min: bytes };
  pool.db.update('VM', vm, {
    domain_type: 'pvh',
    VCPUs_max: vcpus,
    VCPUs_at_startup: vcpus,
    memory_static_min: 0,
    ...memory,
    ...fields,
  });
  return vm;
}

async function running(pool: ModelPool, host: number, size: Size, fields: object = {}): Promise<Ref<'VM'>> {
  const vm = await newVm(pool, size, fields);
  await pool.call('VM.start_on', vm, pool.host(host), false, false);
  await pool.clock.advanceAsync(30_000);
  return vm;
}

const ask = (size: Size, more: Partial<LiveAsk> = {}): LiveAsk => ({
  vm: { ...size, type: 'pvh' },
  disks: [],
  ...more,
});

type Figures = Readonly<Record<string, number>>;

/** Figures by the names of rows, of the hosts and of all together. */
async function capacityOf(pool: ModelPool, asked: LiveAsk): Promise<Readonly<Record<string, Figures>>> {
  const experiment = liveCapacityExperiment(await readLiveCapacity(rpcOf(pool), asked));
  const { cases } = runExperiment(experiment, { seed: 1, durationNs: 0, repetitions: 1 });
  const rows = cases.flatMap(({ variants }) => variants);
  return Object.fromEntries(
    rows.map(({ name, values }) => [
      name,
      Object.fromEntries(Object.entries(values).map(([measure, [value = NaN]]) => [measure, value])),
    ]),
  );
}

const startsOf = (figures: Readonly<Record<string, Figures>>): Figures =>
  Object.fromEntries(Object.entries(figures).map(([name, { start = NaN }]) => [name, start]));

/** Starts VMs until one is refused. @returns how many run on each host, and the refusal */
async function fill(
  pool: ModelPool,
  size: Size,
  fields: object = {},
): Promise<{ readonly on: readonly number[]; readonly refusal: string }> {
  const started: Ref<'VM'>[] = [];
  for (;;) {
    const vm = await newVm(pool, size, fields);
    const refusal = await pool.refusal('VM.start', vm, false, false);
    if (refusal !== 'no refusal') {
      const hosts = pool.db.refs('host');
      return { on: hosts.map((host) => started.filter((each) => pool.vm(each).resident_on === host).length), refusal };
    }
    started.push(vm);
    await pool.clock.advanceAsync(10_000);
  }
}

const small: Size = { vcpus: 2, memoryMib: 500 };

interface Case {
  readonly before?: (pool: ModelPool) => Promise<unknown>;
  readonly size?: Size;
  readonly more?: Partial<LiveAsk>;
  /** Of the VMs that are started. */
  readonly fields?: object;
  /** By host. A host of 4 GiB has 3000 MiB for VMs, and 1536 on each node. */
  readonly starts: readonly [number, number];
}

const strict = { more: { policy: 'strict' }, fields: { numa_affinity_policy: 'strict' } } as const;

test.each<[string, Case]>([
  // 509 MiB each.
  ['two empty hosts', { starts: [5, 5] }],
  ['a host that is full', { before: (pool) => running(pool, 1, { vcpus: 1, memoryMib: 2800 }), starts: [0, 5] }],
  ['a host that is disabled', { before: (pool) => pool.call('host.disable', pool.host(2)), starts: [5, 0] }],
  [
    'a host that does not answer',
    {
      before: async (pool) => {
        pool.machine(1).setReachable(false);
        await pool.settle();
      },
      starts: [0, 5],
    },
  ],
  [
    'a host that is strict: what is left on both nodes together is no place',
    {
      before: (pool) => pool.call('host.set_numa_affinity_policy', pool.host(1), 'strict'),
      size: { vcpus: 2, memoryMib: 900 },
      starts: [2, 3],
    },
  ],
  ['strict VMs of two nodes each', { size: { vcpus: 6, memoryMib: 700 }, ...strict, starts: [4, 4] }],
  [
    'strict VMs beside others on one of the nodes',
    {
      before: (pool) => running(pool, 1, { vcpus: 2, memoryMib: 1000 }),
      size: { vcpus: 2, memoryMib: 600 },
      ...strict,
      starts: [2, 4],
    },
  ],
  [
    'strict VMs that need one node on an empty host, and would need two now',
    {
      before: async (pool) => {
        for (let each = 0; each < 2; each++) await running(pool, 1, { vcpus: 1, memoryMib: 200 });
      },
      size: { vcpus: 1, memoryMib: 1400 },
      ...strict,
      starts: [0, 2],
    },
  ],
  ['strict VMs with more vCPUs than pCPUs', { size: { vcpus: 9, memoryMib: 100 }, ...strict, starts: [0, 0] }],
  ['as many vCPUs where nothing is strict', { size: { vcpus: 9, memoryMib: 1000 }, starts: [2, 2] }],
  [
    'a VM that can give',
    {
      before: (pool) => running(pool, 1, { vcpus: 1, memoryMib: 2500 }, { memory_dynamic_min: 300 * mib }),
      starts: [5, 5],
    },
  ],
  [
    'a VM that could give, but is paused; and a saved one',
    {
      before: async (pool) => {
        const wide = await running(pool, 1, { vcpus: 1, memoryMib: 1500 }, { memory_dynamic_min: 300 * mib });
        await pool.call('VM.pause', wide);
        await pool.call('VM.suspend', await running(pool, 1, { vcpus: 1, memoryMib: 1000 }));
      },
      starts: [2, 5],
    },
  ],
  // 301 and 300 MiB each.
  ['PVH, which costs a MiB more', { size: { vcpus: 2, memoryMib: 293 }, starts: [9, 9] }],
  [
    'than PV',
    {
      more: { vm: { vcpus: 2, memoryMib: 293, type: 'pv' } },
      fields: { domain_type: 'pv' },
      size: { vcpus: 2, memoryMib: 293 },
      starts: [10, 10],
    },
  ],
])('as many start as it says, and no more: %s', async (_, { before, size = small, more = {}, fields = {}, starts }) => {
  const pool = await ModelPool.open(2, numaModelAddress);
  await before?.(pool);
  const told = await capacityOf(pool, ask(size, more));
  const [first, second] = starts;
  expect(startsOf(told)).toEqual({ xen1: first, xen2: second, 'all hosts': first + second });
  const { on, refusal } = await fill(pool, size, fields);
  expect(on).toEqual(starts);
  expect(refusal).toMatch(/^NO_HOSTS_AVAILABLE/);
  expect(startsOf(await capacityOf(pool, ask(size, more)))).toEqual({ xen1: 0, xen2: 0, 'all hosts': 0 });
});

test('by what is asked for: memory, nodes, threads and cores, with the vCPUs that are there', async () => {
  const pool = await ModelPool.open(1, numaModelAddress);
  // Where it is was not looked at yet.
  await pool.call('VM.start', await newVm(pool, { vcpus: 2, memoryMib: 100 }), false, false);
  const { xen1 } = await capacityOf(pool, ask({ vcpus: 2, memoryMib: 520 }));
  // 2892 MiB are left for 529 each; 1436 and 1536 on the nodes for 526 each; six threads, which are cores.
  expect(xen1).toEqual({ start: 5, memory: 5, local: 4, threads: 3, cores: 3 });
});

test('cpupools by themselves, and those of one name together', async () => {
  const pool = await ModelPool.open(2, numaModelAddress);
  for (const host of [1, 2]) await pool.call('cpupool.numa_split', pool.host(host));
  await pool.call('cpupool.create', pool.host(2), 'bare', 'credit2', [], {});
  await pool.call('host.set_numa_affinity_policy', pool.host(1), 'strict');
  const told = startsOf(await capacityOf(pool, ask(small)));
  const [node0, node1] = ['Pool-node0', 'Pool-node1'];
  expect(told).toEqual({
    [`xen1: ${node0}`]: 3,
    [`xen1: ${node1}`]: 3,
    [`xen2: ${node0}`]: 5,
    [`xen2: ${node1}`]: 5,
    'xen2: bare': 0,
    'all hosts': 8,
    [`all hosts: ${node1}`]: 8,
    'all hosts: bare': 0,
  });
  const cpupool = [...pool.db.all('cpupool')].find(([, { name_label }]) => name_label === node1)?.[0];
  expect((await fill(pool, small, { cpupool })).on).toEqual([3, 5]);
});

test('hosts of one name are told apart', async () => {
  const pool = await ModelPool.open(2, numaModelAddress);
  for (const host of [1, 2]) await pool.call('host.set_name_label', pool.host(host), 'same\u001b[2J');
  const uuids = [1, 2].map((host) => pool.db.get('host', pool.host(host)).uuid);
  const names = Object.keys(await capacityOf(pool, ask(small)));
  expect(names.toSorted()).toEqual([...uuids.map((each) => `same\\u001b[2J (${each})`), 'all hosts'].toSorted());
});

test('a host of one node', async () => {
  const pool = await ModelPool.open(1, modelAddress);
  expect(startsOf(await capacityOf(pool, ask(small)))).toEqual({ xen1: 5, 'all hosts': 5 });
  expect((await fill(pool, small)).on).toEqual([5]);
});

describe('with disks', () => {
  /** A disk that is counted whole, as it has nothing in it. */
  const addDisk = (pool: ModelPool, SR: Ref<'SR'>, size: number): unknown =>
    pool.db.create('VDI', { SR, virtual_size: size, physical_utilisation: 0 });
  const localOf = (pool: ModelPool, host: number): Ref<'SR'> => pool.db.get('host', pool.host(host)).suspend_image_sr;

  test('each on its host’s own repository: what would be left when those that are there are full', async () => {
    const pool = await ModelPool.open(2, numaModelAddress);
    addDisk(pool, localOf(pool, 1), 1019 * gib);
    const disks = [{ bytes: gib }, { bytes: gib }];
    expect(startsOf(await capacityOf(pool, ask(small, { disks })))).toEqual({ xen1: 2, xen2: 5, 'all hosts': 7 });
  });

  test('on a repository by name: hosts that do not reach it have no room', async () => {
    const pool = await ModelPool.open(2, numaModelAddress);
    const asked = ask(small, { disks: [{ bytes: gib, repository: 'Local storage on xen2' }] });
    expect(startsOf(await capacityOf(pool, asked))).toEqual({ xen1: 0, xen2: 5, 'all hosts': 5 });
    const { hosts } = await readLiveCapacity(rpcOf(pool), asked);
    expect(hosts[0]).toEqual({ name: 'xen1', refusal: 'it does not reach Local storage on xen2' });
  });

  test('on the pool’s default one: hosts share its room', async () => {
    const pool = await ModelPool.open(2, numaModelAddress);
    const SR = pool.db.create('SR', { name_label: 'shared', physical_size: 70 * gib, physical_utilisation: 0 });
    for (const host of [1, 2]) pool.db.create('PBD', { SR, host: pool.host(host), currently_attached: true });
    pool.db.update('pool', pool.db.refs('pool')[0]!, { default_SR: SR });
    const disks = [{ bytes: 10 * gib }];
    expect(startsOf(await capacityOf(pool, ask(small, { disks })))).toEqual({ xen1: 5, xen2: 5, 'all hosts': 7 });
  });

  test('a repository that is not there, or that is two, is refused', async () => {
    const pool = await ModelPool.open(1, numaModelAddress);
    const asked = (repository: string): Promise<unknown> =>
      readLiveCapacity(rpcOf(pool), ask(small, { disks: [{ bytes: gib, repository }] }));
    await expect(asked('nowhere')).rejects.toThrow('no repository nowhere');
    for (const name_label of ['twice', 'twice']) pool.db.create('SR', { name_label });
    await expect(asked('twice')).rejects.toThrow('more than one repository is called twice');
  });
});

test('the command: the pool at XENOLITH_URL as a table, as JSON, as CSV and as a picture', async () => {
  const server = await startModelPool();
  try {
    const svg = join(mkdtempSync(join(tmpdir(), 'xenolith-capacity-')), 'capacity.svg');
    const run = (...args: readonly string[]): Promise<Finished> =>
      runProgram('/usr/bin/env', [
        `XENOLITH_URL=${server.url}`,
        `XENOLITH_USER=${server.user}`,
        `XENOLITH_PASSWORD=${server.password}`,
        new URL('../../packages/cli/bin/xenolith.js', import.meta.url).pathname,
        'experiment',
        'capacity',
        '--live',
        ...args,
      ]);
    const table = await run('--vm', '2:2G', '--disk', '10G', '--svg', svg);
    expect(table).toMatchObject({ code: 0, stderr: '' });
    expect(table.stdout).toMatch(/^ {2}xen1 +7\.000 +7\.000 +6\.000 +3\.000 +3\.000$/m);
    expect(table.stdout).toMatch(/^ {2}all hosts +14\.00 +14\.00 +12\.00 +6\.000 +6\.000$/m);
    expect(readFileSync(svg, 'utf8')).toContain('all hosts');
    const { stdout } = await run('--vm', '2:2G', '--policy', 'strict', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      experiment: 'capacity',
      cases: [
        { case: 'hosts', variants: [{ variant: 'xen1', values: { start: [6] } }, { variant: 'xen2' }] },
        { case: 'pool', variants: [{ variant: 'all hosts', values: { start: [12] } }] },
      ],
    });
    expect((await run('--vm', '2:2G', '--csv')).stdout).toContain('capacity,pool,all hosts,,start,VMs,model,');
    const wrong = await run('--vm', '2:2G', '--disk', '10G@nowhere');
    expect(wrong).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('no repository nowhere') });
  } finally {
    await server.close();
  }
}, 120_000);
