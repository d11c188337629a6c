/** What a control domain tells of its own memory: one script that only reads, and the reader of what it prints. */
import { maximumOf, type BalloonEvidence, type Dom0Evidence, type GrubEvidence } from '@xenolith/experiments';
import {
  parseE820,
  parseKernelMemoryLog,
  parseMeminfo,
  parseXenLog,
  parseXlInfo,
  parseXlList,
  parseXlListLong,
  XlParseError,
  type GrubFile,
} from '@xenolith/wire';
import {
  commandFailure,
  pathWord,
  readSections,
  scriptExit,
  scriptHead,
  section,
  sectionMark,
} from '../xl/host-script.ts';
import type { Transport } from '../xl/transport.ts';

/** For all of it: each command that could hang has a limit of its own. */
const timeLimitMs = 120_000;
/** Seconds for one command that speaks to Xen or xenstore: an emulated host that is busy has been seen to take six. */
const commandLimitSeconds = 15;
/** Of any one thing that is read. */
const readMaxBytes = 64 * 1024;
/** Xen's log is 16 KiB unless it was told otherwise, and the boot's lines are its first. */
const logMaxBytes = 1024 * 1024;

const grubFilePrefix = 'grub ';
const sysfs = '/sys/devices/system/xen_memory/xen_memory0';

/** A word for the shell that begins with the root directory that the script is for. */
const under = (path: string): string => `"$r"${path}`;
const read = (path: string): string => `head -c ${readMaxBytes} ${under(path)} 2>/dev/null; `;
const ask = (command: string, maxBytes = readMaxBytes): string =>
  `timeout ${commandLimitSeconds} ${command} </dev/null 2>/dev/null | head -c ${maxBytes}; `;

/** Sets `$r`, and has its programs found first: for a tree that is not the root of a system. */
export function rootHead(root: string): string {
  if (root === '') return `r=; ${scriptHead}`;
  const word = pathWord(root);
  return `r=${word}; ${scriptHead}PATH=${word}/usr/sbin:${word}/usr/bin:$PATH; `;
}

/**
 * A script that reads what a doctor of dom0's memory wants to know. It writes nothing, and what it cannot read is
 * missing from its output. It ends with `notXen` where neither xl nor a balloon driver is there.
 * @param root a directory in the place of `/`: an absolute path, or empty
 * @throws HostError bad-config for another path
 */
export function evidenceScript(root = ''): string {
  return (
    `${rootHead(root)}command -v xl >/dev/null || [ -d ${under(sysfs)} ] || ` +
    `{ echo 'neither xl nor a balloon driver: not a Xen control domain' >&2; exit ${scriptExit.notXen}; }; ` +
    `[ ! -r ${under('/proc/xen/capabilities')} ] || case $(head -c 200 ${under('/proc/xen/capabilities')}) in *control_d*) ;; ` +
    `*) echo 'a domain of Xen, but not its control domain' >&2; exit ${scriptExit.notXen};; esac; ` +
    `${section('hostname')}${read('/proc/sys/kernel/hostname')}` +
    `${section('release')}${read('/proc/sys/kernel/osrelease')}` +
    `${section('cmdline')}${read('/proc/cmdline')}` +
    `${section('meminfo')}${read('/proc/meminfo')}` +
    `${section('balloon')}for n in info/current_kb target_kb info/low_kb info/high_kb; do ` +
    `v=; read -r v <${under(sysfs)}/$n && echo "$n $v"; done 2>/dev/null; ` +
    `${section('xl-info')}${ask('xl info -n')}` +
    `${section('xl-list')}${ask('xl list 0')}` +
    `${section('xl-list-long')}${ask('xl list -l 0')}` +
    `${section('xl-dmesg')}${ask('xl dmesg', logMaxBytes)}` +
    `${section('target')}${ask('xenstore-read /local/domain/0/memory/target')}` +
    `${section('static-max')}${ask('xenstore-read /local/domain/0/memory/static-max')}` +
    // The kernel's ring loses its beginning in time; the journal has it where there is one.
    `${section('dmesg')}l() { grep -E 'Memory: [0-9]+|Released [0-9]+ page' | head -c ${readMaxBytes}; }; ` +
    `o=$(dmesg 2>/dev/null | l); [ -n "$o" ] || o=$(timeout ${commandLimitSeconds} journalctl -k -b -o cat --no-pager 2>/dev/null | l); ` +
    `echo "$o"; ` +
    `${section('update-grub')}command -v update-grub >/dev/null && [ -f ${under('/boot/grub/grub.cfg')} ] && echo yes; ` +
    `for f in ${under('/etc/default/grub')} ${under('/etc/default/grub.d/*.cfg')}; do [ -f "$f" ] && [ -r "$f" ] || continue; ` +
    `echo; echo "${sectionMark}${grubFilePrefix}\${f#"$r"}"; head -c ${readMaxBytes} "$f"; done; exit 0`
  );
}

