/**
 * Bad input about schedulers and cpupools, as a client of the XenAPI meets it: each refusal has Xen's words where Xen is
 * the one to refuse, and leaves the records and the hypervisor as they were.
 * Sources: xen/common/sched/cpupool.c, tools/xl/xl_cpupool.c, tools/libs/light/libxl_sched.c.
 */
import type { WireValue } from '@xenolith/wire';
import { beforeEach, describe, expect, test } from 'vitest';
import { ApiError, textOf } from '@xenolith/xe';
import { startNumaModel, type NumaModel } from './numa-model.ts';

let model: NumaModel;
/** References by the names that the table uses. */
let refs: Readonly<Record<string, string>>;

/** Pool-0 has CPUs 0–3, `web` runs in `fast` (credit) on 6 and 7, `rt` (rtds) has 5, `empty` none, and 4 is free. */
beforeEach(async () => {
  model = await startNumaModel();
  const { rpc, pool } = model;
  const { db } = pool.xapi;
  const [host = ''] = db.refs('host');
  const cpus = Object.fromEntries([...db.all('host_cpu')].map(([ref, { number }]) => [`cpu${number}`, String(ref)]));
  const cpu = (number: number): string => cpus[`cpu${number}`] ?? '';
  const [first = ''] = db.refs('cpupool');
  for (const number of [4, 5, 6, 7]) await rpc.call('cpupool.remove_CPU', first, cpu(number));
  const made = async (name: string, scheduler: string, numbers: readonly number[]): Promise<string> =>
    textOf(await rpc.call('cpupool.create', host, name, scheduler, numbers.map(cpu), {}));
  const fast = await made('fast', 'credit', [6, 7]);
  const rt = await made('rt', 'rtds', [5]);
  const empty = await made('empty', '', []);
  const web = await model.newVm('web');
  await rpc.call('VM.set_cpupool', web, fast);
  await rpc.call('VM.start', web, false, false);
  const halted = await model.newVm('halted');
  await rpc.call('VM.set_cpupool', halted, empty);
  const dom0 = String(db.get('host', db.refs('host')[0]!).control_domain);
  refs = { ...cpus, host, first, fast, rt, empty, web, halted, dom0, nothing: 'OpaqueRef:nothing' };
});

/** What a refusal must leave as it is: pools, places, parameters and pins on the machine, and what the records say. */
function state(): unknown {
  const { machine, pool } = model;
  const { db } = pool.xapi;
  return {
    pools: machine.cpupools.list(),
    domains: machine.hypervisor.domains().map(({ domid, paused }) => ({
      domid,
      paused,
      pool: machine.cpupools.cpupoolOf(domid),
      parameters: machine.cpupools.parametersOf(domid),
      affinities: machine.cpupools.vcpusOf(domid).map(({ hardAffinity, softAffinity }) => [hardAffinity, softAffinity]),
    })),
    records: [
      ...db.all('cpupool'),
      ...[...db.all('host_cpu')].map(([, { number, cpupool }]) => [number, cpupool]),
      ...[...db.all('VM')].map(([, { uuid, cpupool, power_state, VCPUs_params, VCPUs_at_startup }]) => [
        uuid,
        cpupool,
        power_state,
        VCPUs_params,
        VCPUs_at_startup,
      ]),
    ],
  };
}

/** Texts of the table that begin with `$` are references. */
function filled(value: WireValue): WireValue {
  if (typeof value === 'string') return value.startsWith('$') ? (refs[value.slice(1)] ?? '') : value;
  if (Array.isArray(value)) return value.map(filled);
  return value;
}

type Row = readonly [method: string, args: readonly WireValue[], refusal: readonly string[]];

const xen = (object: string, errno: string, words: string): readonly string[] => ['XEN_REFUSED', object, errno, words];
const trailer = (name: string): string =>
  `\nSome cpus may have not or only partially been removed from '${name}'.\n` +
  `If a cpu can't be added to another cpupool, add it to '${name}' again and retry.`;

