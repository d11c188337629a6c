import { nodeId, pcpuId } from '@xenolith/base';
import {
  libxlNeedKib,
  nodeAffinityOf,
  placeAutomatically,
  placementEffect,
  type Hypervisor,
  type PlacementDomain,
} from '@xenolith/hypervisor';
import type { DomainConfig, DomainPlacement } from '@xenolith/xapi';
import type { ModelCpupools } from './model-cpupools.ts';

/**
 * Where the model's toolstack places a domain of which nobody has said where it is to be: as libxl does since 4.5.
 * @returns undefined where it leaves the domain to all nodes
 */
export function automaticPlacement(
  hypervisor: Hypervisor,
  cpupools: ModelCpupools,
  config: DomainConfig,
): DomainPlacement | undefined {
  const { pcpus, nodes } = hypervisor.topology;
  const pcpuNode = pcpus.map(({ node }) => node);
  const pools = cpupools.list();
  const pcpusOf = (name: string | undefined): readonly number[] =>
    (pools.find((pool) => pool.name === name) ?? pools[0])?.pcpus ?? [];
  const everywhere = pcpus.map(({ pcpu }) => pcpu);
  const itself: PlacementDomain = {
    poolPcpus: pcpusOf(config.cpupool),
    nodeAffinity: nodes.map(({ node }) => node),
    vcpus: Array.from({ length: config.vcpusMax }, () => everywhere),
  };
  const others = hypervisor.domains().map(({ domid }): PlacementDomain => {
    const poolPcpus = pcpusOf(cpupools.cpupoolOf(domid));
    const vcpus = cpupools
      .vcpusOf(domid)
      .map(({ hardAffinity, softAffinity }) => ({ hard: hardAffinity, soft: softAffinity }));
    const nodeAffinity = nodeAffinityOf('4.5', { poolPcpus, vcpus, pcpuNode });
    return { poolPcpus, nodeAffinity, vcpus: vcpus.map(({ hard }) => hard) };
  });
  const placed = placeAutomatically('4.5', {
    freeBytes: hypervisor.nodeMemory().map(({ freeBytes }) => freeBytes),
    pcpuNode,
    poolPcpus: itself.poolPcpus,
    domains: [...others, itself],
    vcpus: config.vcpusMax,
    memoryKib: libxlNeedKib({
      type: config.type,
      vcpus: config.vcpusMax,
      targetKib: config.memoryTargetBytes / 1024,
      maximumKib: config.memoryMaxBytes / 1024,
    }),
    ...(config.cpus === undefined ? {} : { hardAffinity: config.cpus }),
  });
  if (!placed.isPlaced) return undefined;
  const on = placed.candidate.nodes;
  const { softAffinity = everywhere } = placementEffect('4.5', on, pcpuNode);
  return { nodes: on.map(nodeId), pcpus: softAffinity.map(pcpuId), strict: false };
}
