import type { ClassTable } from '../schema.ts';

/** Figures of a VBD (removed: figures are round-robin databases now). */
export const VBD_metrics = {
  name: 'VBD_metrics',
  help: 'Figures of a VBD (removed: figures are round-robin databases now).',
  inDatabase: true,
  persist: false,
  events: true,
  getAll: true,
  lifecycle: { published: 'rio', deprecated: 'tampa', removed: 'tampa' },
  writeRole: 'vm-admin',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    io_read_kbs: { type: 'float', access: 'RO', default: 0.0, group: 'io', notPersisted: true, published: 'rio', deprecated: 'tampa', removed: 'tampa' },
    io_write_kbs: { type: 'float', access: 'RO', default: 0.0, group: 'io', notPersisted: true, published: 'rio', deprecated: 'tampa', removed: 'tampa' },
    last_updated: { type: 'datetime', access: 'RO', default: '19700101T00:00:00Z', published: 'rio', deprecated: 'tampa', removed: 'tampa' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'orlando', deprecated: 'tampa', removed: 'tampa' },
  },
  messages: {},
} as const satisfies ClassTable;
