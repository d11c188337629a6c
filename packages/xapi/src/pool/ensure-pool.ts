/** The records that every pool has from its first start: the pool itself and the roles. XAPI: ocaml/xapi/create_misc.ml, dbsync. */
import type { Xapi } from '../xapi.ts';

/** Makes what is missing; a second start changes nothing. */
export function ensurePool(xapi: Xapi): void {
  if (xapi.db.count('pool') > 0) return;
  xapi.db.create('pool', { name_label: 'Xenolith' });
}
