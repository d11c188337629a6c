/** The objects that a command is about: `uuid=`, `vm=NAME-OR-UUID`, or fields that choose. */
import type { CommandContext } from './command.ts';
import { plainName } from './columns.ts';
import { fetchByUuid, fetchRows, findRows, loadKind, type Row } from './records.ts';
import { objectNamed, type XeObject } from './objects.ts';
import { ApiError, type Rpc } from './call.ts';
import { NoMatchError, SomeFailedError, UsageError } from './usage-error.ts';
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
  const kind = await loadKind(object);
  // A name is the whole name: what is to be done to web must not be done to the only VM that has it as a part.
  const rows = (await fetchRows(rpc, kind)).filter(({ record }) => record['name_label'] === text);
  const [row] = rows;
  if (row === undefined) throw new ApiError(['UUID_INVALID', object.className, text]);
  if (rows.length > 1) throw new UsageError(`${rows.length} ${objectName}s are named ${text}: give the uuid`);
  return row;
}

/** Reference of the object of a class with this uuid. */
export async function refByUuid(rpc: Rpc, className: string, uuid: string): Promise<string> {
  return textOf(await rpc.call(`${className}.get_by_uuid`, uuid));
}

/** Does something to each of the objects: one that is refused does not keep the others from it. */
export async function forEachRow(rows: readonly Row[], run: (row: Row) => Promise<void>): Promise<void> {
  const failures: SomeFailedError['failures'][number][] = [];
  for (const row of rows) {
    try {
      await run(row);
    } catch (error) {
      if (rows.length === 1 || !(error instanceof ApiError)) throw error;
      failures.push({ uuid: textOf(row.record['uuid']), error });
    }
  }
  if (failures.length > 0) throw new SomeFailedError(failures);
}

/**
 * The objects that the words other than the command's own keys choose.
 * Control domains are chosen only by uuid, by name, or by asking for `is-control-domain`: nobody means them when
 * they say that all VMs are to be shut down.
 * @throws UsageError when nothing chooses or, without `--multiple`, several match; NoMatchError when none does
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
  const asksForControl = filters.some(([key]) => plainName(key) === 'is-control-domain');
  const rows = (await findRows(rpc, await loadKind(object), filters)).filter(
    ({ record }) => asksForControl || record['is_control_domain'] !== true,
  );
  if (rows.length === 0) throw new NoMatchError(`no ${objectName} matches`);
  if (rows.length > 1 && !options.multiple) {
    throw new UsageError(`${rows.length} ${objectName}s match: choose one, or say --multiple for all of them`);
  }
  return rows;
}
