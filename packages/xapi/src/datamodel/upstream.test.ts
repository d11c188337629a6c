/** Our tables against the surface of XAPI as data, where that file is at hand. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { classTables } from './classes.ts';
import { xapiEnums } from './enums.ts';
import { xapiErrors } from './errors.ts';
import { methods, type Method } from './registry.ts';
import { xapiRelations } from './relations.ts';
import type { ClassTable, FieldTable } from './schema.ts';
import type { DataType } from './data-type.ts';

interface UpstreamField {
  readonly name: string;
  readonly type: string;
  readonly qualifier: string;
  readonly default?: unknown;
  readonly internal?: boolean;
  readonly path?: readonly string[];
  readonly notPersisted?: boolean;
}
interface UpstreamMessage {
  readonly name: string;
  readonly params: readonly { name: string; type: string; optional?: boolean; default?: unknown }[];
  readonly result: string;
  readonly minRole: string;
  readonly async: boolean;
  readonly session: boolean;
  readonly removed?: string;
  readonly state: string;
  readonly mapKeyRoles?: Readonly<Record<string, { minRole: string }>>;
  readonly errors?: readonly string[];
}
interface UpstreamClass {
  readonly name: string;
  readonly inDatabase: boolean;
  readonly persist: boolean;
  readonly events: boolean;
  readonly getAll: boolean;
  readonly ctorFields?: readonly { name: string; required: boolean }[];
  readonly fields: readonly UpstreamField[];
  readonly messages: readonly UpstreamMessage[];
}
interface Upstream {
  readonly classes: readonly UpstreamClass[];
  readonly enums: Readonly<Record<string, readonly (string | { name: string })[]>>;
  readonly errors: readonly { name: string; params: readonly string[] | null }[];
  readonly relations: readonly (readonly string[])[];
}

const path =
  process.env['XENOLITH_XENAPI_JSON'] ?? new URL('../../../../../shared/xenapi/xenapi.json', import.meta.url);
const text = existsSync(path) ? readFileSync(path, 'utf8') : undefined;

function notation(type: DataType): string {
  switch (type.kind) {
    case 'enum':
      return `enum(${type.name})`;
    case 'ref':
    case 'record':
      return `${type.kind}(${type.class})`;
    case 'set':
    case 'option':
      return `${type.kind}(${notation(type.of)})`;
    case 'map':
      return `map(${notation(type.key)},${notation(type.value)})`;
    default:
      return type.kind;
  }
}

const ourField = (name: string, field: FieldTable): UpstreamField => ({
  name,
  type: field.type,
  qualifier: field.access,
  ...(field.default === undefined ? {} : { default: field.default }),
  ...(field.internal ? { internal: true } : {}),
  ...(field.notPersisted ? { notPersisted: true } : {}),
  ...(field.group === undefined ? {} : { path: [field.group, name.slice(field.group.length + 1)] }),
});

const theirField = (field: UpstreamField): UpstreamField => ({
  name: field.name,
  type: field.type,
  qualifier: field.qualifier,
  ...(field.default === undefined ? {} : { default: field.default }),
  ...(field.internal ? { internal: true } : {}),
  ...(field.notPersisted ? { notPersisted: true } : {}),
  ...(field.path === undefined ? {} : { path: field.path }),
});

const ourMethod = (method: Method): object => ({
  name: method.name,
  params: method.params.map((param) => [param.name, notation(param.type), param.default]),
  result: notation(method.result),
  role: method.role,
  async: method.async,
  session: method.session,
  removed: method.removed,
  keyRoles: method.keyRoles,
});

const theirMethod = (message: UpstreamMessage): object => ({
  name: message.name,
  params: message.params
    .filter((param) => param.name !== 'session_id')
    .map((param) => [param.name, param.type, param.optional ? param.default : undefined]),
  result: message.result,
  role: message.minRole,
  async: message.async,
  session: message.session,
  removed: message.removed !== undefined,
  keyRoles:
    message.mapKeyRoles === undefined
      ? undefined
      : Object.fromEntries(Object.entries(message.mapKeyRoles).map(([key, { minRole }]) => [key, minRole])),
});

describe.skipIf(text === undefined)('the tables agree with XAPI (set XENOLITH_XENAPI_JSON to the file)', () => {
  const upstream: Upstream = JSON.parse(text ?? '{"classes":[],"enums":{},"errors":[],"relations":[]}');
  const ours: Readonly<Record<string, ClassTable>> = classTables;

  test('the classes, in order', () => {
    expect(
      Object.values(ours)
        .filter((table) => table.extension !== true)
        .map((table) => table.name),
    ).toEqual(upstream.classes.map((entry) => entry.name));
  });

  test.each(upstream.classes.map((entry) => [entry.name, entry] as const))('fields of %s', (name, entry) => {
    const table = ours[name];
    expect(table).toBeDefined();
    if (table === undefined) return;
    const own = Object.entries(table.fields).filter(([, row]) => row.extension !== true);
    expect(own.map(([field, row]) => ourField(field, row))).toEqual(entry.fields.map(theirField));
    expect([table.inDatabase, table.persist, table.events, table.getAll]).toEqual([
      entry.inDatabase,
      entry.persist,
      entry.events,
      entry.getAll,
    ]);
    const constructor = (entry.ctorFields ?? []).toSorted((a, b) => a.name.localeCompare(b.name));
    const members = [
      ...(table.create?.required ?? []).map((field) => ({ name: field, required: true })),
      ...(table.create?.optional ?? []).map((field) => ({ name: field, required: false })),
    ].toSorted((a, b) => a.name.localeCompare(b.name));
    expect(members).toEqual(constructor);
  });

  test.each(upstream.classes.map((entry) => [entry.name, entry] as const))('methods of %s', (name, entry) => {
    const mine = [...methods().values()].filter((method) => method.className === name && !method.extension);
    const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1);
    expect(mine.toSorted(byName).map(ourMethod)).toEqual([...entry.messages].toSorted(byName).map(theirMethod));
  });

  test('the enumerations, the errors and the relations', () => {
    const words = Object.fromEntries(
      Object.entries(upstream.enums).map(([name, list]) => [
        name,
        list.map((word) => (typeof word === 'string' ? word : word.name)),
      ]),
    );
    expect(xapiEnums).toEqual(words);
    expect(Object.entries(xapiErrors)).toEqual(upstream.errors.map((error) => [error.name, error.params]));
    expect(xapiRelations).toEqual(upstream.relations);
  });
});
