import type { ClassTable } from '../schema.ts';

/** Something that an administrator should know, attached to an object. */
export const message = {
  name: 'message',
  help: 'Something that an administrator should know, attached to an object.',
  inDatabase: false,
  persist: false,
  events: true,
  getAll: false,
  lifecycle: { published: 'orlando' },
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    name: { type: 'string', access: 'RO', published: 'rio' },
    priority: { type: 'int', access: 'RO', published: 'rio' },
    cls: { type: 'enum(cls)', access: 'RO', published: 'orlando' },
    obj_uuid: { type: 'string', access: 'RO', published: 'rio' },
    timestamp: { type: 'datetime', access: 'RO', published: 'rio' },
    body: { type: 'string', access: 'RO', published: 'rio' },
  },
  messages: {
    create: { params: { name: 'string', priority: 'int', cls: 'enum(cls)', obj_uuid: 'string', body: 'string' }, result: 'ref(message)', role: 'pool-operator', published: 'orlando' },
    destroy: { params: { self: 'ref(message)' }, result: 'void', role: 'pool-operator', published: 'orlando' },
    destroy_many: { params: { messages: 'set(ref(message))' }, result: 'void', role: 'pool-operator', async: true, prototyped: '22.19.0' },
    destroy_all: { params: { filters: 'map(string,string)' }, result: 'void', role: 'pool-operator', async: true, prototyped: '26.6.0' },
    get: { params: { cls: 'enum(cls)', obj_uuid: 'string', since: 'datetime' }, result: 'map(ref(message),record(message))', role: 'read-only', published: 'orlando' },
    get_all: { params: {}, result: 'set(ref(message))', role: 'read-only', published: 'orlando' },
    get_since: { params: { since: 'datetime' }, result: 'map(ref(message),record(message))', role: 'read-only', published: 'orlando' },
    get_record: { params: { self: 'ref(message)' }, result: 'record(message)', role: 'read-only', published: 'orlando' },
    get_by_uuid: { params: { uuid: 'string' }, result: 'ref(message)', role: 'read-only', published: 'orlando' },
    get_all_records: { params: {}, result: 'map(ref(message),record(message))', role: 'read-only', published: 'orlando' },
    get_all_records_where: { params: { expr: 'string' }, result: 'map(ref(message),record(message))', role: 'read-only', published: 'orlando' },
  },
} as const satisfies ClassTable;
