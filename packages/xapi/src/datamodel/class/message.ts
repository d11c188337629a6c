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
    name: { help: 'What happened, as a word.', type: 'string', access: 'RO', published: 'rio' },
    priority: { help: '1 is most urgent, 5 least.', type: 'int', access: 'RO', published: 'rio' },
    cls: { help: 'What kind of object it is about.', type: 'enum(cls)', access: 'RO', published: 'orlando' },
    obj_uuid: { help: 'The object that it is about.', type: 'string', access: 'RO', published: 'rio' },
    timestamp: { help: 'When it was written.', type: 'datetime', access: 'RO', published: 'rio' },
    body: { help: 'Details, as text.', type: 'string', access: 'RO', published: 'rio' },
  },
  messages: {
    create: { help: 'Writes a message about an object.', params: { name: 'string', priority: 'int', cls: 'enum(cls)', obj_uuid: 'string', body: 'string' }, result: 'ref(message)', role: 'pool-operator', published: 'orlando' },
    destroy: { help: 'Removes a message.', params: { self: 'ref(message)' }, result: 'void', role: 'pool-operator', published: 'orlando' },
    destroy_many: { help: 'Removes messages, all or none.', params: { messages: 'set(ref(message))' }, result: 'void', role: 'pool-operator', async: true, prototyped: '22.19.0' },
    destroy_all: { params: { filters: 'map(string,string)' }, result: 'void', role: 'pool-operator', async: true, prototyped: '26.6.0' },
    get: { help: 'Messages about an object since a moment.', params: { cls: 'enum(cls)', obj_uuid: 'string', since: 'datetime' }, result: 'map(ref(message),record(message))', role: 'read-only', published: 'orlando' },
    get_all: { params: {}, result: 'set(ref(message))', role: 'read-only', published: 'orlando' },
    get_since: { help: 'Messages since a moment.', params: { since: 'datetime' }, result: 'map(ref(message),record(message))', role: 'read-only', published: 'orlando' },
    get_record: { params: { self: 'ref(message)' }, result: 'record(message)', role: 'read-only', published: 'orlando' },
    get_by_uuid: { params: { uuid: 'string' }, result: 'ref(message)', role: 'read-only', published: 'orlando' },
    get_all_records: { params: {}, result: 'map(ref(message),record(message))', role: 'read-only', published: 'orlando' },
    get_all_records_where: { params: { expr: 'string' }, result: 'map(ref(message),record(message))', role: 'read-only', published: 'orlando' },
  },
} as const satisfies ClassTable;
