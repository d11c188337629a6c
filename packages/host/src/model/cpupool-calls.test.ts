/** Cpupools and scheduling through the calls, on a modelled host. */
import { domId, nullRef, pcpuId, type Ref } from '@xenolith/base';
import { HostError } from '@xenolith/xapi';
import { beforeEach, describe, expect, test } from 'vitest';
import { ModelPool, numaModelAddress } from '../testing/model-pool.ts';
import type { ModelHost } from './model-host.ts';

let pool: ModelPool;
let machine: ModelHost;
let host: Ref<'host'>;
let vm: Ref<'VM'>;

beforeEach(async () => {
  pool = await ModelPool.open(1, numaModelAddress);
  machine = pool.machine();
  host = pool.host();
  vm = await pool.newVm();
});

/** Pools by the records: name, scheduler, CPUs. */
function pools(): readonly string[] {
  const { db } = pool;
  return db.get('host', host).cpupools.map((ref) => {
    const { name_label, scheduler, CPUs } = db.get('cpupool', ref);
    return `${name_label} ${scheduler} [${CPUs.map((cpu) => db.get('host_cpu', cpu).number).join()}]`;
  });
}
/** Pools that the machine has, in the same form. */
const real = (): readonly string[] =>
  machine.cpupools.list().map(({ name, scheduler, pcpus }) => `${name} ${scheduler} [${pcpus.join()}]`);
const cpus = (...numbers: readonly number[]): readonly Ref<'host_cpu'>[] =>
  numbers.flatMap((number) =>
    pool.db.get('host', host).host_CPUs.filter((cpu) => pool.db.get('host_cpu', cpu).number === number),
  );
const cpu = (number: number): Ref<'host_cpu'> => cpus(number)[0] ?? nullRef();
const named = (name: string): Ref<'cpupool'> => {
  const { db } = pool;
  const found = db.get('host', host).cpupools.find((ref) => db.get('cpupool', ref).name_label === name);
  if (found === undefined) throw new Error(`no cpupool ${name}`);
  return found;
};
async function freed(...numbers: readonly number[]): Promise<void> {
  for (const each of cpus(...numbers)) await pool.call('cpupool.remove_CPU', named('Pool-0'), each);
}
const made = async (name: string, ...numbers: readonly number[]): Promise<Ref<'cpupool'>> => {
  await freed(...numbers);
  return await pool.call<Ref<'cpupool'>>('cpupool.create', host, name, '', cpus(...numbers), {});
};
const record = (): ReturnType<typeof pool.vm> => pool.vm(vm);
const domain = (): ReturnType<typeof domId> => domId(record().domid);
/** What the machine says of the VM's domain. */
const there = (): {
  readonly pool: string;
  readonly parameters: object;
  readonly hard: readonly number[] | undefined;
} => ({
  pool: machine.cpupools.cpupoolOf(domain()),
  parameters: machine.cpupools.parametersOf(domain()),
  hard: machine.cpupools.vcpusOf(domain())[0]?.hardAffinity,
});
const everything = [0, 1, 2, 3, 4, 5, 6, 7];

