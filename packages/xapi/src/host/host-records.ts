/** The records of a host, from its facts: itself, its processors, interfaces, networks, control domain and storage. */
import { bytes, gibBytes, mibBytes, nullRef, type Ref } from '@xenolith/base';
import { formatDateTime } from '@xenolith/wire';
import { bootIdKey } from './host-cpupools.ts';
import { edition } from '../pool/licence.ts';
import { disksMax } from '../vm/disk-places.ts';
import { vifsMax } from '../call/vif.ts';
import type { BootableGuest, HostFacts } from '../host-driver.ts';
import { updateInterfaces } from '../network/interface-records.ts';
import { ensureSm } from '../storage/sm.ts';
import { newVmRecord, vcpusMax } from '../vm/new-vm.ts';
import type { Xapi } from '../xapi.ts';

/** Where the local repository of a host keeps its files; the uuid of the repository follows. */
export const localSrDirectory = '/var/lib/xenolith/sr';

/** Where the local repository of that uuid keeps its files. */
export const localSrPath = (uuid: string): string => `${localSrDirectory}/${uuid}`;

/** The key of `host.other_config` that says that a disabled host stays so over its boot. */
export const disabledKey = 'xenolith:disabled';

const cpuCount = (facts: HostFacts): number => facts.pcpus.length;

function cpuInfo(facts: HostFacts): Record<string, string> {
  const sockets = new Set(facts.pcpus.map((pcpu) => pcpu.socket)).size;
  return {
    cpu_count: String(cpuCount(facts)),
    socket_count: String(sockets),
    threads_per_core: String(facts.threadsPerCore),
    nr_nodes: String(facts.nodes.length),
    vendor: facts.cpuVendor ?? '',
    speed: facts.cpuMhz === undefined ? '' : facts.cpuMhz.toFixed(3),
    modelname: facts.cpuModelName ?? '',
    flags: facts.cpuFlags ?? '',
    features: facts.hwCaps ?? '',
  };
}

function softwareVersion(xapi: Xapi, facts: HostFacts): Record<string, string> {
  const { release } = xapi.surface;
  const { productVersion = xapi.version, databaseSchema } = release;
  const apiVersion = `2.${release.apiVersionMinor}`;
  return {
    product_brand: 'Xenolith',
    product_version: productVersion,
    product_version_text: productVersion,
    product_version_text_short: productVersion,
    platform_name: 'Xenolith',
    platform_version: release.platformVersion,
    xapi: release.xapi,
    xapi_build: release.xapiBuild,
    build_number: xapi.version,
    hostname: facts.hostname,
    xen: facts.xenVersion,
    linux: facts.kernelRelease,
    xencenter_min: apiVersion,
    xencenter_max: apiVersion,
    network_backend: 'bridge',
    ...(databaseSchema === undefined ? {} : { db_schema: databaseSchema }),
  };
}

/** What can change from one boot of a host to the next. */
function factFields(xapi: Xapi, facts: HostFacts): Parameters<typeof xapi.db.update<'host'>>[2] {
  return {
    hostname: facts.hostname,
    capabilities: [...facts.xenCapabilities],
    sched_policy: facts.xenScheduler,
    cpu_info: cpuInfo(facts),
    software_version: softwareVersion(xapi, facts),
    cpu_configuration: {},
    API_version_major: 2,
    API_version_minor: xapi.surface.release.apiVersionMinor,
    API_version_vendor: 'XenSource',
  };
}

