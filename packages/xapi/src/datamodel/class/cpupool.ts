import type { ClassTable } from '../schema.ts';

/** A cpupool: physical CPUs of a host with a scheduler of their own. A class of ours. */
export const cpupool = {
  name: 'cpupool',
  help: 'A cpupool of a host: some of its physical CPUs with a scheduler of their own. A class of ours, not of XAPI.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: {},
  extension: true,
  writeRole: 'pool-operator',
  fields: {
    uuid: { type: 'string', access: 'RO' },
    name_label: { help: 'Its name, unique on its host; setting it renames the pool there.', type: 'string', access: 'RW', default: '', group: 'name', hasEffect: true },
    name_description: { type: 'string', access: 'RW', default: '', group: 'name' },
    host: { help: 'The host that it is on.', type: 'ref(host)', access: 'RO', default: 'OpaqueRef:NULL' },
    scheduler: { help: 'Its scheduler.', type: 'enum(cpupool_scheduler)', access: 'RO', default: 'credit2' },
    parameters: { help: 'Parameters of its scheduler: tslice_ms, ratelimit_us, migration_delay_us. Keys that are not given keep their values.', type: 'map(string,string)', access: 'RW', default: {}, hasEffect: true },
    CPUs: { help: 'The physical CPUs in it.', type: 'set(ref(host_cpu))', access: 'RO' },
    VMs: { help: 'The VMs that are in it, or start in it.', type: 'set(ref(VM))', access: 'RO' },
    is_default: { help: 'Whether it is the first one of its host, which is always there and has the control domain.', type: 'bool', access: 'RO', default: false },
    other_config: { help: 'Free for clients, by key.', type: 'map(string,string)', access: 'RW', default: {} },
  },
  messages: {
    create: {
      help: 'Makes a cpupool of free CPUs; with the scheduler of the first one when none is named.',
      params: { host: 'ref(host)', name_label: 'string', scheduler: 'string', CPUs: 'set(ref(host_cpu))', parameters: 'map(string,string)' },
      result: 'ref(cpupool)',
      role: 'pool-operator',
      async: true,
      errors: ['XEN_REFUSED', 'INVALID_VALUE', 'HOST_OFFLINE'],
    },
    destroy: { help: 'Ends a cpupool without domains; its CPUs are free then.', params: { self: 'ref(cpupool)' }, result: 'void', role: 'pool-operator', async: true, errors: ['XEN_REFUSED', 'HOST_OFFLINE'] },
    add_CPU: { help: 'Puts a free CPU into it.', params: { self: 'ref(cpupool)', CPU: 'ref(host_cpu)' }, result: 'void', role: 'pool-operator', async: true, errors: ['XEN_REFUSED', 'INVALID_VALUE', 'HOST_OFFLINE'] },
    remove_CPU: { help: 'Takes a CPU out of it, which is free then.', params: { self: 'ref(cpupool)', CPU: 'ref(host_cpu)' }, result: 'void', role: 'pool-operator', async: true, errors: ['XEN_REFUSED', 'INVALID_VALUE', 'HOST_OFFLINE'] },
    move_VM: { help: 'Moves a VM into it: a running one at once, another one when it starts.', params: { self: 'ref(cpupool)', VM: 'ref(VM)' }, result: 'void', role: 'vm-power-admin', async: true, errors: ['XEN_REFUSED', 'INVALID_VALUE', 'HOST_OFFLINE'] },
    numa_split: { help: 'Makes one cpupool a NUMA node of a host that has only the first one.', params: { host: 'ref(host)' }, result: 'set(ref(cpupool))', role: 'pool-operator', async: true, errors: ['XEN_REFUSED', 'HOST_OFFLINE'] },
  },
} as const satisfies ClassTable;
