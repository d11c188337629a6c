import type { ClassTable } from '../schema.ts';

/** The software-defined-network controller of the pool. */
export const SDN_controller = {
  name: 'SDN_controller',
  help: 'The software-defined-network controller of the pool.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'falcon' },
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'falcon' },
    protocol: { type: 'enum(sdn_controller_protocol)', access: 'StaticRO', default: 'ssl', published: 'falcon' },
    address: { type: 'string', access: 'StaticRO', default: '', published: 'falcon' },
    port: { type: 'int', access: 'StaticRO', default: 0, published: 'falcon' },
  },
  messages: {
    introduce: { params: {}, optional: { protocol: { type: 'enum(sdn_controller_protocol)', default: 'ssl' }, address: { type: 'string', default: '' }, port: { type: 'int', default: 0 } }, result: 'ref(SDN_controller)', role: 'pool-operator', async: true, published: 'falcon' },
    forget: { params: { self: 'ref(SDN_controller)' }, result: 'void', role: 'pool-operator', async: true, published: 'falcon' },
  },
} as const satisfies ClassTable;
