/** What a VM's NUMA policy is, and what it says of a VM that runs. */
import type { PcpuId, Ref } from '@xenolith/base';
import { homeNodes, type NumaPolicy } from '@xenolith/hypervisor';
import type { RecordOf } from '../datamodel/types.ts';
import { nodeMemoryOf } from '../host/node-memory.ts';
import type { Xapi } from '../xapi.ts';

/** The policy of a VM on a host: its own, else the host's, else to place it where it fits. */
export function numaPolicyOf(vm: RecordOf<'VM'>, host: RecordOf<'host'>): NumaPolicy {
  const own = vm.numa_affinity_policy === 'default_policy' ? host.numa_affinity_policy : vm.numa_affinity_policy;
  return own === 'default_policy' ? 'best_effort' : own;
}

/**
 * Where a running VM under `strict` may run: pCPUs of `allowed` on the nodes that it is on; undefined where its policy does not
 * say, or where none is left.
 */
export function strictPcpus(xapi: Xapi, ref: Ref<'VM'>, allowed: readonly PcpuId[]): readonly PcpuId[] | undefined {
  const { db, hosts } = xapi;
  const vm = db.get('VM', ref);
  const host = db.find('host', vm.resident_on);
  if (host === undefined || numaPolicyOf(vm, host) !== 'strict') return undefined;
  const metrics = db.find('VM_metrics', vm.metrics);
  const seen = metrics === undefined ? [] : homeNodes(nodeMemoryOf(metrics));
  const homes = seen.length > 0 ? seen : (hosts.nodeLedgerOf(vm.resident_on).homeOf(ref) ?? []);
  const there = hosts.factsOf(vm.resident_on).pcpus.filter(({ node }) => homes.includes(node));
  const own = allowed.filter((pcpu) => there.some((each) => each.pcpu === pcpu));
  return own.length === 0 ? undefined : own;
}
