/** A server that answers as an older release, as a client sees it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SurfaceOptions } from '@xenolith/xapi';
import { startXenolithd, type Xenolithd } from './xenolithd.ts';

let data = '';

beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'xenolith-personality-'));
});

afterEach(() => {
  rmSync(data, { recursive: true, force: true });
});

type Records = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

async function ask(server: Xenolithd, method: string, ...params: readonly unknown[]): Promise<unknown> {
  const session = server.xapi.sessions.open('root', 'test', { superuser: true, role: 'pool-admin' });
  const body = JSON.stringify({ jsonrpc: '2.0', method, params: [session, ...params], id: 1 });
  const answer = (await (await fetch(`${server.url}/jsonrpc`, { method: 'POST', body })).json()) as {
    readonly result?: unknown;
    readonly error?: { readonly message: string };
  };
  return answer.error?.message ?? answer.result;
}

async function withServer(surface: SurfaceOptions, action: (server: Xenolithd) => Promise<void>): Promise<void> {
  const server = await startXenolithd({ data, surface });
  try {
    await action(server);
  } finally {
    await server.close();
  }
}

const hostOf = async (server: Xenolithd): Promise<Readonly<Record<string, unknown>>> =>
  Object.values((await ask(server, 'host.get_all_records')) as Records)[0] ?? {};

test('the same data directory answers as one release and then as another', async () => {
  await withServer({ personality: '8.2', strict: true }, async (server) => {
    const host = await hostOf(server);
    expect(host).toMatchObject({ API_version_major: 2, API_version_minor: 15, hostname: 'xen1' });
    expect(host['software_version']).toMatchObject({
      product_version: '8.2.1',
      platform_version: '3.2.1',
      xapi: '1.249',
      xencenter_max: '2.15',
      product_brand: 'Xenolith',
    });
    expect(host['software_version']).not.toHaveProperty('db_schema');
    expect(host).not.toHaveProperty('cpupools');
    expect(host).not.toHaveProperty('https_only');
    expect(await ask(server, 'cpupool.get_all_records')).toBe('MESSAGE_METHOD_UNKNOWN');
    const events = (await ask(server, 'event.from', ['host'], '', 0.0)) as {
      readonly events: readonly { readonly snapshot: Readonly<Record<string, unknown>> }[];
    };
    expect(events.events[0]?.snapshot).toHaveProperty('software_version');
    expect(events.events[0]?.snapshot).not.toHaveProperty('cpupools');
  });
  await withServer({}, async (server) => {
    const seen = async (): Promise<unknown> => (await hostOf(server))['API_version_minor'];
    // The host is heard of again a moment after the start.
    await expect.poll(seen).toBe(23);
    const host = await hostOf(server);
    expect(host).toHaveProperty('cpupools');
    expect(host).toHaveProperty('https_only');
  });
});