describe('pools', () => {
  test('are seen when a host joins, with its CPUs and its control domain', () => {
    expect(pools()).toEqual(['Pool-0 credit2 [0,1,2,3,4,5,6,7]']);
    expect(pool.db.get('cpupool', named('Pool-0'))).toMatchObject({
      is_default: true,
      parameters: { ratelimit_us: '1000' },
      VMs: [pool.db.get('host', host).control_domain],
    });
  });

  test('are made of free CPUs, with parameters, and destroyed', async () => {
    await freed(6, 7);
    expect(pool.db.get('host_cpu', cpu(7)).cpupool).toBe(nullRef());
    const ref = await pool.call<Ref<'cpupool'>>('cpupool.create', host, 'fast', 'credit', cpus(7, 6), {
      tslice_ms: '5',
    });
    expect(pools()).toEqual(['Pool-0 credit2 [0,1,2,3,4,5]', 'fast credit [6,7]']);
    expect(pool.db.get('cpupool', ref).parameters).toMatchObject({ tslice_ms: '5', ratelimit_us: '1000' });
    await pool.call('cpupool.set_parameters', ref, { ratelimit_us: '500' });
    expect(pool.db.get('cpupool', ref).parameters).toMatchObject({ tslice_ms: '5', ratelimit_us: '500' });
    await pool.call('cpupool.set_name_label', ref, 'faster');
    expect(real()).toEqual(['Pool-0 credit2 [0,1,2,3,4,5]', 'faster credit [6,7]']);
    await pool.call('cpupool.remove_CPU', ref, cpu(6));
    await pool.call('cpupool.add_CPU', named('Pool-0'), cpu(6));
    expect(pools()).toEqual(['Pool-0 credit2 [0,1,2,3,4,5,6]', 'faster credit [7]']);
    await pool.call('cpupool.destroy', ref);
    expect(pools()).toEqual(['Pool-0 credit2 [0,1,2,3,4,5,6]']);
  });

  test('one whose parameters are refused is not made', async () => {
    await freed(7);
    const said = await pool.refusal('cpupool.create', host, 'a', '', cpus(7), { ratelimit_us: '5' });
    expect(said).toMatch(new RegExp(`^XEN_REFUSED ${host} EINVAL `));
    expect(real()).toEqual(['Pool-0 credit2 [0,1,2,3,4,5,6]']);
    expect(pools()).toEqual(real());
  });

  test('numa_split makes one of each node, and the first one stays the first', async () => {
    const first = named('Pool-0');
    await pool.call('cpupool.numa_split', host);
    expect(pools()).toEqual(['Pool-node0 credit2 [0,1,2,3]', 'Pool-node1 credit2 [4,5,6,7]']);
    expect(named('Pool-node0')).toBe(first);
  });

  test('what is changed by hand is followed', async () => {
    const first = named('Pool-0');
    for (const pcpu of [4, 5, 6, 7]) machine.cpupools.remove('Pool-0', pcpuId(pcpu));
    machine.cpupools.create({ name: 'by-hand', scheduler: 'credit', pcpus: [5, 6, 7].map(pcpuId) });
    await pool.settle();
    expect(pools()).toEqual(['Pool-0 credit2 [0,1,2,3]', 'by-hand credit [5,6,7]']);
    const hand = named('by-hand');
    machine.cpupools.rename('by-hand', 'renamed');
    await pool.settle();
    expect(named('renamed')).toBe(hand);
    machine.cpupools.destroy('renamed');
    await pool.settle();
    expect(pools()).toEqual(['Pool-0 credit2 [0,1,2,3]']);
    expect(named('Pool-0')).toBe(first);
  });
});

describe('VMs in pools', () => {
  test('a halted one starts in its pool, keeps it, and is moved with what it was given', async () => {
    const a = await made('a', 6, 7);
    await pool.call('VM.set_cpupool', vm, a);
    await pool.call('VM.set_VCPUs_params', vm, { weight: '512', cap: '50' });
    await pool.call('VM.start', vm, false, false);
    expect(there()).toMatchObject({ pool: 'a', parameters: { weight: 512, cap: 50 } });
    expect(record().cpupool).toBe(a);
    await pool.call('cpupool.move_VM', named('Pool-0'), vm);
    expect(there()).toMatchObject({ pool: 'Pool-0', parameters: { weight: 512, cap: 50 } });
    await pool.call('VM.set_cpupool', vm, a);
    expect(await pool.refusal('cpupool.destroy', a)).toMatch(`XEN_REFUSED ${a} EBUSY`);
    await pool.call('VM.hard_shutdown', vm);
    expect(record().cpupool).toBe(a);
    await pool.call('cpupool.destroy', a);
    expect(record().cpupool).toBe(nullRef());
    await pool.call('VM.start', vm, false, false);
    expect(record().cpupool).toBe(named('Pool-0'));
  });

  test('one that is moved by hand is followed', async () => {
    const a = await made('a', 7);
    await pool.call('VM.start', vm, false, false);
    expect(record().cpupool).toBe(named('Pool-0'));
    machine.cpupools.move(domain(), 'a');
    await pool.settle();
    expect(record().cpupool).toBe(a);
  });

  test('a pool that no host has is a reason not to start', async () => {
    const other = pool.db.create('host', { name_label: 'gone' });
    const lost = pool.db.create('cpupool', { host: other, name_label: 'theirs' });
    await pool.call('VM.set_cpupool', vm, lost);
    expect(await pool.refusal('VM.start_on', vm, host, false, false)).toBe(`VM_REQUIRES_CPUPOOL ${vm} ${lost}`);
    await made('theirs', 7);
    await pool.call('VM.start_on', vm, host, false, false);
    expect(record().cpupool).toBe(named('theirs'));
  });

  test('a move to where none of its mask is, is refused before anything is done', async () => {
    const a = await made('a', 7);
    await pool.call('VM.set_VCPUs_params', vm, { mask: '0-3', weight: '512' });
    await pool.call('VM.start', vm, false, false);
    const before = there();
    expect(await pool.refusal('VM.set_cpupool', vm, a)).toBe('INVALID_VALUE VCPUs_params:mask a has none of 0-3');
    expect(there()).toEqual(before);
  });
});

