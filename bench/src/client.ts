/** A XenAPI client of a few lines, for setting the stage. */
import { post } from './raw-http.ts';

export interface Client {
  readonly session: string;
  call(method: string, ...params: readonly unknown[]): Promise<unknown>;
  /** The body of a request, to be sent again and again. */
  body(method: string, ...params: readonly unknown[]): string;
}

const text = (method: string, params: readonly unknown[]): string =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });

async function request(port: number, body: string): Promise<unknown> {
  const answer = JSON.parse((await post({ port, path: '/jsonrpc', body })).toString()) as {
    result?: unknown;
    error?: unknown;
  };
  if (answer.error !== undefined && answer.error !== null) throw new Error(JSON.stringify(answer.error));
  return answer.result;
}

/** Logs in. */
export async function login(server: {
  readonly port: number;
  readonly user: string;
  readonly password: string;
}): Promise<Client> {
  const session = String(
    await request(server.port, text('session.login_with_password', [server.user, server.password, '2.21', 'bench'])),
  );
  return {
    session,
    call: (method, ...params) => request(server.port, text(method, [session, ...params])),
    body: (method, ...params) => text(method, [session, ...params]),
  };
}
