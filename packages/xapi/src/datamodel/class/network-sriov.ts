import type { ClassTable } from '../schema.ts';

/** SR-IOV on a physical interface. */
export const network_sriov = {
  name: 'network_sriov',
  help: 'SR-IOV on a physical interface.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'kolkata' },
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    physical_PIF: { type: 'ref(PIF)', access: 'StaticRO', default: 'OpaqueRef:NULL', published: 'kolkata' },
    logical_PIF: { type: 'ref(PIF)', access: 'StaticRO', default: 'OpaqueRef:NULL', published: 'kolkata' },
    requires_reboot: { type: 'bool', access: 'RO', default: false, published: 'kolkata' },
    configuration_mode: { type: 'enum(sriov_configuration_mode)', access: 'RO', default: 'unknown', published: 'kolkata' },
  },
  messages: {
    create: { params: { pif: 'ref(PIF)', network: 'ref(network)' }, result: 'ref(network_sriov)', role: 'pool-operator', async: true, published: 'kolkata' },
    destroy: { params: { self: 'ref(network_sriov)' }, result: 'void', role: 'pool-operator', async: true, published: 'kolkata' },
    get_remaining_capacity: { params: { self: 'ref(network_sriov)' }, result: 'int', role: 'read-only', async: true, published: 'kolkata' },
  },
} as const satisfies ClassTable;
