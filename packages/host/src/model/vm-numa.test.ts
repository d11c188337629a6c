/** On which NUMA nodes VMs start: by policy, beside others, in cpupools, at once; and what is refused. */
import { bytes, domId, nodeId, type Ref } from '@xenolith/base';
import type { HostDriver, HostFacts } from '@xenolith/xapi';
import { describe, expect, test } from 'vitest';
import { ModelPool, modelAddress, numaModelAddress } from '../testing/model-pool.ts';

const mib = 2 ** 20;
const gib = 2 ** 30;
const setMemory = (pool: ModelPool, vm: Ref<'VM'>, bytes: number): void =>
  pool.db.update('VM', vm, { memory_static_max: bytes, memory_dynamic_max: bytes, memory_dynamic_min: bytes });
const setVcpus = (pool: ModelPool, vm: Ref<'VM'>, count: number): void =>
  pool.db.update('VM', vm, { VCPUs_max: count, VCPUs_at_startup: count });
const start = (pool: ModelPool, vm: Ref<'VM'>): Promise<unknown> => pool.call('VM.start', vm, false, false);

/** MiB on each node, and the affinities of the first vCPU. */
function whereIs(pool: ModelPool, vm: Ref<'VM'>): readonly [readonly number[], string, string] {
  const { hypervisor, cpupools } = pool.machine();
  const domid = domId(pool.vm(vm).domid);
  const [first] = cpupools.vcpusOf(domid);
  const memory = hypervisor.domain(domid)?.allocation.bytesByNode ?? [];
  return [memory.map((bytes) => bytes / mib), String(first?.hardAffinity), String(first?.softAffinity)];
}
const all = '0,1,2,3,4,5,6,7';
const node0 = '0,1,2,3';
const node1 = '4,5,6,7';

/** Opens it anew with modelled hosts that begin anew, as in the server. */
async function reopenNew(pool: ModelPool): Promise<void> {
  pool.puttingBack = true;
  pool.machines.clear();
  await pool.reopen();
}

async function poolWith(count: number): Promise<{ readonly pool: ModelPool; readonly vms: readonly Ref<'VM'>[] }> {
  const pool = await ModelPool.open(1, numaModelAddress);
  const vms = await Promise.all(Array.from({ length: count }, (_, index) => pool.newVm(`vm${index}`)));
  for (const vm of vms) setMemory(pool, vm, 256 * mib);
  return { pool, vms };
}

