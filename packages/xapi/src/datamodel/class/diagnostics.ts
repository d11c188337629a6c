import type { ClassTable } from '../schema.ts';

/** Calls that look at the server itself. */
export const Diagnostics = {
  name: 'Diagnostics',
  help: 'Calls that look at the server itself.',
  inDatabase: false,
  persist: false,
  events: false,
  getAll: false,
  lifecycle: { published: 'stockholm' },
  fields: {},
  messages: {
    gc_compact: { params: { host: 'ref(host)' }, result: 'void', role: 'pool-operator', async: true, hidden: true, published: 'stockholm' },
    gc_stats: { params: { host: 'ref(host)' }, result: 'map(string,string)', role: 'pool-operator', async: true, hidden: true, published: 'stockholm' },
    db_stats: { params: {}, result: 'map(string,string)', role: 'pool-operator', async: true, hidden: true, published: 'stockholm' },
    network_stats: { params: { host: 'ref(host)', params: 'map(string,string)' }, result: 'set(set(string))', role: 'pool-operator', async: true, hidden: true, published: 'stockholm' },
  },
} as const satisfies ClassTable;
