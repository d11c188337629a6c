import type { ClassTable } from '../schema.ts';

/** A crash of a VM, kept in a VDI (deprecated). */
export const crashdump = {
  name: 'crashdump',
  help: 'A crash of a VM, kept in a VDI (deprecated).',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'rio', deprecated: 'inverness' },
  writeRole: 'pool-operator',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    VM: { type: 'ref(VM)', access: 'StaticRO', published: 'rio' },
    VDI: { type: 'ref(VDI)', access: 'StaticRO', published: 'rio' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'miami' },
  },
  messages: {
    destroy: { params: { self: 'ref(crashdump)' }, result: 'void', role: 'pool-operator', async: true, published: 'rio' },
  },
} as const satisfies ClassTable;
