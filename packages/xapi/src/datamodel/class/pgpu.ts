import type { ClassTable } from '../schema.ts';

/** A physical GPU of a host. */
export const PGPU = {
  name: 'PGPU',
  help: 'A physical GPU of a host.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'boston' },
  writeRole: 'pool-operator',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'boston' },
    PCI: { type: 'ref(PCI)', access: 'StaticRO', default: 'OpaqueRef:NULL', published: 'boston' },
    GPU_group: { type: 'ref(GPU_group)', access: 'StaticRO', default: 'OpaqueRef:NULL', published: 'boston' },
    host: { type: 'ref(host)', access: 'RO', default: 'OpaqueRef:NULL', published: 'boston' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'boston' },
    supported_VGPU_types: { type: 'set(ref(VGPU_type))', access: 'RO', published: 'vgpu-tech-preview' },
    enabled_VGPU_types: { type: 'set(ref(VGPU_type))', access: 'RO', published: 'vgpu-tech-preview' },
    resident_VGPUs: { type: 'set(ref(VGPU))', access: 'RO', published: 'vgpu-tech-preview' },
    size: { type: 'int', access: 'StaticRO', default: 1048576, internal: true, published: 'vgpu-tech-preview' },
    supported_VGPU_max_capacities: { type: 'map(ref(VGPU_type),int)', access: 'RO', default: {}, published: 'vgpu-productisation' },
    dom0_access: { type: 'enum(pci_dom0_access)', access: 'RO', default: 'enabled', published: 'cream', deprecated: '24.14.0' },
    is_system_display_device: { type: 'bool', access: 'RO', default: false, published: 'cream' },
    compatibility_metadata: { type: 'map(string,string)', access: 'RO', default: {}, published: 'inverness' },
  },
  messages: {
    add_enabled_VGPU_types: { params: { self: 'ref(PGPU)', value: 'ref(VGPU_type)' }, result: 'void', role: 'pool-operator', async: true, published: 'vgpu-tech-preview' },
    remove_enabled_VGPU_types: { params: { self: 'ref(PGPU)', value: 'ref(VGPU_type)' }, result: 'void', role: 'pool-operator', async: true, published: 'vgpu-tech-preview' },
    set_enabled_VGPU_types: { params: { self: 'ref(PGPU)', value: 'set(ref(VGPU_type))' }, result: 'void', role: 'pool-operator', async: true, published: 'vgpu-tech-preview' },
    set_GPU_group: { params: { self: 'ref(PGPU)', value: 'ref(GPU_group)' }, result: 'void', role: 'pool-operator', async: true, published: 'vgpu-tech-preview' },
    get_remaining_capacity: { params: { self: 'ref(PGPU)', vgpu_type: 'ref(VGPU_type)' }, result: 'int', role: 'read-only', async: true, published: 'vgpu-tech-preview' },
    enable_dom0_access: { params: { self: 'ref(PGPU)' }, result: 'enum(pci_dom0_access)', role: 'pool-operator', async: true, published: 'cream', deprecated: '24.14.0' },
    disable_dom0_access: { params: { self: 'ref(PGPU)' }, result: 'enum(pci_dom0_access)', role: 'pool-operator', async: true, published: 'cream', deprecated: '24.14.0' },
  },
} as const satisfies ClassTable;
