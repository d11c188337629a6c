/** What clients ask of licences. It is free software: there is one edition, it has everything, and it never ends. */
import { XapiError } from '../errors.ts';

/** The only edition, by the word that XAPI has for it. */
export const edition = 'free';

/** @throws XapiError INVALID_EDITION [edition] */
export function assertEdition(asked: string): void {
  if (asked !== edition) throw new XapiError('INVALID_EDITION', asked);
}

/** `pool.get_license_state`. */
export const licenceState: Readonly<Record<string, string>> = { edition, expiry: 'never' };

/** TLS below 1.2 is gone, so it can be switched off again and never on. @throws XapiError VALUE_NOT_SUPPORTED */
export function assertNoLegacyTls(value: boolean): void {
  if (value) throw new XapiError('VALUE_NOT_SUPPORTED', 'value', 'true', 'TLS before 1.2 is not spoken');
}
