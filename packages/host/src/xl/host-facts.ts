import { fromMib, isUuid, nodeId, pcpuId } from '@xenolith/base';
import { parseXlInfo, XlParseError, type XlInfo } from '@xenolith/wire';
import { HostError, type HostFacts, type HostFigures, type InterfaceFacts } from '@xenolith/xapi';
import { bootableGuests, guestFiles } from '../bootable-guests.ts';
import { readSections, scriptExit, scriptHead, section } from './host-script.ts';

/** What is written on an interface that was made here (`ifalias`): nothing without it is ever removed. */
export const madeHere = 'made by xenolith';

/** Where the kernel shows the interfaces of the control domain. */
export const netDirectory = '/sys/class/net';

/**
 * The interfaces, bonds and bridges of the control domain, and its addresses, in two sections. The last field is `free` where no
 * interface that was not made here is upon this one: a bridge that it is a port of, a bond, a VLAN.
 */
export const interfacesScript =
  `${section('interfaces')}for d in ${netDirectory}/*; do n=\${d##*/}; k=other; ` +
  '[ -e "$d/device" ] && k=physical; [ -d "$d/bonding" ] && k=bond; [ -d "$d/bridge" ] && k=bridge; a=; m=; c=; b=; ' +
  '{ read -r a <"$d/address"; read -r m <"$d/mtu"; read -r c <"$d/carrier"; } 2>/dev/null; ' +
  'b=$(readlink "$d/brport/bridge"); l=; read -r l <"$d/ifalias" 2>/dev/null; f=free; for u in "$d"/upper_*; do ' +
  `[ -e "$u" ] || continue; x=; read -r x <"$u/ifalias" 2>/dev/null; [ "$x" = '${madeHere}' ] || f=; done; ` +
  'echo "$n|$k|$a|$m|$c|${b##*/}|$l|$f"; done; ' +
  `${section('addresses')}ip -o addr show 2>/dev/null; `;

/**
 * Everything about a host in one command: `xl info -n`, then what the control domain's /proc, /sys and `ip` say. All but
 * xl itself may be missing.
 */
export const factsScript =
  `${scriptHead}command -v xl >/dev/null || { echo 'there is no xl: not a Xen control domain' >&2; ` +
  `exit ${scriptExit.notXen}; }; xl info -n || exit ${scriptExit.notXen}; ` +
  `${section('hostname')}cat /proc/sys/kernel/hostname; ` +
  `${section('cpu')}sed '/^$/q' /proc/cpuinfo; ` +
  interfacesScript +
  `${section('uuid')}cat /sys/class/dmi/id/product_uuid 2>/dev/null; ` +
  `${section('boot')}cat /proc/sys/kernel/random/boot_id 2>/dev/null; ` +
  `${section('guest')}[ -r ${guestFiles.kernel} ] && [ -r ${guestFiles.ramdisk} ] && echo yes; exit 0`;

