/** The methods of the XenAPI, compiled from the tables: the declared calls and the ones that every class has. */
import { assert } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import { classTables } from './classes.ts';
import { parseDataType, type DataType } from './data-type.ts';
import { extensionMessages } from './extensions.ts';
import type { ClassTable, FieldTable, MessageTable, Role } from './schema.ts';

/** How a method is carried out when no call of its own says otherwise. */
export type MethodKind =
  | 'declared'
  | 'get_record'
  | 'get_by_uuid'
  | 'get_by_name_label'
  | 'get_all'
  | 'get_all_records'
  | 'get_all_where'
  | 'get_all_records_where'
  | 'create'
  | 'destroy'
  | 'get_field'
  | 'set_field'
  | 'add_to_map'
  | 'remove_from_map'
  | 'add_to_set'
  | 'remove_from_set';

export interface Parameter {
  readonly name: string;
  readonly type: DataType;
  /** Present on parameters that may be left out. */
  readonly default?: WireValue;
  /** The release that it came with, where that is later than the call's own. */
  readonly since?: string;
}

export interface Method {
  readonly className: string;
  readonly name: string;
  /** `Class.name`. */
  readonly fullName: string;
  readonly kind: MethodKind;
  /** The field of a getter or setter. */
  readonly field?: string;
  readonly params: readonly Parameter[];
  readonly requiredCount: number;
  readonly result: DataType;
  readonly role: Role;
  readonly keyRoles?: Readonly<Record<string, Role>>;
  readonly async: boolean;
  readonly session: boolean;
  readonly removed: boolean;
  readonly poolInternal: boolean;
  /** A call of ours, not of XAPI. */
  readonly extension: boolean;
}

/** Classes that have rows although XAPI keeps them outside of its database. */
const rowClasses = new Set(['message']);

/** Whether objects of the class exist in the database here. */
export const hasRows = (table: ClassTable): boolean => table.inDatabase || rowClasses.has(table.name);

/** Classes whose objects would do nothing here: to make one would be a promise that nobody keeps. */
const notMadeHere = new Set(['Caller', 'console', 'Observer', 'PVS_cache_storage', 'Rate_limit']);

interface Shape {
  readonly kind: MethodKind;
  readonly params: readonly Parameter[];
  readonly result: string;
  readonly role: Role;
  readonly field?: string;
  readonly async?: boolean;
  readonly removed?: boolean;
  readonly keyRoles?: Readonly<Record<string, Role>> | undefined;
  readonly extension?: boolean;
}

const parameter = (name: string, type: string): Parameter => ({ name, type: parseDataType(type) });

function fromShape(table: ClassTable, name: string, shape: Shape): Method {
  return {
    className: table.name,
    name,
    fullName: `${table.name}.${name}`,
    kind: shape.kind,
    ...(shape.field === undefined ? {} : { field: shape.field }),
    params: shape.params,
    requiredCount: shape.params.length,
    result: parseDataType(shape.result),
    role: shape.role,
    ...(shape.keyRoles === undefined ? {} : { keyRoles: shape.keyRoles }),
    async: shape.async === true,
    session: true,
    removed: shape.removed === true,
    poolInternal: false,
    extension: shape.extension === true || table.extension === true,
  };
}

function declared(table: ClassTable, name: string, message: MessageTable, extension: boolean): Method {
  const required = Object.entries(message.params).map(([param, type]) => parameter(param, type));
  const optional = Object.entries(message.optional ?? {}).map(([param, entry]) => ({
    ...parameter(param, entry.type),
    default: entry.default,
    ...(entry.since === undefined ? {} : { since: entry.since }),
  }));
  const field = /^(?:add_to|remove_from)_(.*)$/.exec(name)?.[1];
  const keyRoles = field === undefined ? undefined : table.fields[field]?.keyRoles;
  return {
    className: table.name,
    name,
    fullName: `${table.name}.${name}`,
    kind: 'declared',
    params: [...required, ...optional],
    requiredCount: required.length,
    result: parseDataType(message.result),
    role: message.role,
    ...(keyRoles === undefined ? {} : { keyRoles }),
    async: message.async === true,
    session: message.session !== false,
    removed: message.removed !== undefined,
    poolInternal: message.poolInternal === true,
    extension: extension || table.extension === true,
  };
}

