/** The records that every pool has from its first start: the pool itself and the roles. XAPI: ocaml/xapi/create_misc.ml, dbsync. */
import { roleNames } from '../datamodel/schema.ts';
import { roleRef, roleUuid, subrolesOf } from '../session/permissions.ts';
import type { Xapi } from '../xapi.ts';

/** Makes what is missing; a second start changes nothing. */
export function ensurePool(xapi: Xapi): void {
  const restrictions = restrictionsOf(xapi);
  if (xapi.db.count('pool') === 0) {
    xapi.db.create('pool', { name_label: 'Xenolith', name_description: 'A pool of Xen hosts', restrictions });
  }
  const [pool] = xapi.db.refs('pool');
  if (pool !== undefined) xapi.db.update('pool', pool, { restrictions });
  ensureRoles(xapi);
}

/** The calls of XAPI's features (ocaml/xapi/features.ml): a feature is there when its call does something. */
const featureCalls: Readonly<Record<string, string>> = {
  restrict_ha: 'pool.enable_ha',
  restrict_storage_xenmotion: 'VM.migrate_send',
  restrict_wlb: 'pool.initialize_wlb',
  restrict_xen_motion: 'VM.pool_migrate',
};

/**
 * What clients need not offer, in the words of XAPI's features: `true` is what does not exist here. A feature that is not
 * named counts as XAPI's clients take it when a server is silent.
 */
function restrictionsOf(xapi: Xapi): Readonly<Record<string, string>> {
  const byCall = Object.entries(featureCalls).map(([feature, call]) => [feature, String(!xapi.implements(call))]);
  // Users come from elsewhere by `pool.enable_external_auth`, but not from an Active Directory.
  return { restrict_ad: 'true', ...Object.fromEntries(byCall) };
}

const descriptions: Readonly<Record<(typeof roleNames)[number], string>> = {
  'pool-admin': 'May do everything, including access to the hosts themselves',
  'pool-operator': 'May do everything with the pool but log in to hosts and manage users',
  'vm-power-admin': 'May create VMs and use everything that VMs can do',
  'vm-admin': 'May create and change VMs',
  'vm-operator': 'May start, stop and look at VMs that exist',
  'client-cert': 'For clients that show a certificate',
  'read-only': 'May look, and change nothing',
};

/** The rows of the roles; those of an older version get the permissions of this one. */
function ensureRoles({ db }: Xapi): void {
  for (const role of roleNames) {
    const ref = roleRef(role);
    const fields = {
      name_label: role,
      name_description: descriptions[role],
      subroles: subrolesOf(role),
      is_internal: role === 'client-cert',
    };
    if (db.has('role', ref)) db.update('role', ref, fields);
    else db.create('role', { uuid: roleUuid(role), ...fields }, ref);
  }
}
