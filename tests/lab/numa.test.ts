/**
 * NUMA through the product on real Xen: where VMs are placed by policy, where their memory really is then, and that several
 * starts at once do not all go for one node. And the model beside it: six guests of given sizes, placed by xl itself.
 */
import { libxlNeedKib, placeAutomatically, type PlacementDomain } from '@xenolith/hypervisor';
import { GUEST_INITRD_PATH, GUEST_KERNEL_PATH, labRun, type LabHost } from '@xenolith/lab';
import { parseXlInfo } from '@xenolith/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CachedObject, Xapi as Client } from 'xen-api';
import { labNeeds, requires } from '../requires.ts';
import { startJoinedPool, type JoinedPool } from './real-pool.ts';

const { skip } = requires(labNeeds);
const mib = 2 ** 20;
const commandLimitMs = 60_000;
const poll = { timeout: 120_000, interval: 500 };
/** Of free memory on a node: what Xen takes for itself by the way. */
const toleranceMib = 16;

describe.skipIf(skip)('NUMA nodes of a real host', () => {
  let pool: JoinedPool;
  let client: Client;
  let host: string;

  beforeAll(async () => {
    pool = await startJoinedPool();
    ({ client, host } = pool);
  });
  afterAll(() => pool?.close());

  const machine = (): LabHost => pool.machine;
  /** What `xl` says in dom0. */
  const xl = (line: string): Promise<string> =>
    labRun(machine(), ['xl', ...line.split(' ')], { timeoutMs: commandLimitMs });
  async function newVm(name: string, memoryMib: number): Promise<string> {
    const template = (await client.getAllRecords('VM')).find(
      (vm: CachedObject) => vm['is_default_template'] === true && vm['domain_type'] === 'pv',
    );
    const vm = String(await client.callAsync('VM.clone', template?.$ref, name));
    await client.callAsync('VM.provision', vm);
    await client.call('VM.set_memory_limits', vm, memoryMib * mib, memoryMib * mib, memoryMib * mib, memoryMib * mib);
    return vm;
  }
  const metricsOf = async (vm: string): Promise<CachedObject> =>
    await client.getRecord('VM_metrics', String(await client.getField('VM', vm, 'metrics')));
  const affinityOf = async (name: string): Promise<string> =>
    /(\S+ \/ \S+)$/.exec((await xl(`vcpu-list ${name}`)).trim())?.[1] ?? '';
  /** Starts paused: what computes only makes an emulated machine slower. */
  const start = (vm: string): Promise<unknown> => client.callAsync('VM.start', vm, true, false);

  test('four starts at once are two on each node, and the metrics say where their memory really is', async () => {
    const names = ['a', 'b', 'c', 'd'];
    const vms = await Promise.all(names.map((name) => newVm(name, 128)));
    await Promise.all(vms.map(start));
    const affinities = await Promise.all(names.map(affinityOf));
    expect(affinities.toSorted()).toEqual(['all / 0-3', 'all / 0-3', 'all / 4-7', 'all / 4-7']);
    for (const [index, vm] of vms.entries()) {
      const node = affinities[index]?.endsWith('0-3') === true ? 0 : 1;
      await expect.poll(async () => (await metricsOf(vm))['numa_nodes'], poll).toBe(1);
      const { numa_node_memory, numa_optimised } = await metricsOf(vm);
      expect(numa_optimised).toBe(true);
      expect(numa_node_memory).toEqual({ [node]: 128 * mib });
    }
    for (const vm of vms) await client.callAsync('VM.hard_shutdown', vm);
    expect(await metricsOf(vms[0] ?? '')).toMatchObject({ numa_nodes: 0, numa_node_memory: {} });
    for (const vm of vms) await client.callAsync('VM.destroy', vm);
  });

  test('any spreads over both nodes, strict pins, and what does not fit strictly does not start', async () => {
    const [spread, pinned] = [await newVm('spread', 128), await newVm('pinned', 128)];
    await client.call('VM.set_numa_affinity_policy', spread, 'any');
    await client.call('VM.set_numa_affinity_policy', pinned, 'strict');
    await start(spread);
    await start(pinned);
    // It would fit on the roomiest node without the half of the first one that is there.
    const big = await newVm('big', Math.max(...freeMib(await xl('info -n'))) + 32);
    await client.call('VM.set_numa_affinity_policy', big, 'strict');
    expect(await affinityOf('spread')).toBe('all / all');
    expect(await affinityOf('pinned')).toMatch(/^(?:0-3 \/ 0-3|4-7 \/ 4-7)$/);
    await expect(start(big)).rejects.toMatchObject({ code: 'VM_NUMA_PLACEMENT_REFUSED' });
    expect(await client.getField('VM', big, 'power_state')).toBe('Halted');
    const told = (await client.call('host.get_NUMA_memory', host)) as readonly Readonly<Record<string, string>>[];
    const uuid = await client.getField('VM', spread, 'uuid');
    expect(told.find((row) => row['uuid'] === uuid)?.['bytes_by_node']).toBe(`${64 * mib},${64 * mib}`);
    for (const vm of [spread, pinned]) await client.callAsync('VM.hard_shutdown', vm);
  });

  test('soft affinity of a running VM is changed live', async () => {
    const vm = await newVm('moved', 128);
    await start(vm);
    await client.call('VM.pin_vcpu', vm, -1, '', '0-1');
    expect(await affinityOf('moved')).toBe('all / 0-1');
    await client.call('VM.pin_vcpu', vm, -1, '4-7', '');
    expect(await affinityOf('moved')).toBe('4-7 / 0-1');
    await client.callAsync('VM.hard_shutdown', vm);
  });

  test('six guests of given sizes, placed by xl, land where the model of libxl has them land', async () => {
    const sizes = [256, 512, 128, 384, 256, 192];
    const predicted = new Predicted(freeMib(await xl('info -n')));
    for (const [index, size] of sizes.entries()) {
      const name = `guest${index}`;
      const node = predicted.place(size);
      await createByHand(machine(), name, size);
      const domid = (await xl(`domid ${name}`)).trim();
      const told = (await client.call('host.get_NUMA_memory', host)) as readonly Readonly<Record<string, string>>[];
      const real = told.find((row) => row['domid'] === domid)?.['bytes_by_node'];
      expect(real, name).toBe([0, 1].map((each) => (each === node ? size * mib : 0)).join(','));
      expect(await affinityOf(name), name).toBe(node === 0 ? 'all / 0-3' : 'all / 4-7');
    }
    const after = freeMib(await xl('info -n'));
    expect(after).toHaveLength(2);
    for (const [node, free] of predicted.freeMib.entries())
      expect(Math.abs((after[node] ?? 0) - free), `free on node ${node}`).toBeLessThanOrEqual(toleranceMib);
  });
});

