import type { ClassTable } from '../schema.ts';

/** A crash of a host, kept for later reading. */
export const host_crashdump = {
  name: 'host_crashdump',
  help: 'A crash of a host, kept for later reading.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'rio' },
  writeRole: 'pool-operator',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    host: { type: 'ref(host)', access: 'StaticRO', published: 'rio' },
    timestamp: { type: 'datetime', access: 'RO', published: 'rio' },
    size: { type: 'int', access: 'RO', published: 'rio' },
    filename: { type: 'string', access: 'StaticRO', internal: true, published: 'rio' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'miami' },
  },
  messages: {
    destroy: { params: { self: 'ref(host_crashdump)' }, result: 'void', role: 'pool-operator', async: true, published: 'rio' },
    upload: { params: { self: 'ref(host_crashdump)', url: 'string', options: 'map(string,string)' }, result: 'void', role: 'pool-operator', async: true, published: 'rio' },
  },
} as const satisfies ClassTable;
