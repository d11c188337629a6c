import type { ClassTable } from '../schema.ts';

/** A driver of a host that exists in several variants. */
export const Host_driver = {
  name: 'Host_driver',
  help: 'A driver of a host that exists in several variants.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { prototyped: '25.2.0' },
  fields: {
    uuid: { type: 'string', access: 'RO', prototyped: '25.2.0' },
    host: { type: 'ref(host)', access: 'StaticRO', default: 'OpaqueRef:NULL', prototyped: '25.2.0' },
    name: { type: 'string', access: 'RO', prototyped: '25.2.0' },
    friendly_name: { type: 'string', access: 'RO', prototyped: '25.2.0' },
    variants: { type: 'set(ref(Driver_variant))', access: 'RO', prototyped: '25.2.0' },
    active_variant: { type: 'ref(Driver_variant)', access: 'RO', prototyped: '25.2.0' },
    selected_variant: { type: 'ref(Driver_variant)', access: 'RO', prototyped: '25.2.0' },
    type: { type: 'string', access: 'RO', prototyped: '25.2.0' },
    description: { type: 'string', access: 'RO', prototyped: '25.2.0' },
    info: { type: 'string', access: 'RO', prototyped: '25.2.0' },
  },
  messages: {
    select: { params: { self: 'ref(Host_driver)', variant: 'ref(Driver_variant)' }, result: 'void', role: 'pool-admin', async: true, prototyped: '25.2.0' },
    deselect: { params: { self: 'ref(Host_driver)' }, result: 'void', role: 'pool-admin', async: true, prototyped: '25.2.0' },
    rescan: { params: { host: 'ref(host)' }, result: 'void', role: 'pool-admin', async: true, prototyped: '25.2.0' },
  },
} as const satisfies ClassTable;
