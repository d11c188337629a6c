import type { ClassTable } from '../schema.ts';

/** GPUs of one kind across the pool. */
export const GPU_group = {
  name: 'GPU_group',
  help: 'GPUs of one kind across the pool.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'boston' },
  writeRole: 'pool-operator',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'boston' },
    name_label: { type: 'string', access: 'RW', default: '', group: 'name', published: 'boston' },
    name_description: { type: 'string', access: 'RW', default: '', group: 'name', published: 'boston' },
    PGPUs: { type: 'set(ref(PGPU))', access: 'RO', published: 'boston' },
    VGPUs: { type: 'set(ref(VGPU))', access: 'RO', published: 'boston' },
    GPU_types: { type: 'set(string)', access: 'RO', default: [], published: 'boston' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'boston' },
    allocation_algorithm: { type: 'enum(allocation_algorithm)', access: 'RW', default: 'depth_first', published: 'vgpu-tech-preview' },
    supported_VGPU_types: { type: 'set(ref(VGPU_type))', access: 'RO', published: 'vgpu-productisation' },
    enabled_VGPU_types: { type: 'set(ref(VGPU_type))', access: 'RO', published: 'vgpu-productisation' },
  },
  messages: {
    create: { params: {}, optional: { name_label: { type: 'string', default: '' }, name_description: { type: 'string', default: '' }, other_config: { type: 'map(string,string)', default: {} } }, result: 'ref(GPU_group)', role: 'pool-operator', async: true, published: 'boston' },
    destroy: { params: { self: 'ref(GPU_group)' }, result: 'void', role: 'pool-operator', async: true, published: 'boston' },
    update_enabled_VGPU_types: { params: { self: 'ref(GPU_group)' }, result: 'void', role: 'pool-operator', async: true, hidden: true, published: 'vgpu-productisation' },
    update_supported_VGPU_types: { params: { self: 'ref(GPU_group)' }, result: 'void', role: 'pool-operator', async: true, hidden: true, published: 'vgpu-productisation' },
    get_remaining_capacity: { params: { self: 'ref(GPU_group)', vgpu_type: 'ref(VGPU_type)' }, result: 'int', role: 'read-only', async: true, published: 'vgpu-tech-preview' },
  },
} as const satisfies ClassTable;
