/** The part of the suite of every HostDriver about NUMA nodes: where a domain is placed, and where its memory is then. */
import { domId, mibBytes, nodeId, type NodeId, type PcpuId } from '@xenolith/base';
import type { DomainIdentity, DomainPlacement } from '@xenolith/xapi';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ConformanceOptions, Suite } from './conformance-suite.ts';

/** Xen gives memory in extents of up to 2 MiB, so shares of nodes are not equal to the page. */
const extentBytes = 2 * mibBytes;

/** Declares the tests. The host has two nodes at least. */
export function describeNuma(suite: Suite, options: ConformanceOptions): void {
  describe('NUMA nodes', () => {
    const type = options.types[0] ?? 'pv';
    let nodeOf: readonly NodeId[] = [];
    let nodes: readonly NodeId[] = [];
    beforeAll(async () => {
      const facts = await suite.driver.connect();
      nodeOf = facts.pcpus.map(({ node }) => node);
      nodes = facts.nodes.map(({ node }) => node);
      expect(nodes.length).toBeGreaterThan(1);
    }, options.timeoutMs);

    const pcpusOf = (on: readonly NodeId[]): readonly PcpuId[] =>
      [...nodeOf.keys()].filter((pcpu) => on.includes(nodeOf[pcpu] ?? nodeId(-1))) as PcpuId[];
    const placement = (on: readonly NodeId[], strict = false): DomainPlacement => ({
      nodes: on,
      pcpus: pcpusOf(on),
      strict,
    });
    const bytesByNode = async ({ domid }: DomainIdentity): Promise<readonly number[]> => {
      const found = (await suite.driver.memoryByNode()).find((each) => each.domid === domid);
      expect(found?.bytesByNode).toHaveLength(nodes.length);
      return found?.bytesByNode ?? [];
    };
    const affinities = async (domain: DomainIdentity): Promise<readonly unknown[]> =>
      (await suite.driver.scheduling.vcpus(domain)).map(({ hardAffinity, softAffinity }) => [
        hardAffinity,
        softAffinity,
      ]);

    test('the memory of Domain-0 is told by node', async () => {
      const picture = await suite.driver.refresh();
      const memory = await bytesByNode({ domid: domId(0), uuid: picture.domains[0]!.uuid });
      const told = picture.domains.find(({ domid }) => domid === domId(0))?.memoryBytes ?? 0;
      const sum = memory.reduce((total, size) => total + size, 0);
      expect(Math.abs(sum - told)).toBeLessThanOrEqual(4 * mibBytes);
    });

    test('a domain that is placed on a node has its memory there, and its vCPUs would like to be there', async () => {
      for (const node of nodes) {
        const config = suite.config(type, { vcpusMax: 2, vcpusAtStartup: 2, placement: placement([node]) });
        const made = await suite.create(config, { paused: true });
        const memory = await bytesByNode(made);
        expect(memory[node]).toBeGreaterThanOrEqual(config.memoryTargetBytes - mibBytes);
        expect(memory.filter((_, other) => other !== node).every((size) => size === 0)).toBe(true);
        const pair = [pcpusOf(nodes), pcpusOf([node])];
        expect(await affinities(made)).toEqual([pair, pair]);
      }
    });

    test('a domain that is placed strictly runs nowhere else', async () => {
      const [, last = nodeId(0)] = nodes;
      const made = await suite.create(suite.config(type, { placement: placement([last], true) }), { paused: true });
      expect((await bytesByNode(made))[last]).toBeGreaterThan(0);
      expect(await affinities(made)).toEqual([[pcpusOf([last]), pcpusOf([last])]]);
    });

    test('a domain that is placed on all nodes has the same of each', async () => {
      const config = suite.config(type, { placement: placement(nodes) });
      const memory = await bytesByNode(await suite.create(config, { paused: true }));
      const share = config.memoryTargetBytes / nodes.length;
      for (const size of memory) expect(Math.abs(size - share)).toBeLessThanOrEqual(extentBytes);
    });
  });
}
