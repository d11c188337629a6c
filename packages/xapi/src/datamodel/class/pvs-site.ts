import type { ClassTable } from '../schema.ts';

/** A provisioning-services site. */
export const PVS_site = {
  name: 'PVS_site',
  help: 'A provisioning-services site.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'ely' },
  writeRole: 'pool-operator',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'ely' },
    name_label: { type: 'string', access: 'RW', default: '', group: 'name', published: 'ely' },
    name_description: { type: 'string', access: 'RW', default: '', group: 'name', published: 'ely' },
    PVS_uuid: { type: 'string', access: 'StaticRO', default: '', published: 'ely' },
    cache_storage: { type: 'set(ref(PVS_cache_storage))', access: 'RO', default: [], ignoreForeignKey: true, published: 'ely' },
    servers: { type: 'set(ref(PVS_server))', access: 'RO', published: 'ely' },
    proxies: { type: 'set(ref(PVS_proxy))', access: 'RO', published: 'ely' },
  },
  messages: {
    introduce: { params: { name_label: 'string', name_description: 'string', PVS_uuid: 'string' }, result: 'ref(PVS_site)', role: 'pool-operator', async: true, published: 'ely' },
    forget: { params: { self: 'ref(PVS_site)' }, result: 'void', role: 'pool-operator', async: true, errors: ['PVS_SITE_CONTAINS_RUNNING_PROXIES', 'PVS_SITE_CONTAINS_SERVERS'], published: 'ely' },
    set_PVS_uuid: { params: { self: 'ref(PVS_site)', value: 'string' }, result: 'void', role: 'pool-operator', async: true, published: 'ely' },
  },
} as const satisfies ClassTable;
