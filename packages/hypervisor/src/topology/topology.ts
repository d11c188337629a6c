import { assert, nodeId, pcpuId, type NodeId, type PcpuId } from '@xenolith/base';

/** How a machine is put together, from the outside in. Every count is at least 1. */
export interface TopologyShape {
  readonly nodes: number;
  readonly socketsPerNode: number;
  readonly coresPerSocket: number;
  readonly threadsPerCore: number;
}

/** A physical CPU's place. Cores are numbered within their socket, sockets over the whole machine, as Xen does. */
export interface Pcpu {
  readonly pcpu: PcpuId;
  readonly thread: number;
  readonly core: number;
  readonly socket: number;
  readonly node: NodeId;
}

/** A NUMA node, the pCPUs in it, and its SLIT distance to each node (itself 10, any other 20). */
export interface NumaNode {
  readonly node: NodeId;
  readonly pcpus: readonly PcpuId[];
  readonly distances: readonly number[];
}

/** A machine's pCPUs and nodes: `pcpus[i]` is pCPU i, `nodes[i]` is node i. */
export interface Topology {
  readonly shape: TopologyShape;
  readonly pcpus: readonly Pcpu[];
  readonly nodes: readonly NumaNode[];
}

/** SLIT distances of ACPI 6, section 5.2.17: 10 is local by definition; firmware commonly says 20 for one hop. */
const localDistance = 10;
const remoteDistance = 20;

/** The most pCPUs a machine may have: `NR_CPUS` of Xen's default x86 configuration is 256; big builds go to 4095. */
const maxPcpus = 4095;

/**
 * Numbers the pCPUs of a machine: node by node, socket by socket, core by core, sibling threads next to each other.
 * @throws AssertionError when a count is below 1 or there are more than 4095 pCPUs.
 */
export function buildTopology({
  nodes: nodeCount,
  socketsPerNode,
  coresPerSocket,
  threadsPerCore,
}: TopologyShape): Topology {
  const shape: TopologyShape = { nodes: nodeCount, socketsPerNode, coresPerSocket, threadsPerCore };
  for (const [what, count] of Object.entries(shape)) {
    assert(Number.isInteger(count) && count >= 1, `${what} is ${String(count)}`);
  }
  const perNode = shape.socketsPerNode * shape.coresPerSocket * shape.threadsPerCore;
  assert(perNode * shape.nodes <= maxPcpus, `${perNode * shape.nodes} pCPUs`);
  const pcpus: Pcpu[] = [];
  for (let node = 0; node < shape.nodes; node++) {
    for (let socket = 0; socket < shape.socketsPerNode; socket++) {
      for (let core = 0; core < shape.coresPerSocket; core++) {
        for (let thread = 0; thread < shape.threadsPerCore; thread++) {
          pcpus.push({
            pcpu: pcpuId(pcpus.length),
            thread,
            core,
            socket: node * shape.socketsPerNode + socket,
            node: nodeId(node),
          });
        }
      }
    }
  }
  const nodes = Array.from({ length: shape.nodes }, (_, node) => ({
    node: nodeId(node),
    pcpus: pcpus.filter((pcpu) => pcpu.node === nodeId(node)).map((pcpu) => pcpu.pcpu),
    distances: Array.from({ length: shape.nodes }, (__, other) => (other === node ? localDistance : remoteDistance)),
  }));
  return { shape, pcpus, nodes };
}