/** Records of a host that joins. `otherConfig` holds where it is. */
export function createHostRecords(
  xapi: Xapi,
  facts: HostFacts,
  address: string,
  otherConfig: Readonly<Record<string, string>>,
): Ref<'host'> {
  const { db } = xapi;
  const metrics = db.create('host_metrics', {
    memory_total: facts.memoryTotalBytes,
    memory_free: facts.memoryFreeBytes,
    live: true,
    last_updated: formatDateTime(xapi.clock.now()),
  });
  const host = db.create('host', {
    ...factFields(xapi, facts),
    ...xapi.sessions.externalAuth.hostFields(),
    name_label: facts.hostname,
    address,
    metrics,
    enabled: true,
    edition,
    editions: [edition],
    other_config: {
      ...otherConfig,
      ...(facts.systemUuid === undefined ? {} : { 'xenolith:system-uuid': facts.systemUuid }),
    },
    power_on_mode: '',
    virtual_hardware_platform_versions: [0, 1, 2],
  });
  for (const pcpu of facts.pcpus) {
    db.create('host_cpu', {
      host,
      number: pcpu.pcpu,
      vendor: facts.cpuVendor ?? '',
      speed: Math.round(facts.cpuMhz ?? 0),
      modelname: facts.cpuModelName ?? '',
      flags: facts.cpuFlags ?? '',
      features: facts.hwCaps ?? '',
    });
  }
  createControlDomain(xapi, host, facts);
  updateInterfaces(xapi, host, facts.interfaces);
  return host;
}

/** Brings the records of a known host up to its facts, as after its reboot. */
export function updateHostRecords(xapi: Xapi, host: Ref<'host'>, facts: HostFacts): void {
  const { db } = xapi;
  const { enabled, other_config: otherConfig } = db.get('host', host);
  const before = otherConfig[bootIdKey];
  // A boot ends what a host was disabled for, as XAPI has it when it starts.
  const isBooted = before !== undefined && facts.bootId !== undefined && before !== facts.bootId;
  db.update('host', host, {
    ...factFields(xapi, facts),
    enabled: enabled || (isBooted && otherConfig[disabledKey] === undefined),
  });
  updateInterfaces(xapi, host, facts.interfaces);
}

function createControlDomain(xapi: Xapi, host: Ref<'host'>, facts: HostFacts): void {
  const { db } = xapi;
  const memory = Math.max(0, facts.memoryTotalBytes - facts.memoryFreeBytes);
  const vm = newVmRecord(xapi, {
    name_label: `Control domain on host: ${facts.hostname}`,
    name_description: 'The domain which manages physical devices and manages other domains',
    is_control_domain: true,
    power_state: 'Running',
    domid: 0,
    resident_on: host,
    affinity: host,
    memory_static_max: memory,
    memory_dynamic_max: memory,
    memory_dynamic_min: memory,
    memory_static_min: 0,
    domain_type: 'pv',
  });
  db.update('host', host, { control_domain: vm });
}

/** The local file repository of a host; made the first time it joins. */
export function createLocalSr(
  xapi: Xapi,
  host: Ref<'host'>,
  uuid: string,
  space: { readonly totalBytes: number; readonly freeBytes: number },
): Ref<'SR'> {
  const { db } = xapi;
  ensureSm(xapi);
  const { name_label } = db.get('host', host);
  const sr = db.create('SR', {
    uuid,
    name_label: `Local storage on ${name_label}`,
    type: 'file',
    content_type: 'user',
    physical_size: space.totalBytes,
    physical_utilisation: space.totalBytes - space.freeBytes,
  });
  db.create('PBD', {
    host,
    SR: sr,
    device_config: { location: localSrPath(uuid) },
    currently_attached: true,
  });
  db.update('host', host, { suspend_image_sr: sr });
  return sr;
}

/** As much memory as XAPI's own templates recommend at most. */
const memoryMaxBytes = 1536 * gibBytes;

/** What a VM may be given, in the form that clients read from `VM.recommendations` (XAPI: ocaml/xapi/create_templates.ml). */
const recommendations = (): string =>
  [
    '<restrictions>',
    `<restriction field="memory-static-max" max="${memoryMaxBytes}"/>`,
    `<restriction field="vcpus-max" max="${vcpusMax}"/>`,
    '<restriction field="has-vendor-device" value="false"/>',
    `<restriction max="${disksMax}" property="number-of-vbds"/>`,
    `<restriction max="${vifsMax}" property="number-of-vifs"/>`,
    '</restrictions>',
  ].join('');

