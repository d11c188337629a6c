/** Where memory is, over the XenAPI, against a modelled host of two nodes: the metrics of VMs and `xenolith host numa`. */
import { beforeEach, expect, test } from 'vitest';
import { readNumaPicture } from '../../packages/cli/src/numa/host-numa.ts';
import { numaSvg } from '../../packages/cli/src/numa/numa-svg.ts';
import { numaText, textOf } from '@xenolith/xe';
import { startNumaModel, type NumaModel } from './numa-model.ts';

let model: NumaModel;
let web: string;

beforeEach(async () => {
  model = await startNumaModel();
  web = await model.newVm('web <1>');
  await model.rpc.call('VM.start', web, false, false);
});

const metrics = async (): Promise<Readonly<Record<string, unknown>>> => {
  const ref = textOf(await model.rpc.call('VM.get_metrics', web));
  const [numa_nodes, numa_optimised, numa_node_memory] = await Promise.all(
    ['numa_nodes', 'numa_optimised', 'numa_node_memory'].map((field) => model.rpc.call(`VM_metrics.get_${field}`, ref)),
  );
  return { numa_nodes, numa_optimised, numa_node_memory };
};

test('the metrics of a VM say where its memory is, soon after it has started and as long as it runs', async () => {
  const memory = Number(await model.rpc.call('VM.get_memory_dynamic_max', web));
  expect(await metrics()).toEqual({ numa_nodes: 0, numa_optimised: false, numa_node_memory: {} });
  await model.pool.clock.advanceAsync(5000);
  const { numa_node_memory: byNode, ...others } = await metrics();
  expect(others).toEqual({ numa_nodes: 1, numa_optimised: true });
  expect(Object.values(byNode as object)).toEqual([memory]);
  await model.rpc.call('VM.hard_shutdown', web);
  expect(await metrics()).toEqual({ numa_nodes: 0, numa_optimised: false, numa_node_memory: {} });
});

test('the picture has nodes, domains, and what each has where', async () => {
  const picture = await readNumaPicture(model.rpc, undefined);
  expect(picture.nodes.map(({ node, pcpus, distances }) => [node, pcpus, distances])).toEqual([
    [0, [0, 1, 2, 3], [10, 20]],
    [1, [4, 5, 6, 7], [20, 10]],
  ]);
  expect(picture.domains.map(({ domid, name }) => [domid, name])).toEqual([
    [0, 'Domain-0'],
    [1, 'web <1>'],
  ]);
  for (const { node, memoryBytes, freeBytes } of picture.nodes) {
    const used = picture.domains.reduce((sum, { bytesByNode }) => sum + (bytesByNode[node] ?? 0), 0);
    expect(used).toBe(memoryBytes - freeBytes);
  }
  expect(picture.domains[1]?.uuid).toBe(await model.rpc.call('VM.get_uuid', web));
});

test('as text', async () => {
  const text = numaText(await readNumaPicture(model.rpc, undefined));
  expect(text).toBe(`model: 2 NUMA nodes, 8 pCPUs

node     memory       free   pCPUs   distances
0      8192 MiB   7552 MiB     0-3       10 20
1      8192 MiB   7680 MiB     4-7       20 10

   domain     domid    node 0    node 1
0  Domain-0       0   512 MiB   512 MiB
1  web <1>        1   128 MiB         -

node 0  [000.....................................]
node 1  [000.....................................]
        a letter a domain, # for Xen and tables, . for what is free
`);
});

test('as SVG, in which a name is only a name', async () => {
  const picture = await readNumaPicture(model.rpc, undefined);
  const svg = numaSvg(picture);
  expect(svg).toContain('web &lt;1&gt;');
  expect(svg).not.toContain('web <1>');
  const boxes = [...svg.matchAll(/<rect [^>]*width="([\d.]+)" height="34" fill="#/g)].map((match) => Number(match[1]));
  const largest = Math.max(...picture.nodes.map(({ memoryBytes }) => memoryBytes));
  const shown = picture.nodes.flatMap(({ node }) =>
    picture.domains.flatMap(({ bytesByNode }) => ((bytesByNode[node] ?? 0) === 0 ? [] : [bytesByNode[node] ?? 0])),
  );
  expect(boxes.length).toBe(shown.length);
  for (const [index, bytes] of shown.entries()) expect(boxes[index]).toBeCloseTo((bytes / largest) * 712, 1);
});

test('a host that does not answer is told as such', async () => {
  model.machine.setReachable(false);
  await expect(readNumaPicture(model.rpc, undefined)).rejects.toMatchObject({ code: 'HOST_OFFLINE' });
});
