import type { ClassTable } from '../schema.ts';

/** A user or group of an external directory that may log in, with its roles. */
export const subject = {
  name: 'subject',
  help: 'A user or group of an external directory that may log in, with its roles.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'george' },
  create: { role: 'pool-admin', required: [], optional: ['subject_identifier', 'other_config'] },
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    subject_identifier: { type: 'string', access: 'StaticRO', default: '', published: 'george' },
    other_config: { type: 'map(string,string)', access: 'StaticRO', default: {}, published: 'george' },
    roles: { type: 'set(ref(role))', access: 'RO', default: ['OpaqueRef:0165f154-ba3e-034e-6b27-5d271af109ba'], ignoreForeignKey: true, published: 'midnight-ride' },
  },
  messages: {
    add_to_roles: { params: { self: 'ref(subject)', role: 'ref(role)' }, result: 'void', role: 'pool-admin', published: 'midnight-ride' },
    remove_from_roles: { params: { self: 'ref(subject)', role: 'ref(role)' }, result: 'void', role: 'pool-admin', published: 'midnight-ride' },
    get_permissions_name_label: { params: { self: 'ref(subject)' }, result: 'set(string)', role: 'read-only', published: 'midnight-ride' },
  },
} as const satisfies ClassTable;
