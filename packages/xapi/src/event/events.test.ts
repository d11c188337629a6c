import { delay, ManualClock, ref, SeededRandom, type Ref } from '@xenolith/base';
import { encodeJsonValue, encodeXmlValue } from '@xenolith/wire';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { tombstonesMax } from '../database/change-log.ts';
import { Database } from '../database/database.ts';
import { MemoryStore } from '../database/store.ts';
import { classTables } from '../datamodel/classes.ts';
import { toWireType } from '../datamodel/data-type.ts';
import { Sessions } from '../session/sessions.ts';
import { eventBatchType, type EventBatch } from './event-record.ts';
import { answerIntervalMs, Events, type Listener, heartbeatMs, timeoutMaxMs, waitersPerSessionMax } from './events.ts';
import { formatToken } from './token.ts';

let clock: ManualClock;
let db: Database;
let sessions: Sessions;
let events: Events;
let session: Ref<'session'>;
let caller: Listener;
/** What a client's leaving does. */
const leaving = new Set<() => void>();

beforeEach(() => {
  clock = new ManualClock();
  db = new Database(new MemoryStore(), new SeededRandom(1));
  const passwords = { hash: (text: string) => Promise.resolve(text), verify: () => Promise.resolve(true) };
  sessions = new Sessions(db, clock, new SeededRandom(2), passwords);
  events = new Events(db, clock, sessions);
  session = sessions.open('root', 'test', { superuser: true, role: 'pool-admin' });
  leaving.clear();
  caller = callerOf(session);
});

const callerOf = (of: Ref<'session'>): Listener => ({
  session: of,
  onClientGone(action) {
    leaving.add(action);
    return {
      dispose() {
        leaving.delete(action);
      },
    };
  },
});

const now = (): string => formatToken(db.generation);
const seen = ({ events: list }: EventBatch): readonly string[] =>
  list.map((event) => `${event.operation} ${event.class} ${String(event.snapshot?.value === undefined)}`);
const brief = ({ events: list }: EventBatch): readonly string[] =>
  list.map((event) => `${event.operation} ${event.ref}`);

/** A call that may still be waiting. */
function start(call: Promise<EventBatch>): { result: EventBatch | undefined; error: unknown; atMs: number } {
  const state: { result: EventBatch | undefined; error: unknown; atMs: number } = {
    result: undefined,
    error: undefined,
    atMs: 0,
  };
  const follow = async (): Promise<void> => {
    try {
      state.result = await call;
      state.atMs = clock.now();
    } catch (error) {
      state.error = error;
    }
  };
  void follow();
  return state;
}

describe('a client that leaves', () => {
  test('gives its place to others at once, and takes nothing of what it would have been told', async () => {
    const calls = Array.from({ length: waitersPerSessionMax }, () => start(events.from(caller, ['vm'], now(), 60)));
    await expect(events.from(caller, ['vm'], now(), 60)).rejects.toMatchObject({ code: 'TOO_BUSY' });
    for (const leave of leaving) leave();
    await clock.advanceAsync(0);
    expect([events.waiting, leaving.size]).toEqual([0, 0]);
    expect(calls.map(({ error }) => String(error))).toEqual(
      calls.map(() => 'XapiError: TASK_CANCELLED(OpaqueRef:NULL)'),
    );

    events.register(session, ['vm']);
    const next = events.next(caller);
    const vm = db.create('VM', {});
    for (const leave of leaving) leave();
    await expect(next).rejects.toMatchObject({ code: 'TASK_CANCELLED' });
    expect(await events.next(caller)).toMatchObject([{ operation: 'add', ref: vm }]);
  });

  test('after it was answered is not missed', async () => {
    const call = start(events.from(caller, ['vm'], now(), 60));
    db.create('VM', {});
    await clock.advanceAsync(0);
    expect([call.result?.events.length, leaving.size]).toEqual([1, 0]);
  });
});

