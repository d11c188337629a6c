/** What a client is told when a host could not do something: the one place that maps drivers' failures to error codes. */
import type { HostError } from './host-driver.ts';
import { XapiError } from './errors.ts';

/**
 * The refusal that a host's failure becomes. The driver's words always reach the client.
 * @param host what the client knows the host by (a reference or an address); the driver's words when absent
 */
export function hostRefusal(error: HostError, host?: string): XapiError {
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
    default:
      return new XapiError('INTERNAL_ERROR', error.message);
  }
}
