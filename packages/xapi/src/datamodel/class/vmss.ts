import type { ClassTable } from '../schema.ts';

/** A schedule that takes snapshots of VMs. */
export const VMSS = {
  name: 'VMSS',
  help: 'A schedule that takes snapshots of VMs.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'falcon' },
  writeRole: 'pool-operator',
  create: { role: 'pool-operator', required: ['type', 'frequency'], optional: ['name_label', 'name_description', 'enabled', 'retained_snapshots', 'schedule'] },
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    name_label: { type: 'string', access: 'RW', default: '', group: 'name', published: 'rio' },
    name_description: { type: 'string', access: 'RW', default: '', group: 'name', published: 'rio' },
    enabled: { type: 'bool', access: 'RW', default: true, published: 'rio' },
    type: { type: 'enum(vmss_type)', access: 'StaticRO', published: 'rio' },
    retained_snapshots: { type: 'int', access: 'StaticRO', default: 7, published: 'rio' },
    frequency: { type: 'enum(vmss_frequency)', access: 'StaticRO', published: 'rio' },
    schedule: { type: 'map(string,string)', access: 'StaticRO', default: {}, published: 'rio' },
    last_run_time: { type: 'datetime', access: 'RO', default: '19700101T00:00:00Z', published: 'rio' },
    VMs: { type: 'set(ref(VM))', access: 'RO', published: 'rio' },
  },
  messages: {
    snapshot_now: { params: { vmss: 'ref(VMSS)' }, result: 'string', role: 'pool-operator', published: 'falcon' },
    set_retained_snapshots: { params: { self: 'ref(VMSS)', value: 'int' }, result: 'void', role: 'pool-operator', published: 'falcon' },
    set_frequency: { params: { self: 'ref(VMSS)', value: 'enum(vmss_frequency)' }, result: 'void', role: 'pool-operator', published: 'falcon' },
    set_schedule: { params: { self: 'ref(VMSS)', value: 'map(string,string)' }, result: 'void', role: 'pool-operator', published: 'falcon' },
    add_to_schedule: { params: { self: 'ref(VMSS)', key: 'string', value: 'string' }, result: 'void', role: 'pool-operator', published: 'falcon' },
    remove_from_schedule: { params: { self: 'ref(VMSS)', key: 'string' }, result: 'void', role: 'pool-operator', published: 'falcon' },
    set_last_run_time: { params: { self: 'ref(VMSS)', value: 'datetime' }, result: 'void', role: 'local-root', published: 'falcon' },
    set_type: { params: { self: 'ref(VMSS)', value: 'enum(vmss_type)' }, result: 'void', role: 'pool-operator', published: 'falcon' },
  },
} as const satisfies ClassTable;
