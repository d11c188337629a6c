import type { ClassTable } from '../schema.ts';

/** Figures and hardware facts of a PIF. */
export const PIF_metrics = {
  name: 'PIF_metrics',
  help: 'Figures and hardware facts of a PIF.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'rio' },
  writeRole: 'pool-operator',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    io_read_kbs: { type: 'float', access: 'RO', default: 0.0, group: 'io', notPersisted: true, published: 'rio', deprecated: 'tampa', removed: 'tampa' },
    io_write_kbs: { type: 'float', access: 'RO', default: 0.0, group: 'io', notPersisted: true, published: 'rio', deprecated: 'tampa', removed: 'tampa' },
    carrier: { type: 'bool', access: 'RO', published: 'rio' },
    vendor_id: { type: 'string', access: 'RO', published: 'rio' },
    vendor_name: { type: 'string', access: 'RO', published: 'rio' },
    device_id: { type: 'string', access: 'RO', published: 'rio' },
    device_name: { type: 'string', access: 'RO', published: 'rio' },
    speed: { type: 'int', access: 'RO', published: 'rio' },
    duplex: { type: 'bool', access: 'RO', published: 'rio' },
    pci_bus_path: { type: 'string', access: 'RO', published: 'rio' },
    last_updated: { type: 'datetime', access: 'RO', published: 'rio' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'orlando' },
  },
  messages: {},
} as const satisfies ClassTable;
