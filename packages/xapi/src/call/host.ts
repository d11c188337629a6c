/** Calls of hosts. XAPI: ocaml/xapi/xapi_host.ml. */
import { formatDateTime } from '@xenolith/wire';
import { methods } from '../datamodel/registry.ts';
import { XapiError } from '../errors.ts';
import { cpuTopology, numaNodes, xenInfo } from '../host/xen-info.ts';
import { freeMemoryOf } from '../host/memory-account.ts';
import type { CallsOf } from './call.ts';
import { hostPowerCalls } from './host-power.ts';
import { hostProgramCalls } from './host-programs.ts';
import { assertEdition, assertNoLegacyTls } from '../pool/licence.ts';

export const hostCalls = {
  ...hostProgramCalls,
  ...hostPowerCalls,
  add: ({ xapi }, { address, options }) => xapi.hosts.add(address, options),
  forget: ({ xapi }, { self }) => xapi.hosts.forget(self),
  get_servertime: ({ xapi }, { host }) => {
    xapi.db.get('host', host);
    return formatDateTime(xapi.clock.now());
  },
  get_management_interface: ({ xapi }, { host }) => {
    const pif = xapi.db.get('host', host).PIFs.find((each) => xapi.db.get('PIF', each).management);
    if (pif === undefined) throw new XapiError('HOST_HAS_NO_MANAGEMENT_IP');
    return pif;
  },
  /** Memory is taken from guests by their balloons alone, so none is called uncooperative (as in XAPI since 6.0). */
  get_uncooperative_resident_VMs: ({ xapi }, { self }) => {
    xapi.db.get('host', self);
    return [];
  },
  /** Only the hypervisor's command line could make it another one than what Xen starts with. */
  get_sched_gran: ({ xapi }, { self }) => {
    xapi.db.get('host', self);
    return 'cpu';
  },
  set_sched_gran: ({ xapi }, { self, value }) => {
    xapi.db.get('host', self);
    if (value !== 'cpu')
      throw new XapiError('OPERATION_NOT_ALLOWED', `Failed to update sched-gran: ${value} is not supported`);
  },
  get_xen_info: async ({ xapi }, { self }) => {
    const { db, hosts } = xapi;
    const facts = await hosts.factsNow(self);
    const free = db.get('host', self).host_CPUs.filter((cpu) => !db.has('cpupool', db.get('host_cpu', cpu).cpupool));
    return xenInfo(facts, db.get('host', self).cpupools.length === 0 ? 0 : free.length);
  },
  compute_free_memory: ({ xapi }, { host }) => freeMemoryOf(xapi, host),
  compute_memory_overhead: ({ xapi }, { host }) => xapi.db.get('host', host).memory_overhead,
  get_CPU_topology: ({ xapi }, { self }) => cpuTopology(xapi.hosts.factsOf(self)),
  set_numa_affinity_policy: ({ xapi }, { self, value }) =>
    xapi.db.update('host', self, { numa_affinity_policy: value }),
  get_NUMA_memory: async ({ xapi }, { self }) => {
    const { db, hosts } = xapi;
    const memory = await hosts.memoryByNode(self);
    const here = db.get('host', self).resident_VMs.map((vm) => db.get('VM', vm));
    return memory.map(({ domid, bytesByNode }) => ({
      domid: String(domid),
      uuid: here.find((vm) => vm.domid === domid)?.uuid ?? '',
      bytes_by_node: bytesByNode.join(','),
    }));
  },
  get_NUMA_nodes: async ({ xapi }, { self }) => numaNodes(await xapi.hosts.factsNow(self)),
  /** The control plane answers, so it is not in emergency mode. */
  is_in_emergency_mode: () => false,
  list_methods: ({ xapi }) =>
    [...methods().values()]
      .filter((method) => !method.removed && !xapi.surface.hidesMethod(method))
      .map(({ fullName }) => fullName),
  apply_edition({ xapi }, { host, edition }) {
    xapi.db.get('host', host);
    assertEdition(edition);
  },
  set_ssl_legacy({ xapi }, { self, value }) {
    xapi.db.get('host', self);
    assertNoLegacyTls(value);
  },
} as const satisfies CallsOf<'host'>;
