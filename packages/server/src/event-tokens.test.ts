/**
 * Tokens of event.from over the wire: over a restart, and when more went by than is remembered. XAPI's number of changes
 * outlasts its restart, but what was deleted before is no longer known then, so a client that goes on from an older token
 * never hears of that (ocaml/xapi/xapi_event.ml, `from_inner`). Here such a token is refused, and clients begin anew.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeJsonRpcRequest, parseJsonRpcResponse, type WireValue } from '@xenolith/wire';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startXenolithd, type Xenolithd } from './xenolithd.ts';

interface Batch {
  readonly token: string;
  readonly events: readonly { readonly class: string; readonly operation: string; readonly ref: string }[];
}

type CallServer = <T = WireValue>(method: string, ...params: readonly WireValue[]) => Promise<T>;

let data = '';
let server: Xenolithd;
let call: CallServer;

/** Starts on the same data, and logs in. */
async function start(): Promise<void> {
  server = await startXenolithd({ data, modelPool: false });
  const { url, password = '' } = server;
  const request = async (method: string, params: readonly WireValue[]): Promise<WireValue> => {
    const response = await fetch(`${url}/jsonrpc`, { method: 'POST', body: encodeJsonRpcRequest(method, params, 1) });
    const answer = parseJsonRpcResponse(await response.text());
    if (answer.kind === 'error') throw new Error(answer.errorDescription.join(' '));
    return answer.result;
  };
  const session = await request('session.login_with_password', ['root', password]);
  call = <T>(method: string, ...params: readonly WireValue[]) => request(method, [session, ...params]) as Promise<T>;
}

beforeEach(async () => {
  data = mkdtempSync(join(tmpdir(), 'xenolith-events-'));
  await start();
});

afterEach(async () => {
  await server.close();
  rmSync(data, { recursive: true, force: true });
});

const from = (classes: readonly string[], token: string): Promise<Batch> =>
  call<Batch>('event.from', classes, token, 0.001);
const brief = ({ events }: Batch): readonly string[] => events.map((event) => `${event.operation} ${event.ref}`);

/** More deletions than are remembered. */
function forgetOlder(): void {
  const { db } = server.xapi;
  const before = db.log.completeSince;
  while (db.log.completeSince === before) db.destroy('task', db.create('task', {}));
}

test('a token from before a restart is refused, whatever it is about, and one from after it is higher', async () => {
  const network = await call<string>('network.create', { name_label: 'one', other_config: {} });
  const { token } = await from(['*'], '');
  await call('network.destroy', network);
  const later = (await from(['network'], token)).token;
  await server.close();
  await start();
  for (const old of [token, later]) {
    await expect(from(['*'], old)).rejects.toThrow(/^EVENTS_LOST$/);
    await expect(from(['task'], old)).rejects.toThrow(/^EVENTS_LOST$/);
  }
  const anew = await from(['network', 'pool'], '');
  expect(anew.events.map((event) => `${event.operation} ${event.class}`)).toContain('add pool');
  expect(brief(anew)).not.toContain(`add ${network}`);
  expect(anew.token > later).toBe(true);
  const [pool = ''] = await call<readonly string[]>('pool.get_all');
  await call('pool.set_name_label', pool, 'x');
  expect(brief(await from(['network', 'pool'], anew.token))).toEqual([`mod ${pool}`]);
});

test('who was away for too long is told so, and goes on from a token that event.inject gives', async () => {
  const { token } = await from(['network'], '');
  forgetOlder();
  await expect(from(['network'], token)).rejects.toThrow(/^EVENTS_LOST$/);
  // As Xen Orchestra does: a token first, then all records, then what changed meanwhile.
  const [pool = ''] = await call<readonly string[]>('pool.get_all');
  const fresh = await call<string>('event.inject', 'pool', pool);
  const network = await call<string>('network.create', { name_label: 'one', other_config: {} });
  expect(brief(await from(['network', 'pool'], fresh))).toEqual([`add ${network}`, `mod ${pool}`]);
});

test('event.next says once that events were lost, and then tells of what comes', async () => {
  await call('event.register', ['network']);
  forgetOlder();
  await expect(call('event.next')).rejects.toThrow(/^EVENTS_LOST$/);
  const network = await call<string>('network.create', { name_label: 'one', other_config: {} });
  expect(await call<Batch['events']>('event.next')).toMatchObject([{ operation: 'add', ref: network }]);
});
