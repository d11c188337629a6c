import { ManualClock, ref, SeededRandom, type Ref } from '@xenolith/base';
import { beforeEach, describe, expect, test } from 'vitest';
import { encodeJsonValue, encodeXmlValue } from '@xenolith/wire';
import { toWireType } from '../datamodel/data-type.ts';
import type { Answer } from '../dispatch.ts';
import { Database } from '../database/database.ts';
import { MemoryStore } from '../database/store.ts';
import { OpenPool } from '../testing/open-pool.ts';
import { finishedTaskLifeMs, pendingTaskLifeMs, Tasks, tasksMax } from './tasks.ts';

let clock: ManualClock;
let db: Database;
let tasks: Tasks;

beforeEach(() => {
  clock = new ManualClock();
  db = new Database(new MemoryStore(), new SeededRandom(1));
  tasks = new Tasks(db, clock);
});

describe('work', () => {
  test('is shown from its beginning to its end', () => {
    const task = tasks.begin('VM.start', { description: 'one' });
    expect(db.get('task', task.ref)).toMatchObject({
      name_label: 'VM.start',
      name_description: 'one',
      status: 'pending',
      progress: 0,
      created: '20260101T00:00:00Z',
      finished: '19700101T00:00:00Z',
      allowed_operations: [],
    });
    task.setProgress(0.5);
    expect(db.get('task', task.ref).progress).toBe(0.5);
    task.setProgress(7);
    expect(db.get('task', task.ref).progress).toBe(1);
    clock.advance(5000);
    tasks.succeed(task, '<value>x</value>');
    expect(db.get('task', task.ref)).toMatchObject({
      status: 'success',
      result: '<value>x</value>',
      finished: '20260101T00:00:05Z',
    });
  });

  test.each<[readonly string[], string]>([
    [['SR_FULL', '1', '2'], 'failure'],
    [['TASK_CANCELLED', 'OpaqueRef:x'], 'cancelled'],
  ])('that fails with %j is a %s', (description, status) => {
    const task = tasks.begin('x');
    tasks.fail(task, description);
    expect(db.get('task', task.ref)).toMatchObject({ status, error_info: description });
  });

  test('goes on unseen when its task is destroyed', () => {
    const task = tasks.begin('x');
    tasks.destroy(task.ref);
    task.setProgress(0.1);
    task.onCancel(() => undefined).dispose();
    tasks.succeed(task, '');
    expect(db.count('task')).toBe(0);
  });
});

describe('cancelling', () => {
  test('is offered while somebody listens for it', () => {
    const task = tasks.begin('x');
    const offered = (): readonly string[] => db.get('task', task.ref).allowed_operations;
    expect(() => {
      tasks.cancel(task.ref);
    }).toThrow('OPERATION_NOT_ALLOWED');
    const [one, two] = [task.onCancel(() => undefined), task.onCancel(() => undefined)];
    expect(offered()).toEqual(['cancel']);
    one.dispose();
    expect(offered()).toEqual(['cancel']);
    two.dispose();
    expect(offered()).toEqual([]);
  });

  test('tells the work once, and whoever listens later', () => {
    const task = tasks.begin('x');
    const heard: string[] = [];
    task.onCancel(() => heard.push('first'));
    task.throwIfCancelled();
    tasks.cancel(task.ref);
    tasks.cancel(task.ref);
    expect(db.get('task', task.ref)).toMatchObject({ status: 'cancelling', allowed_operations: [] });
    task.onCancel(() => heard.push('late'));
    expect(heard).toEqual(['first', 'late']);
    expect(task.cancelled).toBe(true);
    expect(() => {
      task.throwIfCancelled();
    }).toThrow(`TASK_CANCELLED(${task.ref})`);
  });

  test('is refused once the work is over', () => {
    const task = tasks.begin('x');
    task.onCancel(() => undefined);
    tasks.succeed(task, '');
    expect(() => {
      tasks.cancel(task.ref);
    }).toThrow('OPERATION_NOT_ALLOWED');
  });
});

describe('how long tasks stay', () => {
  test('finished ones a while, those of clients a day, work for as long as it takes', () => {
    const work = tasks.begin('work');
    const abandoned = tasks.createForClient('abandoned', {});
    clock.advance(1000);
    const done = tasks.begin('done');
    tasks.succeed(done, '');
    const there = (): readonly string[] => [...db.all('task')].map(([, record]) => record.name_label);
    clock.advance(finishedTaskLifeMs - 1);
    expect(there()).toEqual(['work', 'abandoned', 'done']);
    clock.advance(1);
    expect(there()).toEqual(['work', 'abandoned']);
    clock.advance(pendingTaskLifeMs);
    expect(there()).toEqual(['work']);
    clock.advance(pendingTaskLifeMs * 10);
    expect(db.has('task', work.ref)).toBe(true);
    expect(db.has('task', abandoned)).toBe(false);
  });

  test('too many make the oldest finished one go; when none is finished, the next is refused', () => {
    const first = tasks.begin('first');
    const second = tasks.begin('second');
    tasks.succeed(second, '');
    tasks.succeed(first, '');
    for (let n = 2; n < tasksMax; n++) tasks.begin('more');
    tasks.begin('one too many');
    expect([db.has('task', second.ref), db.has('task', first.ref), db.count('task')]).toEqual([false, true, tasksMax]);
    tasks.begin('another');
    expect(() => tasks.begin('no room')).toThrow('TOO_MANY_PENDING_TASKS');
    expect(() => tasks.createForClient('no room', {})).toThrow('TOO_MANY_PENDING_TASKS');
    expect(db.count('task')).toBe(tasksMax);
  });
});

