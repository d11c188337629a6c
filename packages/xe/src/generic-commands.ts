/** The commands that every object has: list, param-list, param-get, param-set, param-add, param-remove, param-clear. */
import type { WireStruct, WireValue } from '@xenolith/wire';
import type { Column } from './columns.ts';
import type { Command, CommandContext } from './command.ts';
import { formatMinimal, formatRecord, printable, type Cell } from './format.ts';
import { objects, type XeObject } from './objects.ts';
import { cellOf, columnNamed, fetchRelated, findRows, jsonOf, loadKind, type Kind, type Row } from './records.ts';
import { selectRows } from './select.ts';
import { NoMatchError, UsageError } from './usage-error.ts';
import { parseValue } from './value.ts';
import { isStruct, textOf } from './wire-text.ts';

/** Rows with some of their columns as values for `--json`, under the names of xe. */
export async function jsonRows(
  { rpc }: CommandContext,
  rows: readonly Row[],
  columns: readonly Column[],
): Promise<readonly WireStruct[]> {
  const related = await fetchRelated(rpc, rows, columns);
  return rows.map((row) => Object.fromEntries(columns.map((column) => [column.name, jsonOf(row, column, related)])));
}

/** Shows rows with some of their columns, in the form that the options ask for; as JSON an array, or the one object. */
export async function showRows(
  context: CommandContext,
  rows: readonly Row[],
  columns: readonly Column[],
  isOne = false,
): Promise<void> {
  const { rpc, options, outIsTerminal, write } = context;
  if (options.json) {
    const objects = await jsonRows(context, rows, columns);
    context.give(isOne ? (objects[0] ?? null) : objects);
    return;
  }
  const shown = options.minimal ? columns.slice(0, 1) : columns;
  const related = await fetchRelated(rpc, rows, shown);
  const records: readonly (readonly Cell[])[] = rows.map((row) => shown.map((column) => cellOf(row, column, related)));
  if (options.minimal) {
    const text = formatMinimal(records.map(([cell]) => cell?.value ?? ''));
    write(outIsTerminal ? `${printable(text.trimEnd())}\n` : text);
  } else {
    for (const cells of records) {
      write(formatRecord(outIsTerminal ? cells.map((cell) => ({ ...cell, value: printable(cell.value) })) : cells));
    }
  }
}

/** The columns that `params=` asks for, in the order in which xe shows them. */
export function wantedColumns(kind: Kind, params: string | undefined): readonly Column[] {
  if (params === 'all') return kind.columns;
  const names = params === undefined ? kind.object.shown.split(' ') : params.split(',').filter((name) => name !== '');
  if (names.length === 0) throw new UsageError('params= needs names of fields, or all');
  const wanted = new Set(names.map((name) => columnNamed(kind, name)));
  return kind.columns.filter((column) => wanted.has(column));
}

async function list(object: XeObject, context: CommandContext): Promise<void> {
  const kind = await loadKind(object);
  const columns = wantedColumns(kind, context.values.get('params'));
  const filters = [...context.values].filter(([key]) => key !== 'params');
  await showRows(context, await findRows(context.rpc, kind, filters), columns);
}

/** What a param command is about: the object and one of its columns. */
interface Target {
  readonly kind: Kind;
  readonly row: Row;
  readonly column: Column;
}

const paramKeys = ['param-name', 'param-key', 'separator'];

async function onRow(object: XeObject, context: CommandContext): Promise<{ readonly kind: Kind; readonly row: Row }> {
  const [kind, ref] = await Promise.all([
    loadKind(object),
    context.rpc.call(`${object.className}.get_by_uuid`, context.required('uuid')),
  ]);
  const record = await context.rpc.call(`${object.className}.get_record`, ref);
  return { kind, row: { ref: textOf(ref), record: record as Row['record'] } };
}

async function target(object: XeObject, context: CommandContext): Promise<Target> {
  const { kind, row } = await onRow(object, context);
  return { kind, row, column: columnNamed(kind, context.required('param-name')) };
}

async function paramList(object: XeObject, context: CommandContext): Promise<void> {
  const kind = await loadKind(object);
  const rows = await selectRows(context, object.name, ['params']);
  await showRows(context, rows, wantedColumns(kind, context.values.get('params') ?? 'all'), true);
}

async function paramGet(object: XeObject, context: CommandContext): Promise<void> {
  const { row, column } = await target(object, context);
  const key = context.values.get('param-key');
  const related = await fetchRelated(context.rpc, [row], [column]);
  if (key !== undefined) {
    if (!column.tag.startsWith('M')) throw new UsageError(`${column.name} has no keys`);
    const map = jsonOf(row, column, related);
    if (!isStruct(map) || !Object.hasOwn(map, key)) throw new NoMatchError(`${column.name} has no key ${key}`);
    if (context.options.json) context.give(map[key]);
    else context.print(textOf(map[key]));
    return;
  }
  if (context.options.json) context.give(jsonOf(row, column, related));
  else context.print(cellOf(row, column, related).value);
}

/** The type of what a setter takes: of a column that follows a reference, the reference. */
const setterField = ({ steps, field }: Column): string => steps[0]?.field ?? field;

