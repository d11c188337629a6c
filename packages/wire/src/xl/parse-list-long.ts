import { wireLimits } from '../wire-limits.ts';
import { WireError } from '../wire-error.ts';
import { parseJson } from '../json-rpc/json.ts';
import { isArray, isStruct, type WireStruct, type WireValue } from '../wire-value.ts';
import { XlParseError } from './xl-parse-error.ts';

/** A disk of a domain's configuration (libxl_device_disk). */
export interface XlDiskConfig {
  /** File or device in the backend domain, or what its script understands. Absent for an empty drive. */
  readonly path: string | undefined;
  readonly vdev: string;
  readonly format: string | undefined;
  /** Absent when libxl chose: it is not recorded then. */
  readonly backendtype: string | undefined;
  readonly script: string | undefined;
  readonly readonly: boolean;
  readonly cdrom: boolean;
}

/** A network interface of a domain's configuration (libxl_device_nic). */
export interface XlVifConfig {
  readonly devid: number | undefined;
  readonly mac: string | undefined;
  readonly bridge: string | undefined;
  readonly script: string | undefined;
  readonly vifname: string | undefined;
  readonly ip: string | undefined;
  /** `vif`, `vif_ioemu`. */
  readonly nictype: string | undefined;
}

/** Scheduler parameters; absent ones are the scheduler's own defaults. */
export interface XlSchedParams {
  readonly sched: string | undefined;
  readonly weight: number | undefined;
  /** Per cent of one pCPU, 0 = no cap. */
  readonly cap: number | undefined;
  readonly periodUs: number | undefined;
  readonly budgetUs: number | undefined;
  readonly extratime: boolean | undefined;
}

/** One domain of `xl list -l`. `undefined`: not in the JSON, which leaves out what has libxl's default. */
export interface XlDomainLong {
  readonly domid: number;
  /** `pv`, `pvh`, `hvm`. */
  readonly type: string | undefined;
  readonly name: string | undefined;
  /** Absent for Domain-0. */
  readonly uuid: string | undefined;
  readonly maxVcpus: number | undefined;
  /** How many vCPUs it was configured to start with, or was set to have. */
  readonly onlineVcpus: number | undefined;
  readonly maxMemKib: number | undefined;
  readonly targetMemKib: number | undefined;
  readonly kernel: string | undefined;
  readonly ramdisk: string | undefined;
  readonly cmdline: string | undefined;
  readonly bootloader: string | undefined;
  readonly cpupool: string | undefined;
  readonly schedParams: XlSchedParams | undefined;
  /** pCPUs by vCPU; absent when every vCPU may run everywhere. */
  readonly vcpuHardAffinity: readonly (readonly number[])[] | undefined;
  readonly vcpuSoftAffinity: readonly (readonly number[])[] | undefined;
  readonly disks: readonly XlDiskConfig[];
  readonly vifs: readonly XlVifConfig[];
  /** As libxl writes them (`restart`, `rename_restart`, …); `destroy`, its default, is not written. */
  readonly onPoweroff: string | undefined;
  readonly onReboot: string | undefined;
  readonly onCrash: string | undefined;
  readonly onWatchdog: string | undefined;
}

const command = 'xl list -l';

/**
 * Reads `xl list -l`, or one domain's: libxl's JSON of each domain's configuration (list_domains_details in tools/xl/xl_list.c,
 * types in tools/libs/light/libxl_types.idl). A part that is missing, or of a type that is not expected, is `undefined`;
 * only a domain without domid is an error. @throws XlParseError
 */
export function parseXlListLong(text: string): readonly XlDomainLong[] {
  const domains = readJson(text);
  if (!isArray(domains)) throw new XlParseError(command, 'not a list of domains', text.slice(0, 400));
  return domains.map((domain) => {
    const domid = isStruct(domain) ? wholeNumber(domain['domid']) : undefined;
    if (!isStruct(domain) || domid === undefined)
      throw new XlParseError(command, 'a domain without domid', JSON.stringify(domain));
    return domainOf(domid, member(domain, 'config'));
  });
}