describe('event.from', () => {
  test('without a token tells of everything as new, with its class in lower case', async () => {
    const vm = db.create('VM', { name_label: 'one' });
    const batch = await events.from(caller, ['*'], '', 0);
    expect(batch.events).toHaveLength(1);
    expect(batch.events[0]).toMatchObject({ class: 'vm', operation: 'add', ref: vm, timestamp: '0.0' });
    expect(batch.events[0]?.id).toBe(String(db.history(vm)?.modified));
    expect(batch.events[0]?.snapshot?.value).toBe(db.get('VM', vm));
    expect(batch.token).toMatch(/^\d{20},\d{20}$/);
    expect(batch.token).toBe(now());
    expect(await events.from(caller, ['*'], formatToken(0), 0)).toEqual(batch);
  });

  test('tells of each object once: what came, what changed, what went, in this order', async () => {
    const [kept, going] = [db.create('VM', {}), db.create('VM', {})];
    const token = now();
    db.update('VM', kept, { name_label: 'a' });
    db.destroy('VM', going);
    const first = db.create('SR', {});
    const second = db.create('SR', {});
    db.update('SR', first, { name_label: 'b' });
    db.destroy('SR', db.create('SR', {}));
    db.update('VM', kept, { name_label: 'c' });
    const batch = await events.from(caller, ['vm', 'SR'], token, 0);
    expect(brief(batch)).toEqual([`add ${first}`, `add ${second}`, `mod ${kept}`, `del ${going}`]);
    expect(seen(batch)).toEqual(['add sr false', 'add sr false', 'mod vm false', 'del vm true']);
    expect(batch.events[2]?.snapshot?.value).toMatchObject({ name_label: 'c' });
    expect(Object.hasOwn(batch.events[3] ?? {}, 'snapshot')).toBe(false);
  });

  test('counts every class of the database, whatever was asked for', async () => {
    db.create('VM', {});
    db.create('task', {});
    db.create('message', {});
    const { valid_ref_counts: counts } = await events.from(caller, ['sr'], '', 0);
    expect(counts).toMatchObject({ vm: 1, task: 1, session: 1, sr: 0, vm_metrics: 0, pool: 0 });
    const inDatabase = Object.values(classTables).filter((table) => table.inDatabase);
    expect(Object.keys(counts).sort()).toEqual(inDatabase.map((table) => table.name.toLowerCase()).sort());
  });

  test.each<[string, readonly string[], readonly string[]]>([
    ['everything', ['*'], ['VM', 'SR', 'task']],
    ['a class', ['sr'], ['SR']],
    ['classes in any case', ['vM', 'TASK'], ['VM', 'task']],
    ['an object', ['vm/OpaqueRef:vm'], ['VM']],
    ['another object', ['vm/OpaqueRef:other'], []],
    ['a class that does not exist', ['nonsense'], []],
    ['classes without events', ['session', 'user', 'secret'], []],
    ['nothing', [], []],
  ])('a subscription to %s', async (_, classes, expected) => {
    db.create('VM', {}, ref<'VM'>('OpaqueRef:vm'));
    const token = now();
    db.update('VM', ref<'VM'>('OpaqueRef:vm'), { name_label: 'x' });
    db.create('SR', {});
    db.create('task', {});
    db.create('user', {});
    db.create('secret', {});
    sessions.open('root', 'other', { superuser: true, role: 'pool-admin' });
    for (const from of [token, '']) {
      const batch = await events.from(caller, classes, from, 0);
      expect(batch.events.map((event) => event.class).sort()).toEqual(
        expected.map((name) => name.toLowerCase()).sort(),
      );
    }
  });

  test.each(['', '/', 'vm/', '/OpaqueRef:x', 'vm/a/b', '*/OpaqueRef:x'])(
    'the subscription %j is none',
    async (text) => {
      await expect(events.from(caller, ['vm', text], '', 0)).rejects.toMatchObject({
        description: ['EVENT_SUBSCRIPTION_PARSE_FAILURE', text],
      });
    },
  );

  test.each(['0', ',', 'x,y', '1,', ' 1,1', '1,1,1', '-1,0', '1.5,0', '99999999999999999999,0', `${'1'.repeat(21)},0`])(
    'the token %j is none',
    async (token) => {
      await expect(events.from(caller, ['*'], token, 0)).rejects.toMatchObject({
        description: ['EVENT_FROM_TOKEN_PARSE_FAILURE', token],
      });
    },
  );

  test('tokens sort as text', () => {
    const generations = [1, 9, 10, 99, 2 ** 28, 2 ** 40, 2 ** 53 - 1];
    expect(generations.map(formatToken).toSorted()).toEqual(generations.map(formatToken));
  });

  test('messages come under their class, with no number', async () => {
    const token = now();
    const message = db.create('message', { name: 'VM_STARTED' });
    const batch = await events.from(caller, ['message'], token, 0);
    expect(batch.events).toMatchObject([{ id: '0', class: 'message', operation: 'add', ref: message }]);
  });

  test('a token of before a start, or from the future, means that events were lost', async () => {
    for (const generation of [1, db.log.completeSince - 1, db.generation + 1]) {
      await expect(events.from(caller, ['*'], formatToken(generation), 0)).rejects.toMatchObject({
        description: ['EVENTS_LOST'],
      });
    }
    expect((await events.from(caller, ['*'], formatToken(db.log.completeSince), 0)).events).toEqual([]);
  });

  test('a client that was away while too much went by has lost events; one that waits has not', async () => {
    const token = now();
    const waiting = start(events.from(caller, ['sr'], token, 60));
    for (let n = 0; n <= tombstonesMax; n++) db.destroy('task', db.create('task', {}));
    await expect(events.from(caller, ['*'], token, 0)).rejects.toMatchObject({ description: ['EVENTS_LOST'] });
    const sr = db.create('SR', {});
    await clock.advanceAsync(0);
    expect(waiting.result && brief(waiting.result)).toEqual([`add ${sr}`]);
  });
});

