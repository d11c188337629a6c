import type { ClassTable } from '../schema.ts';

/** A client as rate limits see it. */
export const Caller = {
  name: 'Caller',
  help: 'A client as rate limits see it.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { prototyped: '26.17.0' },
  writeRole: 'pool-admin',
  create: { role: 'pool-admin', required: [], optional: ['name_label', 'name_description', 'user_agent', 'client_ip'] },
  fields: {
    uuid: { type: 'string', access: 'RO', prototyped: '26.17.0' },
    name_label: { type: 'string', access: 'RW', default: '', group: 'name', prototyped: '26.17.0' },
    name_description: { type: 'string', access: 'RW', default: '', group: 'name', prototyped: '26.17.0' },
    user_agent: { type: 'string', access: 'StaticRO', default: '', prototyped: '26.17.0' },
    client_ip: { type: 'string', access: 'StaticRO', default: '', prototyped: '26.17.0' },
    last_access: { type: 'datetime', access: 'RO', default: '19700101T00:00:00Z', prototyped: '26.17.0' },
    groups: { type: 'set(string)', access: 'RO', default: [], prototyped: '26.17.0' },
    rate_limit: { type: 'ref(Rate_limit)', access: 'RO', default: 'OpaqueRef:NULL', prototyped: '26.17.0' },
    auto_registered: { type: 'bool', access: 'RO', default: false, prototyped: '26.17.0' },
  },
  messages: {
    add_group: { params: { self: 'ref(Caller)', group: 'string' }, result: 'void', role: 'pool-operator', async: true, prototyped: '26.17.0' },
    remove_group: { params: { self: 'ref(Caller)', group: 'string' }, result: 'void', role: 'pool-operator', async: true, prototyped: '26.17.0' },
    query_token_usage: { params: { self: 'ref(Caller)' }, result: 'float', role: 'pool-operator', async: true, prototyped: '26.15.0' },
    query_call_count: { params: { self: 'ref(Caller)' }, result: 'int', role: 'pool-operator', async: true, prototyped: '26.15.0' },
    query_group_token_usage: { params: { group: 'string' }, result: 'float', role: 'pool-operator', async: true, prototyped: '26.15.0' },
    query_group_call_count: { params: { group: 'string' }, result: 'int', role: 'pool-operator', async: true, prototyped: '26.15.0' },
    query_all_usage: { params: {}, result: 'set(set(string))', role: 'pool-operator', async: true, prototyped: '26.17.0' },
  },
} as const satisfies ClassTable;
