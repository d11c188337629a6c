import { isUuid } from '@xenolith/base';
import type { XlCpupoolConfig, XlDisk, XlDomainConfig, XlVif } from './config.ts';
import { XlConfigError } from './xl-config-error.ts';

/** Longer texts are refused: neither a path, nor a kernel's command line, nor a disk specification is longer. */
const maxTextLength = 4096;
/** But a list of pCPUs may be: every second one of 4096 takes 10 KiB. */
const maxCpuListLength = 32 * 1024;
const cpuList = /^[0-9a-z:,^-]+$/;
const vdevName = /^(?:xvd[a-z]{1,3}|hd[a-z]|sd[a-z]{1,2}|d\d{1,5}p\d{1,2})\d{0,3}$/;
const macAddress = /^[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}$/;
const interfaceName = /^[A-Za-z0-9_.@-]{1,15}$/;
const scriptName = /^[A-Za-z0-9_./+-]+$/;
const rateText = /^\d+(?:[KMG]?[Bb])\/s(?:@\d+(?:ms|us|s))?$/;

/**
 * A domain's configuration as xl reads it (xl.cfg(5), parse_config_data in tools/xl/xl_parse.c). Every text is written as a quoted
 * string of libxlu's grammar and comes back from it unchanged.
 * @throws XlConfigError naming the field when a value cannot be written, or would be read as something else.
 */
export function formatXlConfig(config: XlDomainConfig): string {
  if (!isUuid(config.uuid)) throw new XlConfigError('uuid', 'not a uuid');
  const settings: readonly (readonly [string, string | undefined])[] = [
    ['type', quote('type', config.type)],
    ['name', domainName(config.name)],
    ['uuid', quote('uuid', config.uuid)],
    ['kernel', optional('kernel', config.kernel)],
    ['ramdisk', optional('ramdisk', config.ramdisk)],
    ['extra', optional('cmdline', config.cmdline)],
    ['bootloader', optional('bootloader', config.bootloader)],
    ['bootloader_args', config.bootloaderArgs && list('bootloaderArgs', config.bootloaderArgs)],
    ['memory', whole('memoryMib', config.memoryMib, 1, 0x7fffffff)],
    ['maxmem', whole('maxmemMib', config.maxmemMib, 1, 0x7fffffff)],
    ['vcpus', whole('vcpus', config.vcpus, 1, 8192)],
    ['maxvcpus', whole('maxvcpus', config.maxvcpus, 1, 8192)],
    ['cpus', cpus('cpus', config.cpus)],
    ['cpus_soft', cpus('cpusSoft', config.cpusSoft)],
    ['pool', optional('pool', config.pool)],
    ['cpu_weight', whole('cpuWeight', config.cpuWeight, 1, 65535)],
    ['cap', whole('cap', config.cap, 0, 65535)],
    ['disk', config.disks && list('disks', config.disks.map(formatXlDisk))],
    ['vif', config.vifs && list('vifs', config.vifs.map(formatXlVif))],
    ['on_poweroff', optional('onPoweroff', config.onPoweroff)],
    ['on_reboot', optional('onReboot', config.onReboot)],
    ['on_crash', optional('onCrash', config.onCrash)],
    ['on_watchdog', optional('onWatchdog', config.onWatchdog)],
  ];
  checkConfig(config);
  return settings.flatMap(([key, text]) => (text === undefined ? [] : [`${key} = ${text}\n`])).join('');
}

/**
 * The settings of a new cpupool (xlcpupool.cfg(5)), each an argument of `xl cpupool-create`.
 * @throws XlConfigError naming the field when a value cannot be written
 */
export function formatXlCpupool(config: XlCpupoolConfig): readonly string[] {
  const wrong = config.cpus.find((cpu) => !Number.isInteger(cpu) || cpu < 0);
  if (wrong !== undefined) throw new XlConfigError('cpus', `not a pCPU: ${wrong}`);
  return [
    `name=${optional('name', config.name) ?? ''}`,
    `sched=${quote('sched', config.sched)}`,
    ...(config.cpus.length === 0 ? [] : [`cpus=${list('cpus', config.cpus.map(String))}`]),
  ];
}

function checkConfig(config: XlDomainConfig): void {
  if (config.maxmemMib !== undefined && config.maxmemMib < config.memoryMib)
    throw new XlConfigError('maxmemMib', 'less than memory');
  if (config.maxvcpus !== undefined && config.maxvcpus < config.vcpus)
    throw new XlConfigError('maxvcpus', 'less than vcpus');
  if (config.kernel === undefined && config.bootloader === undefined) {
    throw new XlConfigError('kernel', 'neither kernel nor bootloader');
  }
  const vdevs = new Set((config.disks ?? []).map((disk) => disk.vdev));
  if (vdevs.size !== (config.disks ?? []).length) throw new XlConfigError('disks', 'two disks with one vdev');
}

