import type { ClassTable } from '../schema.ts';

/** A network tunnel between hosts. */
export const tunnel = {
  name: 'tunnel',
  help: 'A network tunnel between hosts.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'cowley' },
  writeRole: 'pool-operator',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'cowley' },
    access_PIF: { type: 'ref(PIF)', access: 'StaticRO', default: 'OpaqueRef:NULL', published: 'cowley' },
    transport_PIF: { type: 'ref(PIF)', access: 'StaticRO', default: 'OpaqueRef:NULL', published: 'cowley' },
    status: { type: 'map(string,string)', access: 'RW', default: { active: 'false' }, published: 'cowley' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'cowley' },
    protocol: { type: 'enum(tunnel_protocol)', access: 'RW', default: 'gre', published: '1.250.0' },
  },
  messages: {
    create: {
      params: { transport_PIF: 'ref(PIF)', network: 'ref(network)' },
      optional: { protocol: { type: 'enum(tunnel_protocol)', default: 'gre', since: '1.250.0' } },
      result: 'ref(tunnel)',
      role: 'pool-operator',
      async: true,
      errors: ['OPENVSWITCH_NOT_ACTIVE', 'TRANSPORT_PIF_NOT_CONFIGURED', 'IS_TUNNEL_ACCESS_PIF'],
      published: 'cowley',
    },
    destroy: { params: { self: 'ref(tunnel)' }, result: 'void', role: 'pool-operator', async: true, published: 'cowley' },
  },
} as const satisfies ClassTable;