describe('waiting', () => {
  test('ends at once with a change that concerns it, and with all that is written with it', async () => {
    const call = start(events.from(caller, ['vm'], now(), 60));
    const begun = clock.now();
    await clock.advanceAsync(1000);
    db.create('SR', {});
    await clock.advanceAsync(1000);
    expect([call.result, events.waiting]).toEqual([undefined, 1]);
    const vm = db.create('VM', {});
    const vbd = db.create('VBD', { VM: vm });
    expect(call.result).toBeUndefined();
    await clock.advanceAsync(0);
    expect(call.result && brief(call.result)).toEqual([`add ${vm}`]);
    expect(call.result?.events[0]?.snapshot?.value).toMatchObject({ VBDs: [vbd] });
    expect([call.atMs - begun, events.waiting]).toEqual([2000, 0]);
  });

  test('is told of all changes of an interval together once its session was answered, and others are not', async () => {
    const other = callerOf(sessions.open('root', 'other', { superuser: true, role: 'pool-admin' }));
    const vm = db.create('VM', {});
    await events.from(caller, ['vm'], formatToken(db.generation - 1), 0);
    const begun = clock.now();
    const [call, others] = [caller, other].map((who) => start(events.from(who, ['vm'], now(), 60)));
    await clock.advanceAsync(answerIntervalMs / 2);
    db.update('VM', vm, { name_label: 'a' });
    await clock.advanceAsync(answerIntervalMs / 2 - 1);
    const second = db.create('VM', {});
    expect([call?.result, others?.result && brief(others.result)]).toEqual([undefined, [`mod ${vm}`]]);
    await clock.advanceAsync(1);
    expect(call?.result && brief(call.result)).toEqual([`add ${second}`, `mod ${vm}`]);
    expect([call, others].map((state) => (state?.atMs ?? 0) - begun)).toEqual([answerIntervalMs, answerIntervalMs / 2]);
  });

  test('for tasks neither holds back the other calls of its session nor is held back by them', async () => {
    const [task, vm] = [db.create('task', {}), db.create('VM', {})];
    const since = formatToken(db.generation - 2);
    const ask = (what: string): ReturnType<typeof start> => start(events.from(caller, [what], since, 60));
    const calls = [ask('task'), ask('vm'), ask('task'), ask('vm')];
    await clock.advanceAsync(0);
    expect(calls.map((call) => call.result && brief(call.result))).toEqual([
      [`add ${task}`],
      [`add ${vm}`],
      [`add ${task}`],
      undefined,
    ]);
  });

  test('ends at once when only tasks are asked for', async () => {
    const task = db.create('task', {});
    const calls = [['task'], [`task/${task}`]].map((classes) => start(events.from(caller, classes, now(), 60)));
    await clock.advanceAsync(10);
    db.update('task', task, { status: 'success' });
    await clock.advanceAsync(0);
    expect(calls.map((call) => call.result && brief(call.result))).toEqual([[`mod ${task}`], [`mod ${task}`]]);
  });

  test.each([
    [60.1, 60_100],
    [0, 0],
    [-5, 0],
    [Number.NaN, 0],
    [Infinity, timeoutMaxMs],
    [1e300, timeoutMaxMs],
  ])('%d seconds without a change give an empty answer after %d ms', async (timeoutS, expectedMs) => {
    const begun = clock.now();
    const call = start(events.from(caller, ['vm'], now(), timeoutS));
    await clock.advanceAsync(Math.max(0, expectedMs - 1));
    expect(call.result === undefined).toBe(expectedMs > 0);
    await clock.advanceAsync(1);
    expect([call.result?.events, call.result && call.atMs - begun]).toEqual([[], expectedMs]);
  });

  test('the time limit holds while a session is held back too', async () => {
    db.create('VM', {});
    await events.from(caller, ['vm'], formatToken(db.generation - 1), 0);
    const call = start(events.from(caller, ['vm'], now(), answerIntervalMs / 2 / 1000));
    db.create('VM', {});
    await clock.advanceAsync(answerIntervalMs / 2);
    expect(call.result?.events).toHaveLength(1);
  });

  test('an object that came and went before anybody was told is nothing, and the waiting goes on', async () => {
    const call = start(events.from(caller, ['vm'], now(), 60));
    await clock.advanceAsync(10);
    db.destroy('VM', db.create('VM', {}));
    await clock.advanceAsync(1000);
    expect(call.result).toBeUndefined();
    db.create('VM', {});
    await clock.advanceAsync(0);
    expect(call.result?.events).toHaveLength(1);
    const held = start(events.from(caller, ['vm'], call.result?.token ?? '', 60));
    const vm = db.create('VM', {});
    await clock.advanceAsync(10);
    db.destroy('VM', vm);
    await clock.advanceAsync(1000);
    expect(held.result).toBeUndefined();
  });

  test('a change of the computed end of a relation wakes who watches that end only', async () => {
    const vm = db.create('VM', {});
    const call = start(events.from(caller, [`vm/${vm}`], now(), 60));
    await clock.advanceAsync(10);
    const vbd = db.create('VBD', { VM: vm });
    await clock.advanceAsync(0);
    expect(call.result?.events[0]?.snapshot?.value).toMatchObject({ VBDs: [vbd] });
  });

  test('a client that asks again during a burst is answered once an interval', async () => {
    let answers = 0;
    let token = now();
    const loop = async (): Promise<void> => {
      for (;;) {
        ({ token } = await events.from(caller, ['vm'], token, 60));
        answers++;
        await delay(clock, 2);
      }
    };
    loop().catch(() => undefined);
    const vm = db.create('VM', {});
    for (let n = 0; n < 1000; n++) {
      await clock.advanceAsync(1);
      db.update('VM', vm, { name_label: String(n) });
    }
    expect(answers).toBeGreaterThan(1000 / answerIntervalMs / 2);
    expect(answers).toBeLessThanOrEqual(1000 / answerIntervalMs + 1);
  });

  test('the end of the session ends it', async () => {
    const other = sessions.open('root', 'other', { superuser: true, role: 'pool-admin' });
    const [mine, next] = [
      start(events.from(caller, ['vm'], now(), 60)),
      start(events.from(callerOf(other), ['vm'], now(), 60)),
    ];
    await clock.advanceAsync(10);
    sessions.close(session);
    await clock.advanceAsync(10);
    expect(mine.error).toMatchObject({ description: ['SESSION_INVALID', session] });
    expect([next.error, events.waiting]).toEqual([undefined, 1]);
  });

  test('calls of one session wait beside each other, up to a limit', async () => {
    const calls = Array.from({ length: waitersPerSessionMax }, () => start(events.from(caller, ['vm'], now(), 60)));
    await clock.advanceAsync(10);
    await expect(events.from(caller, ['vm'], now(), 60)).rejects.toMatchObject({ description: ['TOO_BUSY'] });
    db.create('VM', {});
    await clock.advanceAsync(0);
    expect(calls.every((call) => call.result?.events.length === 1)).toBe(true);
    const again = start(events.from(caller, ['vm'], now(), 0.1));
    await clock.advanceAsync(100);
    expect(again.result?.events).toEqual([]);
  });
});

