/** The calls that every class has, carried out from its table. */
import { nullRef } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import type { AnyRecord, Database } from './database/database.ts';
import { classTable, parseDataType, type DataType } from './datamodel/data-type.ts';
import type { Method } from './datamodel/registry.ts';
import { XapiError } from './errors.ts';
import { parseQuery } from './query.ts';
import { permissionByUuid, permissionRecord, permissionsNamed } from './session/permissions.ts';

type Arguments = Readonly<Record<string, WireValue>>;

/** An argument that is a text, or a number as the key of a map. */
function text(args: Arguments, name: string): string {
  const value = args[name];
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

/** Answers a generic method. @throws XapiError as the method's errors say; NOT_IMPLEMENTED for a declared one. */
export function callGeneric(db: Database, method: Method, args: Arguments): unknown {
  const { className } = method;
  switch (method.kind) {
    case 'get_record':
      return recordOf(db, className, text(args, 'self'));
    case 'get_field':
      return recordOf(db, className, text(args, 'self'))[method.field ?? ''];
    case 'get_by_uuid':
      return refByUuid(db, className, text(args, 'uuid'));
    case 'get_by_name_label':
      return refsByNameLabel(db, className, text(args, 'label'));
    case 'get_all':
      return refsOf(db.allAny(className));
    case 'get_all_records':
      return Object.fromEntries(db.allAny(className));
    case 'get_all_where':
      return refsOf(where(db, className, text(args, 'expr')));
    case 'get_all_records_where':
      return Object.fromEntries(where(db, className, text(args, 'expr')));
    case 'create':
      return db.createAny(className, args['args'] as AnyRecord);
    case 'destroy':
      db.getAny(className, text(args, 'self'));
      db.destroyAny(className, text(args, 'self'));
      return undefined;
    case 'declared':
      throw new XapiError('NOT_IMPLEMENTED', method.fullName);
    default:
      db.updateAny(className, text(args, 'self'), { [method.field ?? '']: changedField(db, method, args) });
      return undefined;
  }
}

/** Permissions are roles that follow from the tables of methods; they are read like rows, and are none. */
function recordOf(db: Database, className: string, ref: string): AnyRecord {
  const permission = className === 'role' ? permissionRecord(ref) : undefined;
  return permission ?? db.getAny(className, ref);
}

function changedField(db: Database, method: Method, args: Arguments): WireValue {
  const self = text(args, 'self');
  const field = method.field ?? '';
  const old = db.getAny(method.className, self)[field] ?? null;
  const value = args['value'] ?? null;
  const key = text(args, 'key');
  const type = parseDataType(classTable(method.className).fields[field]?.type ?? '');
  switch (method.kind) {
    case 'add_to_map':
      if (Object.hasOwn(old as AnyRecord, key)) {
        throw new XapiError('MAP_DUPLICATE_KEY', method.className, field, self, key);
      }
      assertReferences(db, type, { [key]: value });
      return { ...(old as AnyRecord), [key]: value };
    case 'remove_from_map':
      return Object.fromEntries(Object.entries(old as AnyRecord).filter(([name]) => name !== key));
    case 'add_to_set':
      assertReferences(db, type, [value]);
      return (old as readonly WireValue[]).includes(value) ? old : [...(old as readonly WireValue[]), value];
    case 'remove_from_set':
      return (old as readonly WireValue[]).filter((item) => item !== value);
    default:
      assertReferences(db, type, value);
      return value;
  }
}

/**
 * As {@link Database.updateAny} with one field, whose references must be to what exists.
 * @throws XapiError HANDLE_INVALID [class, ref]
 */
export function setField(db: Database, className: string, self: string, field: string, value: WireValue): void {
  db.getAny(className, self);
  assertReferences(db, parseDataType(classTable(className).fields[field]?.type ?? ''), value);
  db.updateAny(className, self, { [field]: value });
}

/**
 * Refuses references to what does not exist; null references are fine.
 * @throws XapiError HANDLE_INVALID [class, ref]
 */
function assertReferences(db: Database, type: DataType, value: WireValue): void {
  if (type.kind === 'ref' && typeof value === 'string') {
    if (value !== nullRef() && !db.has(type.class, value)) throw new XapiError('HANDLE_INVALID', type.class, value);
  } else if (type.kind === 'set' && Array.isArray(value)) {
    for (const item of value as readonly WireValue[]) assertReferences(db, type.of, item);
  } else if (type.kind === 'map') {
    for (const [key, item] of Object.entries(value as AnyRecord)) {
      assertReferences(db, type.key, key);
      assertReferences(db, type.value, item);
    }
  }
}

function refByUuid(db: Database, className: string, uuid: string): string {
  const ref = db.byUuidAny(className, uuid) ?? (className === 'role' ? permissionByUuid(uuid) : undefined);
  if (ref === undefined) throw new XapiError('UUID_INVALID', className, uuid);
  return ref;
}

function refsByNameLabel(db: Database, className: string, label: string): readonly string[] {
  const found: string[] = [];
  for (const [ref, record] of db.allAny(className)) if (record['name_label'] === label) found.push(ref);
  return className === 'role' ? [...found, ...permissionsNamed(label)] : found;
}

function refsOf(entries: Iterable<readonly [string, AnyRecord]>): readonly string[] {
  const refs: string[] = [];
  for (const [ref] of entries) refs.push(ref);
  return refs;
}

function* where(db: Database, className: string, expression: string): Generator<readonly [string, AnyRecord]> {
  const matches = parseQuery(classTable(className), expression);
  for (const entry of db.allAny(className)) if (matches(...entry)) yield entry;
}

/**
 * Of a record given to create, the members that are for clients to give, every required one there and every reference
 * to something that exists. Those that only the server sets (`uuid`, `current_operations`) are ignored: clients send
 * back whole records.
 * @throws XapiError FIELD_TYPE_ERROR naming a required member that is missing; HANDLE_INVALID [class, ref]
 */
export function checkedCreation(db: Database, className: string, given: AnyRecord): AnyRecord {
  const { create, fields } = classTable(className);
  const required = create?.required ?? [];
  for (const name of required) if (given[name] === undefined) throw new XapiError('FIELD_TYPE_ERROR', name);
  const settable = new Set([...required, ...(create?.optional ?? [])]);
  const members = Object.entries(given).filter(([name]) => settable.has(name));
  for (const [name, value] of members) assertReferences(db, parseDataType(fields[name]?.type ?? ''), value);
  return Object.fromEntries(members);
}
