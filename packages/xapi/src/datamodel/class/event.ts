import type { ClassTable } from '../schema.ts';

/** Changes of objects, as clients wait for them (no rows of its own). */
export const event = {
  name: 'event',
  help: 'Changes of objects, as clients wait for them (no rows of its own).',
  inDatabase: false,
  persist: false,
  events: false,
  getAll: false,
  lifecycle: { published: 'rio' },
  fields: {
    id: { help: 'Rises with each change.', type: 'int', access: 'StaticRO', published: 'rio' },
    timestamp: { type: 'datetime', access: 'StaticRO', published: 'rio', deprecated: 'boston' },
    class: { help: 'Class of the object, in lower case.', type: 'string', access: 'StaticRO', published: 'rio' },
    operation: { help: 'Whether the object came, changed or went.', type: 'enum(event_operation)', access: 'StaticRO', published: 'rio' },
    ref: { help: 'The object.', type: 'string', access: 'StaticRO', published: 'rio' },
    obj_uuid: { type: 'string', access: 'StaticRO', published: 'rio', deprecated: 'boston' },
    snapshot: { help: 'The whole record as it is now; absent once the object is gone.', type: 'record(<class>)', access: 'RO', published: 'boston' },
  },
  messages: {
    register: { help: 'Begins to listen for changes that `next` then tells (older form of `from`).', params: { classes: 'set(string)' }, result: 'void', role: 'read-only', async: true, published: 'rio', deprecated: 'boston' },
    unregister: { help: 'Stops listening to some classes.', params: { classes: 'set(string)' }, result: 'void', role: 'read-only', async: true, published: 'rio', deprecated: 'boston' },
    next: { help: 'Waits for changes of what is registered.', params: {}, result: 'set(record(event))', role: 'read-only', errors: ['SESSION_NOT_REGISTERED', 'EVENTS_LOST', 'EVENT_SUBSCRIPTION_PARSE_FAILURE'], published: 'rio', deprecated: 'boston' },
    from: { help: 'What changed since a token; waits when nothing has.', params: { classes: 'set(string)', token: 'string', timeout: 'float' }, result: 'set(record(event))', role: 'read-only', errors: ['EVENT_FROM_TOKEN_PARSE_FAILURE', 'EVENT_SUBSCRIPTION_PARSE_FAILURE'], published: 'boston' },
    get_current_id: { help: 'The number of the last change.', params: {}, result: 'int', role: 'read-only', published: 'rio' },
    inject: { help: 'Counts an object as changed; gives a token from just before.', params: { class: 'string', ref: 'string' }, result: 'string', role: 'read-only', published: 'tampa' },
  },
} as const satisfies ClassTable;
