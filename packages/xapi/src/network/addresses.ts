/** Addresses of interfaces of hosts, as their records have them. XAPI: ocaml/xapi/xapi_pif.ml (`reconfigure_ip`, `reconfigure_ipv6`). */
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import { isAddress } from './locking.ts';

/** A prefix length, 0 … 32, as a dotted mask; nothing for 0. */
export function netmaskOf(prefix: number): string {
  if (prefix === 0) return '';
  return [0, 8, 16, 24].map((skip) => 256 - 2 ** (8 - Math.min(8, Math.max(0, prefix - skip)))).join('.');
}

/** The prefix length of a dotted mask; undefined for what is none. */
export const prefixOf = (netmask: string): number | undefined => {
  const length = Array.from({ length: 32 }, (_, index) => index + 1).find((prefix) => netmaskOf(prefix) === netmask);
  return length;
};

/** The addresses with their prefix lengths that an interface is to have on its host. */
export function addressesOf(pif: RecordOf<'PIF'>): readonly string[] {
  const { ip_configuration_mode, IP, netmask, ipv6_configuration_mode, IPv6 } = pif;
  const ipv4 = ip_configuration_mode === 'Static' ? [`${IP}/${prefixOf(netmask) ?? 32}`] : [];
  return [...ipv4, ...(ipv6_configuration_mode === 'Static' ? IPv6 : [])];
}

const refuse = (what: string): never => {
  throw new XapiError('INVALID_IP_ADDRESS_SPECIFIED', what);
};

/** Checks what {@link RecordOf} a PIF is to be given. @throws XapiError INVALID_IP_ADDRESS_SPECIFIED with the first that is wrong */
export function assertIpv4(mode: string, given: { IP: string; netmask: string; gateway: string }): void {
  const isNeeded = mode === 'Static';
  for (const name of ['IP', 'netmask', 'gateway'] as const) {
    const isAbsent = given[name] === '' && !(isNeeded && name !== 'gateway');
    if (!isAbsent && !isAddress.ipv4(given[name])) refuse(name);
  }
  if (given.netmask !== '' && prefixOf(given.netmask) === undefined) refuse('netmask');
}

/** As {@link assertIpv4}, of an address with its prefix length, `2001:db8::1/64`. @throws XapiError INVALID_IP_ADDRESS_SPECIFIED */
export function assertIpv6(mode: string, { IPv6, gateway }: { IPv6: string; gateway: string }): void {
  if (gateway !== '' && !isAddress.ipv6(gateway)) refuse('gateway');
  if (IPv6 === '' && mode !== 'Static') return;
  const [address = '', prefix = '', ...rest] = IPv6.split('/');
  const isPrefix = /^\d{1,3}$/.test(prefix) && Number(prefix) <= 128 && rest.length === 0;
  if (!isPrefix || !isAddress.ipv6(address)) refuse('IPv6');
}