/** Makes a default template of each guest that a host can boot, once in the pool. */
export function createTemplates(xapi: Xapi, guests: readonly BootableGuest[]): void {
  const known = new Set(
    [...xapi.db.all('VM')].filter(([, vm]) => vm.is_default_template).map(([, vm]) => vm.name_label),
  );
  for (const guest of guests) {
    if (known.has(guest.name)) continue;
    const memory = guest.memoryBytes;
    newVmRecord(xapi, {
      name_label: guest.name,
      name_description: guest.description,
      is_a_template: true,
      is_default_template: true,
      domain_type: guest.type === 'hvm' ? 'hvm' : guest.type,
      PV_kernel: guest.kernel,
      PV_ramdisk: guest.ramdisk,
      PV_args: guest.cmdline,
      VCPUs_max: guest.vcpus,
      VCPUs_at_startup: guest.vcpus,
      memory_static_max: memory,
      memory_dynamic_max: memory,
      memory_dynamic_min: memory,
      memory_static_min: bytes(Math.min(memory, 64 * mibBytes)),
      recommendations: recommendations(),
      reference_label: guest.name,
      other_config: { default_template: 'true', linux_template: 'true', 'install-methods': '' },
    });
  }
}

/** The first host is the pool's coordinator and lends it its repository. */
export function adoptIntoPool(xapi: Xapi, host: Ref<'host'>, sr: Ref<'SR'>): void {
  const [pool] = xapi.db.refs('pool');
  if (pool === undefined) return;
  const { master, default_SR } = xapi.db.get('pool', pool);
  if (!xapi.db.has('host', master)) xapi.db.update('pool', pool, { master: host });
  if (!xapi.db.has('SR', default_SR)) xapi.db.update('pool', pool, { default_SR: sr, suspend_image_SR: sr });
}

/** Removes a host and the records that are about nothing else. */
export function destroyHostRecords(xapi: Xapi, host: Ref<'host'>): void {
  const { db } = xapi;
  const record = db.get('host', host);
  const vlans = [...db.all('VLAN')].filter(([, { tagged_PIF }]) => record.PIFs.includes(tagged_PIF));
  for (const [vlan] of vlans) db.destroy('VLAN', vlan);
  const bonds = [...db.all('Bond')].filter(([, { master }]) => record.PIFs.includes(master));
  for (const [bond] of bonds) db.destroy('Bond', bond);
  for (const pif of record.PIFs) {
    const { metrics } = db.get('PIF', pif);
    db.destroy('PIF', pif);
    db.destroy('PIF_metrics', metrics);
  }
  for (const cpu of record.host_CPUs) db.destroy('host_cpu', cpu);
  for (const pool of record.cpupools) db.destroy('cpupool', pool);
  for (const pbd of record.PBDs) {
    const { SR } = db.get('PBD', pbd);
    db.destroy('PBD', pbd);
    if (db.has('SR', SR) && db.get('SR', SR).PBDs.length === 0) {
      for (const vdi of db.get('SR', SR).VDIs) db.destroy('VDI', vdi);
      db.destroy('SR', SR);
    }
  }
  const { metrics } = db.has('VM', record.control_domain)
    ? db.get('VM', record.control_domain)
    : { metrics: nullRef<'VM_metrics'>() };
  db.destroy('VM_metrics', metrics);
  db.destroy('VM', record.control_domain);
  db.destroy('host_metrics', record.metrics);
  db.destroy('host', host);
  const [pool] = db.refs('pool');
  const [next] = db.refs('host');
  if (pool !== undefined && next !== undefined && !db.has('host', db.get('pool', pool).master))
    db.update('pool', pool, { master: next });
}
