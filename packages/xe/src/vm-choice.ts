/** Which VMs a command is about, and what belongs to them. */
import type { WireStruct } from '@xenolith/wire';
import type { Command, CommandContext } from './command.ts';
import { nullRef, type Row } from './records.ts';
import { byNameOrUuid, forEachRow, refByUuid, selectRows } from './select.ts';
import { ApiError } from './call.ts';
import { isArray, textOf } from './wire-text.ts';

/** A command that does something to each VM that is chosen. */
export function onVm(
  verb: string,
  help: string,
  keys: { readonly required?: readonly string[]; readonly optional?: readonly string[]; readonly templates?: true },
  run: (context: CommandContext, vm: Row) => Promise<void>,
): Command {
  const required = keys.required ?? [];
  const optional = keys.optional ?? [];
  return {
    name: `vm-${verb}`,
    help,
    required,
    optional,
    selects: 'vm',
    async run(context) {
      await forEachRow(await chosen(context, [...required, ...optional], keys.templates === true), (vm) =>
        run(context, vm),
      );
    },
  };
}

/** VMs; where a template will do as well, one may also be named. */
async function chosen(
  context: CommandContext,
  ownKeys: readonly string[],
  templates: boolean,
): Promise<readonly Row[]> {
  const name = context.values.get('vm');
  if (!templates || name === undefined) return selectRows(context, 'vm', ownKeys);
  return selectRows(context, 'vm', ownKeys).catch(async (error: unknown) => {
    if (!(error instanceof ApiError) || error.code !== 'UUID_INVALID') throw error;
    return [await byNameOrUuid(context.rpc, 'template', name)];
  });
}

/** The SR that `sr-uuid=` or `sr-name-label=` names. */
export async function givenSr({ rpc, values }: CommandContext): Promise<string | undefined> {
  const uuid = values.get('sr-uuid');
  if (uuid !== undefined) return refByUuid(rpc, 'SR', uuid);
  const name = values.get('sr-name-label');
  return name === undefined ? undefined : (await byNameOrUuid(rpc, 'sr', name)).ref;
}

/** The disks of a VM that are its own: those in drives that take out and put in stay. */
export async function ownDisks(context: CommandContext, vm: Row): Promise<readonly string[]> {
  const disks: string[] = [];
  const vbds = vm.record['VBDs'];
  for (const vbd of isArray(vbds) ? vbds : []) {
    const record = (await context.rpc.call('VBD.get_record', vbd)) as WireStruct;
    const vdi = textOf(record['VDI']);
    if (record['type'] !== 'Disk' || vdi === nullRef) continue;
    if ((await context.rpc.call('VDI.get_sharable', vdi)) !== true) disks.push(vdi);
  }
  return disks;
}
