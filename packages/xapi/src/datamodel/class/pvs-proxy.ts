import type { ClassTable } from '../schema.ts';

/** A cache between a VIF and a provisioning-services site. */
export const PVS_proxy = {
  name: 'PVS_proxy',
  help: 'A cache between a VIF and a provisioning-services site.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'ely' },
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'ely' },
    site: { type: 'ref(PVS_site)', access: 'StaticRO', default: 'OpaqueRef:NULL', published: 'ely' },
    VIF: { type: 'ref(VIF)', access: 'StaticRO', default: 'OpaqueRef:NULL', published: 'ely' },
    currently_attached: { type: 'bool', access: 'RO', default: false, published: 'ely' },
    status: { type: 'enum(pvs_proxy_status)', access: 'RO', default: 'stopped', published: 'ely' },
  },
  messages: {
    create: { params: { site: 'ref(PVS_site)', VIF: 'ref(VIF)' }, result: 'ref(PVS_proxy)', role: 'pool-operator', async: true, published: 'ely' },
    destroy: { params: { self: 'ref(PVS_proxy)' }, result: 'void', role: 'pool-operator', async: true, published: 'ely' },
  },
} as const satisfies ClassTable;
