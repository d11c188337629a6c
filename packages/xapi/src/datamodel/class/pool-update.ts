import type { ClassTable } from '../schema.ts';

/** An update package known to the pool. */
export const pool_update = {
  name: 'pool_update',
  help: 'An update package known to the pool.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'ely' },
  writeRole: 'pool-operator',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    name_label: { type: 'string', access: 'StaticRO', default: '', group: 'name', published: 'rio' },
    name_description: { type: 'string', access: 'StaticRO', default: '', group: 'name', published: 'rio' },
    version: { type: 'string', access: 'StaticRO', default: '', published: 'ely' },
    installation_size: { type: 'int', access: 'StaticRO', default: 0, published: 'ely' },
    key: { type: 'string', access: 'StaticRO', default: '', published: 'ely' },
    after_apply_guidance: { type: 'set(enum(update_after_apply_guidance))', access: 'StaticRO', default: [], published: 'ely' },
    vdi: { type: 'ref(VDI)', access: 'StaticRO', published: 'rio' },
    hosts: { type: 'set(ref(host))', access: 'RO', published: 'ely' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'inverness' },
    enforce_homogeneity: { type: 'bool', access: 'StaticRO', default: false, published: 'inverness' },
  },
  messages: {
    introduce: { params: { vdi: 'ref(VDI)' }, result: 'ref(pool_update)', role: 'pool-operator', async: true, published: 'ely' },
    precheck: { params: { self: 'ref(pool_update)', host: 'ref(host)' }, result: 'enum(livepatch_status)', role: 'pool-operator', async: true, forwardToHostExtension: true, published: 'ely' },
    apply: { params: { self: 'ref(pool_update)', host: 'ref(host)' }, result: 'void', role: 'pool-operator', async: true, forwardToHostExtension: true, published: 'ely' },
    pool_apply: { params: { self: 'ref(pool_update)' }, result: 'void', role: 'pool-operator', async: true, published: 'ely' },
    pool_clean: { params: { self: 'ref(pool_update)' }, result: 'void', role: 'pool-operator', async: true, published: 'ely' },
    destroy: { params: { self: 'ref(pool_update)' }, result: 'void', role: 'pool-operator', async: true, published: 'ely' },
    attach: { params: { self: 'ref(pool_update)' }, optional: { use_localhost_proxy: { type: 'bool', default: false } }, result: 'string', role: 'pool-operator', async: true, hidden: true, published: 'ely' },
    detach: { params: { self: 'ref(pool_update)' }, result: 'void', role: 'pool-operator', async: true, hidden: true, published: 'ely' },
    resync_host: { params: { host: 'ref(host)' }, result: 'void', role: 'pool-operator', async: true, hidden: true, published: 'ely' },
  },
} as const satisfies ClassTable;
