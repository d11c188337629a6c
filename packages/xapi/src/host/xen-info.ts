/** What `xl info -n` says of a host, from its facts. Source: tools/xl/xl_info.c. */
import { mibBytes } from '@xenolith/base';
import type { HostFacts } from '../host-driver.ts';

type Texts = Readonly<Record<string, string>>;

const mib = (size: number): string => String(Math.floor(size / mibBytes));

/** Its lines by key; what the host does not say is not there. */
export function xenInfo(facts: HostFacts, freeCpus: number): Texts {
  // The model has no number.
  const version = /^(\d+)\.(\d+)(.*)$/.exec(facts.xenVersion);
  const known: Readonly<Record<string, string | undefined>> = {
    host: facts.hostname,
    release: facts.kernelRelease,
    machine: facts.machine,
    nr_cpus: String(facts.pcpus.length),
    max_cpu_id: String(Math.max(0, ...facts.pcpus.map(({ pcpu }) => pcpu))),
    nr_nodes: String(facts.nodes.length),
    cores_per_socket: String(facts.coresPerSocket),
    threads_per_core: String(facts.threadsPerCore),
    cpu_mhz: facts.cpuMhz?.toFixed(3),
    hw_caps: facts.hwCaps,
    virt_caps: facts.virtCapabilities.join(' '),
    total_memory: mib(facts.memoryTotalBytes),
    free_memory: mib(facts.memoryFreeBytes),
    free_cpus: String(freeCpus),
    xen_major: version?.[1],
    xen_minor: version?.[2],
    xen_extra: version?.[3],
    xen_version: facts.xenVersion,
    // Xen itself puts a blank after each of them.
    xen_caps: facts.xenCapabilities.map((name) => `${name} `).join(''),
    xen_scheduler: facts.xenScheduler,
    xen_commandline: facts.xenCommandLine,
  };
  return Object.fromEntries(
    Object.entries(known).flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const])),
  );
}

/** The table of its pCPUs. */
export const cpuTopology = ({ pcpus }: HostFacts): readonly Texts[] =>
  pcpus.map(({ pcpu, core, socket, node }) => ({
    cpu: String(pcpu),
    core: String(core),
    socket: String(socket),
    node: String(node),
  }));

/** The table of its NUMA nodes. */
export const numaNodes = ({ nodes }: HostFacts): readonly Texts[] =>
  nodes.map(({ node, memoryBytes, memoryFreeBytes, distances }) => ({
    node: String(node),
    memory_bytes: String(memoryBytes),
    memory_free_bytes: String(memoryFreeBytes),
    distances: distances.join(','),
  }));