async function paramSet(object: XeObject, context: CommandContext): Promise<void> {
  const changes = [...context.values].filter(([key]) => key !== 'uuid');
  if (changes.length === 0) throw new UsageError('nothing to set: give FIELD=VALUE');
  const { kind, row } = await onRow(object, context);
  const calls: (() => Promise<WireValue>)[] = [];
  for (const [word, text] of changes) {
    const mark = word.indexOf(':');
    const column = columnNamed(kind, mark < 0 ? word : word.slice(0, mark));
    checkWritable(column);
    const field = setterField(column);
    const call = (method: string, ...params: readonly WireValue[]): Promise<WireValue> =>
      context.rpc.call(`${object.className}.${method}${field}`, row.ref, ...params);
    if (mark >= 0) {
      if (!column.tag.startsWith('M')) throw new UsageError(`${column.name} has no keys`);
      const key = word.slice(mark + 1);
      calls.push(async () => {
        await call('remove_from_', key);
        return call('add_to_', key, text);
      });
    } else {
      const value = await parseValue(context.rpc, kind.table.fields[field]?.type ?? 'string', text, word);
      calls.push(() => call('set_', value));
    }
  }
  // Every word was understood: only now is anything changed.
  for (const call of calls) await call();
}

function checkWritable(column: Column): void {
  if (!column.tag.endsWith('RW')) throw new UsageError(`${column.name} cannot be set`);
}

async function paramAdd(object: XeObject, context: CommandContext): Promise<void> {
  const { row, column } = await target(object, context);
  checkWritable(column);
  const { className } = object;
  if (column.tag.startsWith('S')) {
    await context.rpc.call(`${className}.add_${column.field}`, row.ref, context.required('param-key'));
    return;
  }
  if (!column.tag.startsWith('M')) throw new UsageError(`${column.name} is neither set nor map`);
  const entries = [...context.values].filter(([key]) => key !== 'uuid' && !paramKeys.includes(key));
  if (entries.length === 0) throw new UsageError('nothing to add: give KEY=VALUE');
  for (const [key, value] of entries)
    await context.rpc.call(`${className}.add_to_${column.field}`, row.ref, key, value);
}

async function paramRemove(object: XeObject, context: CommandContext): Promise<void> {
  const { row, column } = await target(object, context);
  checkWritable(column);
  const prefix = column.tag.startsWith('S') ? 'remove_' : column.tag.startsWith('M') ? 'remove_from_' : undefined;
  if (prefix === undefined) throw new UsageError(`${column.name} is neither set nor map`);
  await context.rpc.call(`${object.className}.${prefix}${column.field}`, row.ref, context.required('param-key'));
}

async function paramClear(object: XeObject, context: CommandContext): Promise<void> {
  const { kind, row, column } = await target(object, context);
  checkWritable(column);
  const field = setterField(column);
  const type = kind.table.fields[field]?.type ?? '';
  const empty: WireValue | undefined = type.startsWith('set(')
    ? []
    : type.startsWith('map(')
      ? {}
      : type === 'string'
        ? ''
        : type.startsWith('ref(')
          ? 'OpaqueRef:NULL'
          : undefined;
  if (empty === undefined) throw new UsageError(`${column.name} cannot be empty`);
  await context.rpc.call(`${object.className}.set_${field}`, row.ref, empty);
}

function commandsOf(object: XeObject): readonly Command[] {
  const { name } = object;
  const param = (
    verb: string,
    help: string,
    required: readonly string[],
    run: (object: XeObject, context: CommandContext) => Promise<void>,
    more: Partial<Command> = {},
  ): Command => ({
    name: `${name}-param-${verb}`,
    help,
    required,
    optional: [],
    run: (context) => run(object, context),
    ...more,
  });
  return [
    {
      name: `${name}-list`,
      help: `lists ${name} objects; FIELD=VALUE chooses, params=FIELD,…|all says what is shown`,
      required: [],
      optional: ['params'],
      anyKey: true,
      run: (context) => list(object, context),
    },
    param('list', 'shows every field of one object', ['uuid'], paramList, { optional: ['params'] }),
    param('get', 'shows one field, or one key of a map', ['uuid', 'param-name'], paramGet, { optional: ['param-key'] }),
    param('set', 'sets fields: FIELD=VALUE, MAP:KEY=VALUE', ['uuid'], paramSet, { anyKey: true }),
    param('add', 'adds to a set (param-key=) or a map (KEY=VALUE)', ['uuid', 'param-name'], paramAdd, {
      optional: ['param-key'],
      anyKey: true,
    }),
    param('remove', 'removes from a set or a map', ['uuid', 'param-name', 'param-key'], paramRemove),
    param('clear', 'makes a field empty', ['uuid', 'param-name'], paramClear),
  ];
}

/** The command of this name among those that every object has. */
export function genericCommand(name: string): Command | undefined {
  const match = /^(.+?)-(?:param-)?(?:list|get|set|add|remove|clear)$/.exec(name);
  const object = objects.find((each) => each.name === match?.[1]);
  return object === undefined ? undefined : commandsOf(object).find((command) => command.name === name);
}

/** All of them, for help and completion. */
export const genericCommands = (): readonly Command[] => objects.flatMap(commandsOf);
