import type { ClassTable } from '../schema.ts';

/** Figures of a host that change by themselves: memory, and whether it answers. */
export const host_metrics = {
  name: 'host_metrics',
  help: 'Figures of a host that change by themselves: memory, and whether it answers.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'rio' },
  writeRole: 'pool-operator',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    memory_total: { type: 'int', access: 'RO', group: 'memory', published: 'rio' },
    memory_free: { type: 'int', access: 'RO', default: 0, group: 'memory', published: 'rio', deprecated: 'midnight-ride', removed: 'tampa' },
    live: { type: 'bool', access: 'RO', published: 'rio' },
    last_updated: { type: 'datetime', access: 'RO', published: 'rio' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'orlando' },
  },
  messages: {},
} as const satisfies ClassTable;
