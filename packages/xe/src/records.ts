/** Objects of the server with what they refer to: fetched, filtered, and made ready to show. */
import type { WireStruct, WireValue } from '@xenolith/wire';
import type { ClassTable } from '@xenolith/xapi';
import { columnsOf, findColumn, loadClass, plainName, type Column } from './columns.ts';
import { formatValue, type Cell } from './format.ts';
import type { XeObject } from './objects.ts';
import { ApiError, type Rpc } from './call.ts';
import { UsageError } from './usage-error.ts';
import { isArray, isStruct, textOf } from './wire-text.ts';

export interface Row {
  readonly ref: string;
  readonly record: WireStruct;
}

/** An object of xe with its class at hand. */
export interface Kind {
  readonly object: XeObject;
  readonly table: ClassTable;
  readonly columns: readonly Column[];
}

export const nullRef = 'OpaqueRef:NULL';
/** What xe shows for a reference that leads nowhere. */
const nowhere = '<not in database>';
/** Above this many objects of one class, all of them are asked for at once. */
const singlesMax = 8;
const othersMax = 1000;

export async function loadKind(object: XeObject): Promise<Kind> {
  const table = await loadClass(object.className);
  return { object, table, columns: columnsOf(table) };
}

/** The column with this name. Throws UsageError when the class has none. */
export function columnNamed(kind: Kind, name: string): Column {
  const column = findColumn(kind.columns, name);
  if (column === undefined) throw new UsageError(`${kind.object.name} has no field ${name}`);
  return column;
}

/** All objects of a kind. */
export async function fetchRows(rpc: Rpc, { object }: Kind): Promise<readonly Row[]> {
  const all = await rpc.call(`${object.className}.get_all_records`);
  const rows = Object.entries(isStruct(all) ? all : {}).map(([ref, record]) => ({ ref, record: record as WireStruct }));
  return rows.filter(({ record }) => isOfKind(object, record));
}

function isOfKind({ only }: XeObject, record: WireStruct): boolean {
  switch (only) {
    case undefined:
      return true;
    case 'plain-vm':
      return record['is_a_template'] !== true && record['is_a_snapshot'] !== true;
    case 'template':
      return record['is_a_template'] === true && record['is_a_snapshot'] !== true;
    default:
      return record['is_a_snapshot'] === true;
  }
}

/** The object with this uuid. Throws ApiError UUID_INVALID when there is none. */
export async function fetchByUuid(rpc: Rpc, className: string, uuid: string): Promise<Row> {
  const ref = await rpc.call(`${className}.get_by_uuid`, uuid);
  const record = await rpc.call(`${className}.get_record`, ref);
  return { ref: textOf(ref), record: record as WireStruct };
}

/** Records of other objects that were asked for, by class and reference; undefined for those that are gone. */
export type Related = ReadonlyMap<string, ReadonlyMap<string, WireStruct | undefined>>;

const refsIn = (value: WireValue | undefined): readonly string[] =>
  isArray(value) ? value.map(textOf) : value === undefined ? [] : [textOf(value)];

/** Asks for what the columns need beyond the records themselves, each class at once. */
export async function fetchRelated(rpc: Rpc, rows: readonly Row[], columns: readonly Column[]): Promise<Related> {
  const related = new Map<string, Map<string, WireStruct | undefined>>();
  const depth = Math.max(0, ...columns.map(({ steps }) => steps.length));
  for (let level = 0; level < depth; level++) {
    const wanted = new Map<string, Set<string>>();
    for (const column of columns) {
      const step = column.steps[level];
      if (step === undefined) continue;
      const set = wanted.get(step.className) ?? new Set();
      wanted.set(step.className, set);
      for (const { record } of rows) {
        for (const holder of walk(record, column.steps.slice(0, level), related)) {
          for (const ref of refsIn(holder?.[step.field])) if (ref !== nullRef) set.add(ref);
        }
      }
    }
    await Promise.all(
      [...wanted].map(async ([className, refs]) => {
        const known = related.get(className) ?? new Map<string, WireStruct | undefined>();
        related.set(className, known);
        const missing = [...refs].filter((ref) => !known.has(ref));
        for (const [ref, record] of await fetchRecords(rpc, className, missing)) known.set(ref, record);
      }),
    );
  }
  return related;
}

