/**
 * Calls of ours that XAPI does not have. Additive: a client of plain XenAPI never meets them, and this is the one
 * place that lists them.
 */
import type { MessageTable } from './schema.ts';

export const extensionMessages = {
  host: {
    add: {
      help: 'Adds a host to the pool by its address (ssh://user@host:port, local:, model:) and options such as identity-file and known-hosts-file.',
      params: { address: 'string', options: 'map(string,string)' },
      result: 'ref(host)',
      role: 'pool-operator',
      async: true,
      errors: ['CANNOT_CONTACT_HOST', 'INVALID_VALUE'],
    },
    forget: {
      help: 'Removes a host from the pool together with the records that belong to it; nothing is touched on the host itself.',
      params: { self: 'ref(host)' },
      result: 'void',
      role: 'pool-operator',
      async: true,
      errors: ['HOST_HAS_RESIDENT_VMS'],
    },
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, MessageTable>>>>;
