import type { ClassTable } from '../schema.ts';

/** A virtual GPU of a VM. */
export const VGPU = {
  name: 'VGPU',
  help: 'A virtual GPU of a VM.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'boston' },
  writeRole: 'pool-operator',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'boston' },
    VM: { type: 'ref(VM)', access: 'RO', published: 'boston' },
    GPU_group: { type: 'ref(GPU_group)', access: 'RO', published: 'boston' },
    device: { type: 'string', access: 'RO', default: '0', published: 'boston' },
    currently_attached: { type: 'bool', access: 'RO', default: false, published: 'boston' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'boston' },
    type: { type: 'ref(VGPU_type)', access: 'RO', default: 'OpaqueRef:NULL', published: 'vgpu-tech-preview' },
    resident_on: { type: 'ref(PGPU)', access: 'RO', default: 'OpaqueRef:NULL', published: 'vgpu-tech-preview' },
    scheduled_to_be_resident_on: { type: 'ref(PGPU)', access: 'RO', default: 'OpaqueRef:NULL', published: 'dundee' },
    compatibility_metadata: { type: 'map(string,string)', access: 'RO', default: {}, published: 'inverness' },
    extra_args: { type: 'string', access: 'RW', default: '', published: 'quebec' },
    PCI: { type: 'ref(PCI)', access: 'RO', default: 'OpaqueRef:NULL', published: 'quebec' },
  },
  messages: {
    create: {
      params: { VM: 'ref(VM)', GPU_group: 'ref(GPU_group)' },
      optional: { device: { type: 'string', default: '0' }, other_config: { type: 'map(string,string)', default: {} }, type: { type: 'ref(VGPU_type)', default: 'OpaqueRef:NULL' } },
      result: 'ref(VGPU)',
      role: 'pool-operator',
      async: true,
      published: 'boston',
    },
    destroy: { params: { self: 'ref(VGPU)' }, result: 'void', role: 'pool-operator', async: true, published: 'boston' },
    atomic_set_resident_on: { params: { self: 'ref(VGPU)', value: 'ref(PGPU)' }, result: 'void', role: 'local-root', async: true, hidden: true, poolInternal: true, published: 'dundee' },
  },
} as const satisfies ClassTable;
