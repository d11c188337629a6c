import type { ClassTable } from '../schema.ts';

/** What a probe of storage found (a struct, no rows). */
export const probe_result = {
  name: 'probe_result',
  help: 'What a probe of storage found (a struct, no rows).',
  inDatabase: false,
  persist: false,
  events: false,
  getAll: false,
  lifecycle: { prototyped: 'kolkata', published: 'lima' },
  fields: {
    configuration: { type: 'map(string,string)', access: 'RO', prototyped: 'kolkata', published: 'lima' },
    complete: { type: 'bool', access: 'RO', prototyped: 'kolkata', published: 'lima' },
    sr: { type: 'option(record(sr_stat))', access: 'RO', prototyped: 'kolkata', published: 'lima' },
    extra_info: { type: 'map(string,string)', access: 'RO', prototyped: 'kolkata', published: 'lima' },
  },
  messages: {},
} as const satisfies ClassTable;
