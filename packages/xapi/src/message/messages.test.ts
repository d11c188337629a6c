import type { Ref } from '@xenolith/base';
import { beforeEach, describe, expect, test } from 'vitest';
import type { RecordOf } from '../datamodel/types.ts';
import { OpenPool } from '../testing/open-pool.ts';
import { messagesMax } from './messages.ts';

let pool: OpenPool;
let vmUuid: string;

beforeEach(async () => {
  pool = await OpenPool.start();
  vmUuid = pool.xapi.db.get('VM', pool.xapi.db.create('VM', {})).uuid;
});

const names = (records: unknown): readonly string[] =>
  Object.values(records as Readonly<Record<string, RecordOf<'message'>>>).map((record) => record.name);

test('a message is about an object that there is', async () => {
  const message = (await pool.call('message.create', 'hello', '3', 'VM', vmUuid, 'body\n"; --')) as Ref<'message'>;
  const record = (await pool.call('message.get_record', message)) as RecordOf<'message'>;
  expect(record).toMatchObject({
    name: 'hello',
    priority: 3,
    cls: 'VM',
    obj_uuid: vmUuid,
    body: 'body\n"; --',
    timestamp: '20260101T00:00:00Z',
  });
  expect(await pool.call('message.get_by_uuid', record.uuid)).toBe(message);
  expect(await pool.refusal('message.get_by_uuid', 'x')).toEqual(['UUID_INVALID', 'message', 'x']);
  expect(await pool.refusal('message.create', 'a', 1, 'Host', vmUuid, '')).toEqual(['UUID_INVALID', 'Host', vmUuid]);
  expect(await pool.refusal('message.create', 'a', 1, 'vm', vmUuid, '')).toEqual(['INVALID_VALUE', 'cls', 'vm']);
});

test('the control plane writes its own with the priority that they have in XAPI', () => {
  const message = pool.xapi.messages.write('VM_CRASHED', 'VM', vmUuid, '');
  expect(pool.xapi.db.get('message', message)).toMatchObject({ name: 'VM_CRASHED', priority: 2, cls: 'VM' });
});

describe('messages are found', () => {
  beforeEach(async () => {
    pool.xapi.messages.write('VM_STARTED', 'VM', vmUuid, '');
    await pool.clock.advanceAsync(2000);
    pool.xapi.messages.write('VM_SHUTDOWN', 'VM', vmUuid, '');
    const [self] = pool.xapi.db.refs('pool');
    const poolUuid = self === undefined ? '' : pool.xapi.db.get('pool', self).uuid;
    pool.xapi.messages.write('ALARM', 'Pool', poolUuid, '');
  });

  test('all of them', async () => {
    expect(names(await pool.call('message.get_all_records'))).toEqual(['VM_STARTED', 'VM_SHUTDOWN', 'ALARM']);
    expect(await pool.call('message.get_all')).toEqual(pool.xapi.db.refs('message'));
  });

  test.each([
    ['message.get_since', ['19700101T00:00:00Z'], ['VM_STARTED', 'VM_SHUTDOWN', 'ALARM']],
    ['message.get_since', ['20260101T00:00:00Z'], ['VM_SHUTDOWN', 'ALARM']],
    ['message.get_since', ['20260101T00:00:02Z'], []],
    [
      'message.get_all_records_where',
      ['field "name" = "ALARM" or field "priority" = "5"'],
      ['VM_STARTED', 'VM_SHUTDOWN', 'ALARM'],
    ],
    ['message.get_all_records_where', ['field "cls" = "Pool"'], ['ALARM']],
  ])('%s(%j)', async (method, params, expected) => {
    expect(names(await pool.call(method, ...params))).toEqual(expected);
  });

  test('by what they are about', async () => {
    const since = '19700101T00:00:00Z';
    expect(names(await pool.call('message.get', 'VM', vmUuid, since))).toEqual(['VM_STARTED', 'VM_SHUTDOWN']);
    expect(names(await pool.call('message.get', 'SR', vmUuid, since))).toEqual([]);
  });

  test.each([
    [{}, []],
    [{ priority: '5' }, ['ALARM']],
    [{ before: '20260101T00:00:02Z' }, ['VM_SHUTDOWN', 'ALARM']],
    [{ after: '20260101T00:00:00Z' }, ['VM_STARTED']],
    [{ before: '20260101T00:00:03Z', after: '20260101T00:00:00Z', priority: '5' }, ['VM_STARTED', 'ALARM']],
  ])('and removed but for what filters leave: %j', async (filters, left) => {
    await pool.call('message.destroy_all', filters);
    expect(names(await pool.call('message.get_all_records'))).toEqual(left);
  });

  test('a filter that is none removes nothing', async () => {
    for (const [name, value] of [
      ['until', '20260101T00:00:00Z'],
      ['before', 'now'],
      ['priority', 'high'],
    ] as const) {
      expect(await pool.refusal('message.destroy_all', { [name]: value })).toEqual([
        'INVALID_VALUE',
        `filters:${name}`,
        value,
      ]);
    }
    expect(pool.xapi.db.count('message')).toBe(3);
  });

  test('and removed: all of a list, or, when one is unknown, none', async () => {
    const [first = '', ...more] = pool.xapi.db.refs('message');
    expect((await pool.refusal('message.destroy_many', [first, 'OpaqueRef:x']))[0]).toBe('HANDLE_INVALID');
    expect(pool.xapi.db.count('message')).toBe(3);
    await pool.call('message.destroy_many', more);
    await pool.call('message.destroy', first);
    expect(await pool.refusal('message.destroy', first)).toEqual(['HANDLE_INVALID', 'message', first]);
    expect(pool.xapi.db.count('message')).toBe(0);
  });
});

test('the oldest makes room', async () => {
  const first = pool.xapi.messages.write('ALARM', 'VM', vmUuid, '');
  await pool.clock.advanceAsync(1000);
  for (let n = 1; n < messagesMax; n++) pool.xapi.messages.write('VM_STARTED', 'VM', vmUuid, '');
  expect(pool.xapi.db.has('message', first)).toBe(true);
  pool.xapi.messages.write('VM_STARTED', 'VM', vmUuid, '');
  expect([pool.xapi.db.has('message', first), pool.xapi.db.count('message')]).toEqual([false, messagesMax]);
});
