import type { ClassTable } from '../schema.ts';

/** A limit on the rate of calls. */
export const Rate_limit = {
  name: 'Rate_limit',
  help: 'A limit on the rate of calls.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { prototyped: '26.17.0' },
  writeRole: 'pool-admin',
  create: { role: 'pool-admin', required: [], optional: ['name_label', 'name_description', 'burst_size', 'fill_rate'] },
  fields: {
    uuid: { type: 'string', access: 'RO', prototyped: '26.17.0' },
    name_label: { type: 'string', access: 'RW', default: '', group: 'name', prototyped: '26.17.0' },
    name_description: { type: 'string', access: 'RW', default: '', group: 'name', prototyped: '26.17.0' },
    callers: { type: 'set(ref(Caller))', access: 'RO', prototyped: '26.17.0' },
    burst_size: { type: 'float', access: 'StaticRO', default: 0.0, prototyped: '26.17.0' },
    fill_rate: { type: 'float', access: 'StaticRO', default: 0.0, prototyped: '26.17.0' },
  },
  messages: {
    add_caller: { params: { self: 'ref(Rate_limit)', caller: 'ref(Caller)' }, result: 'void', role: 'pool-admin', async: true, prototyped: '26.17.0' },
    remove_caller: { params: { self: 'ref(Rate_limit)', caller: 'ref(Caller)' }, result: 'void', role: 'pool-admin', async: true, prototyped: '26.17.0' },
    set_burst_size: { params: { self: 'ref(Rate_limit)', value: 'float' }, result: 'void', role: 'pool-admin', async: true, prototyped: '26.17.0' },
    set_fill_rate: { params: { self: 'ref(Rate_limit)', value: 'float' }, result: 'void', role: 'pool-admin', async: true, prototyped: '26.17.0' },
  },
} as const satisfies ClassTable;