/** A text as a string of libxlu's grammar: in double quotes, with a backslash before a quote and a backslash (libxlu_cfg_l.l, libxlu_cfg.c). */
function quote(field: string, text: string, maxLength = maxTextLength): string {
  if (text.length > maxLength) throw new XlConfigError(field, `longer than ${maxLength} characters`);
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(text)) throw new XlConfigError(field, 'a control character or line end');
  if (!text.isWellFormed()) throw new XlConfigError(field, 'not text');
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
}

function optional(field: string, text: string | undefined): string | undefined {
  if (text === '') throw new XlConfigError(field, 'empty');
  return text === undefined ? undefined : quote(field, text);
}

const list = (field: string, items: readonly string[]): string =>
  `[${items.map((item, index) => quote(`${field}[${index}]`, item)).join(', ')}]`;

function domainName(name: string): string {
  if (name === '' || /^\d+$/.test(name))
    throw new XlConfigError('name', 'empty, or only digits, which xl takes for a domid');
  if (name.includes('/')) throw new XlConfigError('name', 'a slash');
  return quote('name', name);
}

function whole(field: string, value: number | undefined, least: number, most: number): string | undefined {
  if (value === undefined) return undefined;
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new XlConfigError(field, `not a whole number from ${least} to ${most}: ${value}`);
  }
  return String(value);
}

function cpus(field: string, value: string | readonly string[] | undefined): string | undefined {
  if (value === undefined) return undefined;
  const wrong = (typeof value === 'string' ? [value] : value).find((text) => !cpuList.test(text));
  if (wrong !== undefined) throw new XlConfigError(field, `not a list of CPUs: ${JSON.stringify(wrong)}`);
  return typeof value === 'string' ? quote(field, value, maxCpuListLength) : list(field, value);
}

/**
 * A disk as xl's disk specification (libxlu_disk_l.l): comma separated, `target=` last because it takes the rest of the text,
 * commas and all; but one comma at its very end would be lost. @throws XlConfigError
 */
export function formatXlDisk(disk: XlDisk, index: number): string {
  const field = `disks[${index}]`;
  if (!vdevName.test(disk.vdev))
    throw new XlConfigError(`${field}.vdev`, `not a virtual device: ${JSON.stringify(disk.vdev)}`);
  if (disk.script !== undefined && !scriptName.test(disk.script))
    throw new XlConfigError(`${field}.script`, 'not a script');
  const path = disk.path ?? '';
  if (path === '' && !disk.cdrom) throw new XlConfigError(`${field}.path`, 'empty');
  if (path.endsWith(',')) throw new XlConfigError(`${field}.path`, 'a comma at the end');
  if (path !== '' && !path.startsWith('/') && disk.script === undefined)
    throw new XlConfigError(`${field}.path`, 'not absolute');
  const parts = [
    `format=${path === '' ? 'empty' : disk.format}`,
    `vdev=${disk.vdev}`,
    `access=${disk.readonly === true || disk.cdrom === true ? 'ro' : 'rw'}`,
    disk.cdrom ? 'devtype=cdrom' : undefined,
    disk.backendtype && `backendtype=${disk.backendtype}`,
    disk.script && `script=${disk.script}`,
    disk.discard === undefined ? undefined : disk.discard ? 'discard' : 'no-discard',
    path === '' ? undefined : `target=${path}`,
  ];
  return parts.filter((part) => part !== undefined).join(',');
}

/** A vif as xl's specification (parse_nic_config in tools/xl/xl_parse.c): comma separated `key=value`, so no value holds a comma. @throws XlConfigError */
export function formatXlVif(vif: XlVif, index: number): string {
  const field = `vifs[${index}]`;
  const checked = (key: string, value: string | undefined, pattern: RegExp): string | undefined => {
    if (value === undefined) return undefined;
    if (!pattern.test(value)) throw new XlConfigError(`${field}.${key}`, `cannot be written: ${JSON.stringify(value)}`);
    return `${key}=${value}`;
  };
  const parts = [
    checked('mac', vif.mac, macAddress),
    checked('bridge', vif.bridge, interfaceName),
    checked('script', vif.script, scriptName),
    checked('vifname', vif.vifname, interfaceName),
    checked('ip', vif.ip, /^[0-9A-Fa-f:./]+(?: [0-9A-Fa-f:./]+)*$/),
    checked('rate', vif.rate, rateText),
  ];
  return parts.filter((part) => part !== undefined).join(',');
}
