import { XapiError } from '../errors.ts';

/** What Linux' netback takes: from IPv4's least up to 65535 less an Ethernet header with a VLAN tag. */
const mtuRange = { min: 68, max: 65_517 } as const;

/** @throws XapiError INVALID_VALUE for what no interface of a VM can have as its largest packet, in bytes */
export function assertMtu(mtu: number): void {
  if (mtu < mtuRange.min || mtu > mtuRange.max) throw new XapiError('INVALID_VALUE', 'MTU', String(mtu));
}
