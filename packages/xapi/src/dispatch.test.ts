import { ManualClock, type Ref } from '@xenolith/base';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import type { WireValue } from '@xenolith/wire';
import { rowClasses, type AnyRecord } from './database/record-shape.ts';
import { MemoryStore, type Batch } from './database/store.ts';
import { methods, type Method } from './datamodel/registry.ts';
import { describeError, hasBehaviour } from './dispatch.ts';
import { isErrorCode, XapiError } from './errors.ts';
import { HostError, type HostErrorCode } from './host-driver.ts';
import { anyWireValue } from './testing/arbitrary-value.ts';
import { OpenPool } from './testing/open-pool.ts';

let pool: OpenPool;
/** What was logged as a mistake of the program. */
let mistakes: string[];

beforeEach(async () => {
  mistakes = [];
  pool = await OpenPool.start({
    log: {
      info() {},
      warn() {},
      error: (message, fields) => mistakes.push(`${message} ${JSON.stringify(fields)}`),
    },
  });
});

describe('methods', () => {
  test.each<[string, readonly WireValue[], readonly string[]]>([
    ['VM.nonsense', ['s'], ['MESSAGE_METHOD_UNKNOWN', 'VM.nonsense']],
    ['', [], ['MESSAGE_METHOD_UNKNOWN', '']],
    ['vm.get_all', ['s'], ['MESSAGE_METHOD_UNKNOWN', 'vm.get_all']],
    ['Async.', [], ['MESSAGE_METHOD_UNKNOWN', 'Async.']],
    ['Async.Async.VM.start', [], ['MESSAGE_METHOD_UNKNOWN', 'Async.Async.VM.start']],
    ['Async.VM_start', [], ['MESSAGE_METHOD_UNKNOWN', 'Async.VM_start']],
    ['constructor', [], ['MESSAGE_METHOD_UNKNOWN', 'constructor']],
    ['_'.repeat(100_000), [], ['MESSAGE_METHOD_UNKNOWN', '_'.repeat(100_000)]],
    ['system.isAlive', [], ['MESSAGE_METHOD_UNKNOWN', 'system.isAlive']],
    ['VMPP.get_all', ['s'], ['MESSAGE_REMOVED']],
    ['VM.get_all', [], ['MESSAGE_PARAMETER_COUNT_MISMATCH', 'VM.get_all', '0', '0']],
    ['VM.get_record', [], ['MESSAGE_PARAMETER_COUNT_MISMATCH', 'VM.get_record', '1', '0']],
    ['VM.get_record', ['s'], ['MESSAGE_PARAMETER_COUNT_MISMATCH', 'VM.get_record', '1', '0']],
    ['VM.get_record', ['s', 'a', 'b'], ['MESSAGE_PARAMETER_COUNT_MISMATCH', 'VM.get_record', '1', '2']],
    ['VM_get_record', ['s', 'a', 'b'], ['MESSAGE_PARAMETER_COUNT_MISMATCH', 'VM_get_record', '1', '2']],
    ['Async.VM.start', ['s', 'a'], ['MESSAGE_PARAMETER_COUNT_MISMATCH', 'Async.VM.start', '3', '1']],
    [
      'session.login_with_password',
      ['a'],
      ['MESSAGE_PARAMETER_COUNT_MISMATCH', 'session.login_with_password', '2', '1'],
    ],
    [
      'session.login_with_password',
      ['a', 'b', 'c', 'd', 'e'],
      ['MESSAGE_PARAMETER_COUNT_MISMATCH', 'session.login_with_password', '4', '5'],
    ],
    ['VM.get_all', ['nobody'], ['SESSION_INVALID', 'nobody']],
    ['VM.get_all', [null], ['SESSION_INVALID', 'null']],
    ['VM.get_all', [{ a: 1 }], ['SESSION_INVALID', '{"a":1}']],
    ['VM.get_record', ['nobody', 1], ['SESSION_INVALID', 'nobody']],
    ['Async.session.logout', ['s'], ['Fault', 'session.logout is not asynchronous']],
  ])('%s(%j)', async (method, params, expected) => {
    expect(await pool.raw(method, ...params)).toEqual({ ok: false, error: expected });
  });

  test('have an old spelling with an underscore', async () => {
    expect(await pool.call('VM_get_all')).toEqual([]);
    expect(await pool.call('host_cpu_get_all_records')).toEqual({});
    expect(await pool.call('pool_get_all')).toEqual(pool.xapi.db.refs('pool'));
  });

  test('are listed without a session, removed ones left out', async () => {
    const answer = await pool.raw('system.listMethods');
    expect(answer).toMatchObject({ ok: true, bare: true });
    const names = answer.ok ? (answer.value as readonly string[]) : [];
    expect(names).toContain('VM.get_all_records');
    expect(names).not.toContain('VMPP.get_all_records');
    expect(names.filter((name) => name.startsWith('Async.'))).toEqual([]);
    expect(new Set(names).size).toBe(names.length);
    expect(await pool.raw('system.isAlive:x', 'word')).toMatchObject({ ok: true, value: 'word' });
  });

  test('that only hosts may call are refused to others', async () => {
    const internal = [...methods().values()].filter((method) => method.poolInternal);
    expect(internal.length).toBeGreaterThan(0);
    for (const method of internal) {
      const refusal = await pool.refusal(method.fullName, ...method.params.map(() => ''));
      expect(refusal[0], method.fullName).toMatch(/INTERNAL_ERROR|FIELD_TYPE_ERROR|INVALID_VALUE/);
    }
  });
});

