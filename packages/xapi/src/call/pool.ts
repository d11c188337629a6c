/** The pool as a whole. XAPI: ocaml/xapi/xapi_pool.ml. */
import type { CallsOf } from './call.ts';
import { poolHasExtension } from './host-programs.ts';
import { licenceState, assertEdition } from '../pool/licence.ts';

export const poolCalls: CallsOf<'pool'> = {
  /** Makes sure that everything written is on disk; there are no other copies to bring up to date. */
  sync_database({ xapi }) {
    return xapi.db.durable();
  },

  /** Whoever answers here is the coordinator. */
  is_slave: () => false,

  get_license_state({ xapi }, { self }) {
    xapi.db.get('pool', self);
    return licenceState;
  },

  apply_edition({ xapi }, { self, edition }) {
    xapi.db.get('pool', self);
    assertEdition(edition);
  },

  /** It is off already. */
  disable_ssl_legacy({ xapi }, { self }) {
    xapi.db.get('pool', self);
  },

  enable_external_auth({ xapi }, { pool, config, service_name: serviceName, auth_type: authType }) {
    xapi.db.get('pool', pool);
    xapi.sessions.externalAuth.enable(authType, serviceName, config);
  },

  /** Whoever is logged in by the directory is logged out. */
  disable_external_auth({ xapi }, { pool }) {
    xapi.db.get('pool', pool);
    xapi.sessions.externalAuth.disable();
    xapi.sessions.subjectsChanged();
  },

  /** It is one setting of the pool, so no host can differ. */
  detect_nonhomogeneous_external_auth({ xapi }, { pool }) {
    xapi.db.get('pool', pool);
  },

  has_extension({ xapi }, { self, name }) {
    xapi.db.get('pool', self);
    return poolHasExtension(xapi, name);
  },
};
