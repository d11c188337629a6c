import { present } from '@xenolith/base';
import type { HostFacts, InterfaceFacts, ModelShape } from '@xenolith/xapi';
import type { Hypervisor } from '@xenolith/hypervisor';
import { bootableGuests } from '../bootable-guests.ts';
import type { ModelCpupools } from './model-cpupools.ts';

/** The one bridge that a modelled host boots with, with its first network card as a port. */
export const modelBridge = 'xenbr0';

/** The interfaces that a modelled host boots with; cards from the second one on are spare. */
export const modelInterfaces = (mac: string, cards = 1): readonly InterfaceFacts[] => [
  { name: 'eth0', kind: 'physical', mac, mtu: 1500, carrier: true, bridge: modelBridge, ipv4: [] },
  ...Array.from({ length: cards - 1 }, (_, index) => spareCard(mac, index + 1)),
  { name: modelBridge, kind: 'bridge', mac, mtu: 1500, carrier: true, ipv4: [] },
];

/** A card whose address differs from the first one's in its last octet. */
function spareCard(mac: string, index: number): InterfaceFacts {
  const last = (Number.parseInt(mac.slice(-2), 16) + index) % 256;
  const own = `${mac.slice(0, -2)}${last.toString(16).padStart(2, '0')}`;
  return { name: `eth${index}`, kind: 'physical', mac: own, mtu: 1500, carrier: true, ipv4: [], isSpare: true };
}

/** What a modelled host says of itself. Versions say that it is the model; a CPU's make and speed are absent. */
export function modelFacts(
  shape: ModelShape,
  hypervisor: Hypervisor,
  cpupools: ModelCpupools,
  identity: Pick<HostFacts, 'systemUuid' | 'bootId' | 'interfaces'>,
): HostFacts {
  const memory = hypervisor.nodeMemory();
  return {
    hostname: shape.hostname,
    xenVersion: 'model',
    xenCapabilities: ['xen-3.0-x86_64', 'hvm-3.0-x86_32', 'hvm-3.0-x86_32p', 'hvm-3.0-x86_64'],
    virtCapabilities: ['pv', 'hvm', 'hap'],
    xenScheduler: cpupools.list()[0]?.scheduler ?? '',
    xenCommandLine: `dom0_mem=${shape.dom0MemoryBytes / 1024}K,max:${shape.dom0MemoryBytes / 1024}K`,
    kernelRelease: 'model',
    machine: 'x86_64',
    memoryTotalBytes: hypervisor.memoryTotalBytes,
    memoryFreeBytes: hypervisor.memoryFreeBytes,
    cpuModelName: 'Xenolith model',
    coresPerSocket: shape.coresPerSocket,
    threadsPerCore: shape.threadsPerCore,
    pcpus: hypervisor.topology.pcpus.map(({ pcpu, core, socket, node }) => ({ pcpu, core, socket, node })),
    nodes: hypervisor.topology.nodes.map(({ node, distances }, index) => {
      const amounts = present(memory[index], `memory of node ${index}`);
      return { node, memoryBytes: amounts.totalBytes, memoryFreeBytes: amounts.freeBytes, distances };
    }),
    interfaces: identity.interfaces,
    guests: bootableGuests,
    ...(identity.systemUuid === undefined ? {} : { systemUuid: identity.systemUuid }),
    ...(identity.bootId === undefined ? {} : { bootId: identity.bootId }),
  };
}
