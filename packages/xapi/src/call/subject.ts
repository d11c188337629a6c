/** Who may log in beside root, and as what. XAPI: ocaml/xapi/xapi_subject.ml, xapi_auth.ml, xapi_user.ml. */
import type { Ref } from '@xenolith/base';
import { roleNames } from '../datamodel/schema.ts';
import { XapiError } from '../errors.ts';
import { permissionsOf } from '../session/permissions.ts';
import type { Call, CallsOf } from './call.ts';

/** Subjects at once; each login looks at all of them. */
const subjectsMax = 10_000;

/** A role that subjects can have: no permission, and none that is for sessions of certificates. @throws XapiError ROLE_NOT_FOUND */
function assertRole({ xapi }: Call, role: Ref<'role'>): void {
  const record = xapi.db.find('role', role);
  if (record === undefined || record.is_internal) throw new XapiError('ROLE_NOT_FOUND');
}

export const subjectCalls: CallsOf<'subject'> = {
  /** A newcomer has no role, as in XAPI where it has role-based access control. */
  create({ xapi }, { args }) {
    const { subject_identifier: identifier = '', other_config: otherConfig = {} } = args;
    if (identifier === '') throw new XapiError('INVALID_VALUE', 'subject_identifier', identifier);
    for (const [, subject] of xapi.db.all('subject')) {
      if (subject.subject_identifier === identifier) throw new XapiError('SUBJECT_ALREADY_EXISTS');
    }
    if (xapi.db.count('subject') >= subjectsMax) throw new XapiError('INTERNAL_ERROR', 'too many subjects');
    return xapi.db.create('subject', { subject_identifier: identifier, other_config: otherConfig, roles: [] });
  },

  destroy({ xapi }, { self }) {
    xapi.db.get('subject', self);
    xapi.db.destroy('subject', self);
    xapi.sessions.subjectsChanged();
  },

  add_to_roles(call, { self, role }) {
    const { db, sessions } = call.xapi;
    const { roles } = db.get('subject', self);
    assertRole(call, role);
    if (roles.includes(role)) throw new XapiError('ROLE_ALREADY_EXISTS');
    db.update('subject', self, { roles: [...roles, role] });
    sessions.subjectsChanged();
  },

  remove_from_roles({ xapi }, { self, role }) {
    const { roles } = xapi.db.get('subject', self);
    if (!roles.includes(role)) throw new XapiError('ROLE_NOT_FOUND');
    xapi.db.update('subject', self, { roles: roles.filter((each) => each !== role) });
    xapi.sessions.subjectsChanged();
  },

  get_permissions_name_label({ xapi }, { self }) {
    const held = xapi.db.get('subject', self).roles.map((role) => xapi.db.find('role', role)?.name_label);
    const role = roleNames.find((name) => held.includes(name));
    return role === undefined ? [] : permissionsOf(role).map(({ name }) => name);
  },
};

export const authCalls: CallsOf<'auth'> = {
  async get_subject_identifier({ xapi }, { subject_name: name }) {
    const identifier = await xapi.sessions.externalAuth.assertDirectory().identifierOf(name);
    if (identifier === undefined) throw new XapiError('SUBJECT_CANNOT_BE_RESOLVED');
    return identifier;
  },

  async get_subject_information_from_identifier({ xapi }, { subject_identifier: identifier }) {
    const information = await xapi.sessions.externalAuth.assertDirectory().informationOf(identifier);
    if (information === undefined) throw new XapiError('SUBJECT_CANNOT_BE_RESOLVED');
    return information;
  },

  async get_group_membership({ xapi }, { subject_identifier: identifier }) {
    const directory = xapi.sessions.externalAuth.assertDirectory();
    if ((await directory.informationOf(identifier)) === undefined) throw new XapiError('SUBJECT_CANNOT_BE_RESOLVED');
    return directory.groupsOf(identifier);
  },
};

export const userCalls: CallsOf<'user'> = {
  create: ({ xapi }, { args }) => xapi.sessions.users.create(args),

  /** The user's sessions end with it. */
  destroy({ xapi, session }, { self }) {
    const { uuid } = xapi.db.get('user', self);
    xapi.sessions.users.destroy(self);
    xapi.sessions.closeOf(uuid, session);
  },

  async set_password({ xapi }, { self, new_pwd: password }) {
    if (password === '') throw new XapiError('CHANGE_PASSWORD_REJECTED', 'an empty password');
    await xapi.sessions.setUserPassword(self, password);
  },
};