describe('a reboot of the host', () => {
  async function arranged(): Promise<Ref<'cpupool'>> {
    await freed(5, 6, 7);
    const a = await pool.call<Ref<'cpupool'>>('cpupool.create', host, 'a', 'credit', cpus(6, 7), { tslice_ms: '5' });
    await pool.call('VM.set_cpupool', vm, a);
    await pool.call('VM.start', vm, false, false);
    return a;
  }
  const asBefore = ['Pool-0 credit2 [0,1,2,3,4]', 'a credit [6,7]'];

  test('brings the pools back', async () => {
    const a = await arranged();
    machine.reset();
    expect(real()).toEqual(['Pool-0 credit2 [0,1,2,3,4,5,6,7]']);
    await pool.settle();
    expect(real()).toEqual(asBefore);
    expect(machine.cpupools.list()[1]?.parameters).toMatchObject({ tsliceMs: 5 });
    expect(pools()).toEqual(asBefore);
    expect(record()).toMatchObject({ power_state: 'Halted', cpupool: a });
    await pool.call('VM.start', vm, false, false);
    expect(there().pool).toBe('a');
  });

  test('a lost connection is none', async () => {
    await arranged();
    machine.setReachable(false);
    machine.cpupools.move(domain(), 'Pool-0');
    machine.cpupools.destroy('a');
    machine.setReachable(true);
    await pool.settle();
    expect(real()).toEqual(['Pool-0 credit2 [0,1,2,3,4]']);
    expect(pools()).toEqual(real());
  });

  test('what cannot be made again is told once, and the records follow', async () => {
    await pool.call('cpupool.create', host, 'empty', 'credit', [], {});
    const busy = new HostError('xen-refused', 'Could not create cpupool', { errno: 'EBUSY' });
    machine.failNext('scheduling', busy);
    machine.reset();
    await pool.settle();
    expect(pools()).toContain('empty credit []');
    for (let attempt = 2; attempt <= 3; attempt++) {
      machine.failNext('scheduling', busy);
      await pool.clock.advanceAsync(5000);
      await pool.settle();
    }
    expect(pools()).toEqual(['Pool-0 credit2 [0,1,2,3,4,5,6,7]']);
    const told = Object.values(pool.xapi.messages.matching(({ name }) => name === 'CPUPOOLS_NOT_RESTORED'));
    expect(told).toHaveLength(1);
    expect(told[0]?.body).toContain('Could not create cpupool');
  });

  test('is noticed after a restart of the control plane too', async () => {
    await arranged();
    for (const driver of pool.machines.values()) driver.setReachable(false);
    machine.reset();
    await pool.reopen();
    expect(real()).toEqual(asBefore);
    expect(pools()).toEqual(asBefore);
  });
});

