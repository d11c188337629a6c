import type { ClassTable } from '../schema.ts';

/** Calls of LVM based repositories. */
export const LVHD = {
  name: 'LVHD',
  help: 'Calls of LVM based repositories.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: false,
  lifecycle: { published: 'dundee' },
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
  },
  messages: {
    enable_thin_provisioning: { params: { host: 'ref(host)', SR: 'ref(SR)', initial_allocation: 'int', allocation_quantum: 'int' }, result: 'string', role: 'pool-admin', async: true, forwardToHostExtension: true, published: 'dundee' },
  },
} as const satisfies ClassTable;
