import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { WireValue } from '@xenolith/wire';
import { recordShape, rowClasses, type AnyRecord } from './database/record-shape.ts';
import { calls } from './call/calls.ts';
import { parseDataType } from './datamodel/data-type.ts';
import { methods, type Method } from './datamodel/registry.ts';
import { keyOf, valueOf } from './testing/arbitrary-value.ts';
import { OpenPool } from './testing/open-pool.ts';

let pool: OpenPool;

beforeAll(async () => {
  pool = await OpenPool.start();
});

const hasOwnCall = (method: Method): boolean =>
  Object.hasOwn((calls as Readonly<Record<string, object>>)[method.className] ?? {}, method.name);

/** The methods of a class that are carried out from its table alone. */
const byTable = (className: string, ...kinds: readonly string[]): readonly Method[] =>
  [...methods().values()].filter(
    (method) => method.className === className && !method.removed && kinds.includes(method.kind) && !hasOwnCall(method),
  );

const refsOf = (className: string): readonly string[] =>
  rowClasses.includes(className) ? [...pool.xapi.db.allAny(className)].slice(0, 3).map(([ref]) => ref) : [];

/** A random record of a class: what a row may hold, computed fields left out. */
function recordOf(className: string): fc.Arbitrary<AnyRecord> {
  const { table, computed } = recordShape(className);
  const entries = Object.entries(table.fields)
    .filter(([name, field]) => field.internal !== true && name !== 'uuid' && !computed.has(name))
    .map(([name, field]) => [name, valueOf(parseDataType(field.type), refsOf)] as const);
  return fc.record(Object.fromEntries(entries)) as fc.Arbitrary<AnyRecord>;
}

const inDatabase = rowClasses.filter((name) => {
  const { table } = recordShape(name);
  return table.inDatabase && table.lifecycle.removed === undefined;
});

describe.each(inDatabase)('%s', (className) => {
  const made: string[] = [];
  const { table } = recordShape(className);

  beforeAll(() => {
    for (const record of fc.sample(recordOf(className), { numRuns: 3, seed: 1 })) {
      made.push(pool.xapi.db.createAny(className, record));
    }
  });

  const record = (ref: string): AnyRecord => pool.xapi.db.getAny(className, ref);

  test('records, references and getters say the same', async () => {
    for (const ref of made) {
      expect(await pool.call(`${className}.get_record`, ref)).toEqual(record(ref));
      for (const method of byTable(className, 'get_field')) {
        const value = await pool.call(method.fullName, ref);
        expect([method.name, value]).toEqual([method.name, record(ref)[method.field ?? '']]);
      }
    }
  });

  test('objects are found by uuid and by name', async () => {
    for (const ref of made) {
      const { uuid, name_label: label } = record(ref);
      if (uuid !== undefined) expect(await pool.call(`${className}.get_by_uuid`, uuid)).toBe(ref);
      if (byTable(className, 'get_by_name_label').length === 0) continue;
      expect(await pool.call(`${className}.get_by_name_label`, label ?? '')).toContain(ref);
    }
    expect(await pool.refusal(`${className}.get_by_uuid`, 'nonsense')).toEqual(['UUID_INVALID', className, 'nonsense']);
  });

  test('lists hold all of them', async () => {
    if (!table.getAll) {
      expect(await pool.refusal(`${className}.get_all`)).toEqual(['MESSAGE_METHOD_UNKNOWN', `${className}.get_all`]);
      return;
    }
    const everything = (await pool.call(`${className}.get_all_records`)) as Readonly<Record<string, AnyRecord>>;
    for (const ref of made) expect(everything[ref]).toEqual(record(ref));
    expect(await pool.call(`${className}.get_all`)).toEqual(Object.keys(everything));
    const [first = ''] = made;
    const only = `field "_ref" = "${first}"`;
    expect(await pool.call(`${className}.get_all_where`, only)).toEqual([first]);
    expect(await pool.call(`${className}.get_all_records_where`, only)).toEqual({ [first]: record(first) });
  });

  test('setters write what getters then read', async () => {
    const [ref = ''] = made;
    for (const method of byTable(className, 'set_field')) {
      const type = method.params[1]?.type ?? { kind: 'void' };
      for (const value of fc.sample(valueOf(type, refsOf), { numRuns: 3, seed: 2 })) {
        await pool.call(method.fullName, ref, value);
        expect([method.name, record(ref)[method.field ?? '']]).toEqual([method.name, value]);
      }
    }
  });

  test('maps grow by a key that is new, and shrink by any', async () => {
    const [ref = ''] = made;
    for (const method of byTable(className, 'add_to_map')) {
      const [, keyParam, valueParam] = method.params;
      const field = method.field ?? '';
      const [key = ''] = fc.sample(keyOf(keyParam?.type ?? { kind: 'string' }, refsOf), { numRuns: 1, seed: 3 });
      const [value = ''] = fc.sample(valueOf(valueParam?.type ?? { kind: 'string' }, refsOf), { numRuns: 1, seed: 3 });
      const remove = method.fullName.replace('.add_to_', '.remove_from_');
      await pool.call(remove, ref, key);
      const before = record(ref)[field] as AnyRecord;
      await pool.call(method.fullName, ref, key, value);
      expect(record(ref)[field]).toEqual({ ...before, [key]: value });
      expect(await pool.refusal(method.fullName, ref, key, value)).toEqual([
        'MAP_DUPLICATE_KEY',
        className,
        field,
        ref,
        key,
      ]);
      await pool.call(remove, ref, key);
      expect(record(ref)[field]).toEqual(before);
    }
  });

  test('sets hold a member once', async () => {
    const [ref = ''] = made;
    for (const method of byTable(className, 'add_to_set')) {
      const field = method.field ?? '';
      const [value = ''] = fc.sample(valueOf(method.params[1]?.type ?? { kind: 'string' }, refsOf), { numRuns: 1 });
      const remove = method.fullName.replace('.add_', '.remove_');
      await pool.call(remove, ref, value);
      const before = record(ref)[field] as readonly WireValue[];
      await pool.call(method.fullName, ref, value);
      await pool.call(method.fullName, ref, value);
      expect(record(ref)[field]).toEqual([...before, value]);
      await pool.call(remove, ref, value);
      await pool.call(remove, ref, value);
      expect(record(ref)[field]).toEqual(before);
    }
  });

  test('an unknown reference is refused by every call that takes one', async () => {
    const kinds = ['get_record', 'get_field', 'set_field', 'add_to_map', 'remove_from_map', 'add_to_set', 'destroy'];
    for (const method of byTable(className, ...kinds)) {
      const [, ...more] = method.params;
      const values = more.map(
        (param) =>
          fc.sample(
            valueOf(param.type, () => []),
            { numRuns: 1 },
          )[0] ?? '',
      );
      const refusal = await pool.refusal(method.fullName, 'OpaqueRef:nobody', ...values);
      expect([method.fullName, ...refusal]).toEqual([method.fullName, 'HANDLE_INVALID', className, 'OpaqueRef:nobody']);
    }
  });
});

