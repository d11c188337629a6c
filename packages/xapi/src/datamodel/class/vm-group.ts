import type { ClassTable } from '../schema.ts';

/** VMs placed with regard to each other. */
export const VM_group = {
  name: 'VM_group',
  help: 'VMs placed with regard to each other.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { prototyped: '24.19.1' },
  writeRole: 'vm-admin',
  create: { role: 'vm-admin', required: [], optional: ['name_label', 'name_description', 'placement'] },
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    name_label: { type: 'string', access: 'RW', default: '', group: 'name', published: 'rio' },
    name_description: { type: 'string', access: 'RW', default: '', group: 'name', published: 'rio' },
    placement: { type: 'enum(placement_policy)', access: 'StaticRO', default: 'normal', prototyped: '24.19.1' },
    VMs: { type: 'set(ref(VM))', access: 'RO', prototyped: '24.19.1' },
  },
  messages: {},
} as const satisfies ClassTable;
