/** Which host a VM starts on: reasons why not, one after the other, and the choice among several. */
import { describe, expect, test } from 'vitest';
import type { Ref } from '@xenolith/base';
import { ModelPool } from '../testing/model-pool.ts';

const gib = 2 ** 30;

async function poolWithVm(hosts: number): Promise<{ readonly pool: ModelPool; readonly vm: Ref<'VM'> }> {
  const pool = await ModelPool.open(hosts);
  return { pool, vm: await pool.newVm() };
}
const setMemory = (pool: ModelPool, vm: Ref<'VM'>, bytes: number): void =>
  pool.db.update('VM', vm, { memory_static_max: bytes, memory_dynamic_max: bytes, memory_dynamic_min: bytes });
const possible = (pool: ModelPool, vm: Ref<'VM'>): Promise<unknown> => pool.call('VM.get_possible_hosts', vm);

describe('a host is not possible', () => {
  test.each<[string, (pool: ModelPool, vm: Ref<'VM'>, host: Ref<'host'>) => void, string]>([
    ['while it does not answer', (pool) => pool.machine().setReachable(false), 'HOST_OFFLINE'],
    ['while it is disabled', (pool, _, host) => pool.db.update('host', host, { enabled: false }), 'HOST_DISABLED'],
    [
      'without the repository of a disk',
      (pool, vm) => {
        const VDI = pool.db.create('VDI', { SR: pool.db.create('SR', { type: 'file' }) });
        pool.db.create('VBD', { VM: vm, VDI, userdevice: '0', empty: false });
      },
      'VM_REQUIRES_SR',
    ],
    [
      'without the bridge of an interface',
      (pool, vm) => {
        pool.db.create('VIF', {
          VM: vm,
          network: pool.db.create('network', { bridge: 'nowhere', managed: false }),
          device: '0',
        });
      },
      'VM_REQUIRES_NETWORK',
    ],
    ['without the memory', (pool, vm) => setMemory(pool, vm, 64 * gib), 'HOST_NOT_ENOUGH_FREE_MEMORY'],
  ])('%s', async (_, spoil, code) => {
    const { pool, vm } = await poolWithVm(1);
    const host = pool.host();
    expect(await possible(pool, vm)).toEqual([host]);
    spoil(pool, vm, host);
    expect(await possible(pool, vm)).toEqual([]);
    for (const [method, ...args] of [
      ['VM.assert_can_boot_here', vm, host],
      ['VM.start_on', vm, host, false, false],
      // With one host its own reason is told.
      ['VM.start', vm, false, false],
    ] as const)
      expect((await pool.refusal(method, ...args)).split(' ')[0], method).toBe(code);
    expect(pool.vm(vm).power_state).toBe('Halted');
  });
});

test('an empty drive, and a disk whose image is gone, ask for nothing', async () => {
  const { pool, vm } = await poolWithVm(1);
  const VDI = pool.db.create('VDI', { SR: pool.db.create('SR', { type: 'file' }) });
  pool.db.create('VBD', { VM: vm, VDI, userdevice: '3', type: 'CD', empty: true });
  expect(await possible(pool, vm)).toEqual([pool.host()]);
});