describe('what refers to nothing is refused', () => {
  test.each<[string, readonly WireValue[]]>([
    ['pool.set_default_SR', ['OpaqueRef:nobody']],
    ['pool.set_suspend_image_SR', ['nonsense']],
  ])('%s', async (method, [value = '']) => {
    const [self = ''] = pool.xapi.db.refs('pool');
    expect(await pool.refusal(method, self, value)).toEqual(['HANDLE_INVALID', 'SR', value]);
    const [vm = ''] = pool.xapi.db.refs('VM');
    expect(await pool.refusal(method, self, vm)).toEqual(['HANDLE_INVALID', 'SR', vm]);
    await pool.call(method, self, 'OpaqueRef:NULL');
    await pool.call(method, self, '');
  });
});

describe('create from the table', () => {
  test('takes the members that may be given, and ignores the rest', async () => {
    const secret = (await pool.call('secret.create', { value: 'v', uuid: 'mine', nonsense: 1 })) as string;
    const record = pool.xapi.db.getAny('secret', secret);
    expect([record['value'], record['other_config']]).toEqual(['v', {}]);
    expect(record['uuid']).not.toBe('mine');
    await pool.call('secret.destroy', secret);
    expect(await pool.refusal('secret.destroy', secret)).toEqual(['HANDLE_INVALID', 'secret', secret]);
  });

  test('needs the required ones, of their types', async () => {
    expect(await pool.refusal('secret.create', {})).toEqual(['FIELD_TYPE_ERROR', 'value']);
    expect(await pool.refusal('secret.create', { value: 1 })).toEqual(['FIELD_TYPE_ERROR', 'value']);
    expect(await pool.refusal('secret.create', 'value')).toEqual(['FIELD_TYPE_ERROR', 'args']);
  });

  test('makes nothing of which nobody takes care', async () => {
    for (const name of ['console.create', 'Observer.create', 'Async.Observer.create']) {
      expect(await pool.refusal(name, {})).toEqual(['NOT_IMPLEMENTED', name.replace('Async.', '')]);
    }
  });
});

test('names of keys are names, whatever they are', async () => {
  const [self = ''] = pool.xapi.db.refs('pool');
  for (const key of ['__proto__', 'constructor', 'toString', '', ' ', '"; --', "a'\nb"]) {
    await pool.call('pool.add_to_other_config', self, key, 'x');
    expect(Object.entries((await pool.call('pool.get_other_config', self)) as object)).toContainEqual([key, 'x']);
    await pool.call('pool.remove_from_other_config', self, key);
  }
});