/** Arguments of the right types that name nothing. */
const plausible = (method: Method): readonly WireValue[] =>
  method.params.map(({ type }) => {
    switch (type.kind) {
      case 'int':
      case 'float':
        return 1;
      case 'bool':
        return false;
      case 'enum':
        return [...type.words][0] ?? '';
      case 'datetime':
        return '20260101T00:00:00Z';
      case 'set':
        return [];
      case 'map':
      case 'record':
        return {};
      default:
        return 'x';
    }
  });

describe('what has no behaviour yet', () => {
  test('answers NOT_IMPLEMENTED with its name, also in the background', async () => {
    const silent = [...methods().values()].filter((method) => !hasBehaviour(method) && !method.removed);
    for (const method of silent.filter(({ poolInternal }) => !poolInternal)) {
      const params = plausible(method);
      const session = method.session ? [pool.session] : [];
      const expected = { ok: false, error: ['NOT_IMPLEMENTED', method.fullName] };
      expect(await pool.raw(method.fullName, ...session, ...params)).toEqual(expected);
      if (method.async) expect(await pool.raw(`Async.${method.fullName}`, ...session, ...params)).toEqual(expected);
    }
    expect(pool.xapi.db.count('task')).toBe(0);
  });
});

/** Every object but tasks and sessions, which calls make and use up. */
const contents = (): Readonly<Record<string, AnyRecord>> =>
  Object.fromEntries(
    rowClasses
      .filter((name) => name !== 'task' && name !== 'session')
      .flatMap((name) => [...pool.xapi.db.allAny(name)]),
  );

describe('bad input', () => {
  test('whatever comes, the answer is a value or an error of the table, and a refusal changes nothing', async () => {
    const everything = [...methods().values()].filter((method) => method.fullName !== 'host.add');
    const call = fc.tuple(fc.constantFrom(...everything), fc.array(anyWireValue, { maxLength: 5 }), fc.boolean());
    await fc.assert(
      fc.asyncProperty(call, async ([method, params, exact]) => {
        const before = contents();
        const args = exact ? method.params.map((_, n) => params[n] ?? null) : params;
        const session = method.session ? [pool.login('root')] : [];
        const answer = await pool.raw(method.fullName, ...session, ...args);
        expect(mistakes).toEqual([]);
        if (answer.ok) return;
        expect(isErrorCode(answer.error[0] ?? ''), answer.error[0]).toBe(true);
        expect(contents()).toEqual(before);
      }),
      { numRuns: 3000 },
    );
  });

  test('a parameter of the wrong type is named', async () => {
    for (const method of methods().values()) {
      if (method.removed || !method.session) continue;
      const good = plausible(method);
      for (const [n, param] of method.params.entries()) {
        if (param.type.kind === 'any') continue;
        const bad = param.type.kind === 'set' || param.type.kind === 'string' ? {} : ['x'];
        const refusal = await pool.refusal(method.fullName, ...good.with(n, bad));
        expect([method.fullName, ...refusal]).toEqual([method.fullName, 'FIELD_TYPE_ERROR', param.name]);
      }
    }
  });
});

describe('tasks of calls', () => {
  const tasks = (): readonly AnyRecord[] => [...pool.xapi.db.allAny('task')].map(([, record]) => record);

  test('a call that may take time shows one while it runs, and no longer', async () => {
    const seen: unknown[] = [];
    pool.xapi.db.changed.listen((change) => {
      if (change.class !== 'task') return;
      seen.push(change.kind === 'del' ? 'gone' : pool.xapi.db.getAny('task', change.ref)['name_label']);
    });
    await pool.call('pool.sync_database');
    expect(seen).toEqual(['pool.sync_database', 'gone']);
    await pool.call('VM.get_all_records');
    expect([seen.length, tasks()]).toEqual([2, []]);
  });

  test('in the background one stays, with the result as XML-RPC text', async () => {
    const [self = ''] = pool.xapi.db.refs('pool');
    const task = (await pool.call('Async.pool.has_extension', self, 'x')) as Ref<'task'>;
    await pool.clock.advanceAsync(0);
    expect(pool.xapi.db.get('task', task)).toMatchObject({
      name_label: 'Async.pool.has_extension',
      status: 'success',
      progress: 1,
      result: '<value><boolean>0</boolean></value>',
      error_info: [],
      allowed_operations: [],
    });
    const silent = (await pool.call('Async.pool.sync_database')) as Ref<'task'>;
    await pool.clock.advanceAsync(0);
    expect(pool.xapi.db.get('task', silent)).toMatchObject({ status: 'success', result: '' });
  });

  test('a failure is in the task', async () => {
    const task = (await pool.call('Async.task.cancel', 'OpaqueRef:nobody')) as Ref<'task'>;
    await pool.clock.advanceAsync(0);
    expect(pool.xapi.db.get('task', task)).toMatchObject({
      status: 'failure',
      error_info: ['HANDLE_INVALID', 'task', 'OpaqueRef:nobody'],
    });
  });
});

