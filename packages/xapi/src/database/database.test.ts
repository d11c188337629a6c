import { nullRef, ref, SeededRandom, type Ref } from '@xenolith/base';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { XapiError } from '../errors.ts';
import { Database, type AnyRecord } from './database.ts';
import { recordShape, referencesIn, rowClasses } from './record-shape.ts';
import { MemoryStore, type Batch, type Store } from './store.ts';

const open = (store: Store = new MemoryStore()): Database => new Database(store, new SeededRandom(1));

/** Everything that a store keeps, by reference. */
const contents = (db: Database): Readonly<Record<string, AnyRecord>> =>
  Object.fromEntries(rowClasses.filter((name) => recordShape(name).persistent).flatMap((name) => [...db.allAny(name)]));

describe('objects', () => {
  test('take the defaults of their table and a uuid of their own', () => {
    const db = open();
    const vm = db.create('VM', { name_label: 'one' });
    const record = db.get('VM', vm);
    expect(record.name_label).toBe('one');
    expect(record.power_state).toBe('Halted');
    expect(record.uuid).toMatch(/^[0-9a-f-]{36}$/);
    expect(db.byUuid('VM', record.uuid.toUpperCase())).toBe(vm);
    expect(db.byUuid('host', record.uuid)).toBeUndefined();
  });

  test('are not found under another class, nor once they are gone', () => {
    const db = open();
    const vm = db.create('VM', {});
    const { uuid } = db.get('VM', vm);
    expect(() => db.getAny('VBD', vm)).toThrow(new XapiError('HANDLE_INVALID', 'VBD', vm));
    db.destroy('VM', vm);
    db.destroy('VM', vm);
    expect(() => db.get('VM', vm)).toThrow(new XapiError('HANDLE_INVALID', 'VM', vm));
    expect(db.byUuid('VM', uuid)).toBeUndefined();
  });

  test('two of a class never have the same uuid', () => {
    const db = open();
    const vm = db.create('VM', {});
    const other = db.create('VM', {});
    const { uuid } = db.get('VM', vm);
    const twice = new XapiError('DB_UNIQUENESS_CONSTRAINT_VIOLATION', 'VM', 'uuid', uuid.toUpperCase());
    expect(() => db.create('VM', { uuid: uuid.toUpperCase() })).toThrow(twice);
    expect(() => db.update('VM', other, { uuid: uuid.toUpperCase() })).toThrow(twice);
    db.update('VM', vm, { uuid: uuid.toUpperCase() });
    db.create('VDI', { uuid });
    expect([db.byUuid('VM', uuid), db.count('VM')]).toEqual([vm, 2]);
  });

  test('a record once read never changes', () => {
    const db = open();
    const vm = db.create('VM', { name_label: 'before' });
    const read = db.get('VM', vm);
    db.update('VM', vm, { name_label: 'after' });
    db.create('VBD', { VM: vm });
    expect([read.name_label, read.VBDs]).toEqual(['before', []]);
  });

  test('writing what is there already is no change', () => {
    const db = open();
    const vm = db.create('VM', { other_config: { a: 'b' }, tags: ['x'] });
    const { generation } = db;
    db.update('VM', vm, { other_config: { a: 'b' }, tags: ['x'] });
    expect(db.generation).toBe(generation);
  });

  test.each([
    ['a field that is none', { nonsense: 1 }],
    ['a computed field', { VBDs: [] as string[], name_label: 'x' }],
  ])('writing %s is a mistake of the program', (_, change) => {
    const db = open();
    const vm = db.create('VM', {});
    const vbd = db.create('VBD', { VM: vm });
    expect(() => {
      db.updateAny('VM', vm, change);
    }).toThrow(/nonsense|computed/);
    expect(db.get('VM', vm).VBDs).toEqual([vbd]);
  });
});

// ---- relations --------------------------------------------------------------------------------------------------

type Step =
  | { readonly kind: 'create'; readonly class: string }
  | { readonly kind: 'point'; readonly from: number; readonly field: number; readonly to: readonly number[] }
  | { readonly kind: 'destroy'; readonly object: number };

const classesInPlay = ['VM', 'VBD', 'VDI', 'SR', 'host', 'PCI', 'pool', 'VM_group', 'task', 'PGPU', 'VGPU_type'];

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('create' as const), class: fc.constantFrom(...classesInPlay) }),
  fc.record({
    kind: fc.constant('point' as const),
    from: fc.nat(),
    field: fc.nat(),
    to: fc.array(fc.nat(), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ kind: fc.constant('destroy' as const), object: fc.nat() }),
);

const pick = <T>(list: readonly T[], n: number): T | undefined => list[n % Math.max(1, list.length)];

