import type { ClassTable } from '../schema.ts';

/** An 802.1Q VLAN on a PIF. */
export const VLAN = {
  name: 'VLAN',
  help: 'An 802.1Q VLAN on a PIF.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'miami' },
  writeRole: 'pool-operator',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    tagged_PIF: { type: 'ref(PIF)', access: 'StaticRO', default: 'OpaqueRef:NULL', published: 'miami' },
    untagged_PIF: { type: 'ref(PIF)', access: 'RO', default: 'OpaqueRef:NULL', published: 'miami' },
    tag: { type: 'int', access: 'StaticRO', default: -1, published: 'miami' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'miami' },
  },
  messages: {
    pool_introduce: { params: { tagged_PIF: 'ref(PIF)', untagged_PIF: 'ref(PIF)', tag: 'int', other_config: 'map(string,string)' }, result: 'ref(VLAN)', role: 'pool-operator', async: true, hidden: true, published: 'inverness' },
    create: { params: { tagged_PIF: 'ref(PIF)', tag: 'int', network: 'ref(network)' }, result: 'ref(VLAN)', role: 'pool-operator', async: true, published: 'miami' },
    destroy: { params: { self: 'ref(VLAN)' }, result: 'void', role: 'pool-operator', async: true, published: 'miami' },
  },
} as const satisfies ClassTable;
