import type { ClassTable } from '../schema.ts';

/** One variant of a host driver. */
export const Driver_variant = {
  name: 'Driver_variant',
  help: 'One variant of a host driver.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { prototyped: '25.2.0' },
  fields: {
    uuid: { type: 'string', access: 'RO', prototyped: '25.2.0' },
    name: { type: 'string', access: 'RO', prototyped: '25.2.0' },
    driver: { type: 'ref(Host_driver)', access: 'RO', prototyped: '25.2.0' },
    version: { type: 'string', access: 'RO', prototyped: '25.2.0' },
    hardware_present: { type: 'bool', access: 'RO', prototyped: '25.2.0' },
    priority: { type: 'float', access: 'RO', prototyped: '25.2.0' },
    status: { type: 'string', access: 'RO', prototyped: '25.2.0' },
  },
  messages: {
    select: { params: { self: 'ref(Driver_variant)' }, result: 'void', role: 'pool-admin', async: true, prototyped: '25.2.0' },
  },
} as const satisfies ClassTable;