describe('best effort, which is what a pool begins with', () => {
  test('the first is on a node, the next on the other', async () => {
    const { pool, vms } = await poolWith(2);
    for (const vm of vms) await start(pool, vm);
    expect(vms.map((vm) => whereIs(pool, vm))).toEqual([
      [[256, 0], all, node0],
      [[0, 256], all, node1],
    ]);
  });

  test('those that start at once do not all go for the same node', async () => {
    const { pool, vms } = await poolWith(4);
    const answers = await Promise.all(vms.map((vm) => pool.begin('VM.start', vm, false, false)));
    await pool.settle();
    expect(answers.every((answer) => answer.ok)).toBe(true);
    const softs = vms.map((vm) => whereIs(pool, vm)[2]);
    expect(softs.toSorted()).toEqual([node0, node0, node1, node1]);
  });

  test('memory that a start has taken is counted once: promised first, then in the host’s figures', async () => {
    const { pool, vms } = await poolWith(4);
    for (const vm of vms) setMemory(pool, vm, 700 * mib);
    for (const vm of vms) await start(pool, vm);
    // Two on each node: a promise that stayed beside the figures would have sent the last ones to both.
    expect(vms.map((vm) => whereIs(pool, vm)[2]).toSorted()).toEqual([node0, node0, node1, node1]);
    await pool.call('VM.hard_shutdown', vms[0]!);
    await pool.settle();
    await start(pool, vms[0]!);
    expect(whereIs(pool, vms[0]!)[0]).toEqual([700, 0]);
  });

  test('a node whose pCPUs have less to do, though it has less free memory', async () => {
    const { pool, vms } = await poolWith(3);
    setVcpus(pool, vms[0]!, 4);
    setMemory(pool, vms[1]!, 512 * mib);
    for (const vm of vms) {
      await start(pool, vm);
      await pool.clock.advanceAsync(10_000);
    }
    expect(vms.map((vm) => whereIs(pool, vm)[2])).toEqual([node0, node1, node1]);
  });

  test('more vCPUs than a node has pCPUs, or more memory than it has free: on both', async () => {
    const { pool, vms } = await poolWith(2);
    const [wide, big] = [vms[0]!, vms[1]!];
    setVcpus(pool, wide, 6);
    setMemory(pool, big, 2 * gib);
    for (const vm of vms) await start(pool, vm);
    expect(whereIs(pool, wide)).toEqual([[128, 128], all, all]);
    expect(whereIs(pool, big)[2]).toBe(all);
  });

  test('in a cpupool: on the nodes that its pCPUs are on', async () => {
    const { pool, vms } = await poolWith(2);
    await pool.call('cpupool.numa_split', pool.host());
    const second = [...pool.db.all('cpupool')].find(([, { name_label }]) => name_label === 'Pool-node1')?.[0];
    for (const vm of vms) {
      await pool.call('VM.set_cpupool', vm, second!);
      await start(pool, vm);
      expect(whereIs(pool, vm)).toEqual([[0, 256], all, node1]);
    }
  });

  test('a mask is kept, and the node that has it is chosen', async () => {
    const { pool, vms } = await poolWith(1);
    await pool.call('VM.set_VCPUs_params', vms[0]!, { mask: '5-6' });
    await start(pool, vms[0]!);
    expect(whereIs(pool, vms[0]!)).toEqual([[0, 256], '5,6', '5,6']);
  });

  test('a hard reboot may stay where it is although the host is full', async () => {
    const { pool, vms } = await poolWith(1);
    setMemory(pool, vms[0]!, 1400 * mib);
    await start(pool, vms[0]!);
    await pool.clock.advanceAsync(10_000);
    const before = whereIs(pool, vms[0]!);
    expect(before[0]).toEqual([1400, 0]);
    await pool.call('VM.hard_reboot', vms[0]!);
    expect(whereIs(pool, vms[0]!)).toEqual(before);
  });

  test('a saved VM is placed anew', async () => {
    const { pool, vms } = await poolWith(1);
    await start(pool, vms[0]!);
    await pool.clock.advanceAsync(20_000);
    await pool.call('VM.suspend', vms[0]!);
    await pool.call('VM.resume', vms[0]!, false, false);
    expect(whereIs(pool, vms[0]!)).toEqual([[256, 0], all, node0]);
  });

  test('where it is outlasts a restart of the manager, on hosts that live in it', async () => {
    const { pool, vms } = await poolWith(2);
    await pool.call('VM.set_numa_affinity_policy', vms[1]!, 'strict');
    for (const vm of vms) await start(pool, vm);
    await pool.clock.advanceAsync(10_000);
    const before = vms.map((vm) => whereIs(pool, vm));
    expect(before).toEqual([
      [[256, 0], all, node0],
      [[0, 256], node1, node1],
    ]);
    await reopenNew(pool);
    expect(vms.map((vm) => whereIs(pool, vm))).toEqual(before);
  });

  test('and so do the mask and the cpupool of strict ones', async () => {
    const { pool, vms } = await poolWith(3);
    for (const vm of vms) await pool.call('VM.set_numa_affinity_policy', vm, 'strict');
    await pool.call('VM.set_VCPUs_params', vms[0]!, { mask: '1-2' });
    const cpus = pool.db.get('host', pool.host()).host_CPUs;
    const last = cpus.filter((ref) => pool.db.get('host_cpu', ref).number >= 6);
    for (const cpu of last) await pool.call('cpupool.remove_CPU', pool.db.refs('cpupool')[0]!, cpu);
    const other = await pool.call<Ref<'cpupool'>>('cpupool.create', pool.host(), 'other', 'credit2', last, {});
    await pool.call('VM.set_cpupool', vms[1]!, other);
    for (const vm of vms) await start(pool, vm);
    // One whose mask was set elsewhere while it ran.
    await pool.call('VM.set_VCPUs_params', vms[2]!, { mask: '4' });
    await pool.clock.advanceAsync(10_000);
    const before = vms.map((vm) => whereIs(pool, vm)[1]);
    expect(before).toEqual(['1,2', '6,7', '4']);
    await reopenNew(pool);
    expect(vms.map((vm) => whereIs(pool, vm)[1])).toEqual(before);
  });

  test('on a host of one node nothing is set', async () => {
    const pool = await ModelPool.open(1, modelAddress);
    const vm = await pool.newVm();
    await start(pool, vm);
    expect(pool.machine().configOf(domId(pool.vm(vm).domid))?.placement).toBeUndefined();
  });
});

