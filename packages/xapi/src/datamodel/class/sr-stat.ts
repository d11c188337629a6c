import type { ClassTable } from '../schema.ts';

/** What a scan of storage says of one repository (a struct, no rows). */
export const sr_stat = {
  name: 'sr_stat',
  help: 'What a scan of storage says of one repository (a struct, no rows).',
  inDatabase: false,
  persist: false,
  events: false,
  getAll: false,
  lifecycle: { prototyped: 'kolkata', published: 'lima' },
  fields: {
    uuid: { type: 'option(string)', access: 'RO', prototyped: 'kolkata', published: 'lima' },
    name_label: { type: 'string', access: 'RO', prototyped: 'kolkata', published: 'lima' },
    name_description: { type: 'string', access: 'RO', prototyped: 'kolkata', published: 'lima' },
    free_space: { type: 'int', access: 'RO', prototyped: 'kolkata', published: 'lima' },
    total_space: { type: 'int', access: 'RO', prototyped: 'kolkata', published: 'lima' },
    clustered: { type: 'bool', access: 'RO', prototyped: 'kolkata', published: 'lima' },
    health: { type: 'enum(sr_health)', access: 'RO', prototyped: 'kolkata', published: 'lima' },
  },
  messages: {},
} as const satisfies ClassTable;
