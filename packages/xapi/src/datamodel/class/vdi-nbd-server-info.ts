import type { ClassTable } from '../schema.ts';

/** Where and how a VDI is served over NBD (a struct, no rows). */
export const vdi_nbd_server_info = {
  name: 'vdi_nbd_server_info',
  help: 'Where and how a VDI is served over NBD (a struct, no rows).',
  inDatabase: false,
  persist: false,
  events: false,
  getAll: false,
  lifecycle: { published: 'inverness' },
  fields: {
    exportname: { type: 'string', access: 'RO', published: 'inverness' },
    address: { type: 'string', access: 'RO', published: 'inverness' },
    port: { type: 'int', access: 'RO', published: 'inverness' },
    cert: { type: 'string', access: 'RO', published: 'inverness' },
    subject: { type: 'string', access: 'RO', published: 'inverness' },
  },
  messages: {},
} as const satisfies ClassTable;
