import type { ClassTable } from '../schema.ts';

/** Storage for the cache of a provisioning-services proxy. */
export const PVS_cache_storage = {
  name: 'PVS_cache_storage',
  help: 'Storage for the cache of a provisioning-services proxy.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'ely' },
  create: { role: 'pool-operator', required: [], optional: ['host', 'SR', 'site', 'size'] },
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'ely' },
    host: { type: 'ref(host)', access: 'StaticRO', default: 'OpaqueRef:NULL', published: 'ely' },
    SR: { type: 'ref(SR)', access: 'StaticRO', default: 'OpaqueRef:NULL', published: 'ely' },
    site: { type: 'ref(PVS_site)', access: 'StaticRO', default: 'OpaqueRef:NULL', published: 'ely' },
    size: { type: 'int', access: 'StaticRO', default: 21474836480, published: 'ely' },
    VDI: { type: 'ref(VDI)', access: 'RO', default: 'OpaqueRef:NULL', published: 'ely' },
  },
  messages: {},
} as const satisfies ClassTable;