/** Free memory of the nodes by `xl info -n`. */
const freeMib = (info: string): readonly number[] => parseXlInfo(info).numaNodes.map(({ memfreeMib }) => memfreeMib);

/** A guest of one vCPU as `xl create` makes it in dom0, paused. */
async function createByHand(host: LabHost, name: string, memoryMib: number): Promise<void> {
  const text = `name = "${name}"\ntype = "pv"\nkernel = "${GUEST_KERNEL_PATH}"\nramdisk = "${GUEST_INITRD_PATH}"\nmemory = ${memoryMib}\nvcpus = 1\n`;
  const script = `set -e; cat >/root/${name}.cfg; xl create -q -p /root/${name}.cfg`;
  await labRun(host, ['bash', '-c', script], { input: text, timeoutMs: commandLimitMs });
}

/** The model of libxl's placement on a host of two nodes of four pCPUs, with Domain-0 of one vCPU that may be anywhere. */
class Predicted {
  readonly freeMib: number[];
  readonly #domains: PlacementDomain[];

  constructor(freeMib: readonly number[]) {
    this.freeMib = [...freeMib];
    this.#domains = [{ poolPcpus: pcpus, nodeAffinity: [0, 1], vcpus: [pcpus] }];
  }

  /** The node of a new guest, which is on it from now on. */
  place(memoryMib: number): number {
    const kib = memoryMib * 1024;
    const placed = placeAutomatically('4.5', {
      freeBytes: this.freeMib.map((free) => free * mib),
      pcpuNode: pcpus.map((pcpu) => Math.trunc(pcpu / 4)),
      poolPcpus: pcpus,
      domains: this.#domains,
      vcpus: 1,
      memoryKib: libxlNeedKib({ type: 'pv', vcpus: 1, targetKib: kib, maximumKib: kib }),
    });
    const node = placed.isPlaced ? placed.candidate.nodes[0] : undefined;
    if (node === undefined) throw new Error(`${memoryMib} MiB are placed nowhere`);
    this.freeMib[node] = (this.freeMib[node] ?? 0) - memoryMib;
    this.#domains.push({ poolPcpus: pcpus, nodeAffinity: [node], vcpus: [pcpus] });
    return node;
  }
}
const pcpus = [0, 1, 2, 3, 4, 5, 6, 7];