/** One step on the database and, by the plainest means, on a model: stored fields only, references dropped by search. */
function apply(db: Database, model: Map<string, { class: string; stored: Record<string, unknown> }>, next: Step): void {
  const refs = [...model.keys()];
  if (next.kind === 'create') {
    const made = db.createAny(next.class, {});
    model.set(made, { class: next.class, stored: {} });
    return;
  }
  if (next.kind === 'destroy') {
    const gone = pick(refs, next.object);
    if (gone === undefined) return;
    db.destroyAny(model.get(gone)?.class ?? '', gone);
    model.delete(gone);
    for (const { stored } of model.values()) {
      for (const [name, value] of Object.entries(stored)) {
        if (value === gone) stored[name] = nullRef();
        if (Array.isArray(value)) stored[name] = value.filter((item) => item !== gone);
      }
    }
    return;
  }
  const from = pick(refs, next.from);
  const row = from === undefined ? undefined : model.get(from);
  if (from === undefined || row === undefined) return;
  const { references, table, persistent } = recordShape(row.class);
  // No store keeps the columns that clients never see.
  const fields = [...references.values()].filter(({ name }) => !persistent || table.fields[name]?.internal !== true);
  const field = pick(fields, next.field);
  if (field === undefined) return;
  const targets = [...new Set(next.to.map((n) => pick(refs, n) ?? nullRef()))];
  const value = field.many ? targets : (targets[0] ?? nullRef());
  row.stored[field.name] = value;
  db.updateAny(row.class, from, { [field.name]: value });
}

describe('relations', () => {
  test('the computed ends agree with a search through everything, and nothing names what is gone', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (list) => {
        const db = open();
        const model = new Map<string, { class: string; stored: Record<string, unknown> }>();
        for (const next of list) apply(db, model, next);
        for (const [object, row] of model) {
          const shape = recordShape(row.class);
          const record = db.getAny(row.class, object);
          for (const [name, value] of Object.entries(row.stored)) expect([name, record[name]]).toEqual([name, value]);
          for (const [name, key] of shape.computed) {
            const [fromClass = '', fromField = ''] = key.split('.');
            const expected = [...model]
              .filter(([, other]) => other.class === fromClass)
              .filter(([, other]) => referencesIn(other.stored[fromField] as never).includes(object))
              .map(([other]) => other);
            expect([name, [...(record[name] as readonly string[])].sort()]).toEqual([name, expected.sort()]);
          }
        }
      }),
    );
  });

  test('who names an object in a stored field is found, after a start too, and nobody in a computed one', async () => {
    const store = new MemoryStore();
    const db = open(store);
    const [vdi, other] = [db.create('VDI', {}), db.create('VDI', {})];
    const vms = [vdi, other, vdi].map((suspend_VDI) => db.create('VM', { suspend_VDI }));
    const by = (from: Database): readonly Ref<'VM'>[] => from.naming('VM', 'suspend_VDI', vdi);
    expect(by(db)).toEqual([vms[0], vms[2]]);
    await db.durable();
    expect(by(open(store))).toEqual([vms[0], vms[2]]);
    db.update('VM', vms[1]!, { suspend_VDI: vdi });
    db.update('VM', vms[0]!, { suspend_VDI: other });
    expect(by(db)).toEqual([vms[2], vms[1]]);
    expect(() => db.naming('VM', 'VBDs', vdi)).toThrow('VM.VBDs is no stored reference');
  });

  test('both ends count as changed, in the order of generations', () => {
    const db = open();
    const [one, two] = [db.create('VM', {}), db.create('VM', {})];
    const vbd = db.create('VBD', { VM: one });
    const { generation } = db;
    db.update('VBD', vbd, { VM: two });
    const changes = db.log.since(generation);
    expect(changes.map((change) => change.ref).sort()).toEqual([one, two, vbd].sort());
    expect(changes.map((change) => change.generation)).toEqual([1, 2, 3].map((n) => generation + n));
    expect([db.get('VM', one).VBDs, db.get('VM', two).VBDs]).toEqual([[], [vbd]]);
  });

  test('the bell rings for each change with its class', () => {
    const db = open();
    const vm = db.create('VM', {});
    const heard: string[] = [];
    db.changed.listen((change) => heard.push(`${change.class} ${change.kind}`));
    const vbd = db.create('VBD', { VM: vm });
    db.destroy('VBD', vbd);
    expect(heard).toEqual(['VBD put', 'VM put', 'VM put', 'VBD del']);
  });
});

// ---- durability -------------------------------------------------------------------------------------------------

/** A store whose commits end when the test says, and which fails from the `failAt`-th on. */
class SteppedStore extends MemoryStore {
  readonly batches: Batch[] = [];
  readonly #steps: (() => void)[] = [];
  readonly #failAt: number;

  constructor(failAt = Infinity) {
    super();
    this.#failAt = failAt;
  }

