/**
 * What is ours and not XAPI's: this is the one place that lists it. All of it is additive: a client of plain XenAPI
 * meets it only as one more field in a record. The class, enumeration, error, relation and field tables of XAPI take
 * it in from here, each thing marked as an extension, so that the comparison with XAPI and the reference pages can
 * tell the two apart. The class {@link extensionClasses} has is `cpupool`.
 */
import { cpupool } from './class/cpupool.ts';
import type { ClassTable, FieldTable, MessageTable } from './schema.ts';

/** Classes of ours. */
export const extensionClasses = { cpupool } as const satisfies Readonly<Record<string, ClassTable>>;

/** Enumerations of ours. */
export const extensionEnums = {
  /** The schedulers by the names that `xl` knows. */
  cpupool_scheduler: ['credit', 'credit2', 'rtds', 'null', 'arinc653', 'sedf'],
  /** How a VM is placed on NUMA nodes; `default_policy` is what its host has. */
  vm_numa_affinity_policy: ['default_policy', 'any', 'best_effort', 'strict'],
} as const;

/** Words of ours in enumerations of XAPI. */
export const extensionEnumWords = {
  /** A VM that does not fit as it should does not start. */
  host_numa_affinity_policy: ['strict'],
} as const;

/** Error codes of ours with the names of their parameters. */
export const extensionErrors = {
  /** Xen itself said no: to what was done, the name of its error number (`EBUSY`), and the words that `xl` has for it. */
  XEN_REFUSED: ['object', 'errno', 'words'],
  /** The VM's policy is to be on as few NUMA nodes as it needs or not at all, and there is no room for that. */
  VM_NUMA_PLACEMENT_REFUSED: ['vm', 'host', 'reason'],
  /** The VM belongs to a cpupool, and the host has none of that name. */
  VM_REQUIRES_CPUPOOL: ['vm', 'cpupool'],
} as const;

/** Relations of ours, in the form of XAPI's. */
export const extensionRelations = [
  ['cpupool', 'host', 'host', 'cpupools'],
  ['host_cpu', 'cpupool', 'cpupool', 'CPUs'],
  ['VM', 'cpupool', 'cpupool', 'VMs'],
] as const;

/** Fields of ours in classes of XAPI; the tables of those classes end with them. */
export const extensionFields = {
  VM: {
    cpupool: {
      help: 'The cpupool that its domain is in, or starts in; the first one of its host when null.',
      type: 'ref(cpupool)',
      access: 'RW',
      default: 'OpaqueRef:NULL',
      hasEffect: true,
      writeRole: 'vm-power-admin',
      extension: true,
    },
    numa_affinity_policy: {
      help: 'How its domain is placed on NUMA nodes when it starts: as its host has it, spread over all, on few and near ones where it fits, or only there.',
      type: 'enum(vm_numa_affinity_policy)',
      access: 'RW',
      default: 'default_policy',
      writeRole: 'vm-power-admin',
      extension: true,
    },
  },
  host: {
    cpupools: { help: 'Its cpupools.', type: 'set(ref(cpupool))', access: 'RO', extension: true },
  },
  host_cpu: {
    cpupool: {
      help: 'The cpupool that has it; null when it is free.',
      type: 'ref(cpupool)',
      access: 'RO',
      default: 'OpaqueRef:NULL',
      extension: true,
    },
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, FieldTable>>>>;

/** Calls of ours in classes of XAPI. */
export const extensionMessages = {
  user: {
    set_password: {
      help: 'Sets the password of a local user, who can log in from then on.',
      params: { self: 'ref(user)', new_pwd: 'string' },
      result: 'void',
      role: 'pool-admin',
      secret: true,
      errors: ['CHANGE_PASSWORD_REJECTED'],
    },
  },
  VM: {
    get_vcpus: {
      help: 'Its vCPUs as its host has them now: vcpu, pcpu (empty when offline), state (running, runnable, blocked, offline), cpu_time_ns, and hard and soft affinity as comma-separated numbers of pCPUs.',
      params: { self: 'ref(VM)' },
      result: 'set(map(string,string))',
      role: 'read-only',
      errors: ['VM_BAD_POWER_STATE', 'HOST_OFFLINE'],
    },
    get_scheduler_parameters: {
      help: 'What the scheduler of its cpupool gives its domain now: weight and cap, or period, budget and extratime.',
      params: { self: 'ref(VM)' },
      result: 'map(string,string)',
      role: 'read-only',
      errors: ['VM_BAD_POWER_STATE', 'HOST_OFFLINE'],
    },
    pin_vcpu: {
      help: 'Pins one vCPU of a running VM until its domain ends (all for -1): hard and soft affinity in the form of VCPUs_params:mask, empty to leave one as it is.',
      params: { self: 'ref(VM)', vcpu: 'int', hard: 'string', soft: 'string' },
      result: 'void',
      role: 'vm-admin',
      errors: ['VM_BAD_POWER_STATE', 'INVALID_VALUE', 'XEN_REFUSED'],
    },
  },
  host: {
    add: {
      help: 'Adds a host to the pool by its address (ssh://user@host:port, local:, model:) and options such as identity-file and known-hosts-file.',
      params: { address: 'string', options: 'map(string,string)' },
      result: 'ref(host)',
      role: 'pool-operator',
      async: true,
      errors: ['CANNOT_CONTACT_HOST', 'INVALID_VALUE'],
    },
    forget: {
      help: 'Removes a host from the pool together with the records that belong to it; nothing is touched on the host itself.',
      params: { self: 'ref(host)' },
      result: 'void',
      role: 'pool-operator',
      async: true,
      errors: ['HOST_HAS_RESIDENT_VMS'],
    },
    get_xen_info: {
      help: 'The lines of `xl info` by their keys, as far as the host says them: memory and free CPUs as they are now, the rest as when it last came alive.',
      params: { self: 'ref(host)' },
      result: 'map(string,string)',
      role: 'read-only',
      errors: ['HOST_OFFLINE'],
    },
    get_CPU_topology: {
      help: 'Where each pCPU sits: cpu, core, socket, node.',
      params: { self: 'ref(host)' },
      result: 'set(map(string,string))',
      role: 'read-only',
      errors: ['HOST_OFFLINE'],
    },
    get_NUMA_nodes: {
      help: 'Its NUMA nodes, with their memory as it is now: node, memory_bytes, memory_free_bytes, and distances with commas between them, 255 where firmware tells none.',
      params: { self: 'ref(host)' },
      result: 'set(map(string,string))',
      role: 'read-only',
      errors: ['HOST_OFFLINE'],
    },
    get_NUMA_memory: {
      help: 'Where the memory of its domains is now: domid, uuid of the VM (empty where none is known), and bytes_by_node with commas between them. Xen goes through all of it to tell, which takes a moment on a large host.',
      params: { self: 'ref(host)' },
      result: 'set(map(string,string))',
      role: 'pool-operator',
      errors: ['HOST_OFFLINE', 'CANNOT_CONTACT_HOST'],
    },
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, MessageTable>>>>;
