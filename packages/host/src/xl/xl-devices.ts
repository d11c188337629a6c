import { formatXlDisk, formatXlVif, shellQuote, XlConfigError } from '@xenolith/wire';
import { HostError, type DomainIdentity, type HostDevices } from '@xenolith/xapi';
import { xlDisk } from './domain-config.ts';
import { scriptExit } from './host-script.ts';

/** Runs a command on a domain that is there and not Domain-0. */
type OnDomain = (domain: DomainIdentity, command: string, called: string) => Promise<void>;

/** {@link HostDevices} by xl, under libxl's own names for devices (`/libxl/<domid>/device` in xenstore). */
export function xlDevices(on: OnDomain): HostDevices {
  return {
    attachDisk: async (domain, disk) => {
      const { device } = disk;
      const spec = shellQuote(formatted(() => formatXlDisk(xlDisk(disk), 0)));
      const undo = `xl block-detach --force ${domain.domid} ${deviceWord(device)}`;
      const attach = `xl block-attach ${domain.domid} ${spec}`;
      await on(domain, attachScript(hasDisk(domain, device), device, attach, undo), attach);
    },
    detachDisk: async (domain, device, { force }) => {
      const detach = `xl block-detach ${force ? '--force ' : ''}${domain.domid} ${deviceWord(device)}`;
      await on(domain, detachScript(hasDisk(domain, device), detach), detach);
    },
    attachVif: async (domain, vif) => {
      const { mac, bridge, index, mtu } = vif;
      const words = formatted(() => formatXlVif({ mac, bridge }, index)).split(',');
      if (Number.isInteger(index)) words.push(`devid=${index}`);
      if (mtu !== undefined && Number.isInteger(mtu)) words.push(`mtu=${mtu}`);
      const attach = `xl network-attach ${domain.domid} ${words.map(shellQuote).join(' ')}`;
      // What fails in its script stays half there, and the guest may have it.
      const undo = `xl network-detach ${domain.domid} ${shellQuote(mac)}`;
      await on(domain, attachScript(hasVif(domain, mac), mac, attach, undo), attach);
    },
    detachVif: async (domain, mac) => {
      const detach = `xl network-detach ${domain.domid} ${shellQuote(macWord(mac))}`;
      await on(domain, detachScript(hasVif(domain, mac), detach), detach);
    },
  };
}

/** Whether a domain has a device: what libxl wrote of it, by a key whose value is a plain word. */
const hasDevice = ({ domid }: DomainIdentity, kind: 'vbd' | 'vif', key: string, value: string): string =>
  `xenstore-ls -f /libxl/${domid}/device/${kind} 2>/dev/null | ` +
  `grep -q ${shellQuote(`^/libxl/${domid}/device/${kind}/[0-9]*/${key} = "${value}"$`)}`;

const hasDisk = (domain: DomainIdentity, device: string): string => hasDevice(domain, 'vbd', 'dev', deviceWord(device));

const hasVif = (domain: DomainIdentity, mac: string): string => hasDevice(domain, 'vif', 'mac', macWord(mac));

function attachScript(has: string, name: string, attach: string, undo: string): string {
  const there = `{ echo ${shellQuote(`the domain has ${name} already`)} >&2; exit ${scriptExit.exists}; }`;
  return `if ${has}; then ${there}; fi; ${attach} || { ${undo} >/dev/null 2>&1; false; }`;
}

const detachScript = (has: string, detach: string): string => `if ${has}; then ${detach}; fi`;

/** @throws HostError bad-config */
function deviceWord(device: string): string {
  if (!/^[a-z][a-z0-9]{1,10}$/.test(device)) throw badDevice(device);
  return device;
}

/** @throws HostError bad-config */
function macWord(mac: string): string {
  if (!/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/.test(mac)) throw badDevice(mac);
  return mac;
}

const badDevice = (device: string): HostError =>
  new HostError('bad-config', `not a device: ${JSON.stringify(device.slice(0, 100))}`);

function formatted(format: () => string): string {
  try {
    return format();
  } catch (error) {
    if (error instanceof XlConfigError) throw new HostError('bad-config', error.message);
    throw error;
  }
}
