/** What roles may do. XAPI: ocaml/xapi/xapi_role.ml. */
import type { Ref } from '@xenolith/base';
import { roleNames } from '../datamodel/schema.ts';
import { permissionAt, permissionNamed, permissionsOf, roleRef } from '../session/permissions.ts';
import type { Call, CallsOf } from './call.ts';

/** The permissions of a role; a permission has itself. @throws XapiError HANDLE_INVALID */
function permissionsIn(
  { xapi }: Call,
  self: Ref<'role'>,
): readonly { readonly name: string; readonly ref: Ref<'role'> }[] {
  const permission = permissionAt(self);
  if (permission !== undefined) return [permission];
  const name = xapi.db.get('role', self).name_label;
  const role = roleNames.find((word) => word === name);
  return role === undefined ? [] : permissionsOf(role);
}

const rolesWith = (permission: ReturnType<typeof permissionAt>): readonly Ref<'role'>[] =>
  permission === undefined
    ? []
    : roleNames.filter((_, rank) => rank <= roleNames.findIndex((name) => name === permission.role)).map(roleRef);

export const roleCalls: CallsOf<'role'> = {
  get_permissions: (call, { self }) => permissionsIn(call, self).map((permission) => permission.ref),
  get_permissions_name_label: (call, { self }) => permissionsIn(call, self).map((permission) => permission.name),
  get_by_permission: (_call, { permission }) => rolesWith(permissionAt(permission)),
  get_by_permission_name_label: (_call, { label }) => rolesWith(permissionNamed(label)),
};
