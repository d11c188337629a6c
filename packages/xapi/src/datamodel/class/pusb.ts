import type { ClassTable } from '../schema.ts';

/** A physical USB device of a host. */
export const PUSB = {
  name: 'PUSB',
  help: 'A physical USB device of a host.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'inverness' },
  writeRole: 'pool-admin',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'inverness' },
    USB_group: { type: 'ref(USB_group)', access: 'StaticRO', default: 'OpaqueRef:NULL', published: 'inverness' },
    host: { type: 'ref(host)', access: 'StaticRO', default: 'OpaqueRef:NULL', published: 'inverness' },
    path: { type: 'string', access: 'StaticRO', default: '', published: 'inverness' },
    vendor_id: { type: 'string', access: 'StaticRO', default: '', published: 'inverness' },
    vendor_desc: { type: 'string', access: 'StaticRO', default: '', published: 'inverness' },
    product_id: { type: 'string', access: 'StaticRO', default: '', published: 'inverness' },
    product_desc: { type: 'string', access: 'StaticRO', default: '', published: 'inverness' },
    serial: { type: 'string', access: 'StaticRO', default: '', published: 'inverness' },
    version: { type: 'string', access: 'StaticRO', default: '', published: 'inverness' },
    description: { type: 'string', access: 'StaticRO', default: '', published: 'inverness' },
    passthrough_enabled: { type: 'bool', access: 'RO', default: false, published: 'inverness' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'inverness' },
    speed: { type: 'float', access: 'StaticRO', default: -1.0, published: 'stockholm' },
  },
  messages: {
    scan: { params: { host: 'ref(host)' }, result: 'void', role: 'pool-admin', async: true, published: 'inverness' },
    set_passthrough_enabled: { params: { self: 'ref(PUSB)', value: 'bool' }, result: 'void', role: 'pool-admin', async: true, published: 'inverness' },
  },
} as const satisfies ClassTable;
