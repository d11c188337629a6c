/** What VIFs may send from. XAPI: ocaml/xapi/xapi_vif.ml, xapi_vif_helpers.ml, xapi_network.ml (`set_default_locking_mode`). */
import type { Ref } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import type { Xapi } from '../xapi.ts';

export type IpVersion = 'ipv4' | 'ipv6';

const octet = '(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)';
const ipv4 = new RegExp(`^${octet}(?:\\.${octet}){3}$`);

/** Eight groups, or fewer around one `::`; an IPv4 address may be the last two. */
function isIpv6(text: string): boolean {
  const tail = text.includes('.') ? text.slice(text.lastIndexOf(':') + 1) : undefined;
  if (tail !== undefined && !ipv4.test(tail)) return false;
  const whole = tail === undefined ? text : `${text.slice(0, -tail.length)}0:0`;
  const halves = whole.split('::');
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  const isFull = halves.length === 1 ? groups.length === 8 : groups.length < 8;
  return isFull && groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group));
}

/** Whether a text is an address of that kind, without a prefix length. */
export const isAddress: Readonly<Record<IpVersion, (text: string) => boolean>> = {
  ipv4: (text) => ipv4.test(text),
  ipv6: isIpv6,
};

/** @throws XapiError INVALID_IP_ADDRESS_SPECIFIED for the first that is no address */
export function assertAddresses(version: IpVersion, addresses: readonly string[]): void {
  if (!addresses.every((address) => isAddress[version](address))) {
    throw new XapiError('INVALID_IP_ADDRESS_SPECIFIED', `${version}_allowed`);
  }
}

/**
 * Refuses to promise what no host would keep: packets are held back on hosts that lock interfaces only.
 * @throws XapiError NOT_IMPLEMENTED
 */
export function assertLocksVifs({ hosts }: Xapi, method: string): void {
  if (!hosts.allLockVifs()) {
    throw new XapiError('NOT_IMPLEMENTED', `${method}: the hosts do not filter what their guests send`);
  }
}

/** Refuses to lock a whole network while a VM is on it. @throws XapiError VIF_IN_USE */
export function assertNobodyOn({ db }: Xapi, network: Ref<'network'>): void {
  const user = db.get('network', network).VIFs.find((vif) => db.get('VIF', vif).currently_attached);
  if (user !== undefined) throw new XapiError('VIF_IN_USE', network, user);
}
