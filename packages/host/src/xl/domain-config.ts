import { domId, fromKib, fromMib, isUuid, ns, toMibUp, type PcpuId } from '@xenolith/base';
import {
  formatXlBitmap,
  formatXlConfig,
  XlConfigError,
  type XlDisk,
  type XlDiskConfig,
  type XlDomain,
  type XlDomainLong,
  type XlVifConfig,
} from '@xenolith/wire';
import {
  HostError,
  type DomainConfig,
  type DomainDetails,
  type DomainDisk,
  type DomainInfo,
  type DomainType,
  type DomainVif,
} from '@xenolith/xapi';

/**
 * The xl.cfg of a domain, under the name that xl is to give it.
 * @throws HostError bad-config for what xl cannot be told
 */
export function xlConfigText(config: DomainConfig, name: string): string {
  if (config.type === 'hvm') throw new HostError('bad-config', 'HVM guests cannot be started yet; PV and PVH can');
  try {
    return formatXlConfig({
      type: config.type,
      name,
      uuid: config.uuid,
      kernel: config.kernel,
      ramdisk: config.ramdisk,
      cmdline: config.cmdline === '' ? undefined : config.cmdline,
      bootloader: config.bootloader,
      memoryMib: toMibUp(config.memoryTargetBytes),
      maxmemMib: toMibUp(config.memoryMaxBytes),
      vcpus: config.vcpusAtStartup,
      maxvcpus: config.vcpusMax,
      cpus: pcpuText(config.placement?.strict === true ? config.placement.pcpus : config.cpus),
      // Any soft affinity, also to everything, keeps libxl from choosing nodes (numa_place_domain in tools/libs/light/libxl_dom.c).
      cpusSoft: pcpuText(config.placement?.pcpus),
      cpuWeight: config.weight,
      cap: config.cap,
      pool: config.cpupool,
      disks: config.disks.map(xlDisk),
      vifs: config.vifs.toSorted((a, b) => a.index - b.index).map(({ mac, bridge }) => ({ mac, bridge })),
      onPoweroff: config.onPoweroff,
      onReboot: config.onReboot,
      onCrash: config.onCrash,
    });
  } catch (error) {
    if (error instanceof XlConfigError) throw new HostError('bad-config', error.message);
    throw error;
  }
}

/** A disk as xl's own specification has it. */
export const xlDisk = ({ device, path, format, readOnly, cdrom }: DomainDisk): XlDisk => ({
  vdev: device,
  format,
  readonly: readOnly,
  ...(path === '' ? {} : { path }),
  ...(cdrom === undefined ? {} : { cdrom }),
});

/** As one text: a list of texts would be one for each vCPU. What the host has not is ignored (`libxl_bitmap_set`). */
const pcpuText = (pcpus: readonly PcpuId[] | undefined): string | undefined =>
  pcpus === undefined ? undefined : formatXlBitmap(pcpus);

/** A line of `xl list -v` or `xl list -v -c`; undefined for what is no guest and not Domain-0 (a stub domain has the uuid of zeros too). */
export function domainInfoOf(domain: XlDomain): DomainInfo | undefined {
  const { uuid, state, shutdownReason } = domain;
  if (uuid === undefined || !isUuid(uuid)) return undefined;
  if (domain.domid !== 0 && /^[0-]+$/.test(uuid)) return undefined;
  return {
    domid: domId(domain.domid),
    uuid,
    name: domain.name,
    paused: state.paused,
    dying: state.dying,
    // A reason that xl has no letter for is not among those that a guest gives when it ends well.
    ...(shutdownReason === undefined ? {} : { shutdown: shutdownReason === 'unknown' ? 'crash' : shutdownReason }),
    memoryBytes: fromMib(domain.memoryMib),
    vcpusOnline: domain.vcpus,
    ...(domain.cpupool === undefined || domain.cpupool === '' ? {} : { cpupool: domain.cpupool }),
    cpuTimeNs: ns(Math.round(domain.cpuTimeSeconds * 10) * 100_000_000),
  };
}

/** What `xl list -l` says that a domain was made of. */
export function domainDetailsOf(domain: XlDomainLong): DomainDetails {
  const { kernel, ramdisk, cmdline, bootloader } = domain;
  return {
    type: domainType(domain.type),
    vcpusMax: domain.maxVcpus ?? 1,
    memoryMaxBytes: fromKib(domain.maxMemKib ?? domain.targetMemKib ?? 0),
    disks: domain.disks.flatMap((disk) => diskOf(disk) ?? []),
    vifs: domain.vifs.flatMap((vif, index) => vifOf(vif, index) ?? []),
    ...(kernel === undefined ? {} : { kernel }),
    ...(ramdisk === undefined ? {} : { ramdisk }),
    ...(cmdline === undefined ? {} : { cmdline }),
    ...(bootloader === undefined ? {} : { bootloader }),
  };
}

const domainType = (type: string | undefined): DomainType => (type === 'pvh' || type === 'hvm' ? type : 'pv');

function diskOf(disk: XlDiskConfig): DomainDisk | undefined {
  if (disk.vdev === '') return undefined;
  const { format } = disk;
  return {
    device: disk.vdev,
    path: disk.path ?? '',
    format: format === 'qcow2' || format === 'vhd' ? format : 'raw',
    readOnly: disk.readonly,
    ...(disk.cdrom ? { cdrom: true } : {}),
  };
}

function vifOf(vif: XlVifConfig, index: number): DomainVif | undefined {
  if (vif.mac === undefined || vif.bridge === undefined) return undefined;
  return { index: vif.devid ?? index, mac: vif.mac.toLowerCase(), bridge: vif.bridge };
}
