import type { ClassTable } from '../schema.ts';

/** VMs that start and stop together, in order. */
export const VM_appliance = {
  name: 'VM_appliance',
  help: 'VMs that start and stop together, in order.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'boston' },
  writeRole: 'pool-operator',
  create: { role: 'pool-operator', required: [], optional: ['name_label', 'name_description'] },
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    name_label: { type: 'string', access: 'RW', default: '', group: 'name', published: 'rio' },
    name_description: { type: 'string', access: 'RW', default: '', group: 'name', published: 'rio' },
    allowed_operations: { type: 'set(enum(vm_appliance_operation))', access: 'RO', default: [], notPersisted: true, published: 'rio' },
    current_operations: { type: 'map(string,enum(vm_appliance_operation))', access: 'RO', default: {}, notPersisted: true, published: 'rio' },
    VMs: { type: 'set(ref(VM))', access: 'RO', published: 'rio' },
  },
  messages: {
    start: { params: { self: 'ref(VM_appliance)', paused: 'bool' }, result: 'void', role: 'pool-operator', async: true, errors: ['OPERATION_PARTIALLY_FAILED'], published: 'boston' },
    clean_shutdown: { params: { self: 'ref(VM_appliance)' }, result: 'void', role: 'pool-operator', async: true, errors: ['OPERATION_PARTIALLY_FAILED'], published: 'boston' },
    hard_shutdown: { params: { self: 'ref(VM_appliance)' }, result: 'void', role: 'pool-operator', async: true, errors: ['OPERATION_PARTIALLY_FAILED'], published: 'boston' },
    shutdown: { params: { self: 'ref(VM_appliance)' }, result: 'void', role: 'pool-operator', async: true, errors: ['OPERATION_PARTIALLY_FAILED'], published: 'boston' },
    assert_can_be_recovered: { params: { self: 'ref(VM_appliance)', session_to: 'ref(session)' }, result: 'void', role: 'read-only', async: true, errors: ['VM_REQUIRES_SR'], published: 'boston' },
    get_SRs_required_for_recovery: { params: { self: 'ref(VM_appliance)', session_to: 'ref(session)' }, result: 'set(ref(SR))', role: 'read-only', async: true, published: 'creedence' },
    recover: { params: { self: 'ref(VM_appliance)', session_to: 'ref(session)', force: 'bool' }, result: 'void', role: 'read-only', async: true, errors: ['VM_REQUIRES_SR'], published: 'boston' },
  },
} as const satisfies ClassTable;
