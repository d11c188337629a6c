import type { ClassTable } from '../schema.ts';

/** An old-style patch on one host (superseded by pool_update). */
export const host_patch = {
  name: 'host_patch',
  help: 'An old-style patch on one host (superseded by pool_update).',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'rio', deprecated: 'ely' },
  writeRole: 'pool-operator',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    name_label: { type: 'string', access: 'StaticRO', default: '', group: 'name', published: 'rio' },
    name_description: { type: 'string', access: 'StaticRO', default: '', group: 'name', published: 'rio' },
    version: { type: 'string', access: 'StaticRO', published: 'rio' },
    host: { type: 'ref(host)', access: 'StaticRO', published: 'rio' },
    filename: { type: 'string', access: 'RO', internal: true, published: 'rio' },
    applied: { type: 'bool', access: 'RO', published: 'rio' },
    timestamp_applied: { type: 'datetime', access: 'RO', published: 'rio' },
    size: { type: 'int', access: 'RO', published: 'rio' },
    pool_patch: { type: 'ref(pool_patch)', access: 'StaticRO', default: 'OpaqueRef:NULL', published: 'miami' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'miami' },
  },
  messages: {
    destroy: { params: { self: 'ref(host_patch)' }, result: 'void', role: 'pool-operator', async: true, published: 'rio', deprecated: 'miami' },
    apply: { params: { self: 'ref(host_patch)' }, result: 'string', role: 'pool-operator', async: true, published: 'rio', deprecated: 'miami' },
  },
} as const satisfies ClassTable;