describe('a host whose nodes are 0 and 2', () => {
  const gap = [0, 2] as const;
  /** What its driver tells, and is told. */
  const factsOf = (facts: HostFacts): HostFacts => ({
    ...facts,
    pcpus: facts.pcpus.map((place) => ({ ...place, node: nodeId(gap[place.node] ?? 0) })),
    nodes: facts.nodes.map((each) => ({ ...each, node: nodeId(gap[each.node] ?? 0), distances: [10, 255, 20] })),
  });
  const gapped = (driver: HostDriver): HostDriver => ({
    ...driver,
    connect: async () => factsOf(await driver.connect()),
    onNews: (listener) =>
      driver.onNews((news) => listener(news.kind === 'alive' ? { ...news, facts: factsOf(news.facts) } : news)),
    memoryByNode: async () =>
      (await driver.memoryByNode()).map(({ domid, bytesByNode: [first, second] }) => ({
        domid,
        bytesByNode: [first ?? bytes(0), bytes(0), second ?? bytes(0)],
      })),
    create: ({ placement, ...config }, options) => {
      const nodes = placement?.nodes.map((node) => nodeId(gap.indexOf(node as 0 | 2)));
      return driver.create(
        { ...config, ...(placement && { placement: { ...placement, nodes: nodes ?? [] } }) },
        options,
      );
    },
  });

  test('VMs are placed, counted and refused there by the numbers of the nodes', async () => {
    const { pool, vms } = await poolWith(3);
    pool.wrapDriver = gapped;
    await pool.reopen();
    for (const vm of vms) {
      setMemory(pool, vm, 900 * mib);
      await pool.call('VM.set_numa_affinity_policy', vm, 'strict');
    }
    await start(pool, vms[0]!);
    await start(pool, vms[1]!);
    expect(vms.slice(0, 2).map((vm) => whereIs(pool, vm))).toEqual([
      [[900, 0], node0, node0],
      [[0, 900], node1, node1],
    ]);
    // What a VM could give of node 2, before anybody has looked where it is.
    pool.db.update('VM', vms[1]!, { memory_dynamic_min: 100 * mib });
    await pool.call('VM.set_VCPUs_params', vms[2]!, { mask: '4-7' });
    await pool.call('VM.assert_can_boot_here', vms[2]!, pool.host());
    await pool.call('VM.set_VCPUs_params', vms[2]!, {});
    setMemory(pool, vms[1]!, 900 * mib);
    await pool.clock.advanceAsync(10_000);
    const metrics = vms.map((vm) => pool.db.get('VM_metrics', pool.vm(vm).metrics));
    expect(metrics[1]).toMatchObject({ numa_node_memory: { 2: 900 * mib }, numa_nodes: 1, numa_optimised: true });
    expect(await pool.refusal('VM.start', vms[2]!, false, false)).toMatch(/2 nodes are needed, and 1 allowed$/);
    await pool.call('VM.set_numa_affinity_policy', vms[2]!, 'any');
    await start(pool, vms[2]!);
    await pool.clock.advanceAsync(10_000);
    // On all nodes that there are.
    expect(pool.db.get('VM_metrics', pool.vm(vms[2]!).metrics)).toMatchObject({ numa_nodes: 2, numa_optimised: false });
  });
});

