import { present } from '@xenolith/base';
import type { HostFacts, InterfaceFacts, ModelShape } from '@xenolith/xapi';
import type { Hypervisor } from '@xenolith/hypervisor';
import { bootableGuests } from '../bootable-guests.ts';
import type { ModelCpupools } from './model-cpupools.ts';

/** The one bridge that a modelled host boots with, with its one network card as a port. */
export const modelBridge = 'xenbr0';

/** The interfaces that a modelled host boots with. */
export const modelInterfaces = (mac: string): readonly InterfaceFacts[] => [
  { name: 'eth0', kind: 'physical', mac, mtu: 1500, carrier: true, bridge: modelBridge, ipv4: [] },
  { name: modelBridge, kind: 'bridge', mac, mtu: 1500, carrier: true, ipv4: [] },
];

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
