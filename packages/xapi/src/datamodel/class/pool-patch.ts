import type { ClassTable } from '../schema.ts';

/** An old-style patch uploaded to the pool (superseded by pool_update). */
export const pool_patch = {
  name: 'pool_patch',
  help: 'An old-style patch uploaded to the pool (superseded by pool_update).',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'miami', deprecated: 'ely' },
  writeRole: 'pool-operator',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    name_label: { type: 'string', access: 'StaticRO', default: '', group: 'name', published: 'rio' },
    name_description: { type: 'string', access: 'StaticRO', default: '', group: 'name', published: 'rio' },
    version: { type: 'string', access: 'StaticRO', default: '', published: 'miami' },
    filename: { type: 'string', access: 'RO', default: '', internal: true, published: 'miami' },
    size: { type: 'int', access: 'RO', default: 0, published: 'miami' },
    pool_applied: { type: 'bool', access: 'RO', default: false, published: 'miami' },
    host_patches: { type: 'set(ref(host_patch))', access: 'RO', published: 'miami' },
    after_apply_guidance: { type: 'set(enum(after_apply_guidance))', access: 'RO', default: [], published: 'miami' },
    pool_update: { type: 'ref(pool_update)', access: 'StaticRO', default: 'OpaqueRef:NULL', published: 'ely' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'miami' },
  },
  messages: {
    apply: { params: { self: 'ref(pool_patch)', host: 'ref(host)' }, result: 'string', role: 'pool-operator', async: true, published: 'miami', deprecated: 'ely' },
    pool_apply: { params: { self: 'ref(pool_patch)' }, result: 'void', role: 'pool-operator', async: true, published: 'miami', deprecated: 'ely' },
    precheck: { params: { self: 'ref(pool_patch)', host: 'ref(host)' }, result: 'string', role: 'pool-operator', async: true, published: 'miami', deprecated: 'ely' },
    clean: { params: { self: 'ref(pool_patch)' }, result: 'void', role: 'pool-operator', async: true, published: 'miami', deprecated: 'ely' },
    pool_clean: { params: { self: 'ref(pool_patch)' }, result: 'void', role: 'pool-operator', async: true, published: 'tampa', deprecated: 'ely' },
    destroy: { params: { self: 'ref(pool_patch)' }, result: 'void', role: 'pool-operator', async: true, published: 'miami', deprecated: 'ely' },
    clean_on_host: { params: { self: 'ref(pool_patch)', host: 'ref(host)' }, result: 'void', role: 'pool-operator', async: true, published: 'tampa', deprecated: 'ely' },
  },
} as const satisfies ClassTable;
