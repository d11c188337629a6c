/** The fields of a class as xe shows them: names with hyphens, references as uuids, fields of what is referred to. */
import type { ClassTable, FieldTable } from '@xenolith/xapi';

/** Follows a reference: the field that holds it and the class that it leads to. */
export interface Step {
  readonly field: string;
  readonly className: string;
}

export interface Column {
  /** `name-label`. */
  readonly name: string;
  /** RO or RW; of sets with S before it, of maps with M. */
  readonly tag: string;
  /** Type of the last field, in the notation of the data model. */
  readonly type: string;
  /** From the record to the one whose field is shown; empty for a field of the record itself. */
  readonly steps: readonly Step[];
  readonly field: string;
  /** What stands for more than one value, where xe has a word for that. */
  readonly many?: string;
}

type Lookup = readonly [name: string, type: string, steps: readonly (readonly [string, string])[], field: string];

const vmMetrics = [['metrics', 'VM_metrics']] as const;
const guestMetrics = [['guest_metrics', 'VM_guest_metrics']] as const;
const pifMetrics = [['metrics', 'PIF_metrics']] as const;
const hostMetrics = [['metrics', 'host_metrics']] as const;

/** Fields that xe shows in an object although they belong to another one. */
const lookups: Readonly<Record<string, readonly Lookup[]>> = {
  VM: [
    ['memory-actual', 'int', vmMetrics, 'memory_actual'],
    ['VCPUs-number', 'int', vmMetrics, 'VCPUs_number'],
    ['VCPUs-utilisation', 'map(int,float)', vmMetrics, 'VCPUs_utilisation'],
    ['start-time', 'datetime', vmMetrics, 'start_time'],
    ['install-time', 'datetime', vmMetrics, 'install_time'],
    ['hvm', 'bool', vmMetrics, 'hvm'],
    ['nomigrate', 'bool', vmMetrics, 'nomigrate'],
    ['nested-virt', 'bool', vmMetrics, 'nested_virt'],
    ['numa-optimised', 'bool', vmMetrics, 'numa_optimised'],
    ['numa-nodes', 'int', vmMetrics, 'numa_nodes'],
    ['numa-node-memory', 'map(int,int)', vmMetrics, 'numa_node_memory'],
    ['current-domain-type', 'enum(domain_type)', vmMetrics, 'current_domain_type'],
    ['os-version', 'map(string,string)', guestMetrics, 'os_version'],
    ['networks', 'map(string,string)', guestMetrics, 'networks'],
    ['live', 'bool', guestMetrics, 'live'],
    ['netbios-name', 'map(string,string)', guestMetrics, 'netbios_name'],
    ['PV-drivers-version', 'map(string,string)', guestMetrics, 'PV_drivers_version'],
    ['PV-drivers-up-to-date', 'bool', guestMetrics, 'PV_drivers_up_to_date'],
    ['PV-drivers-detected', 'bool', guestMetrics, 'PV_drivers_detected'],
    ['services', 'map(string,string)', guestMetrics, 'services'],
    ['other', 'map(string,string)', guestMetrics, 'other'],
    ['guest-metrics-last-updated', 'datetime', guestMetrics, 'last_updated'],
    ['can-use-hotplug-vbd', 'enum(tristate_type)', guestMetrics, 'can_use_hotplug_vbd'],
    ['can-use-hotplug-vif', 'enum(tristate_type)', guestMetrics, 'can_use_hotplug_vif'],
  ],
  PIF: [
    ['carrier', 'bool', pifMetrics, 'carrier'],
    ['vendor-id', 'string', pifMetrics, 'vendor_id'],
    ['vendor-name', 'string', pifMetrics, 'vendor_name'],
    ['device-id', 'string', pifMetrics, 'device_id'],
    ['device-name', 'string', pifMetrics, 'device_name'],
    ['speed', 'int', pifMetrics, 'speed'],
    ['duplex', 'bool', pifMetrics, 'duplex'],
    ['pci-bus-path', 'string', pifMetrics, 'pci_bus_path'],
  ],
  PGPU: [
    ['vendor-name', 'string', [['PCI', 'PCI']], 'vendor_name'],
    ['device-name', 'string', [['PCI', 'PCI']], 'device_name'],
    ['gpu-group-name-label', 'string', [['GPU_group', 'GPU_group']], 'name_label'],
  ],
  host: [
    ['memory-total', 'int', hostMetrics, 'memory_total'],
    ['memory-free', 'int', hostMetrics, 'memory_free'],
    ['host-metrics-live', 'bool', hostMetrics, 'live'],
  ],
  cpupool: [['cpu-numbers', 'string', [['CPUs', 'host_cpu']], 'number']],
  SR: [
    [
      'host',
      'string',
      [
        ['PBDs', 'PBD'],
        ['host', 'host'],
      ],
      'name_label',
    ],
  ],
};

