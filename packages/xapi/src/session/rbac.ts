/** Who may do what: every method names its lowest role; XAPI: ocaml/xapi/rbac.ml. */
import type { Method } from '../datamodel/registry.ts';
import { roleNames, type Role } from '../datamodel/schema.ts';
import { XapiError } from '../errors.ts';

/** What a session may do: a superuser everything, others what their highest role allows. */
export interface Rights {
  readonly superuser: boolean;
  readonly role: Role;
}

const rank = (role: Role): number => (role === 'local-root' ? -1 : roleNames.indexOf(role));

/** Whether `rights` include what needs `needed`. */
export const allows = (rights: Rights, needed: Role): boolean => rights.superuser || rank(rights.role) <= rank(needed);

/** The permission's name: the method in lower case, with the key for calls on one key of a map. */
function keyRole(method: Method, key: string): readonly [string, Role] | undefined {
  for (const [pattern, role] of Object.entries(method.keyRoles ?? {})) {
    const matches = pattern.endsWith('*') ? key.startsWith(pattern.slice(0, -1)) : key === pattern;
    if (matches) return [pattern, role];
  }
  return undefined;
}

/**
 * Refuses a call that the session's role does not cover.
 * @param key the map key that an add_to_ or remove_from_ call is about
 * @throws XapiError RBAC_PERMISSION_DENIED [permission, text]
 */
export function assertPermitted(rights: Rights, method: Method, key?: string): void {
  let permission = method.fullName.toLowerCase();
  let role = method.role;
  const special = key === undefined ? undefined : keyRole(method, key);
  if (special !== undefined) {
    permission += `/key:${special[0].toLowerCase()}`;
    role = special[1];
  }
  if (!allows(rights, role)) {
    throw new XapiError('RBAC_PERMISSION_DENIED', permission, `No permission in user session: needs the role ${role}`);
  }
}
