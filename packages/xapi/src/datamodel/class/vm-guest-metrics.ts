import type { ClassTable } from '../schema.ts';

/** What the guest says of itself: operating system, addresses, drivers. */
export const VM_guest_metrics = {
  name: 'VM_guest_metrics',
  help: 'What the guest says of itself: operating system, addresses, drivers.',
  inDatabase: true,
  persist: true,
  events: true,
  getAll: true,
  lifecycle: { published: 'rio' },
  writeRole: 'vm-admin',
  fields: {
    uuid: { type: 'string', access: 'RO', published: 'rio' },
    os_version: { type: 'map(string,string)', access: 'RO', published: 'rio' },
    netbios_name: { type: 'map(string,string)', access: 'RO', default: {}, prototyped: '24.28.0' },
    PV_drivers_version: { type: 'map(string,string)', access: 'RO', published: 'rio' },
    PV_drivers_up_to_date: { type: 'bool', access: 'RO', published: 'rio', deprecated: 'dundee' },
    memory: { type: 'map(string,string)', access: 'RO', default: {}, published: 'rio', deprecated: 'george', removed: 'george' },
    disks: { type: 'map(string,string)', access: 'RO', default: {}, published: 'rio', deprecated: 'orlando', removed: 'orlando' },
    networks: { type: 'map(string,string)', access: 'RO', published: 'rio' },
    other: { type: 'map(string,string)', access: 'RO', published: 'rio' },
    last_updated: { type: 'datetime', access: 'RO', published: 'rio' },
    other_config: { type: 'map(string,string)', access: 'RW', default: {}, published: 'orlando' },
    live: { type: 'bool', access: 'RO', default: false, published: 'orlando' },
    can_use_hotplug_vbd: { type: 'enum(tristate_type)', access: 'RO', default: 'unspecified', published: 'dundee' },
    can_use_hotplug_vif: { type: 'enum(tristate_type)', access: 'RO', default: 'unspecified', published: 'dundee' },
    PV_drivers_detected: { type: 'bool', access: 'RO', default: false, published: 'dundee' },
    services: { type: 'map(string,string)', access: 'RO', default: {}, prototyped: '25.15.0' },
  },
  messages: {},
} as const satisfies ClassTable;
