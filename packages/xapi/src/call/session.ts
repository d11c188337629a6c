/** Logging in and out. XAPI: ocaml/xapi/xapi_session.ml. */
import { XapiError } from '../errors.ts';
import type { CallsOf } from './call.ts';

export const sessionCalls: CallsOf<'session'> = {
  login_with_password({ xapi, origin }, { uname, pwd, originator }) {
    return xapi.sessions.loginWithPassword(uname, pwd, originator === '' ? (origin.originator ?? '') : originator);
  },

  /** On the only coordinator that there is, the emergency login is the usual one. */
  slave_local_login_with_password({ xapi, origin }, { uname, pwd }) {
    return xapi.sessions.loginWithPassword(uname, pwd, origin.originator ?? '');
  },

  logout({ xapi, session }) {
    xapi.sessions.close(session);
  },

  local_logout({ xapi, session }) {
    xapi.sessions.close(session);
  },

  async change_password({ xapi }, { old_pwd: oldPassword, new_pwd: newPassword }) {
    if (!(await xapi.sessions.isRootPassword(oldPassword))) {
      throw new XapiError('SESSION_AUTHENTICATION_FAILED', 'root', 'The old password is not right');
    }
    if (newPassword === '') throw new XapiError('CHANGE_PASSWORD_REJECTED', 'an empty password');
    await xapi.sessions.setRootPassword(newPassword);
  },

  /** The subjects that are logged in. */
  get_all_subject_identifiers: ({ xapi }) => xapi.sessions.subjectIdentifiers(),

  /** Ends the sessions of a subject, but for the one that says so. */
  logout_subject_identifier({ xapi, session }, { subject_identifier: identifier }) {
    xapi.sessions.closeOf(identifier, session);
  },
};