describe('durability of answers', () => {
  /** Holds every commit back until told. */
  class HeldStore extends MemoryStore {
    hold = false;
    fail = false;
    readonly held: (() => void)[] = [];
    override async commit(batch: Batch): Promise<void> {
      if (this.hold) await new Promise<void>((resolve) => this.held.push(resolve));
      if (this.fail) throw new Error('disk full');
      await super.commit(batch);
    }
  }

  test('neither a write nor a read of it is answered before it is on disk', async () => {
    const store = new HeldStore();
    pool = await OpenPool.start({ store });
    const [self = ''] = pool.xapi.db.refs('pool');
    store.hold = true;
    let answered = 0;
    const count = async (call: Promise<unknown>): Promise<void> => {
      await call;
      answered++;
    };
    const calls = [
      count(pool.call('pool.set_name_label', self, 'new')),
      count(pool.call('pool.get_name_label', self)),
      count(pool.call('event.from', ['pool'], '', 0)),
      count(pool.refusal('pool.set_name_label', 'OpaqueRef:nobody', 'x')),
    ];
    await pool.clock.advanceAsync(0);
    expect(answered).toBe(0);
    store.hold = false;
    for (const release of store.held) release();
    await Promise.all(calls);
    expect(answered).toBe(calls.length);
  });

  test('a store that fails leaves no call that succeeds', async () => {
    const store = new HeldStore();
    pool = await OpenPool.start({ store, log: { info() {}, warn() {}, error: (message) => mistakes.push(message) } });
    const [self = ''] = pool.xapi.db.refs('pool');
    store.fail = true;
    const expected = ['INTERNAL_ERROR', 'the database cannot be written: Error: disk full'];
    expect(await pool.refusal('pool.set_name_label', self, 'new')).toEqual(expected);
    expect(await pool.refusal('pool.get_name_label', self)).toEqual(expected);
    expect(mistakes).toEqual(['the database cannot be written; every call fails from now on']);
    const again = await OpenPool.start({ store: Object.assign(store, { fail: false }), clock: new ManualClock() });
    expect(await again.call('pool.get_name_label', self)).toBe('Xenolith');
  });
});

describe('errors', () => {
  test.each<[HostErrorCode, readonly string[]]>([
    ['unreachable', ['CANNOT_CONTACT_HOST', 'in its own words']],
    ['timeout', ['CANNOT_CONTACT_HOST', 'in its own words']],
    ['bad-host-key', ['CANNOT_CONTACT_HOST', 'in its own words']],
    ['unknown-host-key', ['CANNOT_CONTACT_HOST', 'in its own words']],
    ['authentication-failed', ['CANNOT_CONTACT_HOST', 'in its own words']],
    ['not-xen', ['INTERNAL_ERROR', 'in its own words']],
    ['no-such-domain', ['INTERNAL_ERROR', 'in its own words']],
    ['no-space', ['OUT_OF_SPACE', 'in its own words']],
    ['not-enough-memory', ['HOST_NOT_ENOUGH_FREE_MEMORY', 'in its own words']],
    ['exists', ['INTERNAL_ERROR', 'in its own words']],
    ['bad-config', ['INTERNAL_ERROR', 'in its own words']],
    ['command-failed', ['INTERNAL_ERROR', 'in its own words']],
  ])('a host that fails by %s', (code, expected) => {
    expect(describeError(pool.xapi, 'x', new HostError(code, 'in its own words'))).toEqual(expected);
    expect(mistakes).toEqual([]);
  });

  test('a refusal is no mistake; whatever else is thrown is one, and is logged', () => {
    expect(describeError(pool.xapi, 'x', new XapiError('SR_FULL', '1', '2'))).toEqual(['SR_FULL', '1', '2']);
    expect(mistakes).toEqual([]);
    expect(describeError(pool.xapi, 'x', new TypeError('oops'))).toEqual(['INTERNAL_ERROR', 'oops']);
    expect(describeError(pool.xapi, 'x', 'text')).toEqual(['INTERNAL_ERROR', 'text']);
    expect(mistakes).toHaveLength(2);
  });
});