describe('VCPUs_params', () => {
  test.each([
    [{ weight: '0' }, 'weight'],
    [{ weight: '65536' }, 'weight'],
    [{ cap: '-1' }, 'cap'],
    [{ cap: '1e2' }, 'cap'],
    [{ mask: '' }, 'mask'],
    [{ mask: '3-1' }, 'mask'],
    [{ mask: '1,^1' }, 'mask'],
    [{ mask: '0-9999' }, 'mask'],
    [{ budget: '20000' }, 'budget'],
    [{ period: '9' }, 'period'],
    [{ extratime: 'yes' }, 'extratime'],
  ])('%j is refused and nothing is changed', async (params, key) => {
    const before = record().VCPUs_params;
    const refused = `INVALID_VALUE VCPUs_params:${key} ${Object.values(params)[0]}`;
    expect(await pool.refusal('VM.set_VCPUs_params', vm, params)).toContain(refused);
    await pool.call('VM.start', vm, false, false);
    const now = there();
    expect(await pool.refusal('VM.set_VCPUs_params', vm, params)).toContain(refused);
    expect(record().VCPUs_params).toEqual(before);
    expect(there()).toEqual(now);
  });

  test('of a running VM hold at once', async () => {
    await pool.call('VM.start', vm, false, false);
    await pool.call('VM.add_to_VCPUs_params', vm, 'weight', '512');
    expect(there().parameters).toEqual({ weight: 512, cap: 0 });
    await pool.call('VM.add_to_VCPUs_params_live', vm, 'cap', '80');
    await pool.call('VM.add_to_VCPUs_params_live', vm, 'weight', '128');
    expect(there().parameters).toEqual({ weight: 128, cap: 80 });
    await pool.call('VM.remove_from_VCPUs_params', vm, 'weight');
    expect(there().parameters).toEqual({ weight: 256, cap: 80 });
    await pool.call('VM.add_to_VCPUs_params', vm, 'mask', '0-3,^2');
    expect(there().hard).toEqual([0, 1, 3]);
    await pool.call('VM.set_VCPUs_params', vm, {});
    expect(there()).toMatchObject({ hard: everything, parameters: { weight: 256, cap: 0 } });
    const halted = await pool.newVm('halted');
    expect(await pool.refusal('VM.add_to_VCPUs_params_live', halted, 'cap', '1')).toContain('VM_BAD_POWER_STATE');
  });

  test.each([
    ['0-3,^1', [0, 2, 3]],
    ['^1', [0, 2, 3, 4, 5, 6, 7]],
    ['all,^0-5', [6, 7]],
    ['5,1-2', [1, 2, 5]],
    ['all', [0, 1, 2, 3, 4, 5, 6, 7]],
  ])('a VM that starts with the mask %s has the same as one that is given it while it runs', async (mask, hard) => {
    await pool.call('VM.set_VCPUs_params', vm, { mask });
    await pool.call('VM.start', vm, false, false);
    expect(there().hard).toEqual(hard);
    await pool.call('VM.set_VCPUs_params', vm, {});
    await pool.call('VM.set_VCPUs_params', vm, { mask });
    expect(there().hard).toEqual(hard);
  });

  test('a pinning that Xen refuses leaves the weight as it was', async () => {
    const a = await made('a', 7);
    await pool.call('VM.set_cpupool', vm, a);
    await pool.call('VM.start', vm, false, false);
    expect(await pool.refusal('VM.set_VCPUs_params', vm, { weight: '512', mask: '0' })).toMatch(
      `XEN_REFUSED ${vm} EINVAL`,
    );
    expect(there()).toMatchObject({ hard: everything, parameters: { weight: 256 } });
    expect(record().VCPUs_params).toEqual({});
  });

  test('of RTDS are given to a domain in such a pool', async () => {
    await freed(7);
    const rt = await pool.call<Ref<'cpupool'>>('cpupool.create', host, 'rt', 'rtds', cpus(7), {});
    await pool.call('VM.set_cpupool', vm, rt);
    await pool.call('VM.set_VCPUs_params', vm, { weight: '7', period: '20000', budget: '15000' });
    await pool.call('VM.start', vm, false, false);
    expect(there().parameters).toEqual({ periodUs: 20_000, budgetUs: 15_000, extratime: true });
  });

  test('vCPUs can be seen and pinned one by one', async () => {
    expect(await pool.refusal('VM.get_vcpus', vm)).toContain('VM_BAD_POWER_STATE');
    await pool.call('VM.set_VCPUs_max', vm, 2);
    await pool.call('VM.set_VCPUs_at_startup', vm, 2);
    await pool.call('VM.start', vm, false, false);
    await pool.call('VM.pin_vcpu', vm, 0, '2-3', '');
    const vcpus = await pool.call<readonly Readonly<Record<string, string>>[]>('VM.get_vcpus', vm);
    // It was placed on the first node when it started.
    expect(vcpus).toMatchObject([
      { vcpu: '0', hard: '2,3', soft: '0,1,2,3' },
      { vcpu: '1', hard: everything.join(), soft: '0,1,2,3' },
    ]);
    await pool.call('VM.pin_vcpu', vm, -1, '', '4-5');
    const [first, second] = await pool.call<readonly Readonly<Record<string, string>>[]>('VM.get_vcpus', vm);
    expect([first?.['soft'], second?.['soft'], first?.['hard']]).toEqual(['4,5', '4,5', '2,3']);
    expect(await pool.call('VM.get_scheduler_parameters', vm)).toEqual({ weight: '256', cap: '0' });
    expect(await pool.refusal('VM.pin_vcpu', vm, 2, 'all', '')).toBe('INVALID_VALUE vcpu 2');
    const dom0 = await pool.call('VM.get_vcpus', pool.db.get('host', host).control_domain);
    expect(dom0).toHaveLength(machine.cpupools.vcpusOf(domId(0)).length);
  });
});

