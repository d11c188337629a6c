import type { ClassTable } from '../schema.ts';

/** A repository of updates. */
export const Repository = {
  name: 'Repository',
  help: 'A repository of updates.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: '1.301.0' },
  writeRole: 'pool-operator',
  fields: {
    uuid: { type: 'string', access: 'RO', published: '1.301.0' },
    name_label: { type: 'string', access: 'RW', default: '', group: 'name', published: 'rio' },
    name_description: { type: 'string', access: 'RW', default: '', group: 'name', published: 'rio' },
    binary_url: { type: 'string', access: 'StaticRO', default: '', published: '1.301.0' },
    source_url: { type: 'string', access: 'StaticRO', default: '', published: '1.301.0' },
    update: { type: 'bool', access: 'StaticRO', default: false, published: '1.301.0' },
    hash: { type: 'string', access: 'RO', default: '', published: '1.301.0' },
    up_to_date: { type: 'bool', access: 'RO', default: false, published: '1.301.0', deprecated: '23.18.0', removed: '23.18.0' },
    gpgkey_path: { type: 'string', access: 'StaticRO', default: '', prototyped: '22.12.0' },
    origin: { type: 'enum(origin)', access: 'StaticRO', default: 'remote', prototyped: '24.23.0' },
    certificate: { type: 'string', access: 'StaticRO', default: '', prototyped: '25.7.0' },
  },
  messages: {
    introduce: { params: { name_label: 'string', name_description: 'string', binary_url: 'string', source_url: 'string', update: 'bool' }, optional: { gpgkey_path: { type: 'string', default: '' } }, result: 'ref(Repository)', role: 'pool-operator', async: true, clientCert: true, published: '1.301.0' },
    introduce_bundle: { params: { name_label: 'string', name_description: 'string' }, result: 'ref(Repository)', role: 'pool-operator', async: true, clientCert: true, prototyped: '24.23.0' },
    introduce_remote_pool: { params: { name_label: 'string', name_description: 'string', binary_url: 'string', certificate: 'string' }, result: 'ref(Repository)', role: 'pool-operator', async: true, clientCert: true, prototyped: '25.7.0' },
    forget: { params: { self: 'ref(Repository)' }, result: 'void', role: 'pool-operator', async: true, clientCert: true, published: '1.301.0' },
    apply: { params: { host: 'ref(host)' }, result: 'void', role: 'pool-operator', async: true, hidden: true, poolInternal: true, clientCert: true, published: '1.301.0' },
    set_gpgkey_path: { params: { self: 'ref(Repository)', value: 'string' }, result: 'void', role: 'pool-operator', async: true, clientCert: true, prototyped: '22.12.0' },
    apply_livepatch: { params: { host: 'ref(host)', component: 'string', base_build_id: 'string', base_version: 'string', base_release: 'string', to_version: 'string', to_release: 'string' }, result: 'void', role: 'pool-operator', async: true, hidden: true, poolInternal: true, clientCert: true, prototyped: '22.20.0' },
  },
} as const satisfies ClassTable;
