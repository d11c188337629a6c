/** The pool as a whole. XAPI: ocaml/xapi/xapi_pool.ml. */
import type { CallsOf } from './call.ts';

export const poolCalls: CallsOf<'pool'> = {
  /** Makes sure that everything written is on disk; there are no other copies to bring up to date. */
  sync_database({ xapi }) {
    return xapi.db.durable();
  },

  /** Whoever answers here is the coordinator. */
  is_slave: () => false,

  /** There are no extension scripts: what is not in the tables does not exist. */
  has_extension: () => false,
};