describe('where memory is', () => {
  const onNodes = (pool: ModelPool, vm: Ref<'VM'>): unknown =>
    pool.db.get('VM_metrics', pool.vm(vm).metrics).numa_node_memory;

  async function watched(): Promise<{
    readonly pool: ModelPool;
    readonly vm: Ref<'VM'>;
    readonly looks: () => number;
  }> {
    const { pool, vms } = await poolWith(1);
    let looks = 0;
    pool.wrapDriver = (driver) => ({ ...driver, memoryByNode: () => (looks++, driver.memoryByNode()) });
    await pool.reopen();
    pool.db.update('VM', vms[0]!, { memory_static_min: 0, memory_static_max: gib, memory_dynamic_max: gib });
    await start(pool, vms[0]!);
    await pool.clock.advanceAsync(30_000);
    return { pool, vm: vms[0]!, looks: () => looks };
  }

  test('is looked at again when a balloon has moved', async () => {
    const { pool, vm } = await watched();
    expect(onNodes(pool, vm)).toEqual({ 0: gib });
    await pool.call('VM.set_memory_dynamic_range', vm, 512 * mib, 512 * mib);
    await pool.clock.advanceAsync(20_000);
    expect(onNodes(pool, vm)).toEqual({ 0: 512 * mib });
  });

  test('is not for less than a hundredth, nor when nothing moves', async () => {
    const { pool, vm, looks } = await watched();
    const before = looks();
    await pool.call('VM.set_memory_dynamic_range', vm, 1016 * mib, 1016 * mib);
    await pool.clock.advanceAsync(300_000);
    expect(pool.db.get('VM_metrics', pool.vm(vm).metrics).memory_actual).toBe(1016 * mib);
    expect(looks()).toBe(before);
    // Small steps come together.
    await pool.call('VM.set_memory_dynamic_range', vm, 1008 * mib, 1008 * mib);
    await pool.clock.advanceAsync(300_000);
    expect([looks(), onNodes(pool, vm)]).toEqual([before + 1, { 0: 1008 * mib }]);
  });
});

