import { beforeEach, expect, test } from 'vitest';
import { OpenPool } from '../testing/open-pool.ts';

let pool: OpenPool;
let self: string;
let removed: string[];

beforeEach(async () => {
  removed = [];
  pool = await OpenPool.start({ blobs: { remove: (uuid) => removed.push(uuid) } });
  self = pool.xapi.db.refs('pool')[0] ?? '';
});

test('a blob begins empty, and its data goes with it', async () => {
  const blob = (await pool.call('blob.create', 'text/plain')) as string;
  expect(await pool.call('blob.get_record', blob)).toMatchObject({
    mime_type: 'text/plain',
    size: 0,
    public: false,
    last_updated: '19700101T00:00:00Z',
  });
  const uuid = await pool.call('blob.get_uuid', blob);
  await pool.call('blob.destroy', blob);
  expect(removed).toEqual([uuid]);
  expect(await pool.refusal('blob.destroy', blob)).toEqual(['HANDLE_INVALID', 'blob', blob]);
});

test('a blob of an object has a name there, once, until it is destroyed', async () => {
  const blob = (await pool.call('pool.create_new_blob', self, 'picture', 'image/png', true)) as string;
  expect(await pool.call('pool.get_blobs', self)).toEqual({ picture: blob });
  expect(pool.xapi.db.getAny('blob', blob)).toMatchObject({ name_label: 'picture', public: true });
  expect(await pool.refusal('pool.create_new_blob', self, 'picture', 'image/png')).toEqual([
    'MAP_DUPLICATE_KEY',
    'pool',
    'blobs',
    self,
    'picture',
  ]);
  expect(await pool.refusal('VM.create_new_blob', 'OpaqueRef:none', 'x', '')).toEqual([
    'HANDLE_INVALID',
    'VM',
    'OpaqueRef:none',
  ]);
  await pool.call('blob.destroy', blob);
  expect(await pool.call('pool.get_blobs', self)).toEqual({});
});

test.each([['nonsense'], ['a/b\r\nSet-Cookie: x'], ['text/plain; charset=utf-8']])('%j is no type', async (type) => {
  expect(await pool.refusal('blob.create', type)).toEqual(['INVALID_VALUE', 'mime_type', type]);
});

test('without a place for data there are no blobs', async () => {
  pool = await OpenPool.start();
  expect(await pool.refusal('blob.create', '')).toEqual(['NOT_IMPLEMENTED', 'blob.create']);
});
