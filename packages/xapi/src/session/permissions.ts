/**
 * Roles and permissions as objects. XAPI: ocaml/xapi/rbac_static.ml (generated from the same tables of methods). The
 * seven roles are rows of the database. A permission is also a role, one without subroles; there are some two
 * thousand, which follow from the tables, so they can be read by reference, but are no rows: lists and events have
 * the seven only.
 */
import { ref as makeRef, type Ref } from '@xenolith/base';
import type { AnyRecord } from '../database/database.ts';
import { methods } from '../datamodel/registry.ts';
import { httpActions } from './http-actions.ts';
import { roleNames, type Role } from '../datamodel/schema.ts';

/** A right to one call, or to one key of a map. */
interface Permission {
  readonly name: string;
  readonly uuid: string;
  readonly ref: Ref<'role'>;
  /** The lowest role that has it. */
  readonly role: Role;
}

/** What clients know pool-admin by on every pool: new subjects get it. */
const poolAdminUuid = '0165f154-ba3e-034e-6b27-5d271af109ba';

/** Permissions that are no method's name (`extraPermissions`, and those of HTTP). */
const extraPermissions: readonly (readonly [string, Role])[] = [
  ['task.destroy/any', 'pool-operator'],
  ...Object.entries(httpActions).map(([name, role]) => [`http/${name}`, role] as const),
];

/**
 * A UUID that is always the same for a name (form of RFC 9562, version 8): four FNV-1a hashes of it. Names are ours,
 * so nobody can make two of them meet.
 */
function uuidOfName(name: string): string {
  const words = [1, 2, 3, 4].map((seed) => {
    let hash = Math.imul(0x811c9dc5 ^ seed, 0x01000193);
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
    // The last letters reach the high bits too.
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    return ((hash ^ (hash >>> 13)) >>> 0).toString(16).padStart(8, '0');
  });
  const [a = '', b = '', c = '', d = ''] = words;
  return `${a}-${b.slice(0, 4)}-8${b.slice(5)}-8${c.slice(1, 4)}-${c.slice(4)}${d}`;
}

export const roleUuid = (role: Role): string => (role === 'pool-admin' ? poolAdminUuid : uuidOfName(role));

/** The reference of a role's row: the same on every pool. */
export const roleRef = (role: Role): Ref<'role'> => makeRef<'role'>(`OpaqueRef:${roleUuid(role)}`);

interface Permissions {
  readonly all: readonly Permission[];
  readonly byRef: ReadonlyMap<string, Permission>;
  readonly byName: ReadonlyMap<string, Permission>;
}

let compiled: Permissions | undefined;

function permissions(): Permissions {
  compiled ??= compile();
  return compiled;
}

function compile(): Permissions {
  const roles = new Map<string, Role>(extraPermissions);
  for (const method of methods().values()) {
    if (!method.session || method.removed) continue;
    const name = method.fullName.toLowerCase();
    roles.set(name, method.role);
    for (const [key, role] of Object.entries(method.keyRoles ?? {}))
      roles.set(`${name}/key:${key.toLowerCase()}`, role);
  }
  const all = [...roles]
    .filter(([, role]) => role !== 'local-root')
    .map(([name, role]) => {
      const uuid = uuidOfName(name);
      return { name, uuid, ref: makeRef<'role'>(`OpaqueRef:${uuid}`), role };
    });
  return {
    all,
    byRef: new Map(all.map((permission) => [permission.ref, permission])),
    byName: new Map(all.map((permission) => [permission.name, permission])),
  };
}

/** The record of a permission, as of a role; undefined when the reference is none's. */
export function permissionRecord(ref: string): AnyRecord | undefined {
  const permission = permissions().byRef.get(ref);
  return permission === undefined
    ? undefined
    : {
        uuid: permission.uuid,
        name_label: permission.name,
        name_description: 'A permission',
        subroles: [],
        is_internal: false,
      };
}

/** The reference of the permission with a uuid. */
export function permissionByUuid(uuid: string): string | undefined {
  const ref = `OpaqueRef:${uuid.toLowerCase()}`;
  return permissions().byRef.has(ref) ? ref : undefined;
}

/** The reference of the permission of a name, as a list of none or one. */
export function permissionsNamed(name: string): readonly Ref<'role'>[] {
  const permission = permissions().byName.get(name);
  return permission === undefined ? [] : [permission.ref];
}

/** Everything a role may do: its own permissions and those of the roles below it. */
export function permissionsOf(role: Role): readonly Permission[] {
  const rank = roleNames.findIndex((name) => name === role);
  const covered = new Set<Role>(roleNames.slice(rank));
  return permissions().all.filter((permission) => covered.has(permission.role));
}

/** The permission whose reference this is. */
export const permissionAt = (ref: string): Permission | undefined => permissions().byRef.get(ref);

/** The permission of a name (`vm.start`). */
export const permissionNamed = (name: string): Permission | undefined => permissions().byName.get(name);

/** What a role's row lists: the role below it, and the permissions that it has and that one has not. */
export function subrolesOf(role: (typeof roleNames)[number]): readonly Ref<'role'>[] {
  const below = roleNames[roleNames.indexOf(role) + 1];
  const own = permissions().all.filter((permission) => permission.role === role);
  return [...(below === undefined ? [] : [roleRef(below)]), ...own.map((permission) => permission.ref)];
}
