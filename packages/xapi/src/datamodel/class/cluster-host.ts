import type { ClassTable } from '../schema.ts';

/** The membership of one host in a cluster. */
export const Cluster_host = {
  name: 'Cluster_host',
  help: 'The membership of one host in a cluster.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { prototyped: 'kolkata', published: 'lima' },
  fields: {
    uuid: { type: 'string', access: 'RO', prototyped: 'kolkata', published: 'lima' },
    cluster: { type: 'ref(Cluster)', access: 'StaticRO', default: 'OpaqueRef:NULL', prototyped: 'kolkata', published: 'lima' },
    host: { type: 'ref(host)', access: 'StaticRO', default: 'OpaqueRef:NULL', prototyped: 'kolkata', published: 'lima' },
    enabled: { type: 'bool', access: 'RO', default: false, prototyped: 'kolkata', published: 'lima' },
    PIF: { type: 'ref(PIF)', access: 'StaticRO', default: 'OpaqueRef:NULL', prototyped: 'kolkata', published: 'lima' },
    joined: { type: 'bool', access: 'RO', default: true, prototyped: 'kolkata', published: 'lima' },
    live: { type: 'bool', access: 'RO', default: false, prototyped: '24.3.0' },
    last_update_live: { type: 'datetime', access: 'RO', default: '19700101T00:00:00Z', prototyped: '24.3.0' },
    allowed_operations: { type: 'set(enum(cluster_host_operation))', access: 'RO', default: [], notPersisted: true, published: 'rio' },
    current_operations: { type: 'map(string,enum(cluster_host_operation))', access: 'RO', default: {}, notPersisted: true, published: 'rio' },
    other_config: { type: 'map(string,string)', access: 'StaticRO', default: {}, prototyped: 'kolkata', published: 'lima' },
  },
  messages: {
    create: { params: { cluster: 'ref(Cluster)', host: 'ref(host)', pif: 'ref(PIF)' }, result: 'ref(Cluster_host)', role: 'pool-operator', async: true, errors: ['PIF_NOT_ATTACHED_TO_HOST', 'NO_CLUSTER_HOSTS_REACHABLE'], prototyped: 'kolkata', published: 'lima' },
    destroy: { params: { self: 'ref(Cluster_host)' }, result: 'void', role: 'pool-operator', async: true, errors: ['CLUSTER_STACK_IN_USE', 'CLUSTERING_DISABLED', 'CLUSTER_HOST_IS_LAST'], prototyped: 'kolkata', published: 'lima' },
    enable: { params: { self: 'ref(Cluster_host)' }, result: 'void', role: 'pool-operator', async: true, errors: ['PIF_ALLOWS_UNPLUG', 'REQUIRED_PIF_IS_UNPLUGGED'], prototyped: 'kolkata', published: 'lima' },
    force_destroy: { params: { self: 'ref(Cluster_host)' }, result: 'void', role: 'pool-operator', async: true, errors: ['CLUSTER_STACK_IN_USE'], prototyped: 'kolkata', published: 'lima' },
    forget: { params: { self: 'ref(Cluster_host)' }, result: 'void', role: 'local-root', async: true, hidden: true, published: 'lima' },
    disable: { params: { self: 'ref(Cluster_host)' }, result: 'void', role: 'pool-operator', async: true, errors: ['CLUSTER_STACK_IN_USE'], prototyped: 'kolkata', published: 'lima' },
  },
} as const satisfies ClassTable;