function readJson(text: string): WireValue {
  try {
    return parseJson(text, wireLimits({ maxLength: 64 * 1024 * 1024 }));
  } catch (error) {
    if (error instanceof WireError) throw new XlParseError(command, error.message, text.slice(0, 400));
    throw error;
  }
}

function domainOf(domid: number, config: WireStruct): XlDomainLong {
  const create = member(config, 'c_info');
  const build = member(config, 'b_info');
  const type = word(create['type']) ?? word(build['type']);
  // Before 4.11 kernel, ramdisk and command line of a PV guest were inside its own part.
  const own = member(build, `type.${type ?? ''}`);
  const bootWord = (name: string): string | undefined => word(build[name]) ?? word(own[name]);
  return {
    domid,
    type,
    name: word(create['name']),
    uuid: word(create['uuid']),
    maxVcpus: wholeNumber(build['max_vcpus']),
    onlineVcpus: isArray(build['avail_vcpus']) ? build['avail_vcpus'].length : undefined,
    maxMemKib: wholeNumber(build['max_memkb']),
    targetMemKib: wholeNumber(build['target_memkb']),
    kernel: bootWord('kernel'),
    ramdisk: bootWord('ramdisk'),
    cmdline: bootWord('cmdline'),
    bootloader: bootWord('bootloader'),
    cpupool: word(create['pool_name']),
    schedParams: schedParams(build['sched_params']),
    vcpuHardAffinity: affinity(build['vcpu_hard_affinity']),
    vcpuSoftAffinity: affinity(build['vcpu_soft_affinity']),
    disks: items(config['disks']).map(disk),
    vifs: items(config['nics']).map(vif),
    onPoweroff: word(config['on_poweroff']),
    onReboot: word(config['on_reboot']),
    onCrash: word(config['on_crash']),
    onWatchdog: word(config['on_watchdog']),
  };
}

const disk = (value: WireStruct): XlDiskConfig => ({
  path: word(value['pdev_path']),
  vdev: word(value['vdev']) ?? '',
  format: word(value['format']),
  backendtype: word(value['backend']),
  script: word(value['script']),
  readonly: !truth(value['readwrite']),
  cdrom: truth(value['is_cdrom']),
});

const vif = (value: WireStruct): XlVifConfig => ({
  devid: wholeNumber(value['devid']),
  mac: word(value['mac']),
  bridge: word(value['bridge']),
  script: word(value['script']),
  vifname: word(value['ifname']),
  ip: word(value['ip']),
  nictype: word(value['nictype']),
});

function schedParams(value: WireValue | undefined): XlSchedParams | undefined {
  if (!isStruct(value)) return undefined;
  return {
    sched: word(value['sched']),
    weight: wholeNumber(value['weight']),
    cap: wholeNumber(value['cap']),
    periodUs: wholeNumber(value['period']),
    budgetUs: wholeNumber(value['budget']),
    extratime: value['extratime'] === undefined ? undefined : truth(value['extratime']),
  };
}

function affinity(value: WireValue | undefined): readonly (readonly number[])[] | undefined {
  if (!isArray(value)) return undefined;
  return value.map((cpus) => (isArray(cpus) ? cpus.filter((cpu): cpu is number => typeof cpu === 'number') : []));
}

const noMembers: WireStruct = {};

function member(value: WireStruct, name: string): WireStruct {
  const found = value[name];
  return isStruct(found) ? found : noMembers;
}

const items = (value: WireValue | undefined): readonly WireStruct[] => (isArray(value) ? value.filter(isStruct) : []);

const word = (value: WireValue | undefined): string | undefined => (typeof value === 'string' ? value : undefined);

/** libxl writes "default" as the largest 64-bit number, which arrives as text and counts as absent. */
const wholeNumber = (value: WireValue | undefined): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined;

/** libxl writes a C int as 0 or 1 and its defbool as text. */
const truth = (value: WireValue | undefined): boolean => value === true || value === 1 || value === 'True';
