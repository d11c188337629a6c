import type { ClassTable } from '../schema.ts';

/** A console of a VM: its protocol, and where to connect. */
export const console = {
  name: 'console',
  help: 'A console of a VM: its protocol, and where to connect.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'rio' },
  writeRole: 'vm-admin',
  create: { role: 'vm-admin', required: ['other_config', 'port'], optional: [] },
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    protocol: { help: 'rfb for a screen, vt100 for text.', type: 'enum(console_protocol)', access: 'RO', published: 'rio' },
    location: { help: 'URL of the console.', type: 'string', access: 'RO', published: 'rio' },
    VM: { help: 'The VM whose console it is.', type: 'ref(VM)', access: 'RO', published: 'rio' },
    other_config: { help: 'Free for clients, by key.', type: 'map(string,string)', access: 'RW', published: 'rio' },
    port: { type: 'int', access: 'RW', internal: true, published: 'rio' },
  },
  messages: {},
} as const satisfies ClassTable;
