import type { ClassTable } from '../schema.ts';

/** Several PIFs used as one. */
export const Bond = {
  name: 'Bond',
  help: 'Several PIFs used as one.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'miami' },
  writeRole: 'pool-operator',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    master: { type: 'ref(PIF)', access: 'StaticRO', default: 'OpaqueRef:NULL', published: 'miami' },
    slaves: { type: 'set(ref(PIF))', access: 'RO', published: 'miami' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'miami' },
    primary_slave: { type: 'ref(PIF)', access: 'RO', default: 'OpaqueRef:NULL', published: 'boston' },
    mode: { type: 'enum(bond_mode)', access: 'RO', default: 'balance-slb', published: 'boston' },
    properties: { type: 'map(string,string)', access: 'RO', default: {}, published: 'tampa' },
    links_up: { type: 'int', access: 'RO', default: 0, published: 'tampa' },
    auto_update_mac: { type: 'bool', access: 'RO', default: true, published: 'quebec' },
  },
  messages: {
    create: { params: { network: 'ref(network)', members: 'set(ref(PIF))', MAC: 'string' }, optional: { mode: { type: 'enum(bond_mode)', default: 'balance-slb' }, properties: { type: 'map(string,string)', default: {} } }, result: 'ref(Bond)', role: 'pool-operator', async: true, published: 'miami' },
    destroy: { params: { self: 'ref(Bond)' }, result: 'void', role: 'pool-operator', async: true, published: 'miami' },
    set_mode: { params: { self: 'ref(Bond)', value: 'enum(bond_mode)' }, result: 'void', role: 'pool-operator', async: true, published: 'boston' },
    set_property: { params: { self: 'ref(Bond)', name: 'string', value: 'string' }, result: 'void', role: 'pool-operator', async: true, published: 'tampa' },
  },
} as const satisfies ClassTable;
