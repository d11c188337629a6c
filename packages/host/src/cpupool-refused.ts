import type { CpupoolRefusal } from '@xenolith/hypervisor';
import { HostError, type HostErrorDetails } from '@xenolith/xapi';

/**
 * A refusal of Xen as a host's failure: the words that users of `xl` see, whose first line says what was refused, with the
 * reason after it where they have none.
 */
export function cpupoolRefused({ errno, words, reason }: CpupoolRefusal, details: HostErrorDetails = {}): HostError {
  const message = reason === undefined ? words : words.replace(/$/m, ` (${reason.replaceAll('$', '$$$$')})`);
  return new HostError('xen-refused', message, { ...details, errno });
}
