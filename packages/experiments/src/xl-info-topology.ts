import { topologyOf, type Topology } from '@xenolith/hypervisor';
import { parseXlInfo, XlParseError } from '@xenolith/wire';

/** `MAX_NUMNODES` and the most of `NR_CPUS` in Xen. */
const nodesMax = 64;
const pcpusMax = 4095;

/**
 * The topology of a real host, from what `xl info -n` printed there. Nodes without distances are 20 from each other.
 * @throws XlParseError for another text, for the output without -n, and for tables that have gaps
 */
export function topologyOfXlInfo(text: string): Topology {
  const { cpuTopology, numaNodes } = parseXlInfo(text);
  const refuse = (what: string, line: string): never => {
    throw new XlParseError('xl info -n', what, line);
  };
  if (cpuTopology.length === 0) refuse('there is no cpu_topology', text.slice(0, text.indexOf('\n')));
  for (const [index, { cpuId, nodeId, socketId, coreId }] of cpuTopology.entries()) {
    const row = `${cpuId}: ${coreId} ${socketId} ${nodeId}`;
    if (cpuId !== index || index >= pcpusMax) refuse(`the row of pCPU ${index} should be here`, row);
    if (nodeId >= nodesMax) refuse('there is no such node', row);
  }
  for (const [index, { nodeId }] of numaNodes.entries()) {
    if (nodeId !== index) refuse(`the row of node ${index} should be here`, String(nodeId));
  }
  return topologyOf({
    node: cpuTopology.map(({ nodeId }) => nodeId),
    socket: cpuTopology.map(({ socketId }) => socketId),
    core: cpuTopology.map(({ coreId }) => coreId),
    distances: numaNodes.map(({ distances }) => distances),
  });
}

/** What is free on each node, in MiB, of the same text. @throws XlParseError for another text */
export const freeMibOfXlInfo = (text: string): readonly number[] =>
  parseXlInfo(text).numaNodes.map(({ memfreeMib }) => memfreeMib);
