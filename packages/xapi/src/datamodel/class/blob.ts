import type { ClassTable } from '../schema.ts';

/** A piece of binary data that belongs to some object. */
export const blob = {
  name: 'blob',
  help: 'A piece of binary data that belongs to some object.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'orlando' },
  writeRole: 'pool-operator',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    name_label: { type: 'string', access: 'RW', default: '', group: 'name', published: 'rio' },
    name_description: { type: 'string', access: 'RW', default: '', group: 'name', published: 'rio' },
    size: { type: 'int', access: 'RO', published: 'rio' },
    public: { type: 'bool', access: 'RW', default: false, published: 'tampa' },
    last_updated: { type: 'datetime', access: 'StaticRO', published: 'rio' },
    mime_type: { type: 'string', access: 'StaticRO', published: 'rio' },
  },
  messages: {
    create: { params: { mime_type: 'string' }, optional: { public: { type: 'bool', default: false } }, result: 'ref(blob)', role: 'pool-operator', published: 'orlando' },
    destroy: { params: { self: 'ref(blob)' }, result: 'void', role: 'pool-operator', published: 'orlando' },
  },
} as const satisfies ClassTable;