async function fetchRecords(
  rpc: Rpc,
  className: string,
  refs: readonly string[],
): Promise<readonly (readonly [string, WireStruct | undefined])[]> {
  if (refs.length > singlesMax) {
    const all = await rpc.call(`${className}.get_all_records`);
    const known = isStruct(all) ? all : {};
    // What a list leaves out, such as the roles for single calls, is still there for who asks for it.
    const others = refs.filter((ref) => !Object.hasOwn(known, ref)).slice(0, othersMax);
    return [
      ...refs.map((ref) => [ref, known[ref] as WireStruct | undefined] as const),
      ...(await fetchSingly(rpc, className, others)),
    ];
  }
  return fetchSingly(rpc, className, refs);
}

function fetchSingly(
  rpc: Rpc,
  className: string,
  refs: readonly string[],
): Promise<readonly (readonly [string, WireStruct | undefined])[]> {
  return Promise.all(
    refs.map(async (ref) => {
      const record = await rpc.call(`${className}.get_record`, ref).catch((error: unknown) => {
        // It went away since the other record was read.
        if (error instanceof ApiError && error.code === 'HANDLE_INVALID') return undefined;
        throw error;
      });
      return [ref, record as WireStruct | undefined] as const;
    }),
  );
}

/** The records that the steps lead to; undefined for a reference that leads nowhere. */
function walk(
  record: WireStruct,
  steps: readonly { readonly field: string; readonly className: string }[],
  related: Related,
): readonly (WireStruct | undefined)[] {
  let at: readonly (WireStruct | undefined)[] = [record];
  for (const { field, className } of steps) {
    at = at.flatMap((holder) => refsIn(holder?.[field]).map((ref) => related.get(className)?.get(ref)));
  }
  return at;
}

/** The text of one column of a record. */
export function cellOf({ record }: Row, column: Column, related: Related): Cell {
  const { name, tag, type, field, many } = column;
  if (column.steps.length === 0) return { name, tag, value: formatValue(type, record[field]) };
  const ends = walk(record, column.steps, related);
  if (many !== undefined && ends.length > 1) return { name, tag, value: many };
  const values = ends.map((end) => (end === undefined ? nowhere : formatValue(type, end[field])));
  return { name, tag, value: values.join('; ') };
}

/** The value of one column for `--json`: as the XenAPI has it, references as uuids, null where there is nothing. */
export function jsonOf({ record }: Row, column: Column, related: Related): WireValue {
  const { steps, field, type } = column;
  if (steps.length === 0) return record[field] ?? null;
  const values = walk(record, steps, related).map((end) => end?.[field] ?? null);
  const isMany = type !== 'string' ? false : isArray(record[steps[0]?.field ?? '']);
  return isMany ? values : (values[0] ?? null);
}

/** A condition on an object: `power-state=running`, `tags=web`, `tags:contains=web`, `other-config:key=value`. */
export interface Filter {
  readonly column: Column;
  /** Of a map. */
  readonly key: string | undefined;
  readonly value: string;
}

/** The conditions in `key=value` words. Throws UsageError for a field that the class does not have. */
export function readFilters(kind: Kind, values: Iterable<readonly [string, string]>): readonly Filter[] {
  return [...values].map(([word, value]) => {
    const mark = word.indexOf(':');
    const column = columnNamed(kind, mark < 0 ? word : word.slice(0, mark));
    if (mark >= 0 && column.tag.startsWith('S') && word.slice(mark + 1) === 'contains') {
      return { column, key: undefined, value };
    }
    if (mark >= 0 && !column.tag.startsWith('M'))
      throw new UsageError(`${column.name} of ${kind.object.name} has no keys`);
    return { column, key: mark < 0 ? undefined : word.slice(mark + 1), value };
  });
}

export function matches(row: Row, { column, key, value }: Filter, related: Related): boolean {
  const raw = column.steps.length === 0 ? row.record[column.field] : undefined;
  if (key !== undefined) return isStruct(raw) && Object.hasOwn(raw, key) && textOf(raw[key]) === value;
  if (isArray(raw)) return raw.map(textOf).includes(value);
  const text = cellOf(row, column, related).value;
  // Only what stands for several objects is taken apart: a name may have a semicolon.
  if (text === value || (column.tag.startsWith('S') && text.split('; ').includes(value))) return true;
  return column.type.startsWith('enum(') && plainName(text) === plainName(value);
}

/** The objects of a kind that meet all conditions. */
export async function findRows(
  rpc: Rpc,
  kind: Kind,
  values: Iterable<readonly [string, string]>,
): Promise<readonly Row[]> {
  const filters = readFilters(kind, values);
  const rows = await fetchRows(rpc, kind);
  if (filters.length === 0) return rows;
  const related = await fetchRelated(
    rpc,
    rows,
    filters.map(({ column }) => column),
  );
  return rows.filter((row) => filters.every((filter) => matches(row, filter, related)));
}
