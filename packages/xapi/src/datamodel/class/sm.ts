import type { ClassTable } from '../schema.ts';

/** A storage driver that can serve storage repositories of one type. */
export const SM = {
  name: 'SM',
  help: 'A storage driver that can serve storage repositories of one type.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'rio' },
  writeRole: 'pool-operator',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    name_label: { type: 'string', access: 'RO', default: '', group: 'name', published: 'rio' },
    name_description: { type: 'string', access: 'RO', default: '', group: 'name', published: 'rio' },
    type: { type: 'string', access: 'RO', published: 'rio' },
    vendor: { type: 'string', access: 'RO', published: 'rio' },
    copyright: { type: 'string', access: 'RO', published: 'rio' },
    version: { type: 'string', access: 'RO', published: 'rio' },
    required_api_version: { type: 'string', access: 'RO', published: 'rio' },
    configuration: { type: 'map(string,string)', access: 'RO', published: 'rio' },
    capabilities: { type: 'set(string)', access: 'RO', default: [], published: 'miami', deprecated: 'clearwater' },
    features: { type: 'map(string,int)', access: 'RO', default: {}, published: 'clearwater' },
    host_pending_features: { type: 'map(ref(host),set(string))', access: 'RO', default: {}, internal: true, prototyped: '24.37.0' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'miami' },
    driver_filename: { type: 'string', access: 'RO', default: '', published: 'orlando' },
    required_cluster_stack: { type: 'set(string)', access: 'RO', default: [], published: 'dundee' },
    supported_image_formats: { type: 'set(enum(image_format_type))', access: 'RO', default: [], prototyped: '26.15.0' },
  },
  messages: {},
} as const satisfies ClassTable;