describe('policies', () => {
  test('any: spread over all nodes; the host’s own or the VM’s', async () => {
    const { pool, vms } = await poolWith(2);
    await pool.call('VM.set_numa_affinity_policy', vms[0]!, 'any');
    await start(pool, vms[0]!);
    expect(whereIs(pool, vms[0]!)).toEqual([[128, 128], all, all]);
    await pool.call('host.set_numa_affinity_policy', pool.host(), 'any');
    await start(pool, vms[1]!);
    expect(whereIs(pool, vms[1]!)).toEqual([[128, 128], all, all]);
  });

  test('strict: the vCPUs stay on the node', async () => {
    const { pool, vms } = await poolWith(1);
    await pool.call('VM.set_numa_affinity_policy', vms[0]!, 'strict');
    await start(pool, vms[0]!);
    expect(whereIs(pool, vms[0]!)).toEqual([[256, 0], node0, node0]);
  });

  test('strict: what does not fit on as few nodes as it would need on an empty host does not start', async () => {
    const { pool, vms } = await poolWith(3);
    const big = vms[2]!;
    // Where they are was not looked at yet.
    for (const small of vms.slice(0, 2)) await start(pool, small);
    // A node has 1536 MiB besides what is dom0's.
    setMemory(pool, big, 1400 * mib);
    await pool.call('VM.set_numa_affinity_policy', big, 'strict');
    const refusal = await pool.refusal('VM.start', big, false, false);
    expect(refusal).toMatch(
      /^VM_NUMA_PLACEMENT_REFUSED OpaqueRef:\S+ OpaqueRef:\S+ on xen1, 2 nodes are needed, and 1 allowed$/,
    );
    expect(await pool.refusal('VM.assert_can_boot_here', big, pool.host())).toBe(refusal);
    expect(pool.vm(big).power_state).toBe('Halted');
    expect(pool.disagreements()).toEqual([]);
    await pool.call('VM.set_numa_affinity_policy', big, 'default_policy');
    await start(pool, big);
    expect(whereIs(pool, big)[2]).toBe(all);
  });

  test('strict: what needs two nodes on an empty host starts on two', async () => {
    const { pool, vms } = await poolWith(1);
    setMemory(pool, vms[0]!, 1700 * mib);
    await pool.call('VM.set_numa_affinity_policy', vms[0]!, 'strict');
    await start(pool, vms[0]!);
    expect(whereIs(pool, vms[0]!)).toEqual([[850, 850], all, all]);
  });

  test('strict: a mask that is set and taken away while it runs leaves it on its nodes, and so does a move', async () => {
    const { pool, vms } = await poolWith(2);
    const vm = vms[1]!;
    await start(pool, vms[0]!);
    await pool.call('VM.set_numa_affinity_policy', vm, 'strict');
    await start(pool, vm);
    const hard = (): string => whereIs(pool, vm)[1];
    expect(hard()).toBe(node1);
    await pool.call('VM.set_VCPUs_params', vm, { mask: '3-5' });
    expect(hard()).toBe('4,5');
    await pool.call('VM.set_VCPUs_params', vm, {});
    expect(hard()).toBe(node1);
    await pool.call('VM.set_VCPUs_params', vm, { mask: '0-2' });
    expect(hard()).toBe('0,1,2');
    await pool.call('VM.set_VCPUs_params', vm, {});
    const [cpu] = pool.db.get('host', pool.host()).host_CPUs.filter((ref) => pool.db.get('host_cpu', ref).number === 6);
    const first = pool.db.get('host', pool.host()).cpupools[0]!;
    await pool.call('cpupool.remove_CPU', first, cpu!);
    const other = await pool.call<Ref<'cpupool'>>('cpupool.create', pool.host(), 'other', 'credit2', [cpu!], {});
    await pool.call('VM.set_cpupool', vm, other);
    expect(hard()).toBe(node1);
  });

  test('strict beside VMs that can give: they are squeezed, not in the way', async () => {
    const { pool, vms } = await poolWith(2);
    const [wide, strict] = [vms[0]!, vms[1]!];
    pool.db.update('VM', wide, {
      memory_static_max: 2950 * mib,
      memory_dynamic_max: 2950 * mib,
      memory_dynamic_min: 256 * mib,
      memory_static_min: 256 * mib,
    });
    await start(pool, wide);
    await pool.clock.advanceAsync(30_000);
    setMemory(pool, strict, 512 * mib);
    await pool.call('VM.set_numa_affinity_policy', strict, 'strict');
    await start(pool, strict);
    expect(pool.vm(strict).power_state).toBe('Running');
    expect(pool.vm(wide).memory_target).toBeLessThan(2950 * mib);
  });

  test('a cpupool without pCPUs is Xen’s to refuse', async () => {
    const { pool, vms } = await poolWith(1);
    const bare = await pool.call<Ref<'cpupool'>>('cpupool.create', pool.host(), 'bare', 'credit2', [], {});
    await pool.call('VM.set_cpupool', vms[0]!, bare);
    expect(await pool.refusal('VM.start', vms[0]!, false, false)).toMatch(/^XEN_REFUSED /);
  });

  test('strict: another host that has room is taken', async () => {
    const pool = await ModelPool.open(2, numaModelAddress);
    const [first, second] = [await pool.newVm('first'), await pool.newVm('second')];
    for (const vm of [first, second]) {
      setMemory(pool, vm, 1400 * mib);
      await pool.call('VM.set_numa_affinity_policy', vm, 'strict');
    }
    pool.db.update('VM', first, { affinity: pool.host(1) });
    pool.db.update('VM', second, { affinity: pool.host(1) });
    await pool.call('VM.start', first, false, false);
    const third = await pool.newVm('third');
    setMemory(pool, third, 1400 * mib);
    await pool.call('VM.set_numa_affinity_policy', third, 'strict');
    pool.db.update('VM', third, { affinity: pool.host(1) });
    await pool.call('VM.start', second, false, false);
    await pool.call('VM.start', third, false, false);
    expect([first, second, third].map((vm) => pool.vm(vm).resident_on)).toEqual([
      pool.host(1),
      pool.host(1),
      pool.host(2),
    ]);
  });

  test('a policy that is none is refused, and nothing is changed', async () => {
    const { pool, vms } = await poolWith(1);
    expect(await pool.refusal('VM.set_numa_affinity_policy', vms[0]!, 'often')).toMatch(
      /^(?:INVALID_VALUE|FIELD_TYPE_ERROR)/,
    );
    expect(await pool.refusal('host.set_numa_affinity_policy', pool.host(), '')).toMatch(
      /^(?:INVALID_VALUE|FIELD_TYPE_ERROR)/,
    );
    expect(pool.vm(vms[0]!).numa_affinity_policy).toBe('default_policy');
  });
});
