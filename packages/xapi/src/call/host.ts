/** Calls of hosts. XAPI: ocaml/xapi/xapi_host.ml. */
import { formatDateTime } from '@xenolith/wire';
import { XapiError } from '../errors.ts';
import type { CallsOf } from './call.ts';

export const hostCalls = {
  add: ({ xapi }, { address, options }) => xapi.hosts.add(address, options),
  forget: ({ xapi }, { self }) => xapi.hosts.forget(self),
  destroy: ({ xapi }, { self }) => {
    if (xapi.hosts.isLive(self)) throw new XapiError('HOST_IS_LIVE', self);
    return xapi.hosts.forget(self);
  },
  enable: ({ xapi }, { host }) => xapi.db.update('host', host, { enabled: true }),
  disable: ({ xapi }, { host }) => xapi.db.update('host', host, { enabled: false }),
  get_servertime: ({ xapi }, { host }) => {
    xapi.db.get('host', host);
    return formatDateTime(xapi.clock.now());
  },
} as const satisfies CallsOf<'host'>;