  override async commit(batch: Batch): Promise<void> {
    this.batches.push(batch);
    await new Promise<void>((resolve) => {
      this.#steps.push(resolve);
    });
    if (this.batches.length >= this.#failAt) throw new Error('disk full');
    await super.commit(batch);
  }

  /** Lets the commit under way end, and whatever hangs on it happen. */
  async step(): Promise<void> {
    await settle();
    this.#steps.shift()?.();
    await settle();
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 30; i++) await Promise.resolve();
}

/** Whether a promise has an outcome yet. */
function watch(promise: Promise<void>): { outcome: string } {
  const seen = { outcome: 'pending' };
  promise.then(
    () => (seen.outcome = 'durable'),
    (error: unknown) => (seen.outcome = String(error)),
  );
  return seen;
}

describe('durability', () => {
  test('a read waits for what others wrote; what is written during a commit waits for the next', async () => {
    const store = new SteppedStore();
    const db = open(store);
    const start = watch(db.durable());
    await store.step();
    expect([start.outcome, db.isDurable]).toEqual(['durable', true]);

    const vm = db.create('VM', {});
    const writer = watch(db.durable());
    await settle();
    const reader = watch(db.durable());
    db.update('VM', vm, { name_label: 'later' });
    const late = watch(db.durable());
    const alsoLate = watch(db.durable());
    await settle();
    expect([writer.outcome, reader.outcome, late.outcome]).toEqual(['pending', 'pending', 'pending']);
    await store.step();
    expect([writer.outcome, reader.outcome, late.outcome]).toEqual(['durable', 'durable', 'pending']);
    await store.step();
    expect([late.outcome, alsoLate.outcome, db.isDurable]).toEqual(['durable', 'durable', true]);
    expect(store.batches.map((batch) => batch.puts.length)).toEqual([0, 1, 1]);
  });

  test('once a commit has failed nothing is acknowledged any more', async () => {
    const store = new SteppedStore(2);
    const db = open(store);
    const failures: string[] = [];
    db.storeFailed.listen((error) => failures.push(String(error)));
    void db.durable();
    await store.step();
    const vm = db.create('VM', {});
    const writer = watch(db.durable());
    await settle();
    db.update('VM', vm, { name_label: 'x' });
    const waiting = watch(db.durable());
    await store.step();
    expect(writer.outcome).toContain('disk full');
    expect(waiting.outcome).toContain('disk full');
    await expect(db.durable()).rejects.toThrow('the database cannot be written');
    expect([db.isDurable, failures.length]).toEqual([false, 1]);
    expect([...store.load().rows]).toEqual([]);
  });

  test('what changes in fields and classes that are not kept makes no commit', async () => {
    const store = new MemoryStore();
    const db = open(store);
    const vm = db.create('VM', {});
    await db.durable();
    db.update('VM', vm, { allowed_operations: ['start'] });
    const task = db.create('task', {});
    db.destroy('task', task);
    db.bump('VM', vm);
    expect(db.isDurable).toBe(true);
  });

  test('a start reads back what was acknowledged, and nothing that was not', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), fc.nat(40), async (list, acknowledgedAt) => {
        const store = new MemoryStore();
        const db = open(store);
        const model = new Map<string, { class: string; stored: Record<string, unknown> }>();
        let acknowledged = contents(db);
        for (const [n, next] of list.entries()) {
          apply(db, model, next);
          if (n > acknowledgedAt) continue;
          await db.durable();
          acknowledged = contents(db);
        }
        expect(sorted(contents(open(store)))).toEqual(sorted(acknowledged));
      }),
      { numRuns: 60 },
    );
  });

  test('settings are kept', async () => {
    const store = new MemoryStore();
    const db = open(store);
    db.setSetting('a', '1');
    db.setSetting('a', '2');
    await db.durable();
    expect(open(store).setting('a')).toBe('2');
  });

  test('each start begins at a generation beyond every one before, though nothing was written', async () => {
    const store = new MemoryStore();
    const seen: number[] = [];
    for (let start = 0; start < 3; start++) {
      const db = open(store);
      await db.durable();
      const task = db.create('task', {});
      for (let n = 0; n < 10; n++) db.bump('task', task);
      seen.push(db.log.completeSince, db.generation);
    }
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(new Set(seen).size).toBe(6);
  });

  test('rows of unknown classes and unknown fields are dropped, and missing fields take their defaults', () => {
    const store = new MemoryStore();
    void store.commit({
      puts: [
        { ref: 'OpaqueRef:1', class: 'VM', fields: { name_label: 'x', of_old: 1 } },
        { ref: 'OpaqueRef:2', class: 'gone', fields: {} },
      ],
      deletes: [],
      settings: {},
      generation: 5,
    });
    const db = open(store);
    expect(Object.keys(contents(db))).toEqual(['OpaqueRef:1']);
    const record = db.get('VM', ref<'VM'>('OpaqueRef:1'));
    expect([record.name_label, record.power_state]).toEqual(['x', 'Halted']);
    expect(Object.hasOwn(record, 'of_old')).toBe(false);
  });
});

/** Records with the members of sets in an order of no meaning: that of loading may differ. */
function sorted(records: Readonly<Record<string, AnyRecord>>): unknown {
  return Object.fromEntries(
    Object.entries(records).map(([object, record]) => [
      object,
      Object.fromEntries(
        Object.entries(record).map(([name, value]) => [
          name,
          Array.isArray(value) ? (value as readonly string[]).toSorted() : value,
        ]),
      ),
    ]),
  );
}

test('a reference given is the reference', () => {
  const db = open();
  const given: Ref<'VM'> = ref('OpaqueRef:given');
  expect(db.create('VM', {}, given)).toBe(given);
  expect(() => db.create('VM', {}, given)).toThrow('two objects');
});
