import type { ClassTable } from '../schema.ts';

/** A USB device given to a VM. */
export const VUSB = {
  name: 'VUSB',
  help: 'A USB device given to a VM.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'inverness' },
  writeRole: 'pool-admin',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'inverness' },
    allowed_operations: { type: 'set(enum(vusb_operations))', access: 'RO', default: [], notPersisted: true, published: 'rio' },
    current_operations: { type: 'map(string,enum(vusb_operations))', access: 'RO', default: {}, notPersisted: true, published: 'rio' },
    VM: { type: 'ref(VM)', access: 'RO', published: 'inverness' },
    USB_group: { type: 'ref(USB_group)', access: 'RO', published: 'inverness' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'inverness' },
    currently_attached: { type: 'bool', access: 'RO', default: false, published: 'rio' },
  },
  messages: {
    create: { params: { VM: 'ref(VM)', USB_group: 'ref(USB_group)' }, optional: { other_config: { type: 'map(string,string)', default: {} } }, result: 'ref(VUSB)', role: 'pool-admin', async: true, published: 'inverness' },
    unplug: { params: { self: 'ref(VUSB)' }, result: 'void', role: 'pool-admin', async: true, published: 'inverness' },
    destroy: { params: { self: 'ref(VUSB)' }, result: 'void', role: 'pool-admin', async: true, published: 'inverness' },
  },
} as const satisfies ClassTable;
