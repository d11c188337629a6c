import type { ClassTable } from '../schema.ts';

/** The way in which one host reaches one storage repository. */
export const PBD = {
  name: 'PBD',
  help: 'The way in which one host reaches one storage repository.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'rio' },
  writeRole: 'pool-operator',
  create: { role: 'pool-operator', required: ['host', 'SR', 'device_config'], optional: ['other_config'] },
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    host: { type: 'ref(host)', access: 'StaticRO', published: 'rio' },
    SR: { type: 'ref(SR)', access: 'StaticRO', published: 'rio' },
    device_config: { type: 'map(string,string)', access: 'StaticRO', published: 'rio' },
    currently_attached: { type: 'bool', access: 'RO', published: 'rio' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'miami' },
  },
  messages: {
    plug: { params: { self: 'ref(PBD)' }, result: 'void', role: 'pool-operator', async: true, errors: ['SR_UNKNOWN_DRIVER'], published: 'rio' },
    unplug: { params: { self: 'ref(PBD)' }, result: 'void', role: 'pool-operator', async: true, published: 'rio' },
    set_device_config: { params: { self: 'ref(PBD)', value: 'map(string,string)' }, result: 'void', role: 'pool-operator', async: true, published: 'miami' },
  },
} as const satisfies ClassTable;