/**
 * Looks at a host. @param options.root see {@link evidenceScript}
 * @throws HostError unreachable, timeout, not-xen or command-failed
 */
export async function gatherEvidence(
  transport: Transport,
  options: { readonly root?: string } = {},
): Promise<Dom0Evidence> {
  const result = await transport.run({ text: evidenceScript(options.root), timeLimitMs, lane: 'look' });
  if (result.exitCode !== 0) throw commandFailure('the look at dom0', result);
  return readEvidence(result.stdout);
}

/** Reads what {@link evidenceScript} printed. What makes no sense is absent. */
export function readEvidence(output: string): Dom0Evidence {
  const sections = readSections(output);
  const text = (name: string): string => sections.get(name) ?? '';
  const info = maybe(() => parseXlInfo(text('xl-info')));
  const log = parseXenLog(text('xl-dmesg'));
  const map = maybe(() => parseE820(text('xl-dmesg')));
  const kernelLog = parseKernelMemoryLog(text('dmesg'));
  const [domain] = maybe(() => parseXlList(text('xl-list'))) ?? [];
  const [long] = maybe(() => parseXlListLong(text('xl-list-long'))) ?? [];
  const grub = readGrub(sections);
  const maximumKib =
    long?.maxMemKib === undefined ? maximumOf(text('static-max').trim()) : maximumOf(String(long.maxMemKib));
  return {
    ...present('hostname', word(text('hostname')) ?? info?.host),
    ...present('kernel', word(text('release')) ?? info?.release),
    ...present('kernelCommandLine', text('cmdline').trim() || undefined),
    ...present('xenVersion', info?.xenVersion),
    ...present('xenCommandLine', info?.commandline ?? log.commandLine),
    ...present('bootloader', log.bootloader),
    ...present('dom0Type', log.dom0Type ?? dom0TypeOf(long?.type)),
    ...present('vcpus', domain?.vcpus),
    // Only the machine's own map: the one of a kernel is cut to what it may have.
    ...present('machineMap', map?.source === 'Xen-e820' ? map.entries : undefined),
    ...present('machineMib', info?.totalMemoryMib),
    ...present('initialPages', log.dom0Pages),
    ...present('maximumKib', maximumKib),
    ...present('memTotalKib', parseMeminfo(text('meminfo')).get('MemTotal')),
    balloon: readBalloon(text('balloon')),
    ...present('xenstoreTargetKib', number(text('target'))),
    ...present('knownKib', kernelLog.knownKib),
    ...present('imageKib', kernelLog.imageKib),
    ...present('releasedPages', kernelLog.releasedPages),
    ...present('grub', grub),
  };
}

/** A member that is there when its value is. */
const present = <Key extends string, Value>(key: Key, value: Value | undefined): { readonly [Name in Key]?: Value } =>
  value === undefined ? {} : ({ [key]: value } as { [Name in Key]: Value });

function maybe<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof XlParseError) return undefined;
    throw error;
  }
}

/** One line of a few characters. */
function word(text: string): string | undefined {
  const line = text.trim();
  return /^[!-~]{1,255}$/.test(line) ? line : undefined;
}

const number = (text: string): number | undefined => (/^\d{1,15}$/.test(text.trim()) ? Number(text) : undefined);

const dom0TypeOf = (type: string | undefined): 'pv' | 'pvh' | undefined =>
  type === 'pv' || type === 'pvh' ? type : undefined;

function readBalloon(text: string): BalloonEvidence {
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [name = '', value = ''] = line.split(' ');
    const kib = number(value);
    if (kib !== undefined) values.set(name, kib);
  }
  const [low, high] = [values.get('info/low_kb'), values.get('info/high_kb')];
  return {
    ...present('currentKib', values.get('info/current_kb')),
    ...present('targetKib', values.get('target_kb')),
    ...present('roomKib', low === undefined ? undefined : low + (high ?? 0)),
  };
}

function readGrub(sections: ReadonlyMap<string, string>): GrubEvidence | undefined {
  const files = [...sections].flatMap(([name, text]): readonly GrubFile[] =>
    name.startsWith(grubFilePrefix) ? [{ path: name.slice(grubFilePrefix.length), text }] : [],
  );
  if (files.length === 0) return undefined;
  return { files, canUpdate: (sections.get('update-grub') ?? '').trim() === 'yes' };
}