/** The rules of `implicitRules`: what every class with rows has. */
function* classMethods(table: ClassTable): Generator<Method> {
  const ref = `ref(${table.name})`;
  const record = `record(${table.name})`;
  const self = parameter('self', ref);
  const role = table.readRole ?? 'read-only';
  const removed = table.lifecycle.removed !== undefined;
  const method = (kind: MethodKind, params: readonly Parameter[], result: string): Method =>
    fromShape(table, kind, { kind, params, result, role, removed });

  yield method('get_record', [self], record);
  yield method('get_by_uuid', [parameter('uuid', 'string')], ref);
  // pool.name_label stands alone: only names made of label and description are looked up.
  if (table.fields['name_label']?.group === 'name') {
    yield method('get_by_name_label', [parameter('label', 'string')], `set(${ref})`);
  }
  if (table.getAll) {
    const expression = parameter('expr', 'string');
    yield method('get_all', [], `set(${ref})`);
    yield method('get_all_records', [], `map(${ref},${record})`);
    yield method('get_all_where', [expression], `set(${ref})`);
    yield method('get_all_records_where', [expression], `map(${ref},${record})`);
  }
  if (table.create !== undefined) {
    const { role: createRole } = table.create;
    const args = parameter('args', record);
    const common = { role: createRole, async: true, removed };
    const makes = !notMadeHere.has(table.name);
    yield fromShape(table, 'create', { ...common, kind: makes ? 'create' : 'declared', params: [args], result: ref });
    yield fromShape(table, 'destroy', {
      ...common,
      kind: makes ? 'destroy' : 'declared',
      params: [self],
      result: 'void',
    });
  }
}

function* fieldMethods(table: ClassTable, name: string, field: FieldTable): Generator<Method> {
  const self = parameter('self', `ref(${table.name})`);
  yield fromShape(table, `get_${name}`, {
    kind: 'get_field',
    field: name,
    params: [self],
    result: field.type,
    role: field.readRole ?? 'read-only',
    removed: field.removed !== undefined,
    extension: field.extension === true,
  });
  if (field.access !== 'RW') return;
  const role = field.writeRole ?? table.writeRole;
  assert(role !== undefined, `a role to write ${table.name}.${name}`);
  const type = parseDataType(field.type);
  const extension = field.extension === true;
  const common = { field: name, result: 'void', role, removed: field.removed !== undefined, extension };
  const setter = (prefix: string, kind: MethodKind, params: readonly Parameter[], keyed = false): Method =>
    fromShape(table, `${prefix}${name}`, { ...common, kind, params, keyRoles: keyed ? field.keyRoles : undefined });

  yield setter('set_', 'set_field', [self, { name: 'value', type }]);
  if (type.kind === 'map') {
    const key = { name: 'key', type: type.key };
    yield setter('add_to_', 'add_to_map', [self, key, { name: 'value', type: type.value }], true);
    yield setter('remove_from_', 'remove_from_map', [self, key], true);
  } else if (type.kind === 'set') {
    const value = { name: 'value', type: type.of };
    yield setter('add_', 'add_to_set', [self, value]);
    yield setter('remove_', 'remove_from_set', [self, value]);
  }
}

function compile(): ReadonlyMap<string, Method> {
  const methods = new Map<string, Method>();
  const tables: readonly ClassTable[] = Object.values(classTables);
  const extensions: Readonly<Record<string, Readonly<Record<string, MessageTable>>>> = extensionMessages;
  for (const table of tables) {
    const add = (method: Method): void => {
      assert(!methods.has(method.fullName), `two methods ${method.fullName}`);
      methods.set(method.fullName, method);
    };
    for (const [name, message] of Object.entries(table.messages)) add(declared(table, name, message, false));
    for (const [name, message] of Object.entries(extensions[table.name] ?? {})) {
      add(declared(table, name, message, true));
    }
    if (!table.inDatabase) continue;
    for (const method of classMethods(table)) add(method);
    for (const [name, field] of Object.entries(table.fields)) {
      if (field.internal === true) continue;
      for (const method of fieldMethods(table, name, field)) add(method);
    }
  }
  return methods;
}

let compiled: ReadonlyMap<string, Method> | undefined;

/** Every method by its full name (`VM.start`). */
export function methods(): ReadonlyMap<string, Method> {
  compiled ??= compile();
  return compiled;
}