test('whoever follows from token to token knows what the database holds', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom('create', 'change', 'destroy', 'look'), fc.nat()), {
        maxLength: 60,
        size: 'max',
      }),
      async (steps) => {
        const known = new Map<string, unknown>();
        let token = '';
        const look = async (): Promise<void> => {
          const call = start(events.from(caller, ['vm', 'vbd'], token, 0.1));
          await clock.advanceAsync(200);
          for (const event of call.result?.events ?? []) {
            expect(event.operation).toBe(event.snapshot === undefined ? 'del' : known.has(event.ref) ? 'mod' : 'add');
            if (event.snapshot === undefined) expect(known.delete(event.ref)).toBe(true);
            else known.set(event.ref, event.snapshot.value);
          }
          token = call.result?.token ?? '';
          expect(call.result?.valid_ref_counts).toMatchObject({ vm: db.count('VM'), vbd: db.count('VBD') });
          expect(Object.fromEntries(known)).toEqual(Object.fromEntries([...db.allAny('VM'), ...db.allAny('VBD')]));
        };
        for (const [kind, n] of steps) {
          const vms = db.refs('VM');
          const vm = vms[n % Math.max(1, vms.length)];
          if (kind === 'look') await look();
          else if (kind === 'create')
            db.createAny(n % 2 === 0 ? 'VM' : 'VBD', vm === undefined || n % 2 === 0 ? {} : { VM: vm });
          else if (vm !== undefined && kind === 'change') db.update('VM', vm, { name_label: String(n) });
          else if (vm !== undefined) db.destroy('VM', vm);
        }
        await look();
      },
    ),
    { numRuns: 60 },
  );
});

