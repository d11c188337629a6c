import type { ClassTable } from '../schema.ts';

/** A named set of permissions; permissions are themselves roles without subroles. */
export const role = {
  name: 'role',
  help: 'A named set of permissions; permissions are themselves roles without subroles.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'midnight-ride' },
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    name_label: { type: 'string', access: 'StaticRO', default: '', group: 'name', published: 'midnight-ride' },
    name_description: { type: 'string', access: 'StaticRO', default: '', group: 'name', published: 'midnight-ride' },
    subroles: { type: 'set(ref(role))', access: 'StaticRO', default: [], ignoreForeignKey: true, published: 'midnight-ride' },
    is_internal: { type: 'bool', access: 'RO', default: false, published: '22.5.0' },
  },
  messages: {
    get_permissions: { params: { self: 'ref(role)' }, result: 'set(ref(role))', role: 'read-only', published: 'midnight-ride' },
    get_permissions_name_label: { params: { self: 'ref(role)' }, result: 'set(string)', role: 'read-only', published: 'midnight-ride' },
    get_by_permission: { params: { permission: 'ref(role)' }, result: 'set(ref(role))', role: 'read-only', published: 'midnight-ride' },
    get_by_permission_name_label: { params: { label: 'string' }, result: 'set(ref(role))', role: 'read-only', published: 'midnight-ride' },
  },
} as const satisfies ClassTable;
