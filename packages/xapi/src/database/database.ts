/**
 * The live database: every object of every class, in memory, typed by the data model. Writes take effect at once and
 * become durable in batches; {@link Database.durable} is what an answer waits for.
 */
import { assert, nullRef, randomUuid, Signal, type Random, type Ref } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import { classTables } from '../datamodel/classes.ts';
import { classTable, emptyValue, parseDataType } from '../datamodel/data-type.ts';
import { hasRows } from '../datamodel/registry.ts';
import type { ClassTable } from '../datamodel/schema.ts';
import type { ClassName, RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import { ChangeLog, type Change } from './change-log.ts';
import { computedFields, referencesIn, RelationIndex, relationsFrom } from './relation-index.ts';
import type { Store, StoredRow } from './store.ts';

/** A record whose class is not known to the checker. */
export type AnyRecord = Readonly<Record<string, WireValue>>;

/** An object and its history. `record` is replaced, never changed, so a reader may keep it. */
interface Row {
  readonly ref: string;
  readonly class: string;
  record: AnyRecord;
  readonly created: number;
  modified: number;
  /** Computed fields that must be read anew from the relation index. */
  readonly stale: Set<string>;
}

export interface DatabaseEvent {
  readonly class: string;
  readonly ref: string;
}

const persisted = new Map<string, ReadonlySet<string>>();

/** The fields of a class that a store keeps. */
function persistedFields(table: ClassTable): ReadonlySet<string> {
  let fields = persisted.get(table.name);
  if (fields === undefined) {
    const computed = computedFields(table.name);
    const keep = Object.entries(table.fields).filter(
      ([name, field]) => field.internal !== true && field.notPersisted !== true && !computed.has(name),
    );
    persisted.set(table.name, (fields = new Set(keep.map(([name]) => name))));
  }
  return fields;
}

const isPersistent = (table: ClassTable): boolean => table.persist || table.name === 'message';

const defaults = new Map<string, AnyRecord>();

/** A record of a class with nothing filled in but the defaults of its table. */
export function emptyRecord(table: ClassTable): AnyRecord {
  let record = defaults.get(table.name);
  if (record === undefined) {
    const entries: [string, WireValue][] = [];
    for (const [name, field] of Object.entries(table.fields)) {
      if (field.internal === true) continue;
      const type = parseDataType(field.type);
      if (type.kind === 'option') continue;
      entries.push([name, field.default ?? emptyValue(type)]);
    }
    defaults.set(table.name, (record = Object.fromEntries(entries)));
  }
  return record;
}

export class Database {
  readonly #store: Store;
  readonly #random: Random;
  readonly #tables = new Map<string, Map<string, Row>>();
  readonly #rows = new Map<string, Row>();
  readonly #byUuid = new Map<string, string>();
  readonly #index = new RelationIndex();
  readonly #settings = new Map<string, string>();
  #generation: number;
  #log: ChangeLog;
  #dirty = new Set<string>();
  #dirtySettings = new Set<string>();
  #flush: Promise<void> | undefined;
  #failure: unknown;

  /** Rings after each change. */
  readonly changed = new Signal<DatabaseEvent>();

  /** Reads the whole store. Rows of classes or with fields that the tables no longer have lose those. */
  constructor(store: Store, random: Random) {
    this.#store = store;
    this.#random = random;
    for (const table of Object.values(classTables) as readonly ClassTable[]) {
      if (hasRows(table)) this.#tables.set(table.name, new Map());
    }
    const loaded = store.load();
    // A restart is a gap in what waiting clients saw: generations jump, and the change log begins anew.
    this.#generation = loaded.generation + 1;
    this.#log = new ChangeLog(this.#generation);
    for (const [key, value] of Object.entries(loaded.settings)) this.#settings.set(key, value);
    for (const row of loaded.rows) this.#loadRow(row);
  }

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
    const row = this.#rows.get(ref);
    return row === undefined || row.class !== className ? undefined : (this.#fresh(row) as unknown as RecordOf<C>);
  }

  has(className: string, ref: string): boolean {
    return this.#rows.get(ref)?.class === className;
  }

  getAny(className: string, ref: string): AnyRecord {
    const row = this.#rows.get(ref);
    if (row === undefined || row.class !== className) throw new XapiError('HANDLE_INVALID', className, ref);
    return this.#fresh(row);
  }

  /** The class of whatever object a reference names. */
  classOf(ref: string): string | undefined {
    return this.#rows.get(ref)?.class;
  }

  /** All objects of a class, oldest first. */
  *all<C extends ClassName>(className: C): Generator<readonly [Ref<C>, RecordOf<C>]> {
    for (const row of this.#table(className).values()) {
      yield [row.ref as Ref<C>, this.#fresh(row) as unknown as RecordOf<C>];
    }
  }

  *allAny(className: string): Generator<readonly [string, AnyRecord]> {
    for (const row of this.#table(className).values()) yield [row.ref, this.#fresh(row)];
  }

  refs<C extends ClassName>(className: C): readonly Ref<C>[] {
    return [...this.#table(className).keys()] as Ref<C>[];
  }

  count(className: string): number {
    return this.#table(className).size;
  }

  /** The object of a class with a uuid, or undefined. */
  byUuid<C extends ClassName>(className: C, uuid: string): Ref<C> | undefined {
    return this.#byUuid.get(`${className}/${uuid.toLowerCase()}`) as Ref<C> | undefined;
  }

  /** Generation of the last change of an object, 0 when it is unknown. */
  modified(ref: string): number {
    return this.#rows.get(ref)?.modified ?? 0;
  }

  /** Class names that have rows. */
  get classes(): readonly string[] {
    return [...this.#tables.keys()];
  }

  // ---- writing -------------------------------------------------------------------------------------------------

  /** Adds an object; fields not given take the defaults of the table, `uuid` a new random one. */
  create<C extends ClassName>(className: C, fields: Partial<RecordOf<C>>, ref?: Ref<C>): Ref<C> {
    return this.createAny(className, fields as AnyRecord, ref) as Ref<C>;
  }

  createAny(className: string, fields: AnyRecord, givenRef?: string): string {
    const table = classTable(className);
    const ref = givenRef ?? `OpaqueRef:${randomUuid(this.#random)}`;
    assert(!this.#rows.has(ref), `two objects ${ref}`);
    const record: Record<string, WireValue> = { ...emptyRecord(table), ...fields };
    if (Object.hasOwn(table.fields, 'uuid') && (record['uuid'] ?? '') === '') record['uuid'] = randomUuid(this.#random);
    const row = this.#insert(className, ref, record, ++this.#generation);
    this.#touched(row, true);
    return ref;
  }

  /** Writes fields of an object; those that already hold the value are not a change. */
  update<C extends ClassName>(className: C, ref: Ref<C>, changes: Partial<RecordOf<C>>): void {
    this.updateAny(className, ref, changes as AnyRecord);
  }

  updateAny(className: string, ref: string, changes: AnyRecord): void {
    const row = this.#rows.get(ref);
    if (row === undefined || row.class !== className) throw new XapiError('HANDLE_INVALID', className, ref);
    const old = row.record;
    const effective = Object.entries(changes).filter(([name, value]) => !sameValue(old[name], value));
    if (effective.length === 0) return;
    const table = classTable(className);
    const computed = computedFields(className);
    const keep = persistedFields(table);
    let durable = false;
    for (const [name] of effective) {
      assert(Object.hasOwn(table.fields, name), `field ${className}.${name}`);
      assert(!computed.has(name), `${className}.${name} is computed`);
      durable ||= keep.has(name);
    }
    const moved = new Set(effective.map(([name]) => name));
    this.#unlink(row, moved);
    row.record = { ...old, ...Object.fromEntries(effective) };
    this.#link(row, moved);
    this.#reindexUuid(row, old);
    row.modified = ++this.#generation;
    this.#touched(row, durable);
  }

  /** Removes an object. References to it become null, or leave the sets that hold them. No error when it is gone. */
  destroy<C extends ClassName>(className: C, ref: Ref<C>): void {
    this.destroyAny(className, ref);
  }

  destroyAny(className: string, ref: string): void {
    const row = this.#rows.get(ref);
    if (row === undefined || row.class !== className) return;
    this.#dropReferences(className, ref);
    this.#unlink(row);
    this.#table(className).delete(ref);
    this.#rows.delete(ref);
    this.#index.forget(ref);
    const uuid = row.record['uuid'];
    if (typeof uuid === 'string') this.#byUuid.delete(`${className}/${uuid}`);
    const generation = ++this.#generation;
    this.#log.record({ generation, ref, class: className, kind: 'del', created: row.created });
    if (isPersistent(classTable(className))) this.#dirty.add(ref);
    this.changed.emit({ class: className, ref });
  }

  /** Counts an object as changed without changing it (`event.inject`). Gives the generation just before. */
  bump(className: string, ref: string): number {
    const row = this.#rows.get(ref);
    if (row === undefined || row.class !== className) throw new XapiError('HANDLE_INVALID', className, ref);
    const before = this.#generation;
    row.modified = ++this.#generation;
    this.#touched(row, false);
    return before;
  }

  // ---- settings: what belongs to no object ----------------------------------------------------------------------

  setting(key: string): string | undefined {
    return this.#settings.get(key);
  }

  setSetting(key: string, value: string): void {
    this.#settings.set(key, value);
    this.#dirtySettings.add(key);
  }

  // ---- durability ----------------------------------------------------------------------------------------------

  /**
   * Resolves when everything written so far is on disk; every answer waits for it. Fails for good once the store has
   * failed: what cannot be kept must not be acknowledged.
   */
  durable(): Promise<void> {
    if (this.#failure !== undefined) {
      return Promise.reject(
        new XapiError('INTERNAL_ERROR', `the database cannot be written: ${String(this.#failure)}`),
      );
    }
    if (this.#dirty.size === 0 && this.#dirtySettings.size === 0) return this.#flush ?? Promise.resolve();
    if (this.#flush === undefined) {
      this.#flush = new Promise<void>((resolve) => {
        this.#store.soon(resolve);
      }).then(() => this.#commit());
      return this.#flush;
    }
    // A flush is under way; it may have taken its batch already, so look again when it is done.
    return this.#flush.then(() => this.durable());
  }

  async #commit(): Promise<void> {
    const dirty = this.#dirty;
    const dirtySettings = this.#dirtySettings;
    this.#dirty = new Set();
    this.#dirtySettings = new Set();
    const puts: StoredRow[] = [];
    const deletes: string[] = [];
    for (const ref of dirty) {
      const row = this.#rows.get(ref);
      if (row === undefined) deletes.push(ref);
      else puts.push(this.#stored(row));
    }
    const settings = Object.fromEntries([...dirtySettings].map((key) => [key, this.#settings.get(key) ?? '']));
    try {
      await this.#store.commit({ puts, deletes, settings, generation: this.#generation });
    } catch (error) {
      this.#failure = error;
      throw new XapiError('INTERNAL_ERROR', `the database cannot be written: ${String(error)}`);
    } finally {
      this.#flush = undefined;
    }
  }

  #stored(row: Row): StoredRow {
    const fields: Record<string, WireValue> = {};
    for (const name of persistedFields(classTable(row.class))) {
      const value = row.record[name];
      if (value !== undefined) fields[name] = value;
    }
    return { ref: row.ref, class: row.class, fields };
  }

  // ---- inside --------------------------------------------------------------------------------------------------

  #table(className: string): Map<string, Row> {
    const table = this.#tables.get(className);
    assert(table !== undefined, `class ${className} has no rows`);
    return table;
  }

  #loadRow(stored: StoredRow): void {
    if (!this.#tables.has(stored.class)) return;
    const table = classTable(stored.class);
    const keep = persistedFields(table);
    const known = Object.entries(stored.fields).filter(([name]) => keep.has(name));
    const row = this.#insert(
      stored.class,
      stored.ref,
      { ...emptyRecord(table), ...Object.fromEntries(known) },
      this.#generation,
    );
    this.#log.record(this.#change(row));
  }

  #insert(className: string, ref: string, record: AnyRecord, generation: number): Row {
    const stale = new Set(computedFields(className));
    const row: Row = { ref, class: className, record, created: generation, modified: generation, stale };
    this.#rows.set(ref, row);
    this.#table(className).set(ref, row);
    const uuid = record['uuid'];
    if (typeof uuid === 'string') this.#byUuid.set(`${className}/${uuid}`, ref);
    this.#link(row);
    return row;
  }

  #reindexUuid(row: Row, old: AnyRecord): void {
    if (old['uuid'] === row.record['uuid']) return;
    this.#byUuid.delete(`${row.class}/${String(old['uuid'])}`);
    this.#byUuid.set(`${row.class}/${String(row.record['uuid'])}`, row.ref);
  }

  #fresh(row: Row): AnyRecord {
    if (row.stale.size > 0) {
      const sets = [...row.stale].map((field) => [field, this.#index.members(row.ref, field)]);
      row.record = { ...row.record, ...Object.fromEntries(sets) };
      row.stale.clear();
    }
    return row.record;
  }

  #link(row: Row, only?: ReadonlySet<string>): void {
    for (const { fromField, toClass, toField } of relationsFrom(row.class)) {
      if (only?.has(fromField) === false) continue;
      for (const target of referencesIn(row.record[fromField])) {
        this.#index.add(target, toField, row.ref);
        this.#stale(toClass, target, toField);
      }
    }
  }

  #unlink(row: Row, only?: ReadonlySet<string>): void {
    for (const { fromField, toClass, toField } of relationsFrom(row.class)) {
      if (only?.has(fromField) === false) continue;
      for (const target of referencesIn(row.record[fromField])) {
        this.#index.remove(target, toField, row.ref);
        this.#stale(toClass, target, toField);
      }
    }
  }

  /** The computed end changed: a change of that object too, for who watches it. */
  #stale(className: string, ref: string, field: string): void {
    const target = this.#rows.get(ref);
    if (target === undefined || target.class !== className) return;
    target.stale.add(field);
    target.modified = ++this.#generation;
    this.#log.record(this.#change(target));
  }

  #dropReferences(className: string, ref: string): void {
    for (const [holder, fields] of referrers(className)) {
      for (const row of [...this.#table(holder).values()]) {
        const changes: Record<string, WireValue> = {};
        for (const { name, many } of fields) {
          const value = row.record[name];
          if (many && Array.isArray(value) && value.includes(ref)) changes[name] = value.filter((item) => item !== ref);
          else if (!many && value === ref) changes[name] = nullRef();
        }
        if (Object.keys(changes).length > 0) this.updateAny(holder, row.ref, changes);
      }
    }
  }

  #change(row: Row): Change {
    return { generation: row.modified, ref: row.ref, class: row.class, kind: 'put', created: row.created };
  }

  #touched(row: Row, durable: boolean): void {
    this.#log.record(this.#change(row));
    if (durable && isPersistent(classTable(row.class))) this.#dirty.add(row.ref);
    this.changed.emit({ class: row.class, ref: row.ref });
  }
}

function sameValue(a: WireValue | undefined, b: WireValue | undefined): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  return JSON.stringify(a) === JSON.stringify(b);
}

type Referrer = readonly [holder: string, fields: readonly { readonly name: string; readonly many: boolean }[]];
const referrersOf = new Map<string, readonly Referrer[]>();

/** The stored fields of all classes that can hold references to objects of `className`. */
function referrers(className: string): readonly Referrer[] {
  let list = referrersOf.get(className);
  if (list === undefined) {
    const found: Referrer[] = [];
    for (const table of Object.values(classTables) as readonly ClassTable[]) {
      if (!hasRows(table)) continue;
      const computed = computedFields(table.name);
      const fields = Object.entries(table.fields).flatMap(([name, field]) => {
        if (field.internal === true || computed.has(name)) return [];
        if (field.type === `ref(${className})`) return [{ name, many: false }];
        return field.type === `set(ref(${className}))` ? [{ name, many: true }] : [];
      });
      if (fields.length > 0) found.push([table.name, fields]);
    }
    referrersOf.set(className, (list = found));
  }
  return list;
}