describe('tasks of clients', () => {
  let pool: OpenPool;
  let task: Ref<'task'>;

  beforeEach(async () => {
    pool = await OpenPool.start();
    task = (await pool.call('task.create', 'backup', 'of everything')) as Ref<'task'>;
  });

  test('are theirs to fill in', async () => {
    await pool.call('task.set_progress', task, 0.25);
    expect(pool.xapi.db.get('task', task)).toMatchObject({ name_label: 'backup', status: 'pending', progress: 0.25 });
    await pool.call('task.set_result', task, '<value>1</value>');
    await pool.call('task.set_error_info', task, ['A', 'b']);
    await pool.call('task.add_to_other_config', task, 'applies_to', 'x');
    await pool.call('task.set_status', task, 'failure');
    expect(pool.xapi.db.get('task', task)).toMatchObject({
      status: 'failure',
      result: '<value>1</value>',
      error_info: ['A', 'b'],
      other_config: { applies_to: 'x' },
      finished: '20260101T00:00:00Z',
    });
    expect(await pool.refusal('task.set_progress', task, 1.5)).toEqual(['INVALID_VALUE', 'progress', '1.5']);
    expect(await pool.refusal('task.set_progress', task, 'NaN')).toEqual(['FIELD_TYPE_ERROR', 'value']);
    await pool.call('task.destroy', task);
    expect(await pool.refusal('task.destroy', task)).toEqual(['HANDLE_INVALID', 'task', task]);
  });

  test('are listed with the session that made them', async () => {
    expect(await pool.call('session.get_tasks', pool.session)).toEqual([task]);
    const record = (await pool.raw('task.get_record', pool.session, task)) as Extract<Answer, { ok: true }>;
    expect(encodeJsonValue(toWireType(record.type), record.value)).not.toContain(pool.session);
    const batch = (await pool.raw('event.from', pool.session, ['task'], '', 0)) as Extract<Answer, { ok: true }>;
    expect(encodeXmlValue(toWireType(batch.type), batch.value)).not.toContain(pool.session);
    await pool.call('task.destroy', task);
    expect(await pool.call('session.get_tasks', pool.session)).toEqual([]);
  });

  test('cannot be cancelled: nobody would hear', async () => {
    expect((await pool.refusal('task.cancel', task))[0]).toBe('OPERATION_NOT_ALLOWED');
  });

  test('that are the work of the server tell the truth by themselves', async () => {
    const work = pool.xapi.tasks.begin('work');
    for (const [method, value] of [
      ['task.set_status', 'success'],
      ['task.set_progress', 1],
      ['task.set_result', 'x'],
      ['task.set_error_info', []],
    ] as const) {
      expect((await pool.refusal(method, work.ref, value))[0]).toBe('OPERATION_NOT_ALLOWED');
    }
    expect(pool.xapi.db.get('task', work.ref).status).toBe('pending');
  });

  test.each([
    ['task.destroy', []],
    ['task.cancel', []],
    ['task.set_status', ['success']],
    ['task.set_progress', [1]],
    ['task.set_result', ['x']],
    ['task.set_error_info', [[]]],
    ['task.set_other_config', [{}]],
    ['task.add_to_other_config', ['applies_to', 'v']],
    ['task.remove_from_other_config', ['applies_to']],
  ])('%s is for the owner and for pool operators', async (method, params) => {
    const owner = pool.login('vm-operator', 'alice');
    const outcome = async (session: Ref<'session'>): Promise<string> => {
      const mine = (await pool.as(owner, 'task.create', 'a', '')) as Ref<'task'>;
      const answer = await pool.raw(method, session, mine, ...params);
      return answer.ok ? 'ok' : (answer.error[0] ?? '');
    };
    const done = method === 'task.cancel' ? 'OPERATION_NOT_ALLOWED' : 'ok';
    expect(await outcome(owner)).toBe(done);
    expect(await outcome(pool.login('vm-operator', 'alice'))).toBe(done);
    expect(await outcome(pool.login('vm-admin', 'bob'))).toBe('RBAC_PERMISSION_DENIED');
    expect(await outcome(pool.login('pool-operator', 'carol'))).toBe(done);
    expect(await outcome(pool.session)).toBe(done);
  });
});

test("a task is on the pool's coordinator, which stands for this server", async () => {
  const alone = await OpenPool.start();
  const [main = ref<'pool'>('')] = alone.xapi.db.refs('pool');
  const taskOf = async (): Promise<unknown> => {
    const task = (await alone.call('task.create', 'a', '')) as Ref<'task'>;
    return alone.xapi.db.get('task', task).resident_on;
  };
  expect(await taskOf()).toBe('OpaqueRef:NULL');
  const host = alone.xapi.db.create('host', {});
  alone.xapi.db.update('pool', main, { master: host });
  expect(await taskOf()).toBe(host);
});
