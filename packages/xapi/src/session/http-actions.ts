/**
 * What is done over HTTP by requests of their own, beside calls, with the lowest role that may. XAPI:
 * ocaml/idl/datamodel.ml (`http_actions`); as permissions they are called `http/NAME`.
 */
import type { Role } from '../datamodel/schema.ts';
import { XapiError } from '../errors.ts';
import { allows, type Rights } from './rbac.ts';

export const httpActions = {
  get_audit_log: 'read-only',
  put_blob: 'vm-power-admin',
  get_export: 'vm-admin',
  get_export_metadata: 'vm-admin',
  put_import: 'vm-admin',
  put_import_metadata: 'vm-admin',
  get_export_raw_vdi: 'vm-admin',
  put_import_raw_vdi: 'vm-admin',
} as const satisfies Readonly<Record<string, Role>>;

export type HttpAction = keyof typeof httpActions;

/** @throws XapiError RBAC_PERMISSION_DENIED [permission, text] */
export function assertMayOverHttp(rights: Rights, action: HttpAction): void {
  const role = httpActions[action];
  if (allows(rights, role)) return;
  throw new XapiError(
    'RBAC_PERMISSION_DENIED',
    `http/${action}`,
    `No permission in user session: needs the role ${role}`,
  );
}
