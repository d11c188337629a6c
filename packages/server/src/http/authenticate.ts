/** Who asks, for what is not an RPC (PROTOCOL.md §8): a session in cookie or query, or a user and password. */
import type { IncomingMessage } from 'node:http';
import { ref, type Ref } from '@xenolith/base';
import { XapiError, type Xapi } from '@xenolith/xapi';
import { originOf } from './rpc.ts';
import type { Target } from './router.ts';

export interface Caller {
  readonly session: Ref<'session'>;
  readonly rights: ReturnType<Xapi['sessions']['use']>;
  /** Whether the browser sends these credentials by itself, whichever page asks. */
  readonly ambient: boolean;
  /** Ends a session that was made for this request alone. */
  release(): void;
}

/**
 * The caller of a request, or undefined without good credentials. The first that is given counts: the cookie
 * `session_id`, the query's `session_id`, then HTTP Basic, which opens a session until `release`.
 */
export async function authenticate(xapi: Xapi, request: IncomingMessage, target: Target): Promise<Caller | undefined> {
  const cookie = cookieOf(request, 'session_id');
  const given = cookie ?? target.query.get('session_id');
  try {
    if (given !== null) {
      const session = ref<'session'>(given);
      return { session, rights: xapi.sessions.use(session), ambient: cookie !== null, release() {} };
    }
    const basic = basicCredentials(request);
    if (basic === undefined) return undefined;
    const { originator, address } = originOf(request);
    const session = await xapi.sessions.loginWithPassword(basic.user, basic.password, originator ?? `http ${address}`);
    return {
      session,
      rights: xapi.sessions.use(session),
      ambient: true,
      release() {
        xapi.sessions.close(session);
      },
    };
  } catch (error) {
    if (error instanceof XapiError) return undefined;
    throw error;
  }
}

function cookieOf(request: IncomingMessage, name: string): string | null {
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const equals = part.indexOf('=');
    if (equals > 0 && part.slice(0, equals).trim() === name) return decode(part.slice(equals + 1).trim());
  }
  return null;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function basicCredentials(request: IncomingMessage): { readonly user: string; readonly password: string } | undefined {
  const [scheme = '', token = ''] = (request.headers.authorization ?? '').split(' ');
  if (scheme.toLowerCase() !== 'basic') return undefined;
  const text = Buffer.from(token, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
