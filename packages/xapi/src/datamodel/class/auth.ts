import type { ClassTable } from '../schema.ts';

/** External authentication services (no rows: calls only). */
export const auth = {
  name: 'auth',
  help: 'External authentication services (no rows: calls only).',
  inDatabase: false,
  persist: false,
  events: false,
  getAll: false,
  lifecycle: { published: 'george' },
  fields: {},
  messages: {
    get_subject_identifier: { params: { subject_name: 'string' }, result: 'string', role: 'read-only', published: 'george' },
    get_subject_information_from_identifier: { params: { subject_identifier: 'string' }, result: 'map(string,string)', role: 'read-only', published: 'george' },
    get_group_membership: { params: { subject_identifier: 'string' }, result: 'set(string)', role: 'read-only', published: 'george' },
  },
} as const satisfies ClassTable;