describe('among several', () => {
  test('the roomiest, unless the affinity can', async () => {
    const { pool, vm } = await poolWithVm(3);
    const big = await pool.newVm('big');
    setMemory(pool, big, gib);
    await pool.call('VM.start_on', big, pool.host(1), false, false);
    const middle = await pool.newVm('middle');
    setMemory(pool, middle, gib / 2);
    await pool.call('VM.start_on', middle, pool.host(3), false, false);
    await pool.call('VM.start', vm, false, false);
    expect(pool.vm(vm).resident_on).toBe(pool.host(2));
    await pool.call('VM.hard_shutdown', vm);
    pool.db.update('VM', vm, { affinity: pool.host(1) });
    await pool.call('VM.start', vm, false, false);
    expect(pool.vm(vm).resident_on).toBe(pool.host(1));
    await pool.call('VM.hard_shutdown', vm);
    pool.machine(1).setReachable(false);
    await pool.call('VM.start', vm, false, false);
    expect(pool.vm(vm).resident_on).toBe(pool.host(2));
  });

  test('none that can: not one host’s reason', async () => {
    const { pool, vm } = await poolWithVm(2);
    setMemory(pool, vm, 64 * gib);
    expect(await pool.refusal('VM.start', vm, false, false)).toBe('NO_HOSTS_AVAILABLE');
  });

  test('what is promised to a VM that starts is not there for others, but is for itself', async () => {
    const { pool, vm } = await poolWithVm(1);
    const other = await pool.newVm('other');
    setMemory(pool, vm, 2 * gib);
    setMemory(pool, other, 2 * gib);
    pool.db.update('VM', other, { scheduled_to_be_resident_on: pool.host() });
    expect(await possible(pool, vm)).toEqual([]);
    expect(await possible(pool, other)).toEqual([pool.host()]);
  });

  test('VMs that are started at once do not count the same memory twice', async () => {
    const pool = await ModelPool.open(2);
    const vms = await Promise.all(['a', 'b', 'c'].map((name) => pool.newVm(name)));
    for (const vm of vms) setMemory(pool, vm, 2 * gib);
    const answers = await Promise.all(vms.map((vm) => pool.begin('VM.start', vm, false, false)));
    await pool.settle();
    expect(answers.map((answer) => (answer.ok ? 'started' : answer.error[0]))).toEqual([
      'started',
      'started',
      'NO_HOSTS_AVAILABLE',
    ]);
    expect(new Set(vms.slice(0, 2).map((vm) => pool.vm(vm).resident_on)).size).toBe(2);
    expect(pool.disagreements()).toEqual([]);
  });
});

describe('a group that is to be apart', () => {
  test('has its VMs on the hosts with fewest of them, wherever else they would be', async () => {
    const pool = await ModelPool.open(2);
    const group = await pool.call('VM_group.create', { name_label: 'cluster', placement: 'anti_affinity' });
    const vms = [await pool.newVm('a'), await pool.newVm('b'), await pool.newVm('c')];
    for (const vm of vms) {
      await pool.call('VM.set_groups', vm, [group]);
      await pool.call('VM.set_affinity', vm, pool.host(1));
    }
    expect(await pool.call('VM_group.get_VMs', group)).toEqual(vms);
    for (const vm of vms) await pool.call('VM.start', vm, false, false);
    expect(vms.map((vm) => pool.vm(vm).resident_on)).toEqual([pool.host(1), pool.host(2), pool.host(1)]);
  });

  test('is kept when it cannot be, and forgotten by its VMs with its record', async () => {
    const pool = await ModelPool.open(1);
    const [group, other] = [
      await pool.call('VM_group.create', { placement: 'anti_affinity' }),
      await pool.call('VM_group.create', { placement: 'normal' }),
    ];
    const [a, b] = [await pool.newVm('a'), await pool.newVm('b')];
    for (const vm of [a, b]) {
      await pool.call('VM.set_groups', vm, [group]);
      await pool.call('VM.start', vm, false, false);
    }
    expect(await pool.refusal('VM.set_groups', a, [group, other])).toBe('TOO_MANY_GROUPS');
    expect(await pool.refusal('VM.set_groups', a, ['OpaqueRef:x'])).toBe('HANDLE_INVALID VM_group OpaqueRef:x');
    const [dom0 = ''] = [...pool.db.all('VM')].find(([, vm]) => vm.is_control_domain) ?? [];
    expect(await pool.refusal('VM.set_groups', dom0, [group])).toMatch(/^OPERATION_NOT_ALLOWED /);
    await pool.call('VM_group.destroy', group);
    expect(pool.vm(a).groups).toEqual([]);
  });
});
