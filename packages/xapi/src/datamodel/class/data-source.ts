import type { ClassTable } from '../schema.ts';

/** One recorded figure of a host, VM or SR (a struct, no rows). */
export const data_source = {
  name: 'data_source',
  help: 'One recorded figure of a host, VM or SR (a struct, no rows).',
  inDatabase: false,
  persist: false,
  events: false,
  getAll: false,
  lifecycle: { published: 'orlando' },
  fields: {
    name_label: { type: 'string', access: 'RO', default: '', group: 'name', published: 'rio' },
    name_description: { type: 'string', access: 'RO', default: '', group: 'name', published: 'rio' },
    enabled: { type: 'bool', access: 'RO', published: 'rio' },
    standard: { type: 'bool', access: 'RO', published: 'rio' },
    units: { type: 'string', access: 'RO', published: 'rio' },
    min: { type: 'float', access: 'RO', published: 'rio' },
    max: { type: 'float', access: 'RO', published: 'rio' },
    value: { type: 'float', access: 'RO', published: 'rio' },
  },
  messages: {},
} as const satisfies ClassTable;
