/** The calls that every class has, carried out from its table. */
import { nullRef } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import type { AnyRecord, Database } from './database/database.ts';
import { classTable } from './datamodel/data-type.ts';
import type { Method } from './datamodel/registry.ts';
import { XapiError } from './errors.ts';
import { parseQuery } from './query.ts';

type Arguments = Readonly<Record<string, WireValue>>;

const text = (args: Arguments, name: string): string => String(args[name]);

/** Answers a generic method. @throws XapiError as the method's errors say; INTERNAL_ERROR for a declared one. */
export function callGeneric(db: Database, method: Method, args: Arguments): unknown {
  const { className } = method;
  const field = method.field ?? '';
  const self = text(args, 'self');
  switch (method.kind) {
    case 'get_record':
      return db.getAny(className, self);
    case 'get_field':
      return db.getAny(className, self)[field];
    case 'get_by_uuid':
      return refByUuid(db, className, text(args, 'uuid'));
    case 'get_by_name_label':
      return matching(db, className, (record) => record['name_label'] === args['label']).map(([ref]) => ref);
    case 'get_all':
      return [...db.allAny(className)].map(([ref]) => ref);
    case 'get_all_records':
      return Object.fromEntries(db.allAny(className));
    case 'get_all_where':
      return where(db, className, text(args, 'expr')).map(([ref]) => ref);
    case 'get_all_records_where':
      return Object.fromEntries(where(db, className, text(args, 'expr')));
    case 'create':
      return db.createAny(className, checkedCreation(className, args['args'] as AnyRecord));
    case 'destroy':
      db.getAny(className, self);
      db.destroyAny(className, self);
      return undefined;
    case 'declared':
      throw new XapiError('NOT_IMPLEMENTED', method.fullName);
    default:
      db.updateAny(className, self, { [field]: changedField(db, method, self, args) });
      return undefined;
  }
}

function changedField(db: Database, method: Method, self: string, args: Arguments): WireValue {
  const field = method.field ?? '';
  const old = db.getAny(method.className, self)[field] ?? null;
  const value = args['value'] ?? null;
  const key = text(args, 'key');
  switch (method.kind) {
    case 'add_to_map':
      if (Object.hasOwn(old as AnyRecord, key)) {
        throw new XapiError('MAP_DUPLICATE_KEY', method.className, field, self, key);
      }
      return { ...(old as AnyRecord), [key]: value };
    case 'remove_from_map':
      return Object.fromEntries(Object.entries(old as AnyRecord).filter(([name]) => name !== key));
    case 'add_to_set':
      return (old as readonly WireValue[]).includes(value) ? old : [...(old as readonly WireValue[]), value];
    case 'remove_from_set':
      return (old as readonly WireValue[]).filter((item) => item !== value);
    default:
      return value;
  }
}

function refByUuid(db: Database, className: string, uuid: string): string {
  for (const [ref, record] of db.allAny(className)) if (record['uuid'] === uuid) return ref;
  throw new XapiError('UUID_INVALID', className, uuid);
}

function matching(
  db: Database,
  className: string,
  test: (record: AnyRecord) => boolean,
): readonly (readonly [string, AnyRecord])[] {
  return [...db.allAny(className)].filter(([, record]) => test(record));
}

function where(db: Database, className: string, expression: string): readonly (readonly [string, AnyRecord])[] {
  const matches = parseQuery(classTable(className), expression);
  return [...db.allAny(className)].filter(([ref, record]) => matches(ref, record));
}

/**
 * The members a client may give to create, with every required one there. Members that only the server sets are
 * ignored: clients send back whole records.
 * @throws XapiError FIELD_TYPE_ERROR naming a required member that is missing
 */
export function checkedCreation(className: string, given: AnyRecord): AnyRecord {
  const table = classTable(className);
  const settable = new Set([...(table.create?.required ?? []), ...(table.create?.optional ?? [])]);
  for (const name of table.create?.required ?? []) {
    if (given[name] === undefined) throw new XapiError('FIELD_TYPE_ERROR', name);
  }
  return Object.fromEntries(Object.entries(given).filter(([name, value]) => settable.has(name) && value !== nullRef()));
}
