import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { silentLog } from '@xenolith/xapi';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { blobFiles, BlobTooLarge } from '../start/blob-files.ts';
import { RawConnection } from './raw-exchange.ts';
import { startXenolithd, type Xenolithd } from '../xenolithd.ts';

let server: Xenolithd;
let session = '';
const data = mkdtempSync(join(tmpdir(), 'xenolith-blob-'));

beforeAll(async () => {
  server = await startXenolithd({ data, modelPool: false });
  session = server.xapi.sessions.open('root', 'test', { superuser: true, role: 'pool-admin' });
});

afterAll(async () => {
  await server.close();
  rmSync(data, { recursive: true, force: true });
});

async function make(type: string, isPublic = false): Promise<string> {
  const answer = await server.xapi.call({
    method: 'blob.create',
    params: [session, type, isPublic],
    origin: { address: 'test' },
  });
  if (!answer.ok) throw new Error(answer.error.join(' '));
  return String(answer.value);
}

const at = (query: string): string => `${server.url}/blob?${query}`;
const put = (query: string, body: Uint8Array<ArrayBuffer> | string, headers = {}): Promise<Response> =>
  fetch(at(query), { method: 'PUT', body, headers });
const bytes = new Uint8Array([0, 255, 13, 10, 128]);

describe('the data of a blob', () => {
  test('is written, read back, replaced, and gone with the blob', async () => {
    const blob = await make('image/png');
    const login = `session_id=${session}`;
    expect(await (await fetch(at(`${login}&ref=${blob}`))).text()).toBe('');
    expect((await put(`${login}&ref=${blob}`, bytes)).status).toBe(200);
    const { uuid, ...record } = server.xapi.db.getAny('blob', blob) as { readonly uuid: string };
    expect(record).toMatchObject({ size: 5 });
    const answer = await fetch(at(`${login}&uuid=${uuid}`));
    expect(new Uint8Array(await answer.arrayBuffer())).toEqual(bytes);
    expect([answer.headers.get('content-type'), answer.headers.get('content-security-policy')]).toEqual([
      'image/png',
      'sandbox',
    ]);
    await put(`${login}&ref=${blob}`, 'other');
    expect(await (await fetch(at(`${login}&ref=${blob}`))).text()).toBe('other');
    await server.xapi.call({ method: 'blob.destroy', params: [session, blob], origin: { address: 'test' } });
    expect((await fetch(at(`${login}&ref=${blob}`))).status).toBe(404);
    expect(readdirSync(join(data, 'blobs'))).toEqual([]);
  });

  test('is taken from a client of HTTP/1.0, which waits for the answer before it sends', async () => {
    const blob = await make('text/plain');
    const connection = await RawConnection.open(Number(new URL(server.url).port));
    connection.write(`PUT /blob?session_id=${session}&ref=${blob} HTTP/1.0\r\nContent-Length: 5\r\n\r\n`);
    expect(await connection.until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
    connection.write('later');
    await connection.end();
    expect(await (await fetch(at(`session_id=${session}&ref=${blob}`))).text()).toBe('later');
  });

  test('is for who may: reading for all roles, writing from vm-power-admin up, a public one for everybody to read', async () => {
    const [hidden, open] = [await make('text/plain'), await make('text/plain', true)];
    const as = (role: 'vm-admin' | 'vm-power-admin'): string =>
      `session_id=${server.xapi.sessions.open(role, 'test', { superuser: false, role })}`;
    expect((await fetch(at(`ref=${hidden}`))).status).toBe(401);
    expect((await fetch(at('ref=OpaqueRef:none'))).status).toBe(401);
    expect((await fetch(at(`ref=${open}`))).status).toBe(200);
    expect((await fetch(at(`${as('vm-admin')}&ref=${hidden}`))).status).toBe(200);
    expect((await put(`ref=${open}`, 'x')).status).toBe(401);
    expect((await put(`${as('vm-admin')}&ref=${open}`, 'x')).status).toBe(403);
    expect((await put(`${as('vm-power-admin')}&ref=${open}`, 'x')).status).toBe(200);
    expect((await put(`${as('vm-power-admin')}&ref=OpaqueRef:none`, 'x')).status).toBe(404);
    const cookie = { Cookie: `session_id=${session}`, Origin: 'https://elsewhere.example' };
    expect((await put(`ref=${open}`, 'x', cookie)).status).toBe(403);
  });
});

test('a blob that is too large leaves the one before', async () => {
  const files = blobFiles(data, silentLog, 4);
  const uuid = '00000000-0000-4000-8000-000000000001';
  expect(await files.write(uuid, Readable.from([Buffer.from('four')]))).toBe(4);
  await expect(files.write(uuid, Readable.from([Buffer.from('fo'), Buffer.from('urs')]))).rejects.toThrow(BlobTooLarge);
  const kept = await files.read(uuid);
  expect(kept?.size).toBe(4);
  expect(String(Buffer.concat(await kept!.data.toArray()))).toBe('four');
  expect(readdirSync(join(data, 'blobs')).filter((name) => name.endsWith('.new'))).toEqual([]);
  files.remove(uuid);
  expect(await files.read(uuid)).toBeUndefined();
});
