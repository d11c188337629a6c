import type { ClassTable } from '../schema.ts';

/** A value kept out of sight, named by its uuid. */
export const secret = {
  name: 'secret',
  help: 'A value kept out of sight, named by its uuid.',
  inDatabase: true,
  persist: true,
  events: false,
  getAll: true,
  lifecycle: { published: 'midnight-ride' },
  writeRole: 'pool-operator',
  readRole: 'pool-operator',
  create: { role: 'pool-operator', required: ['value'], optional: ['other_config'] },
  fields: {
    uuid: { type: 'string', access: 'RO', readRole: 'pool-operator', published: 'rio' },
    value: { type: 'string', access: 'RW', readRole: 'pool-operator', published: 'rio' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'rio' },
  },
  messages: {
    introduce: { params: { uuid: 'string', value: 'string' }, optional: { other_config: { type: 'map(string,string)', default: {} } }, result: 'ref(secret)', role: 'pool-operator', hidden: true, secret: true, published: 'midnight-ride' },
  },
} as const satisfies ClassTable;