const pools: readonly Row[] = [
  ['cpupool.create', ['$host', 'new', 'bvt', [], {}], xen('$host', 'ENOENT', 'Unknown scheduler')],
  [
    'cpupool.create',
    ['$host', 'new', 'sedf', [], {}],
    xen(
      '$host',
      'ENOENT',
      'Could not create cpupool (this Xen was built without the scheduler sedf)\nerror on creating cpupool',
    ),
  ],
  ['cpupool.create', ['$host', 'fast', '', [], {}], xen('$host', 'EEXIST', 'Pool name "fast" already exists')],
  ['cpupool.create', ['$host', 'new', '', ['$cpu4', '$cpu6'], {}], xen('$host', 'ENODEV', 'cpu 6 illegal or not free')],
  ['cpupool.create', ['$host', 'new', '', ['$nothing'], {}], ['HANDLE_INVALID', 'host_cpu', '$nothing']],
  [
    'cpupool.create',
    ['$host', 'new', 'credit', ['$cpu4'], { tslice_ms: '1001' }],
    xen('$host', 'EINVAL', 'Time slice out of range, valid range is from 1 to 1000'),
  ],
  [
    'cpupool.create',
    ['$host', 'new', 'credit2', ['$cpu4'], { ratelimit_us: '99' }],
    xen('$host', 'EINVAL', 'Ratelimit out of range, valid range is from 100 to 500000'),
  ],
  ['cpupool.create', ['$host', 'new', '', [], { slice: '5' }], ['INVALID_VALUE', 'parameters:slice', '5']],
  ['cpupool.create', ['$host', 'a\nb', '', [], {}], ['INVALID_VALUE', 'name_label', 'a\nb']],
  ['cpupool.create', ['$host', '', '', [], {}], ['INVALID_VALUE', 'name_label', '']],
  [
    'cpupool.create',
    ['$host', '7', '', [], {}],
    xen('$host', 'EINVAL', 'the name of a cpupool is a number, which xl takes for its id: "7"'),
  ],
  ['cpupool.destroy', ['$fast'], xen('$fast', 'EBUSY', "Can't destroy cpupool 'fast' (there are domains in it)")],
  ['cpupool.destroy', ['$first'], xen('$first', 'EBUSY', "Can't destroy cpupool 'Pool-0' (there are domains in it)")],
  ['cpupool.destroy', ['$nothing'], ['HANDLE_INVALID', 'cpupool', '$nothing']],
  ['cpupool.set_name_label', ['$rt', 'fast'], xen('$rt', 'EEXIST', 'Pool name "fast" already exists')],
  [
    'cpupool.add_CPU',
    ['$empty', '$cpu0'],
    xen(
      '$empty',
      'ENODEV',
      'Error moving cpu 0 to cpupool: No such device (pCPU 0 is in the cpupool Pool-0)\nsome cpus may not have been added to empty',
    ),
  ],
  [
    'cpupool.add_CPU',
    ['$fast', '$cpu6'],
    xen(
      '$fast',
      'ENODEV',
      'Error moving cpu 6 to cpupool: No such device (pCPU 6 is in the cpupool fast)\nsome cpus may not have been added to fast',
    ),
  ],
  [
    'cpupool.remove_CPU',
    ['$first', '$cpu0'],
    xen(
      '$first',
      'EINVAL',
      `Error removing cpu 0 from cpupool: Invalid argument (pCPU 0 stays in the first cpupool)${trailer('Pool-0')}`,
    ),
  ],
  [
    'cpupool.remove_CPU',
    ['$fast', '$cpu4'],
    xen(
      '$fast',
      'EADDRNOTAVAIL',
      `Error removing cpu 4 from cpupool: Cannot assign requested address (pCPU 4 is not in it)${trailer('fast')}`,
    ),
  ],
  [
    'cpupool.move_VM',
    ['$fast', '$dom0'],
    xen('$dom0', 'EPERM', 'Error moving domain to cpupool (Domain-0 stays in the first cpupool)'),
  ],
  [
    'cpupool.move_VM',
    ['$empty', '$web'],
    xen('$web', 'ENOENT', 'Error moving domain to cpupool (the cpupool empty has no pCPUs)'),
  ],
  [
    'VM.set_cpupool',
    ['$web', '$empty'],
    xen('$web', 'ENOENT', 'Error moving domain to cpupool (the cpupool empty has no pCPUs)'),
  ],
  ['cpupool.move_VM', ['$nothing', '$web'], ['HANDLE_INVALID', 'cpupool', '$nothing']],
  ['cpupool.move_VM', ['$fast', '$nothing'], ['HANDLE_INVALID', 'VM', '$nothing']],
  ['cpupool.numa_split', ['$host'], xen('$host', 'EBUSY', 'splitting not possible, already cpupools in use')],
  [
    'cpupool.set_parameters',
    ['$fast', { tslice_ms: '0' }],
    xen('$fast', 'EINVAL', 'Time slice out of range, valid range is from 1 to 1000'),
  ],
  [
    'cpupool.set_parameters',
    ['$fast', { ratelimit_us: '500001' }],
    xen('$fast', 'EINVAL', 'Ratelimit out of range, valid range is from 100 to 500000'),
  ],
  ['cpupool.set_parameters', ['$fast', { tslice_ms: '-1' }], ['INVALID_VALUE', 'parameters:tslice_ms', '-1']],
  [
    'VM.start',
    ['$halted', false, false],
    xen('$halted', 'ENODEV', 'domain creation fail: No such device (the cpupool empty has no pCPUs)'),
  ],
];

