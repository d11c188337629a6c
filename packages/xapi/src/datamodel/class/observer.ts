import type { ClassTable } from '../schema.ts';

/** A consumer of traces. */
export const Observer = {
  name: 'Observer',
  help: 'A consumer of traces.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { prototyped: '23.14.0' },
  writeRole: 'pool-admin',
  create: { role: 'pool-admin', required: [], optional: ['name_label', 'name_description', 'hosts', 'attributes', 'endpoints', 'components', 'enabled'] },
  fields: {
    uuid: { type: 'string', access: 'RO', prototyped: '23.14.0' },
    name_label: { type: 'string', access: 'RW', default: '', group: 'name', published: 'rio' },
    name_description: { type: 'string', access: 'RW', default: '', group: 'name', published: 'rio' },
    hosts: { type: 'set(ref(host))', access: 'StaticRO', default: [], ignoreForeignKey: true, prototyped: '23.14.0' },
    attributes: { type: 'map(string,string)', access: 'StaticRO', default: {}, prototyped: '23.14.0' },
    endpoints: { type: 'set(string)', access: 'StaticRO', default: [], prototyped: '23.14.0' },
    components: { type: 'set(string)', access: 'StaticRO', default: [], prototyped: '23.14.0' },
    enabled: { type: 'bool', access: 'StaticRO', default: false, prototyped: '23.14.0' },
  },
  messages: {
    register: { params: { self: 'ref(Observer)', host: 'ref(host)' }, result: 'void', role: 'pool-admin', async: true, hidden: true, prototyped: '23.14.0' },
    unregister: { params: { self: 'ref(Observer)', host: 'ref(host)' }, result: 'void', role: 'pool-admin', async: true, hidden: true, prototyped: '23.14.0' },
    set_hosts: { params: { self: 'ref(Observer)', value: 'set(ref(host))' }, result: 'void', role: 'pool-admin', async: true, prototyped: '23.14.0' },
    set_enabled: { params: { self: 'ref(Observer)', value: 'bool' }, result: 'void', role: 'pool-admin', async: true, prototyped: '23.14.0' },
    set_attributes: { params: { self: 'ref(Observer)', value: 'map(string,string)' }, result: 'void', role: 'pool-admin', async: true, prototyped: '23.14.0' },
    set_endpoints: { params: { self: 'ref(Observer)', value: 'set(string)' }, result: 'void', role: 'pool-admin', async: true, prototyped: '23.14.0' },
    set_components: { params: { self: 'ref(Observer)', value: 'set(string)' }, result: 'void', role: 'pool-admin', async: true, prototyped: '23.14.0' },
  },
} as const satisfies ClassTable;
