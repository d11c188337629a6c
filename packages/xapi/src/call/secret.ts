/** Values kept out of sight. XAPI: ocaml/xapi/xapi_secret.ml. */
import { isUuid } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import type { CallsOf } from './call.ts';

export const secretCalls: CallsOf<'secret'> = {
  /** Takes over a secret under the uuid that it has elsewhere. */
  introduce({ xapi }, { uuid, value, other_config: otherConfig }) {
    if (!isUuid(uuid)) throw new XapiError('INVALID_VALUE', 'uuid', uuid);
    return xapi.db.create('secret', { uuid, value, other_config: otherConfig });
  },
};
