/** What a client is told when a host could not do something: the one place that maps drivers' failures to error codes. */
import { HostError } from './host-driver.ts';
import { XapiError } from './errors.ts';

/**
 * The refusal that a host's failure becomes. The driver's words always reach the client.
 * @param host what the client knows the host by (a reference or an address); the driver's words when absent
 * @param object what the operation was about, when that is not the host itself
 */
export function hostRefusal(error: HostError, host?: string, object = host): XapiError {
  switch (error.code) {
    case 'unreachable':
    case 'timeout':
    case 'bad-host-key':
    case 'unknown-host-key':
    case 'authentication-failed':
      return host === undefined
        ? new XapiError('CANNOT_CONTACT_HOST', error.message)
        : new XapiError('CANNOT_CONTACT_HOST', host, error.message);
    case 'no-space':
      return new XapiError('OUT_OF_SPACE', error.message);
    // The figures that the code usually carries are not known here; the words are.
    case 'not-enough-memory':
      return new XapiError('HOST_NOT_ENOUGH_FREE_MEMORY', error.message);
    case 'not-fetched':
      return new XapiError('BOOTLOADER_FAILED', object ?? '', error.message);
    case 'xen-refused':
      return new XapiError('XEN_REFUSED', object ?? '', error.details.errno ?? '', error.message);
    default:
      return new XapiError('INTERNAL_ERROR', error.message);
  }
}

/**
 * Whether it is certain after a failure that the host did not do what it was asked, and is not still at it. It is when
 * the host said so; not when it could not be heard, nor when its command ended without a word of how.
 */
export function isOutcomeKnown(error: unknown): boolean {
  if (error instanceof XapiError) return error.code !== 'CANNOT_CONTACT_HOST';
  return error instanceof HostError && error.code !== 'unreachable' && error.code !== 'timeout';
}

/** A domain that ended by itself a moment before it was to be ended is as good. */
export async function goneIsFine(action: Promise<void>): Promise<void> {
  try {
    await action;
  } catch (error) {
    if (!(error instanceof HostError && error.code === 'no-such-domain')) throw error;
  }
}
