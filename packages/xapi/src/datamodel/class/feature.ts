import type { ClassTable } from '../schema.ts';

/** An optional feature of a host. */
export const Feature = {
  name: 'Feature',
  help: 'An optional feature of a host.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'falcon' },
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'falcon' },
    name_label: { type: 'string', access: 'StaticRO', default: '', group: 'name', published: 'rio' },
    name_description: { type: 'string', access: 'StaticRO', default: '', group: 'name', published: 'rio' },
    enabled: { type: 'bool', access: 'RO', default: false, published: 'falcon' },
    experimental: { type: 'bool', access: 'StaticRO', default: false, published: 'falcon' },
    version: { type: 'string', access: 'StaticRO', default: '1.0', published: 'falcon' },
    host: { type: 'ref(host)', access: 'RO', published: 'falcon' },
  },
  messages: {},
} as const satisfies ClassTable;
