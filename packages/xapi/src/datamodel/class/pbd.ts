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
    host: { help: 'The host that is connected.', type: 'ref(host)', access: 'StaticRO', published: 'rio' },
    SR: { help: 'The repository that it is connected to.', type: 'ref(SR)', access: 'StaticRO', published: 'rio' },
    device_config: { help: 'Where the driver finds the storage, by key.', type: 'map(string,string)', access: 'StaticRO', published: 'rio' },
    currently_attached: { help: 'Whether the host has the repository in use.', type: 'bool', access: 'RO', published: 'rio' },
    other_config: { help: 'Free for clients, by key.', type: 'map(string,string)', access: 'RW', default: {}, published: 'miami' },
  },
  messages: {
    plug: { help: 'Brings the repository into use on the host.', params: { self: 'ref(PBD)' }, result: 'void', role: 'pool-operator', async: true, errors: ['SR_UNKNOWN_DRIVER'], published: 'rio' },
    unplug: { help: 'Takes the repository out of use on the host.', params: { self: 'ref(PBD)' }, result: 'void', role: 'pool-operator', async: true, published: 'rio' },
    set_device_config: { help: 'Says where the driver finds the storage.', params: { self: 'ref(PBD)', value: 'map(string,string)' }, result: 'void', role: 'pool-operator', async: true, published: 'miami' },
  },
} as const satisfies ClassTable;
