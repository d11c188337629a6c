import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPool, type SimulatedPool } from './create-pool.ts';

let pool: SimulatedPool;
beforeAll(async () => {
  pool = await createPool({ hosts: 1, vms: 3, seed: 5 });
});
afterAll(() => pool.close());

interface Reply {
  readonly status: number;
  readonly body: unknown;
}

async function ask(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Reply> {
  const text = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) };
  const response = await fetch(`${pool.url}/_sim${path}`, { method, headers, ...text });
  return { status: response.status, body: await response.json() };
}

async function login(): Promise<string> {
  const body = JSON.stringify({
    jsonrpc: '2.0',
    method: 'session.login_with_password',
    params: [pool.username, pool.password],
    id: 1,
  });
  const response = await fetch(`${pool.url}/jsonrpc`, { method: 'POST', body });
  return ((await response.json()) as { readonly result: string }).result;
}

test('what there is, and that it is well', async () => {
  expect(await ask('GET', '')).toMatchObject({
    status: 200,
    body: { seed: 5, hosts: 1, vms: 3, clock: { mode: 'auto', now: '2026-01-01T00:00:10.000Z' } },
  });
  expect(await ask('GET', '/health')).toEqual({ status: 200, body: { status: 'ok' } });
});

test('faults, scenarios, clock and snapshots come and go', async () => {
  expect(await ask('POST', '/clock', { mode: 'paused' })).toMatchObject({ body: { mode: 'paused' } });
  expect(await ask('POST', '/clock/advance', { seconds: 50 })).toMatchObject({
    body: { mode: 'paused', now: '2026-01-01T00:01:00.000Z', next: expect.any(String) as string },
  });
  expect(await ask('POST', '/clock/step')).toMatchObject({ body: { happened: true } });
  await ask('POST', '/clock', { mode: 'run', speed: 100 });
  expect(await ask('GET', '/clock')).toMatchObject({ body: { mode: 'run', speed: 100 } });
  await ask('POST', '/clock', { mode: 'auto' });
  const fault = await ask('POST', '/faults', { method: 'VM.*', error: ['TOO_BUSY'] });
  expect(await ask('GET', '/faults')).toEqual({ status: 200, body: [fault.body] });
  await expect(pool.call('VM.get_all')).rejects.toThrow('TOO_BUSY');
  const { id } = fault.body as { readonly id: string };
  expect(await ask('DELETE', `/faults/${id}`)).toMatchObject({ status: 200 });
  const scenario = await ask('POST', '/scenarios', { kind: 'network-split', host: 'host1' });
  expect(await ask('GET', '/scenarios')).toEqual({ status: 200, body: [scenario.body] });
  await ask('DELETE', '/scenarios');
  expect(await ask('GET', '/scenarios')).toEqual({ status: 200, body: [] });
  await ask('POST', '/snapshots', { name: 'here' });
  expect(await ask('GET', '/snapshots')).toEqual({ status: 200, body: ['here'] });
  const session = await login();
  expect(await ask('POST', '/snapshots/here/restore')).toMatchObject({ status: 200, body: { vms: 3 } });
  // Whoever was logged in logs in again.
  const again = await login();
  expect(again).toMatch(/^OpaqueRef:/);
  expect(pool.control.xapi.db.has('session', session)).toBe(session === again);
  await ask('DELETE', '/snapshots/here');
  expect(await ask('POST', '/reset')).toMatchObject({ body: { clock: { now: '2026-01-01T00:00:10.000Z' } } });
});

test('the log of calls, and an inventory', async () => {
  await ask('DELETE', '/calls');
  await login();
  expect(await ask('GET', '/calls?method=session.*')).toMatchObject({
    body: [{ method: 'session.login_with_password', args: ['root', '(secret)'], outcome: 'success' }],
  });
  expect(await ask('GET', '/inventory')).toMatchObject({ body: { format: 'xenolith-inventory', version: 1 } });
});

describe('bad input', () => {
  test.each([
    ['GET', '/nothing', undefined, 404, 'There is no GET /_sim/nothing'],
    ['PUT', '/reset', undefined, 404, 'There is no PUT'],
    ['GET', '/__proto__', undefined, 404, 'There is no GET'],
    ['POST', '/reset', { to: 1 }, 400, 'there is nothing to say here'],
    ['POST', '/reset', '{', 400, 'the body is no JSON'],
    ['POST', '/faults', undefined, 400, 'expected a JSON object'],
    ['POST', '/faults', '[]', 400, 'expected a JSON object'],
    ['POST', '/faults', { method: 'VM.start', error: ['NO'] }, 400, 'XenAPI has no error code NO'],
    ['DELETE', '/faults/77', undefined, 400, 'there is no fault 77'],
    ['POST', '/scenarios', { kind: 'host-dies', host: 'x' }, 400, 'there is no host x'],
    ['DELETE', '/scenarios/77', undefined, 400, 'there is no scenario 77'],
    ['POST', '/clock', { mode: 'fast' }, 400, '"mode" is one of auto, run, paused'],
    ['POST', '/clock', { mode: 'auto', speed: 2 }, 400, 'the mode auto has no "speed"'],
    ['POST', '/clock', { mode: 'run', speed: 0 }, 400, '"speed" is a number'],
    ['POST', '/clock/advance', { seconds: -1 }, 400, '"seconds" is a number'],
    ['POST', '/clock/advance', {}, 400, '"seconds" is missing'],
    ['POST', '/snapshots', { name: 'a b' }, 400, 'a snapshot has a name'],
    ['POST', '/snapshots/none/restore', undefined, 400, 'there is no snapshot none'],
    ['GET', '/calls?methd=x', undefined, 400, 'there is no "methd" here'],
    ['GET', '/calls?method=a%20b', undefined, 400, 'no pattern of methods'],
    ['GET', '/calls?after=x', undefined, 400, '"after" is the number of a call'],
    ['DELETE', '/faults/%ff', undefined, 400, 'the path is not well encoded'],
    ['POST', '/faults', 'x'.repeat(70_000), 400, 'a request has at most 65536 bytes'],
  ] as const)('%s %s %j', async (method, path, body, status, words) => {
    const reply = await ask(method, path, body);
    expect(reply).toMatchObject({ status, body: { error: expect.stringContaining(words) as string } });
  });

  test('a page in a browser is refused', async () => {
    // fetch sets no Origin of its own choosing, so plain HTTP does.
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { origin: 'https://example.org' };
      const sent = request(`${pool.url}/_sim/reset`, { method: 'POST', headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      sent.on('error', reject);
      sent.end();
    });
    expect(status).toBe(403);
  });
});

test('nothing of the control is in the XenAPI', async () => {
  const body = JSON.stringify({ jsonrpc: '2.0', method: 'system.listMethods', params: [], id: 1 });
  const response = await fetch(`${pool.url}/jsonrpc`, { method: 'POST', body });
  const { result } = (await response.json()) as { readonly result: readonly string[] };
  expect(result.filter((name) => /^_?(?:sim|clock|fault|scenario|calls)\./i.test(name))).toEqual([]);
});
