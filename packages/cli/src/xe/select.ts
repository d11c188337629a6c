/** The objects that a command is about: `uuid=`, `vm=NAME-OR-UUID`, or fields that choose. */
import type { CommandContext } from './command.ts';
import { fetchByUuid, findRows, loadKind, type Row } from './records.ts';
import { objectNamed, type XeObject } from './objects.ts';
import { ApiError, type Rpc } from './rpc.ts';
import { UsageError } from './usage-error.ts';
import { textOf } from './wire-text.ts';

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function known(name: string): XeObject {
  const object = objectNamed(name);
  if (object === undefined) throw new Error(`no object ${name}`);
  return object;
}

/**
 * The object with this uuid or name.
 * @throws ApiError UUID_INVALID when there is none, UsageError when several have the name
 */
export async function byNameOrUuid(rpc: Rpc, objectName: string, text: string): Promise<Row> {
  const object = known(objectName);
  if (uuidForm.test(text)) {
    const row = await fetchByUuid(rpc, object.className, text.toLowerCase()).catch((error: unknown) => {
      if (error instanceof ApiError && error.code === 'UUID_INVALID') return undefined;
      throw error;
    });
    if (row !== undefined) return row;
  }
  const rows = await findRows(rpc, await loadKind(object), [['name-label', text]]);
  const [row] = rows;
  if (row === undefined) throw new ApiError(['UUID_INVALID', object.className, text]);
  if (rows.length > 1) throw new UsageError(`${rows.length} ${objectName}s are named ${text}: give the uuid`);
  return row;
}

/** Reference of the object of a class with this uuid. */
export async function refByUuid(rpc: Rpc, className: string, uuid: string): Promise<string> {
  return textOf(await rpc.call(`${className}.get_by_uuid`, uuid));
}

/**
 * The objects that the words other than the command's own keys choose.
 * @throws UsageError when none or, without `--multiple`, several match
 */
export async function selectRows(
  { rpc, options, values }: CommandContext,
  objectName: string,
  ownKeys: readonly string[],
): Promise<readonly Row[]> {
  const object = known(objectName);
  const filters = [...values].filter(
    ([key]) => !ownKeys.some((own) => (own.endsWith(':') ? key.startsWith(own) : own === key)),
  );
  const named = filters.find(([key]) => key === objectName);
  if (named !== undefined) return [await byNameOrUuid(rpc, objectName, named[1])];
  const uuid = filters.find(([key]) => key === 'uuid');
  if (uuid !== undefined && filters.length === 1) return [await fetchByUuid(rpc, object.className, uuid[1])];
  if (filters.length === 0 && !options.multiple) {
    throw new UsageError(`which ${objectName}? Give uuid=, ${objectName}=NAME, or fields with --multiple`);
  }
  const rows = await findRows(rpc, await loadKind(object), filters);
  if (rows.length === 0) throw new UsageError(`no ${objectName} matches`);
  if (rows.length > 1 && !options.multiple) {
    throw new UsageError(`${rows.length} ${objectName}s match: choose one, or say --multiple for all of them`);
  }
  return rows;
}
