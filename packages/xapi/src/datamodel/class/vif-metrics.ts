import type { ClassTable } from '../schema.ts';

/** Figures of a VIF (removed: figures are round-robin databases now). */
export const VIF_metrics = {
  name: 'VIF_metrics',
  help: 'Figures of a VIF (removed: figures are round-robin databases now).',
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
    last_updated: { type: 'datetime', access: 'RO', published: 'rio' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'orlando' },
  },
  messages: {},
} as const satisfies ClassTable;