/** Names that do not follow the rule. */
const names: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  VM: { domid: 'dom-id', consoles: 'console-uuids', suspend_VDI: 'suspend-VDI-uuid', suspend_SR: 'suspend-SR-uuid' },
  host: {
    resident_VMs: 'resident-vms',
    control_domain: 'control-domain-uuid',
    suspend_image_sr: 'suspend-image-sr-uuid',
    crash_dump_sr: 'crash-dump-sr-uuid',
  },
  VDI: { VBDs: 'vbd-uuids', crash_dumps: 'crashdump-uuids' },
  pool: { default_SR: 'default-SR' },
  network: { VIFs: 'VIF-uuids', PIFs: 'PIF-uuids' },
  PIF: {
    VLAN_master_of: 'vlan-master-of',
    VLAN_slave_of: 'vlan-slave-of',
    ip_configuration_mode: 'IP-configuration-mode',
    ipv6_configuration_mode: 'IPv6-configuration-mode',
    ipv6_gateway: 'IPv6-gateway',
  },
  message: { cls: 'class' },
  VM_group: { VMs: 'vm-uuids' },
  GPU_group: { VGPUs: 'VGPU-uuids', PGPUs: 'PGPU-uuids' },
  USB_group: { VUSBs: 'VUSB-uuids', PUSBs: 'PUSB-uuids' },
  PVS_site: {
    PVS_uuid: 'pvs-uuid',
    servers: 'pvs-server-uuids',
    proxies: 'pvs-proxy-uuids',
    cache_storage: 'pvs-cache-storage-uuids',
  },
  PVS_server: { site: 'pvs-site-uuid' },
  PVS_proxy: { site: 'pvs-site-uuid' },
  PVS_cache_storage: { site: 'pvs-site-uuid' },
  Observer: { hosts: 'host-uuids' },
};

/** Underscores that xe keeps. */
const keepsUnderscores =
  /^(qos_|(cpu_info|iscsi_iqn|guest_VCPUs_params|subtask_of|error_info|fingerprint_sha1|fingerprint_sha256|extra_args)$)/;

/** Classes whose objects have a name: a reference to one is shown as its uuid and, beside it, its name. */
const named: ReadonlySet<string> = new Set(['VM', 'VDI', 'SR', 'host', 'network', 'cpupool']);

/** Name of a field without regard to hyphens and underscores, as users mix them. */
export const plainName = (name: string): string => name.replaceAll('_', '-').toLowerCase();

const refClass = (type: string): string | undefined => /^(?:set\()?ref\(([^)]+)\)\)?$/.exec(type)?.[1];

/** The columns of a class, uuid and names first. */
export function columnsOf(table: ClassTable): readonly Column[] {
  const columns: Column[] = [];
  for (const [field, entry] of Object.entries(table.fields)) {
    if (entry.internal === true || entry.removed !== undefined) continue;
    columns.push(...fieldColumns(table, field, entry));
  }
  for (const [name, type, steps, field] of lookups[table.name] ?? []) {
    columns.push({
      name,
      tag: tagOf(type, false),
      type,
      steps: steps.map(([step, className]) => ({ field: step, className })),
      field,
      ...(table.name === 'SR' ? { many: '<shared>' } : {}),
    });
  }
  const rank = (column: Column): number => {
    const index = ['uuid', 'name-label', 'name-description'].indexOf(column.name);
    return index < 0 ? 3 : index;
  };
  return columns.sort((a, b) => rank(a) - rank(b));
}

function fieldColumns(table: ClassTable, field: string, entry: FieldTable): readonly Column[] {
  const writable =
    entry.access === 'RW' ||
    [`set_${field}`, `add_to_${field}`].some((name) => {
      const message = table.messages[name];
      return message !== undefined && message.removed === undefined && message.hidden !== true;
    });
  const tag = tagOf(entry.type, writable);
  const className = refClass(entry.type);
  const own = names[table.name]?.[field];
  if (className === undefined) {
    const name = own ?? (keepsUnderscores.test(field) ? field : field.replaceAll('_', '-'));
    return [{ name, tag, type: entry.type, steps: [], field }];
  }
  // A VBD's VM is its vm-uuid, and its vm-name-label stands beside it.
  const isPlain = field.toLowerCase() === className.toLowerCase();
  const stem = className.toLowerCase().replaceAll('_', '-');
  const steps = [{ field, className }];
  const uuid = { name: own ?? (isPlain ? `${stem}-uuid` : field.replaceAll('_', '-')), tag, type: 'string', steps };
  const columns: Column[] = [{ ...uuid, field: 'uuid' }];
  if (isPlain && named.has(className)) {
    columns.push({ name: `${stem}-name-label`, tag: 'RO', type: 'string', steps, field: 'name_label' });
  }
  return columns;
}

function tagOf(type: string, writable: boolean): string {
  const kind = type.startsWith('set(') ? 'S' : type.startsWith('map(') ? 'M' : '';
  return `${kind}${writable ? 'RW' : 'RO'}`;
}

/** The column that a user means: by its name, or by the field's own name in the XenAPI. */
export function findColumn(columns: readonly Column[], name: string): Column | undefined {
  const wanted = plainName(name);
  return (
    columns.find((column) => plainName(column.name) === wanted) ??
    columns.find((column) => plainName(column.steps[0]?.field ?? column.field) === wanted)
  );
}

/**
 * The table of one class, loaded alone: a command that needs one class does not wait for all of them.
 * `className` must be one of the data model's.
 */
export async function loadClass(className: string): Promise<ClassTable> {
  const file = className.toLowerCase().replaceAll('_', '-');
  const module = (await import(`@xenolith/xapi/datamodel/class/${file}.ts`)) as Readonly<Record<string, ClassTable>>;
  const table = module[className];
  if (table === undefined) throw new Error(`no table of class ${className}`);
  return table;
}
