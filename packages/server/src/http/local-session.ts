/** A session on the pool in this process, with values as they are on the wire. */
import { AssertionError, ref } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import type { Origin, Xapi } from '@xenolith/xapi';
import { ApiError, parseJson, type Rpc } from '@xenolith/xe';
import { jsonEncoding } from './encode.ts';
import type { CallXapi } from './rpc.ts';
import type { Login } from './thin-cli-arguments.ts';

export interface LocalSession extends Rpc {
  readonly ref: string;
  /** Ends a session that was made here; one that was given goes on. */
  close(): Promise<void>;
}

/**
 * Logs in, or goes on with a session. The first call tells whether it is one.
 * @throws ApiError SESSION_AUTHENTICATION_FAILED
 */
export async function localSession(
  { xapi, call: callXapi }: { readonly xapi: Xapi; readonly call: CallXapi },
  login: Login,
  origin: Origin,
): Promise<LocalSession> {
  const call = async (method: string, params: readonly WireValue[]): Promise<WireValue> => {
    const answer = await callXapi({ method, params, origin });
    if (!answer.ok) throw new ApiError(answer.error);
    // Through text, as over the network: commands see what every client sees.
    return parseJson(jsonEncoding.value(answer.type, answer.value)) as WireValue;
  };
  const isOurs = !('session' in login);
  const session = isOurs
    ? await call('session.login_with_password', [login.user, login.password, '2.0', origin.originator ?? 'cli'])
    : login.session;
  if (typeof session !== 'string') throw new AssertionError('a login gave no session');
  return {
    ref: session,
    call: (method, ...params) => call(method, [session, ...params]),
    async close() {
      if (isOurs) xapi.sessions.close(ref<'session'>(session));
    },
  };
}
