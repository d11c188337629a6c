/**
 * The live database: every object of every class, in memory, typed by the data model. Writes take effect at once and
 * become durable in batches; {@link Database.durable} is what an answer waits for.
 */
import { assert, nullRef, randomUuid, Signal, type Random, type Ref } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import type { ClassName, RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import { ChangeLog, type Change } from './change-log.ts';
import { Keeper } from './keeper.ts';
import { recordShape, referencesIn, rowClasses, type AnyRecord, type RecordShape } from './record-shape.ts';
import { RelationIndex } from './relation-index.ts';
import type { Batch, Store, StoredRow } from './store.ts';

export type { AnyRecord } from './record-shape.ts';

/** An object and its history. `record` is replaced, never changed, so a reader may keep it. */
interface Row {
  readonly ref: string;
  readonly class: string;
  readonly shape: RecordShape;
  record: AnyRecord;
  /** Generation in which the object came to be. */
  readonly created: number;
  modified: number;
  /** Computed fields that must be read anew from the relation index. */
  readonly stale: Set<string>;
}

/**
 * Each start begins at a multiple of this. Changes that no store keeps (tasks, sessions) also count generations, so
 * the last stored number may be lower than what clients were told; one start would have to make this many of them
 * for a token from before a restart to look like one from after it.
 */
const generationsPerStart = 2 ** 28;

export class Database {
  readonly #random: Random;
  readonly #tables = new Map<string, Map<string, Row>>();
  readonly #rows = new Map<string, Row>();
  readonly #byUuid = new Map<string, string>();
  readonly #index = new RelationIndex();
  readonly #settings = new Map<string, string>();
  readonly #keeper: Keeper;
  #generation: number;
  readonly #log: ChangeLog;

  /** Rings with each change of an object, computed fields included. Who listens must not write from there. */
  readonly changed = new Signal<Change>();

  /** Reads the whole store. Rows of classes or with fields that the tables no longer have lose those. */
  constructor(store: Store, random: Random) {
    this.#random = random;
    for (const name of rowClasses) this.#tables.set(name, new Map());
    const loaded = store.load();
    this.#generation = (Math.floor(loaded.generation / generationsPerStart) + 1) * generationsPerStart;
    this.#log = new ChangeLog(this.#generation);
    for (const [key, value] of Object.entries(loaded.settings)) this.#settings.set(key, value);
    for (const row of loaded.rows) this.#loadRow(row);
    this.#keeper = new Keeper(store, (rows, settings) => this.#batch(rows, settings));
  }

  /** Counts changes; rises with each, and jumps at a start. */
  get generation(): number {
    return this.#generation;
  }

  get log(): ChangeLog {
    return this.#log;
  }

  // ---- reading -------------------------------------------------------------------------------------------------

  /** The record of an object. @throws XapiError HANDLE_INVALID when there is none of that class. */
  get<C extends ClassName>(className: C, ref: Ref<C>): RecordOf<C> {
    return this.getAny(className, ref) as unknown as RecordOf<C>;
  }

  /** The record of an object, or undefined. */
  find<C extends ClassName>(className: C, ref: Ref<C>): RecordOf<C> | undefined {
    return this.findAny(className, ref) as unknown as RecordOf<C> | undefined;
  }

  has(className: string, ref: string): boolean {
    return this.#rows.get(ref)?.class === className;
  }

  /** The class of an object, or undefined when there is none. */
  classOf(ref: string): string | undefined {
    return this.#rows.get(ref)?.class;
  }

  /** As {@link get}, for a class that is only known at run time. */
  getAny(className: string, ref: string): AnyRecord {
    return this.#fresh(this.#row(className, ref));
  }

  /** As {@link find}, for a class that is only known at run time. */
  findAny(className: string, ref: string): AnyRecord | undefined {
    const row = this.#rows.get(ref);
    return row === undefined || row.class !== className ? undefined : this.#fresh(row);
  }

  /** All objects of a class, oldest first (of those from before the start, in the store's order). */
  *all<C extends ClassName>(className: C): Generator<readonly [Ref<C>, RecordOf<C>]> {
    for (const row of this.#table(className).values()) {
      yield [row.ref as Ref<C>, this.#fresh(row) as unknown as RecordOf<C>];
    }
  }

  /** As {@link all}, for a class that is only known at run time. */
  *allAny(className: string): Generator<readonly [string, AnyRecord]> {
    for (const row of this.#table(className).values()) yield [row.ref, this.#fresh(row)];
  }

  refs<C extends ClassName>(className: C): readonly Ref<C>[] {
    return [...this.#table(className).keys()] as Ref<C>[];
  }

  /**
   * The objects of a class that have a reference in a field (or among those there), in the order in which they came to: at
   * the cost of what is found. The field is a stored one; the other end of it, where there is one, is computed from this.
   */
  naming<C extends ClassName>(className: C, field: keyof RecordOf<C> & string, ref: string): readonly Ref<C>[] {
    const key = recordShape(className).references.get(field)?.key;
    assert(key !== undefined, `${className}.${field} is no stored reference`);
    return this.#index.members(ref, key) as readonly Ref<C>[];
  }

  count(className: string): number {
    return this.#table(className).size;
  }

  /** The object of a class with a uuid (in either case), or undefined. */
  byUuid<C extends ClassName>(className: C, uuid: string): Ref<C> | undefined {
    return this.byUuidAny(className, uuid) as Ref<C> | undefined;
  }

  /** As {@link byUuid}, for a class that is only known at run time. */
  byUuidAny(className: string, uuid: string): string | undefined {
    return this.#byUuid.get(uuidKey(className, uuid));
  }

  /** The generations in which an object came to be and last changed; undefined when there is no such object. */
  history(ref: string): { readonly created: number; readonly modified: number } | undefined {
    return this.#rows.get(ref);
  }

  // ---- writing -------------------------------------------------------------------------------------------------

  /**
   * Adds an object; fields not given take the defaults of the table, `uuid` a new random one. Computed fields are
   * ignored, so a copy of another object's record will do.
   * @throws XapiError DB_UNIQUENESS_CONSTRAINT_VIOLATION [class, 'uuid', uuid] when another object of the class has it
   */
  create<C extends ClassName>(className: C, fields: Partial<RecordOf<C>>, ref?: Ref<C>): Ref<C> {
    return this.createAny(className, fields as AnyRecord, ref) as Ref<C>;
  }

  /** As {@link create}, for a class that is only known at run time. */
  createAny(className: string, fields: AnyRecord, givenRef?: string): string {
    const shape = recordShape(className);
    const ref = givenRef ?? `OpaqueRef:${randomUuid(this.#random)}`;
    assert(!this.#rows.has(ref), `two objects ${ref}`);
    for (const name of Object.keys(fields)) {
      assert(Object.hasOwn(shape.table.fields, name), `field ${className}.${name}`);
    }
    const record: Record<string, WireValue> = { ...shape.empty, ...fields };
    if (record['uuid'] === '') record['uuid'] = randomUuid(this.#random);
    else this.#assertUnique(className, record['uuid']);
    const row = this.#insert(shape, ref, record, ++this.#generation);
    this.#touched(row, row.created);
    this.#link(row);
    if (shape.persistent) this.#keeper.keepRow(ref);
    return ref;
  }

  /** Writes fields of an object; those that already hold the value are not a change. @throws XapiError as {@link create} */
  update<C extends ClassName>(className: C, ref: Ref<C>, changes: Partial<RecordOf<C>>): void {
    this.updateAny(className, ref, changes as AnyRecord);
  }

  /** As {@link update}, for a class that is only known at run time. */
  updateAny(className: string, ref: string, changes: AnyRecord): void {
    const row = this.#row(className, ref);
    const old = row.record;
    const { table, computed, persisted, persistent } = row.shape;
    for (const name of Object.keys(changes)) {
      assert(Object.hasOwn(table.fields, name), `field ${className}.${name}`);
      assert(!computed.has(name), `${className}.${name} is computed`);
    }
    const effective = Object.entries(changes).filter(([name, value]) => !sameValue(old[name], value));
    if (effective.length === 0) return;
    if (effective.some(([name]) => name === 'uuid')) this.#assertUnique(className, changes['uuid'], ref);
    row.record = { ...old, ...Object.fromEntries(effective) };
    if (old['uuid'] !== row.record['uuid']) {
      this.#forgetUuid(row, old['uuid']);
      this.#rememberUuid(row);
    }
    this.#touched(row, ++this.#generation);
    this.#relink(row, old);
    if (persistent && effective.some(([name]) => persisted.has(name))) this.#keeper.keepRow(ref);
  }

  /** Removes an object. References to it become null, or leave the sets that hold them. No error when it is gone. */
  destroy<C extends ClassName>(className: C, ref: Ref<C>): void {
    this.destroyAny(className, ref);
  }

  /** As {@link destroy}, for a class that is only known at run time. */
  destroyAny(className: string, ref: string): void {
    const row = this.#rows.get(ref);
    if (row === undefined || row.class !== className) return;
    this.#dropReferences(ref);
    this.#table(className).delete(ref);
    this.#rows.delete(ref);
    this.#unlink(row);
    this.#forgetUuid(row, row.record['uuid']);
    const generation = ++this.#generation;
    this.#tell({ generation, ref, class: className, kind: 'del', created: row.created });
    if (row.shape.persistent) this.#keeper.keepRow(ref);
  }

  /** Counts an object as changed without changing it (`event.inject`). Gives the generation just before. */
  bump(className: string, ref: string): number {
    const row = this.#row(className, ref);
    const before = this.#generation;
    this.#touched(row, ++this.#generation);
    return before;
  }

  // ---- settings: what belongs to no object ----------------------------------------------------------------------

  setting(key: string): string | undefined {
    return this.#settings.get(key);
  }

  setSetting(key: string, value: string): void {
    this.#settings.set(key, value);
    this.#keeper.keepSetting(key);
  }

  // ---- durability ----------------------------------------------------------------------------------------------

  /** Whether nothing waits to be written, so that {@link durable} need not be awaited. */
  get isDurable(): boolean {
    return this.#keeper.isIdle;
  }

  /**
   * Resolves when everything written so far is on disk; every answer waits for it. Fails for good once the store has
   * failed: what cannot be kept must not be acknowledged.
   * @throws XapiError INTERNAL_ERROR with the store's words
   */
  durable(): Promise<void> {
    return this.#keeper.kept();
  }

  /** Calls `action` once the work that writes at present has had its turn, as the commit of what it wrote begins. */
  soon(action: () => void): void {
    this.#keeper.soon(action);
  }

  /** Rings once, with the reason, when the store fails. */
  get storeFailed(): Signal<unknown> {
    return this.#keeper.failed;
  }

  #batch(rows: ReadonlySet<string>, settings: ReadonlySet<string>): Batch {
    const puts: StoredRow[] = [];
    const deletes: string[] = [];
    for (const ref of rows) {
      const row = this.#rows.get(ref);
      if (row === undefined) deletes.push(ref);
      else puts.push(storedRow(row));
    }
    const values = [...settings].map((key) => [key, this.#settings.get(key) ?? ''] as const);
    return { puts, deletes, settings: Object.fromEntries(values), generation: this.#generation };
  }

  // ---- inside --------------------------------------------------------------------------------------------------

  #row(className: string, ref: string): Row {
    const row = this.#rows.get(ref);
    if (row === undefined || row.class !== className) throw new XapiError('HANDLE_INVALID', className, ref);
    return row;
  }

  #table(className: string): Map<string, Row> {
    const table = this.#tables.get(className);
    assert(table !== undefined, `class ${className} has no rows`);
    return table;
  }

  #loadRow(stored: StoredRow): void {
    if (!this.#tables.has(stored.class)) return;
    const shape = recordShape(stored.class);
    const known = Object.entries(stored.fields).filter(([name]) => shape.persisted.has(name));
    const row = this.#insert(shape, stored.ref, { ...shape.empty, ...Object.fromEntries(known) }, this.#generation);
    // Everybody who waits begins anew after a start: nothing to tell, and the ends of relations are still unread.
    for (const field of shape.references.values()) {
      for (const target of referencesIn(row.record[field.name])) this.#index.add(target, field.key, row.ref);
    }
  }

  #insert(shape: RecordShape, ref: string, record: AnyRecord, generation: number): Row {
    const className = shape.table.name;
    const stale = new Set(shape.computed.keys());
    const row: Row = { ref, class: className, shape, record, created: generation, modified: generation, stale };
    this.#rows.set(ref, row);
    this.#table(className).set(ref, row);
    this.#rememberUuid(row);
    return row;
  }

  #rememberUuid(row: Row): void {
    const uuid = row.record['uuid'];
    if (typeof uuid === 'string' && uuid !== '') this.#byUuid.set(uuidKey(row.class, uuid), row.ref);
  }

  #assertUnique(className: string, uuid: WireValue | undefined, except?: string): void {
    const holder = typeof uuid === 'string' ? this.byUuidAny(className, uuid) : undefined;
    if (typeof uuid !== 'string' || holder === undefined || holder === except) return;
    throw new XapiError('DB_UNIQUENESS_CONSTRAINT_VIOLATION', className, 'uuid', uuid);
  }

  #forgetUuid(row: Row, uuid: WireValue | undefined): void {
    if (typeof uuid !== 'string') return;
    const key = uuidKey(row.class, uuid);
    if (this.#byUuid.get(key) === row.ref) this.#byUuid.delete(key);
  }

  #fresh(row: Row): AnyRecord {
    if (row.stale.size > 0) {
      const { computed } = row.shape;
      const sets = [...row.stale].map((field) => [field, this.#index.members(row.ref, computed.get(field) ?? '')]);
      row.record = { ...row.record, ...Object.fromEntries(sets) };
      row.stale.clear();
    }
    return row.record;
  }

  /** Enters the references of a new object. */
  #link(row: Row): void {
    this.#relink(row, {});
  }

  /** Takes out the references of an object that is going. */
  #unlink(row: Row): void {
    const old = row.record;
    this.#relink({ ...row, record: {} }, old);
  }

  /** Brings the index from the references of `old` to those of the row. */
  #relink(row: Row, old: AnyRecord): void {
    for (const { name, key, computes } of row.shape.references.values()) {
      const before = old[name];
      const after = row.record[name];
      if (before === after) continue;
      const left = new Set(referencesIn(before));
      const joined = referencesIn(after).filter((target) => !left.delete(target));
      for (const target of left) this.#index.remove(target, key, row.ref);
      for (const target of joined) this.#index.add(target, key, row.ref);
      if (computes === undefined) continue;
      for (const target of [...left, ...joined]) this.#otherEndChanged(computes.className, target, computes.field);
    }
  }

  /** The computed end changed: a change of that object too, for who watches it. */
  #otherEndChanged(className: string, ref: string, field: string): void {
    const target = this.#rows.get(ref);
    if (target === undefined || target.class !== className) return;
    target.stale.add(field);
    this.#touched(target, ++this.#generation);
  }

  #dropReferences(ref: string): void {
    for (const [key, members] of this.#index.namedBy(ref)) {
      const field = key.slice(key.indexOf('.') + 1);
      for (const member of members) {
        const row = this.#rows.get(member);
        if (row === undefined || member === ref) continue;
        const value = row.record[field];
        const without = Array.isArray(value) ? value.filter((item) => item !== ref) : nullRef();
        this.updateAny(row.class, member, { [field]: without });
      }
    }
  }

  #touched(row: Row, generation: number): void {
    row.modified = generation;
    this.#tell({ generation, ref: row.ref, class: row.class, kind: 'put', created: row.created });
  }

  #tell(change: Change): void {
    this.#log.record(change);
    this.changed.emit(change);
  }
}

const uuidKey = (className: string, uuid: string): string => `${className}/${uuid.toLowerCase()}`;

function storedRow(row: Row): StoredRow {
  const fields: Record<string, WireValue> = {};
  for (const name of row.shape.persisted) {
    const value = row.record[name];
    if (value !== undefined) fields[name] = value;
  }
  return { ref: row.ref, class: row.class, fields };
}

function sameValue(a: WireValue | undefined, b: WireValue | undefined): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  return JSON.stringify(a) === JSON.stringify(b);
}