const weight = 'Cpu weight out of range, valid values are within range from 1 to 65535';
const params = (key: string, text: string, words: string): Row => [
  'VM.set_VCPUs_params',
  ['$web', { [key]: text }],
  ['INVALID_VALUE', `VCPUs_params:${key}`, words],
];
const domains: readonly Row[] = [
  params('weight', '0', `0: ${weight}`),
  params('weight', '65536', `65536: ${weight}`),
  params('weight', '-1', '-1'),
  params('weight', '1.5', '1.5'),
  params('period', '9', '9: Setting vcpu sched rtds: Invalid argument'),
  params('period', '0', '0: Invalid VCPU period of 0 (it should be >= 1)'),
  params('budget', '20000', '20000: VCPU budget must be smaller than or equal to period, but 20000 > 10000'),
  params('extratime', 'yes', 'yes'),
  params('cap', '-1', '-1'),
  params('mask', '3-1', '3-1'),
  params('mask', '', ''),
  [
    'VM.set_VCPUs_params',
    ['$web', { cap: '101' }],
    xen('$web', 'EINVAL', 'Cpu cap out of range, valid range is from 0 to 100 for specified number of vcpus'),
  ],
  [
    'VM.set_VCPUs_params',
    ['$web', { weight: '512', mask: '0' }],
    xen('$web', 'EINVAL', 'Could not set affinity. (none of these pCPUs is in the cpupool of the domain)'),
  ],
  ['VM.set_VCPUs_params', ['$web', { mask: '99' }], xen('$web', 'EINVAL', 'vcpu hard affinity map is empty')],
  ['VM.add_to_VCPUs_params_live', ['$web', 'weight', '0'], ['INVALID_VALUE', 'VCPUs_params:weight', `0: ${weight}`]],
  [
    'VM.add_to_VCPUs_params_live',
    ['$halted', 'weight', '1'],
    ['VM_BAD_POWER_STATE', '$halted', 'running, paused', 'halted'],
  ],
  ['VM.pin_vcpu', ['$web', 1, 'all', ''], ['INVALID_VALUE', 'vcpu', '1']],
  [
    'host.set_sched_gran',
    ['$host', 'core'],
    ['OPERATION_NOT_ALLOWED', 'Failed to update sched-gran: core is not supported'],
  ],
];

describe.each([
  ['pools', pools],
  ['what domains are given', domains],
])('%s', (_, rows) => {
  test.each(rows)('%s %j', async (method, args, refusal) => {
    const before = state();
    const answer = await model.pool.raw(method, model.pool.session, ...args.map(filled));
    expect(answer.ok ? ['no refusal'] : answer.error).toEqual(refusal.map((text) => filled(text)));
    expect(state()).toEqual(before);
  });
});

test('the last CPU of a pool with a domain stays; once the domain is gone it goes, and so does the pool', async () => {
  const { rpc } = model;
  const { fast = '', cpu6 = '', cpu7 = '', web = '' } = refs;
  await rpc.call('cpupool.remove_CPU', fast, cpu6);
  const before = state();
  const refused = await rpc.call('cpupool.remove_CPU', fast, cpu7).catch((error: unknown) => error);
  if (!(refused instanceof ApiError)) throw new Error('no refusal');
  const words = 'Device or resource busy (it is the last pCPU of a cpupool with domains)';
  expect([refused.code, ...refused.params]).toEqual(
    xen(fast, 'EBUSY', `Error removing cpu 7 from cpupool: ${words}${trailer('fast')}`),
  );
  expect(state()).toEqual(before);
  await rpc.call('VM.hard_shutdown', web);
  await rpc.call('cpupool.remove_CPU', fast, cpu7);
  await rpc.call('cpupool.destroy', fast);
});

test('a machine has twice as many pools as pCPUs, and no more', async () => {
  const { rpc } = model;
  const create = (name: string): Promise<unknown> => rpc.call('cpupool.create', refs['host'] ?? '', name, '', [], {});
  for (let count = model.machine.cpupools.list().length; count < 16; count++) await create(`p${count}`);
  const before = state();
  const words = 'Could not create cpupool (there are too many cpupools)\nerror on creating cpupool';
  await expect(create('one-more')).rejects.toMatchObject({ params: [refs['host'], 'ENOSPC', words] });
  expect(state()).toEqual(before);
});
