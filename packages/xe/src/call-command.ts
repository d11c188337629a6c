/** Commands that are one call: which keys fill its parameters, and the types of the data model for the rest. */
import type { WireValue } from '@xenolith/wire';
import type { ClassTable, MessageTable } from '@xenolith/xapi';
import { loadClass } from './columns.ts';
import type { Command, CommandContext } from './command.ts';
import { mapOf, thePool } from './command-words.ts';
import { formatRecord, formatValue } from './format.ts';
import { nullRef } from './records.ts';
import { forEachRow, refByUuid, selectRows } from './select.ts';
import { UsageError } from './usage-error.ts';
import { parseValue } from './value.ts';
import { isArray, isStruct, textOf } from './wire-text.ts';

/**
 * A parameter for each word, in the order of the call:
 * `key` a key that must be given · `key?` one that may, else what is empty for the type · `key?text` else the text ·
 * `a|b` either key · `key:` a map of `key:KEY=VALUE` · `key<` the contents of a file · `key?@` a uuid, else the pool or
 * the coordinator · `@` the object that was chosen, the pool or the coordinator · `=text` always this, `=` always what is empty.
 * `PREFIX-` a map of `PREFIX-KEY=VALUE` · `{a,b}` a map of those of the keys that are given · `!` it must be forced.
 * What is left out at the end is left to the server where the call lets it be.
 */
export type Arguments = string;

/** `uuid?@` and the like, taken apart. */
interface Argument {
  readonly kind: 'key' | 'map' | 'keys' | 'file' | 'chosen' | 'text' | 'forced';
  readonly keys: readonly string[];
  readonly isRequired: boolean;
  readonly otherwise: string | undefined;
}

function readArgument(word: string): Argument {
  if (word === '@') return { kind: 'chosen', keys: [], isRequired: false, otherwise: undefined };
  if (word.startsWith('=')) return { kind: 'text', keys: [], isRequired: false, otherwise: word.slice(1) };
  if (word === '!') return { kind: 'forced', keys: ['force'], isRequired: false, otherwise: undefined };
  if (word.startsWith('{')) {
    return { kind: 'keys', keys: word.slice(1, -1).split(','), isRequired: false, otherwise: undefined };
  }
  if (/[:-]$/.test(word)) return { kind: 'map', keys: [word], isRequired: false, otherwise: undefined };
  if (word.endsWith('<')) {
    return { kind: 'file', keys: [word.replace(/\??<$/, '')], isRequired: !word.endsWith('?<'), otherwise: undefined };
  }
  const [names = '', otherwise] = word.split('?');
  const keys = names.split('|');
  return { kind: 'key', keys, isRequired: otherwise === undefined && keys.length === 1, otherwise };
}

const argumentsOf = (text: Arguments): readonly Argument[] =>
  text.split(' ').flatMap((word) => (word === '' ? [] : [readArgument(word)]));

/** The value of a type when nothing was said. Enums and what else has no empty value give undefined. */
function emptyValue(type: string): WireValue | undefined {
  if (type.startsWith('ref(')) return nullRef;
  if (type.startsWith('set(')) return [];
  if (type.startsWith('map(')) return {};
  if (type === 'bool') return false;
  if (type === 'int' || type === 'float') return 0;
  return type === 'string' || type === 'secret' ? '' : undefined;
}

async function standIn(context: CommandContext, type: string, chosen: string | undefined): Promise<string> {
  if (chosen !== undefined) return chosen;
  const pool = await thePool(context);
  return type === 'ref(pool)' ? pool : textOf(await context.rpc.call('pool.get_master', pool));
}

/** The value of an argument; undefined when nothing was said and the call may do without. */
async function valueOf(
  context: CommandContext,
  argument: Argument,
  type: string,
  chosen: string | undefined,
): Promise<WireValue | undefined> {
  const { kind, keys, otherwise } = argument;
  const { rpc, values, options } = context;
  if (kind === 'chosen') return standIn(context, type, chosen);
  if (kind === 'text') return otherwise === '' ? undefined : parseValue(rpc, type, otherwise ?? '', '');
  const [key = ''] = keys.filter((each) => values.has(each));
  if (kind === 'map') {
    const map = mapOf(context, (keys[0] ?? '').replace(/:$/, ''));
    return Object.keys(map).length === 0 ? undefined : map;
  }
  if (kind === 'keys') {
    return Object.fromEntries(keys.flatMap((each) => (values.has(each) ? [[each, values.get(each) ?? '']] : [])));
  }
  if (kind === 'file') {
    const path = values.get(keys[0] ?? '');
    return path === undefined ? undefined : context.exchange.readFile(path);
  }
  // `force=true` is a switch of every command.
  if (keys[0] === 'force' && options.force) return true;
  const given = values.get(key) ?? (otherwise === '' || otherwise === '@' ? undefined : otherwise);
  if (given !== undefined) return parseValue(rpc, type, given, key);
  if (otherwise === '@') return standIn(context, type, undefined);
  if (otherwise === undefined) throw new UsageError(`give ${keys.map((each) => `${each}=`).join(' or ')}`);
  return undefined;
}

/** What a call takes, in its order. */
const parametersOf = ({
  params,
  optional = {},
}: MessageTable): readonly (readonly [type: string, mayMiss: boolean])[] => [
  ...Object.values(params).map((type) => [type, false] as const),
  ...Object.values(optional).map(({ type }) => [type, true] as const),
];