describe('on the wire', () => {
  test('counts are 32-bit integers and snapshots are encoded by their class', async () => {
    db.create('VM', { VCPUs_max: 3, is_a_template: true });
    const type = toWireType(eventBatchType);
    const batch = await events.from(caller, ['vm'], '', 0);
    const xml = encodeXmlValue(type, batch);
    expect(xml).toContain('<member><name>vm</name><value><i4>1</i4></value></member>');
    expect(xml).toContain('<member><name>VCPUs_max</name><value>3</value></member>');
    expect(xml).toContain('<dateTime.iso8601>19700101T00:00:00Z</dateTime.iso8601>');
    expect(xml).toContain('<member><name>operation</name><value>add</value></member>');
    const json = JSON.parse(encodeJsonValue(type, batch)) as EventBatch;
    expect(json.valid_ref_counts).toMatchObject({ vm: 1 });
    expect(json.events[0]).toMatchObject({ snapshot: { VCPUs_max: 3, is_a_template: true }, class: 'vm' });
  });
});

describe('event.inject', () => {
  test('gives a token from just before a change of the object', async () => {
    const pool = db.create('pool', {});
    const token = events.inject('pool', pool);
    db.create('VM', {});
    expect(brief(await events.from(caller, ['pool'], token, 0))).toEqual([`mod ${pool}`]);
  });

  test.each(['Pool', 'nonsense', 'VM'])('of class %j there is no such object', (className) => {
    const pool = db.create('pool', {});
    expect(() => events.inject(className, pool)).toThrow('HANDLE_INVALID');
  });
});

describe('event.next', () => {
  const next = (): { result: readonly string[] | undefined; error: unknown; timestamp: string | undefined } => {
    const state = { result: undefined as readonly string[] | undefined, error: undefined as unknown, timestamp: '' };
    const follow = async (): Promise<void> => {
      try {
        const list = await events.next(caller);
        state.result = list.map((event) => `${event.operation} ${event.class}`);
        state.timestamp = list[0]?.timestamp ?? '';
      } catch (error) {
        state.error = error;
      }
    };
    void follow();
    return state;
  };

  test('needs a registration', async () => {
    await expect(events.next(caller)).rejects.toMatchObject({ description: ['SESSION_NOT_REGISTERED', session] });
    events.register(session, ['vm', 'sr']);
    events.unregister(session, ['VM']);
    events.unregister(session, ['SR']);
    await expect(events.next(caller)).rejects.toMatchObject({ description: ['SESSION_NOT_REGISTERED', session] });
  });

  test('goes on from where it was registered, and then from the call before', async () => {
    db.create('VM', {});
    events.register(session, ['vm']);
    db.create('VM', {});
    events.register(session, ['sr']);
    db.create('SR', {});
    const first = next();
    await clock.advanceAsync(0);
    expect(first.result).toEqual(['add vm', 'add sr']);
    expect(first.timestamp).toBe(`${Math.floor(clock.now() / 1000)}.0`);
    const second = next();
    await clock.advanceAsync(1000);
    expect(second.result).toBeUndefined();
    db.create('SR', {});
    await clock.advanceAsync(0);
    expect(second.result).toEqual(['add sr']);
  });

  test('shows a change of the pool now and then, to who listens to the pool', async () => {
    db.create('pool', {});
    events.register(session, ['pool']);
    const call = next();
    await clock.advanceAsync(heartbeatMs);
    expect(call.result).toEqual(['mod pool']);
    events.unregister(session, ['pool']);
    events.register(session, ['vm']);
    const silent = next();
    await clock.advanceAsync(10 * heartbeatMs);
    expect(silent.result).toBeUndefined();
    sessions.close(session);
    await clock.advanceAsync(0);
    expect(silent.error).toMatchObject({ description: ['SESSION_INVALID', session] });
  });

  test('says once that events were lost, and goes on', async () => {
    events.register(session, ['vm']);
    for (let n = 0; n <= tombstonesMax; n++) db.destroy('task', db.create('task', {}));
    const call = next();
    await clock.advanceAsync(0);
    expect(call.error).toMatchObject({ description: ['EVENTS_LOST'] });
    db.create('VM', {});
    const after = next();
    await clock.advanceAsync(0);
    expect(after.result).toEqual(['add vm']);
  });
});
