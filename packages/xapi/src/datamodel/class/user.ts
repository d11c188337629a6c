import type { ClassTable } from '../schema.ts';

/** A local user (deprecated: see session and subject). */
export const user = {
  name: 'user',
  help: 'A local user (deprecated: see session and subject).',
  inDatabase: true,
  persist: true,
  events: false,
  getAll: false,
  lifecycle: { published: 'rio', deprecated: 'george' },
  writeRole: 'pool-admin',
  create: { role: 'pool-admin', required: ['short_name', 'fullname'], optional: ['other_config'] },
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    short_name: { type: 'string', access: 'StaticRO', published: 'rio' },
    fullname: { type: 'string', access: 'RW', published: 'rio' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'orlando' },
  },
  messages: {},
} as const satisfies ClassTable;
