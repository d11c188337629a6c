import type { ClassTable } from '../schema.ts';

/** A virtual TPM of a VM. */
export const VTPM = {
  name: 'VTPM',
  help: 'A virtual TPM of a VM.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { prototyped: '22.26.0' },
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    allowed_operations: { type: 'set(enum(vtpm_operations))', access: 'RO', default: [], notPersisted: true, published: 'rio' },
    current_operations: { type: 'map(string,enum(vtpm_operations))', access: 'RO', default: {}, notPersisted: true, published: 'rio' },
    VM: { type: 'ref(VM)', access: 'StaticRO', published: 'rio' },
    backend: { type: 'ref(VM)', access: 'RO', default: 'OpaqueRef:NULL', published: 'rio' },
    persistence_backend: { type: 'enum(persistence_backend)', access: 'RO', default: 'xapi', prototyped: '22.26.0' },
    is_unique: { type: 'bool', access: 'StaticRO', default: false, prototyped: '22.26.0' },
    is_protected: { type: 'bool', access: 'RO', default: false, prototyped: '22.26.0' },
    contents: { type: 'ref(secret)', access: 'RO', internal: true, prototyped: '22.26.0' },
  },
  messages: {
    create: { params: { vM: 'ref(VM)', is_unique: 'bool' }, result: 'ref(VTPM)', role: 'vm-admin', async: true, prototyped: '22.26.0' },
    destroy: { params: { self: 'ref(VTPM)' }, result: 'void', role: 'vm-admin', async: true, prototyped: '22.26.0' },
    get_contents: { params: { self: 'ref(VTPM)' }, result: 'string', role: 'local-root', async: true, hidden: true, secret: true, prototyped: '22.26.0' },
    set_contents: { params: { self: 'ref(VTPM)', contents: 'string' }, result: 'void', role: 'local-root', async: true, hidden: true, secret: true, prototyped: '22.26.0' },
  },
} as const satisfies ClassTable;
