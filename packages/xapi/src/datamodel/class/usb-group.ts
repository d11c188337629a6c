import type { ClassTable } from '../schema.ts';

/** USB devices of one kind across the pool. */
export const USB_group = {
  name: 'USB_group',
  help: 'USB devices of one kind across the pool.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'inverness' },
  writeRole: 'pool-admin',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'inverness' },
    name_label: { type: 'string', access: 'RW', default: '', group: 'name', published: 'inverness' },
    name_description: { type: 'string', access: 'RW', default: '', group: 'name', published: 'inverness' },
    PUSBs: { type: 'set(ref(PUSB))', access: 'RO', published: 'inverness' },
    VUSBs: { type: 'set(ref(VUSB))', access: 'RO', published: 'inverness' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'inverness' },
  },
  messages: {
    create: { params: {}, optional: { name_label: { type: 'string', default: '' }, name_description: { type: 'string', default: '' }, other_config: { type: 'map(string,string)', default: {} } }, result: 'ref(USB_group)', role: 'pool-admin', async: true, published: 'inverness' },
    destroy: { params: { self: 'ref(USB_group)' }, result: 'void', role: 'pool-admin', async: true, published: 'inverness' },
  },
} as const satisfies ClassTable;
