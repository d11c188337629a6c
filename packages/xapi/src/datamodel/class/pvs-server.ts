import type { ClassTable } from '../schema.ts';

/** A server of a provisioning-services site. */
export const PVS_server = {
  name: 'PVS_server',
  help: 'A server of a provisioning-services site.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'ely' },
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'ely' },
    addresses: { type: 'set(string)', access: 'StaticRO', default: [], published: 'ely' },
    first_port: { type: 'int', access: 'StaticRO', default: 0, published: 'ely' },
    last_port: { type: 'int', access: 'StaticRO', default: 0, published: 'ely' },
    site: { type: 'ref(PVS_site)', access: 'StaticRO', default: 'OpaqueRef:NULL', published: 'ely' },
  },
  messages: {
    introduce: { params: { addresses: 'set(string)', first_port: 'int', last_port: 'int', site: 'ref(PVS_site)' }, result: 'ref(PVS_server)', role: 'pool-operator', async: true, published: 'ely' },
    forget: { params: { self: 'ref(PVS_server)' }, result: 'void', role: 'pool-operator', async: true, published: 'ely' },
  },
} as const satisfies ClassTable;