test('how much of a pCPU each vCPU had, and where it is, is in the metrics', async () => {
  await pool.call('VM.set_VCPUs_max', vm, 2);
  await pool.call('VM.add_to_other_config', vm, 'xenolith:work', 'hog');
  await pool.call('VM.start', vm, false, false);
  await pool.clock.advanceAsync(30_000);
  await pool.settle();
  const metrics = (): object => pool.db.get('VM_metrics', record().metrics);
  expect(metrics()).toMatchObject({
    VCPUs_utilisation: { 0: 1, 1: 0 },
    VCPUs_CPU: { 0: expect.any(Number) },
    VCPUs_flags: { 0: ['online', 'running'], 1: [] },
  });
  expect(Object.keys(pool.db.get('VM_metrics', record().metrics).VCPUs_CPU)).toEqual(['0']);
  await pool.call('VM.hard_shutdown', vm);
  await pool.settle();
  expect(metrics()).toMatchObject({ VCPUs_utilisation: {}, VCPUs_CPU: {}, VCPUs_flags: {} });
});

test('the granularity of scheduling is what Xen starts with', async () => {
  expect(await pool.call('host.get_sched_gran', host)).toBe('cpu');
  await pool.call('host.set_sched_gran', host, 'cpu');
  expect(await pool.refusal('host.set_sched_gran', host, 'core')).toMatch('OPERATION_NOT_ALLOWED');
  expect(await pool.refusal('host.set_sched_gran', host, 'thread')).not.toBe('no refusal');
});

test('a host that is forgotten takes its pools with it', async () => {
  await pool.call('host.forget', host);
  expect(pool.db.count('cpupool')).toBe(0);
});

describe('the number of vCPUs', () => {
  const online = (): number | undefined => pool.db.get('VM_metrics', record().metrics).VCPUs_number;

  beforeEach(async () => {
    await pool.call('VM.set_VCPUs_max', vm, 4);
    await pool.call('VM.set_VCPUs_at_startup', vm, 2);
  });

  test('changes while it runs, and is what it starts with then', async () => {
    await pool.call('VM.start', vm, false, false);
    await pool.call('VM.set_VCPUs_number_live', vm, 4);
    await pool.settle();
    expect([online(), record().VCPUs_at_startup]).toEqual([4, 4]);
    await pool.call('VM.set_VCPUs_number_live', vm, 1);
    await pool.settle();
    expect([online(), record().VCPUs_at_startup]).toEqual([1, 1]);
    expect(machine.cpupools.vcpusOf(domain()).map(({ state }) => state === 'offline')).toEqual([
      false,
      true,
      true,
      true,
    ]);
    await pool.call('VM.clean_reboot', vm);
    await pool.settle();
    expect(online()).toBe(1);
  });

  test.each([0, -1, 5])('is not %i of 4', async (count) => {
    await pool.call('VM.start', vm, false, false);
    const said = await pool.refusal('VM.set_VCPUs_number_live', vm, count);
    expect(said).toBe(`INVALID_VALUE VCPU values must satisfy: 0 < VCPUs ≤ VCPUs_max ${count}`);
    expect([online(), record().VCPUs_at_startup]).toEqual([2, 2]);
  });

  test('is fixed for a paused and a halted one, and for a control domain', async () => {
    expect(record().allowed_operations).not.toContain('changing_VCPUs_live');
    expect(await pool.refusal('VM.set_VCPUs_number_live', vm, 1)).toBe(`VM_BAD_POWER_STATE ${vm} running halted`);
    await pool.call('VM.start', vm, true, false);
    expect(await pool.refusal('VM.set_VCPUs_number_live', vm, 1)).toBe(`VM_BAD_POWER_STATE ${vm} running paused`);
    await pool.call('VM.unpause', vm);
    expect(record().allowed_operations).toContain('changing_VCPUs_live');
    const { control_domain } = pool.db.get('host', host);
    expect(await pool.refusal('VM.set_VCPUs_number_live', control_domain, 1)).toMatch('OPERATION_NOT_ALLOWED');
  });
});