async function callValues(
  context: CommandContext,
  message: MessageTable,
  given: readonly Argument[],
  chosen: string | undefined,
): Promise<readonly WireValue[]> {
  const found: WireValue[] = [];
  let last = 0;
  for (const [i, [type, mayMiss]] of parametersOf(message).entries()) {
    const argument = given[i];
    const value = argument === undefined ? undefined : await valueOf(context, argument, type, chosen);
    found.push(value ?? emptyValue(type) ?? '');
    if (value !== undefined || !mayMiss) last = found.length;
  }
  return found.slice(0, last);
}

const referred = (type: string): string | undefined => /^(?:set\()?ref\(([^)]+)\)+$/.exec(type)?.[1];

/** Prints what a call gave: objects by uuid, maps as a block, nothing for nothing. */
async function show(context: CommandContext, type: string, value: WireValue): Promise<void> {
  const { rpc, options } = context;
  const className = referred(type);
  if (type === 'void') return;
  if (className !== undefined && !type.startsWith('map(')) {
    const refs = (isArray(value) ? value : [value]).map(textOf).filter((ref) => ref !== '' && ref !== nullRef);
    for (const ref of refs) context.print(textOf(await rpc.call(`${className}.get_uuid`, ref)));
  } else if (options.json) context.give(value);
  else if (isStruct(value)) {
    const cells = Object.entries(value).map(([name, each]) => ({
      name,
      tag: 'RO',
      value: formatValue('string', each),
    }));
    if (cells.length > 0) context.write(formatRecord(cells));
  } else if (isArray(value)) {
    for (const each of value) {
      if (isStruct(each)) await show(context, 'map(string,string)', each);
      else context.print(formatValue('string', each));
    }
  } else context.print(formatValue(type, value));
}

/** Commands need not wait for a task when what it would give is more than a reference. */
const isForTask = ({ async: mayWait, result }: MessageTable): boolean =>
  mayWait === true && (result === 'void' || result.startsWith('ref('));

/** A call of a class: one of its own, or `destroy`, or the getter of a field, which every class has. */
export function messageOf(table: ClassTable, name: string): MessageTable | undefined {
  const own = table.messages[name];
  if (own !== undefined) return own;
  const params = { self: `ref(${table.name})` };
  if (name === 'destroy') return { params, result: 'void', role: 'read-only', async: true };
  const field = name.startsWith('get_') ? table.fields[name.slice(4)] : undefined;
  return field === undefined ? undefined : { params, result: field.type, role: 'read-only' };
}

async function callOnce(
  context: CommandContext,
  method: string,
  given: readonly Argument[],
  chosen: string | undefined,
): Promise<void> {
  const mark = method.indexOf('.');
  const table = await loadClass(method.slice(0, mark));
  const message = messageOf(table, method.slice(mark + 1));
  if (message === undefined) throw new Error(`no call ${method}`);
  const values = await callValues(
    context,
    message,
    given.filter(({ kind }) => kind !== 'forced'),
    chosen,
  );
  const result = isForTask(message) ? await context.task(method, ...values) : await context.rpc.call(method, ...values);
  await show(context, message.result, result);
}

/** A row of a table of commands: its name, what it does, its call and the arguments; the object that it chooses. */
export type CallRow = readonly [
  name: string,
  help: string,
  method: string,
  given: Arguments,
  selects?: 'vm' | 'host' | 'sr',
];

const keysOf = (given: readonly Argument[], isRequired: boolean): readonly string[] => [
  ...new Set(given.filter((each) => each.isRequired === isRequired).flatMap(({ keys }) => keys)),
];

/** The command that a row stands for. */
export function callCommand([name, help, method, text, selects]: CallRow): Command {
  const given = argumentsOf(text);
  const required = keysOf(given, true);
  const optional = keysOf(given, false);
  return {
    name,
    help,
    required,
    optional,
    ...(selects === undefined ? {} : { selects }),
    async run(context) {
      if (given.some(({ kind }) => kind === 'forced') && !context.options.force) {
        throw new UsageError(`${name} must be meant: say so with force=true`);
      }
      if (selects === undefined) {
        await callOnce(context, method, given, undefined);
        return;
      }
      await forEachRow(await selectRows(context, selects, [...required, ...optional]), (row) =>
        callOnce(context, method, given, row.ref),
      );
    },
  };
}

/** A command that makes an object: the fields that its keys give, as `field=argument`. */
export function createCommand(name: string, help: string, className: string, text: string): Command {
  const fields = text.split(' ').map((word) => {
    const mark = word.indexOf('=');
    return [word.slice(0, mark), readArgument(word.slice(mark + 1))] as const;
  });
  const given = fields.map(([, argument]) => argument);
  return {
    name,
    help,
    required: keysOf(given, true),
    optional: keysOf(given, false),
    async run(context) {
      const table = await loadClass(className);
      const entries: [string, WireValue][] = [];
      for (const [field, argument] of fields) {
        const type = table.fields[field]?.type ?? 'string';
        const value = await valueOf(context, argument, type, undefined);
        if (value !== undefined) entries.push([field, value]);
      }
      const made = await context.rpc.call(`${className}.create`, Object.fromEntries(entries));
      context.print(textOf(await context.rpc.call(`${className}.get_uuid`, made)));
    },
  };
}

/** The object with the uuid that one of the keys gives. Throws UsageError without one. */
export async function givenObject(
  context: CommandContext,
  className: string,
  ...keys: readonly string[]
): Promise<string> {
  const uuid = keys.map((key) => context.values.get(key)).find((each) => each !== undefined);
  if (uuid === undefined) throw new UsageError(`give ${keys.map((key) => `${key}=`).join(' or ')}`);
  return refByUuid(context.rpc, className, uuid);
}
