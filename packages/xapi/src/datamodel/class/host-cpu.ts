import { extensionFields } from '../extensions.ts';
import type { ClassTable } from '../schema.ts';

/** One physical CPU of a host (deprecated in favour of host.cpu_info, still read by clients). */
export const host_cpu = {
  name: 'host_cpu',
  help: 'One physical CPU of a host (deprecated in favour of host.cpu_info, still read by clients).',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'rio', deprecated: 'midnight-ride' },
  writeRole: 'pool-operator',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    host: { type: 'ref(host)', access: 'RO', published: 'rio' },
    number: { type: 'int', access: 'RO', published: 'rio' },
    vendor: { type: 'string', access: 'RO', published: 'rio' },
    speed: { type: 'int', access: 'RO', published: 'rio' },
    modelname: { type: 'string', access: 'RO', published: 'rio' },
    family: { type: 'int', access: 'RO', published: 'rio' },
    model: { type: 'int', access: 'RO', published: 'rio' },
    stepping: { type: 'string', access: 'RO', published: 'rio' },
    flags: { type: 'string', access: 'RO', published: 'rio' },
    features: { type: 'string', access: 'RO', published: 'rio' },
    utilisation: { type: 'float', access: 'RO', notPersisted: true, published: 'rio' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'orlando' },
    ...extensionFields.host_cpu,
  },
  messages: {},
} as const satisfies ClassTable;
