/** On which nodes Xen looks for a domain's memory first. It steers what is allocated from then on; nothing moves. */
import { err, ok, type Result } from '@xenolith/base';

/**
 * Releases that differ in it: 4.2 derives it always; from 4.3 on it may be set (domctl 68); from 4.5 on there is soft
 * affinity, and it counts. Each stands for itself and what came after it until the next.
 */
export type NumaRelease = '4.2' | '4.3' | '4.5';

/** Affinity of a vCPU to pCPUs; to all of them where absent. */
export interface VcpuAffinity {
  readonly hard?: readonly number[] | undefined;
  readonly soft?: readonly number[] | undefined;
}

export interface NodeAffinityQuestion {
  /** The node of each pCPU of the machine. */
  readonly pcpuNode: readonly number[];
  /** pCPUs of the domain's cpupool. */
  readonly poolPcpus: readonly number[];
  /** None while the domain has no vCPU yet. */
  readonly vcpus: readonly VcpuAffinity[];
  /** What was set and holds ({@link explicitNodeAffinity}); 4.2 has no such thing. */
  readonly explicitNodes?: readonly number[] | undefined;
  /** Nodes of the machine; those that have a pCPU where absent. */
  readonly nodes?: readonly number[];
}

/**
 * The node affinity of a domain (`domain_update_node_affinity`, from 4.2 on in xen/common/domain.c): nodes of the pCPUs that
 * a vCPU may be on, or, from 4.5 on, of those among them that one would like to be on, if there are any. Xen works it out again
 * when an affinity, the pool or the pool's pCPUs change.
 * @returns nodes, ascending; all of them before the first vCPU; none where no pCPU of a hard affinity is in the pool
 */
export function nodeAffinityOf(release: NumaRelease, question: NodeAffinityQuestion): readonly number[] {
  const { pcpuNode, poolPcpus, vcpus, explicitNodes, nodes = pcpuNode } = question;
  if (release !== '4.2' && explicitNodes !== undefined) return ascending(explicitNodes);
  if (vcpus.length === 0) return ascending(nodes);
  const hard = poolPcpus.filter((pcpu) => vcpus.some((vcpu) => vcpu.hard?.includes(pcpu) ?? true));
  const soft = hard.filter((pcpu) => vcpus.some((vcpu) => vcpu.soft?.includes(pcpu) ?? true));
  const pcpus = release === '4.5' && soft.length > 0 ? soft : hard;
  return ascending(pcpus.flatMap((pcpu) => pcpuNode[pcpu] ?? []));
}

/**
 * What setting a node affinity comes to (domctl 68, `domain_set_node_affinity`): every node, or none, gives it back to Xen.
 * @returns nodes that hold from now on, undefined where Xen derives them again; or what is wrong, and then nothing changes
 */
export function explicitNodeAffinity(
  release: NumaRelease,
  wanted: readonly number[],
  machineNodes: readonly number[],
): Result<readonly number[] | undefined, string> {
  if (release === '4.2') return err('Xen 4.2 always derives the node affinity itself');
  const unknown = ascending(wanted.filter((node) => !machineNodes.includes(node)));
  if (unknown.length > 0) return err(`no node ${unknown.join(', ')}: there is ${ascending(machineNodes).join(', ')}`);
  const set = ascending(wanted);
  return ok(set.length === 0 || set.length === new Set(machineNodes).size ? undefined : set);
}

/** Numbers without doubles, lowest first. */
export const ascending = (numbers: Iterable<number>): readonly number[] => [...new Set(numbers)].sort((a, b) => a - b);
