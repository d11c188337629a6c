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
    id: { type: 'int', access: 'StaticRO', published: 'rio' },
    timestamp: { type: 'datetime', access: 'StaticRO', published: 'rio', deprecated: 'boston' },
    class: { type: 'string', access: 'StaticRO', published: 'rio' },
    operation: { type: 'enum(event_operation)', access: 'StaticRO', published: 'rio' },
    ref: { type: 'string', access: 'StaticRO', published: 'rio' },
    obj_uuid: { type: 'string', access: 'StaticRO', published: 'rio', deprecated: 'boston' },
    snapshot: { type: 'record(<class>)', access: 'RO', published: 'boston' },
  },
  messages: {
    register: { params: { classes: 'set(string)' }, result: 'void', role: 'read-only', async: true, published: 'rio', deprecated: 'boston' },
    unregister: { params: { classes: 'set(string)' }, result: 'void', role: 'read-only', async: true, published: 'rio', deprecated: 'boston' },
    next: { params: {}, result: 'set(record(event))', role: 'read-only', errors: ['SESSION_NOT_REGISTERED', 'EVENTS_LOST', 'EVENT_SUBSCRIPTION_PARSE_FAILURE'], published: 'rio', deprecated: 'boston' },
    from: { params: { classes: 'set(string)', token: 'string', timeout: 'float' }, result: 'set(record(event))', role: 'read-only', errors: ['EVENT_FROM_TOKEN_PARSE_FAILURE', 'EVENT_SUBSCRIPTION_PARSE_FAILURE'], published: 'boston' },
    get_current_id: { params: {}, result: 'int', role: 'read-only', published: 'rio' },
    inject: { params: { class: 'string', ref: 'string' }, result: 'string', role: 'read-only', published: 'tampa' },
  },
} as const satisfies ClassTable;