/** Reads what {@link factsScript} printed. @throws HostError not-xen when xl's part makes no sense */
export function readFacts(output: string): HostFacts {
  const sections = readSections(output);
  const info = readInfo(sections.get('') ?? '');
  const cpu = readCpuInfo(sections.get('cpu') ?? '');
  const uuid = (sections.get('uuid') ?? '').trim().toLowerCase();
  const bootId = (sections.get('boot') ?? '').trim();
  const hostname = (sections.get('hostname') ?? '').trim();
  const cpuVendor = cpu.get('vendor_id');
  const cpuModelName = cpu.get('model name');
  const cpuFlags = cpu.get('flags');
  return {
    hostname: hostname === '' ? info.host : hostname,
    xenVersion: info.xenVersion,
    xenCapabilities: info.xenCaps,
    virtCapabilities: info.virtCaps,
    xenScheduler: info.xenScheduler ?? '',
    xenCommandLine: info.commandline ?? '',
    kernelRelease: info.release ?? '',
    machine: info.machine ?? '',
    memoryTotalBytes: fromMib(info.totalMemoryMib),
    memoryFreeBytes: fromMib(info.freeMemoryMib),
    coresPerSocket: info.coresPerSocket ?? 1,
    threadsPerCore: info.threadsPerCore ?? 1,
    pcpus: info.cpuTopology.map((row) => ({
      pcpu: pcpuId(row.cpuId),
      core: row.coreId,
      socket: row.socketId,
      node: nodeId(row.nodeId),
    })),
    nodes: info.numaNodes.map((row) => ({
      node: nodeId(row.nodeId),
      memoryBytes: fromMib(row.memsizeMib),
      memoryFreeBytes: fromMib(row.memfreeMib),
      distances: row.distances,
    })),
    interfaces: readInterfaces(sections.get('interfaces') ?? '', sections.get('addresses') ?? ''),
    guests: (sections.get('guest') ?? '').trim() === 'yes' ? bootableGuests : [],
    ...(info.cpuMhz === undefined ? {} : { cpuMhz: info.cpuMhz }),
    ...(info.hwCaps.length === 0 ? {} : { hwCaps: info.hwCaps.join(':') }),
    ...(cpuVendor === undefined ? {} : { cpuVendor }),
    ...(cpuModelName === undefined ? {} : { cpuModelName }),
    ...(cpuFlags === undefined ? {} : { cpuFlags }),
    ...(isUuid(uuid) && !/^(?:0|f|-)+$/.test(uuid) ? { systemUuid: uuid } : {}),
    ...(isUuid(bootId) ? { bootId } : {}),
  };
}

/** What `xl info -n` says that changes with every domain. @throws HostError not-xen */
export function readFigures(text: string): HostFigures {
  const info = readInfo(text);
  return {
    memoryTotalBytes: fromMib(info.totalMemoryMib),
    memoryFreeBytes: fromMib(info.freeMemoryMib),
    nodesFreeBytes: info.numaNodes.map(({ memfreeMib }) => fromMib(memfreeMib)),
  };
}

function readInfo(text: string): XlInfo {
  try {
    return parseXlInfo(text);
  } catch (error) {
    if (error instanceof XlParseError) throw new HostError('not-xen', error.message, { command: 'xl info -n' });
    throw error;
  }
}

/** `key : value` lines of the first CPU in /proc/cpuinfo. */
function readCpuInfo(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) values.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  return values;
}

/** Reads what {@link interfacesScript} printed: its two sections. */
export function readInterfaces(text: string, addressText: string): readonly InterfaceFacts[] {
  const addresses = new Map<string, string[]>();
  const addressed = new Set<string>();
  for (const line of addressText.split('\n')) {
    const match = /^\d+:\s+(\S+)\s+(inet6?)\s+([0-9a-f:.]+\/\d+)\s(.*)/i.exec(line);
    if (match === null) continue;
    const [, name = '', family, address = '', rest = ''] = match;
    // Every interface that is up has a link-local one.
    if (family === 'inet' || rest.includes('scope global')) addressed.add(name);
    if (family === 'inet') addresses.set(name, [...(addresses.get(name) ?? []), address]);
  }
  return text.split('\n').flatMap((line) => {
    const [name = '', kind, mac = '', mtu = '', carrier = '', bridge = '', alias = '', free] = line.split('|');
    if (name === '' || (kind !== 'physical' && kind !== 'bond' && kind !== 'bridge')) return [];
    return {
      name,
      kind,
      ipv4: addresses.get(name) ?? [],
      ...(/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i.test(mac) ? { mac: mac.toLowerCase() } : {}),
      ...(/^\d{1,6}$/.test(mtu) ? { mtu: Number(mtu) } : {}),
      ...(/^[01]$/.test(carrier) ? { carrier: carrier === '1' } : {}),
      ...(bridge === '' ? {} : { bridge }),
      ...(alias === madeHere ? { isMade: true as const } : {}),
      ...(kind === 'physical' && free === 'free' && !addressed.has(name) ? { isSpare: true as const } : {}),
    };
  });
}
