import type { ClassTable } from '../schema.ts';

/** A kind of virtual GPU that some physical GPUs can provide. */
export const VGPU_type = {
  name: 'VGPU_type',
  help: 'A kind of virtual GPU that some physical GPUs can provide.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'vgpu-tech-preview' },
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'vgpu-tech-preview' },
    vendor_name: { type: 'string', access: 'StaticRO', default: '', published: 'vgpu-tech-preview' },
    model_name: { type: 'string', access: 'StaticRO', default: '', published: 'vgpu-tech-preview' },
    framebuffer_size: { type: 'int', access: 'StaticRO', default: 0, published: 'vgpu-tech-preview' },
    max_heads: { type: 'int', access: 'StaticRO', default: 0, published: 'vgpu-tech-preview' },
    max_resolution_x: { type: 'int', access: 'StaticRO', default: 0, published: 'vgpu-productisation' },
    max_resolution_y: { type: 'int', access: 'StaticRO', default: 0, published: 'vgpu-productisation' },
    size: { type: 'int', access: 'StaticRO', default: 0, internal: true, published: 'vgpu-tech-preview' },
    supported_on_PGPUs: { type: 'set(ref(PGPU))', access: 'RO', published: 'vgpu-tech-preview' },
    enabled_on_PGPUs: { type: 'set(ref(PGPU))', access: 'RO', published: 'vgpu-tech-preview' },
    VGPUs: { type: 'set(ref(VGPU))', access: 'RO', published: 'vgpu-tech-preview' },
    internal_config: { type: 'map(string,string)', access: 'StaticRO', default: {}, internal: true, published: 'vgpu-tech-preview' },
    supported_on_GPU_groups: { type: 'set(ref(GPU_group))', access: 'RO', published: 'vgpu-productisation' },
    enabled_on_GPU_groups: { type: 'set(ref(GPU_group))', access: 'RO', published: 'vgpu-productisation' },
    implementation: { type: 'enum(vgpu_type_implementation)', access: 'StaticRO', default: 'passthrough', published: 'dundee' },
    identifier: { type: 'string', access: 'StaticRO', default: '', published: 'dundee' },
    experimental: { type: 'bool', access: 'StaticRO', default: false, published: 'dundee' },
    compatible_types_in_vm: { type: 'set(ref(VGPU_type))', access: 'RO', default: [], ignoreForeignKey: true, published: 'quebec' },
    compatible_types_on_pgpu: { type: 'set(ref(VGPU_type))', access: 'RO', default: [], internal: true, ignoreForeignKey: true, published: 'quebec' },
  },
  messages: {},
} as const satisfies ClassTable;
