import type { ClassTable } from '../schema.ts';

/** Work of a disaster recovery. */
export const DR_task = {
  name: 'DR_task',
  help: 'Work of a disaster recovery.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'boston' },
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    introduced_SRs: { type: 'set(ref(SR))', access: 'RO', published: 'rio' },
  },
  messages: {
    create: { params: { type: 'string', device_config: 'map(string,string)', whitelist: 'set(string)' }, result: 'ref(DR_task)', role: 'pool-operator', async: true, published: 'boston' },
    destroy: { params: { self: 'ref(DR_task)' }, result: 'void', role: 'pool-operator', async: true, published: 'boston' },
  },
} as const satisfies ClassTable;
