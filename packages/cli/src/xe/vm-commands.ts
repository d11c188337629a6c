/** Commands about virtual machines. */
import type { WireValue } from '@xenolith/wire';
import { parseBool, parseBytes } from './arguments.ts';
import type { Command, CommandContext } from './command.ts';
import { showRows, wantedColumns } from './generic-commands.ts';
import { objectNamed } from './objects.ts';
import { fetchRows, loadKind, nullRef, type Row } from './records.ts';
import { byNameOrUuid, refByUuid, selectRows } from './select.ts';
import { UsageError } from './usage-error.ts';
import { isArray, textOf } from './wire-text.ts';

const flag = ({ values }: CommandContext, key: string): boolean => {
  const text = values.get(key);
  return text !== undefined && parseBool(text, key);
};

/** A command that does something to each VM that is chosen. */
function onVm(
  verb: string,
  help: string,
  keys: { readonly required?: readonly string[]; readonly optional?: readonly string[] },
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
      for (const vm of await selectRows(context, 'vm', [...required, ...optional])) await run(context, vm);
    },
  };
}

const simple = (verb: string, method: string, help: string): Command =>
  onVm(verb, help, {}, async (context, vm) => {
    await context.task(`VM.${method}`, vm.ref);
  });

/** Cleanly, or at once with force=true. */
const forcible = (verb: string, name: string, help: string): Command =>
  onVm(verb, help, {}, async (context, vm) => {
    await context.task(`VM.${context.options.force ? 'hard' : 'clean'}_${name}`, vm.ref);
  });

async function start(context: CommandContext, vm: Row): Promise<void> {
  const paused = flag(context, 'paused');
  const { force } = context.options;
  const on = context.values.get('on');
  if (on === undefined) {
    await context.task('VM.start', vm.ref, paused, force);
    return;
  }
  const host = await byNameOrUuid(context.rpc, 'host', on);
  await context.task('VM.start_on', vm.ref, host.ref, paused, force);
}

async function resume(context: CommandContext, vm: Row): Promise<void> {
  const paused = flag(context, 'paused');
  const { force } = context.options;
  const on = context.values.get('on');
  if (on === undefined) {
    await context.task('VM.resume', vm.ref, paused, force);
    return;
  }
  const host = await byNameOrUuid(context.rpc, 'host', on);
  await context.task('VM.resume_on', vm.ref, host.ref, paused, force);
}

async function printUuid({ rpc, print }: CommandContext, className: string, ref: string): Promise<void> {
  print(textOf(await rpc.call(`${className}.get_uuid`, ref)));
}

async function clone(context: CommandContext, vm: Row, copyTo: string | undefined): Promise<string> {
  const name = context.required('new-name-label');
  const made =
    copyTo === undefined
      ? await context.task('VM.clone', vm.ref, name)
      : await context.task('VM.copy', vm.ref, name, copyTo);
  const description = context.values.get('new-name-description');
  if (description !== undefined) await context.rpc.call('VM.set_name_description', made, description);
  return made;
}

/** The SR that `sr-uuid=` or `sr-name-label=` names. */
async function givenSr({ rpc, values }: CommandContext): Promise<string | undefined> {
  const uuid = values.get('sr-uuid');
  if (uuid !== undefined) return refByUuid(rpc, 'SR', uuid);
  const name = values.get('sr-name-label');
  return name === undefined ? undefined : (await byNameOrUuid(rpc, 'sr', name)).ref;
}

async function install(context: CommandContext): Promise<void> {
  const { rpc, values } = context;
  const wanted = values.get('template-uuid') ?? values.get('template') ?? values.get('template-name-label');
  if (wanted === undefined) throw new UsageError('from which template? Give template=NAME-OR-UUID');
  const template = await byNameOrUuid(rpc, 'template', wanted);
  const vm = await clone(context, template, await givenSr(context));
  try {
    await context.task('VM.provision', vm);
  } catch (error) {
    // A clone that was never provisioned is of no use to anybody.
    await rpc.call('VM.destroy', vm).catch(() => {});
    throw error;
  }
  await printUuid(context, 'VM', vm);
}

/** The disks of a VM that are its own: those in drives that take out and put in stay. */
async function ownDisks(context: CommandContext, vm: Row): Promise<readonly string[]> {
  const disks: string[] = [];
  const vbds = vm.record['VBDs'];
  for (const vbd of isArray(vbds) ? vbds : []) {
    const record = (await context.rpc.call('VBD.get_record', vbd)) as Readonly<Record<string, WireValue>>;
    const vdi = textOf(record['VDI']);
    if (record['type'] !== 'Disk' || vdi === nullRef) continue;
    if ((await context.rpc.call('VDI.get_sharable', vdi)) !== true) disks.push(vdi);
  }
  return disks;
}

async function uninstall(context: CommandContext, vm: Row): Promise<void> {
  const { rpc, options } = context;
  if (!options.force) throw new UsageError('this destroys the VM and its disks: say so with force=true');
  const disks = await ownDisks(context, vm);
  if (vm.record['power_state'] !== 'Halted') await context.task('VM.hard_shutdown', vm.ref);
  await rpc.call('VM.destroy', vm.ref);
  for (const disk of disks) await context.task('VDI.destroy', disk);
}

async function listDevices(
  context: CommandContext,
  vm: Row,
  objectName: 'vbd' | 'vif',
  params: string | undefined,
): Promise<readonly Row[]> {
  const object = objectNamed(objectName);
  if (object === undefined) throw new Error(`no object ${objectName}`);
  const kind = await loadKind(object);
  const rows = (await fetchRows(context.rpc, kind)).filter(
    ({ record }) => record['VM'] === vm.ref && (objectName === 'vif' || record['type'] === 'Disk'),
  );
  await showRows(context, rows, wantedColumns(kind, params));
  return rows;
}

async function listDisks(context: CommandContext, vm: Row): Promise<void> {
  const vbds = await listDevices(context, vm, 'vbd', context.values.get('vbd-params'));
  const object = objectNamed('vdi');
  if (object === undefined) throw new Error('no object vdi');
  const kind = await loadKind(object);
  const vdis = new Set(vbds.map(({ record }) => record['VDI']));
  const rows = (await fetchRows(context.rpc, kind)).filter(({ ref }) => vdis.has(ref));
  await showRows(context, rows, wantedColumns(kind, context.values.get('vdi-params')));
}

async function defaultSr({ rpc }: CommandContext): Promise<string> {
  const pools = await rpc.call('pool.get_all');
  const sr = await rpc.call('pool.get_default_SR', isArray(pools) ? (pools[0] ?? '') : '');
  if (sr === nullRef) throw new UsageError('the pool has no default SR: give sr-uuid=');
  return textOf(sr);
}

async function addDisk(context: CommandContext, vm: Row): Promise<void> {
  const { rpc } = context;
  const sr = (await givenSr(context)) ?? (await defaultSr(context));
  const vdi = await rpc.call('VDI.create', {
    name_label: 'Disk',
    name_description: '',
    SR: sr,
    virtual_size: parseBytes(context.required('disk-size'), 'disk-size'),
    type: 'user',
    sharable: false,
    read_only: false,
    other_config: {},
  });
  const made = await rpc
    .call('VBD.create', {
      VM: vm.ref,
      VDI: vdi,
      userdevice: context.required('device'),
      bootable: false,
      mode: 'RW',
      type: 'Disk',
      unpluggable: true,
      empty: false,
      other_config: {},
      qos_algorithm_type: '',
      qos_algorithm_params: {},
    })
    .catch(async (error: unknown) => {
      await rpc.call('VDI.destroy', vdi).catch(() => {});
      throw error;
    });
  await printUuid(context, 'VBD', textOf(made));
}

export const vmCommands: readonly Command[] = [
  {
    name: 'vm-install',
    help: 'makes a VM from a template and prints its uuid',
    required: ['new-name-label'],
    optional: ['template', 'template-uuid', 'template-name-label', 'new-name-description', 'sr-uuid', 'sr-name-label'],
    run: install,
  },
  onVm(
    'clone',
    'makes another VM like this one and prints its uuid',
    { required: ['new-name-label'], optional: ['new-name-description'] },
    async (context, vm) => printUuid(context, 'VM', await clone(context, vm, undefined)),
  ),
  onVm(
    'copy',
    'makes another VM with full copies of the disks and prints its uuid',
    { required: ['new-name-label'], optional: ['new-name-description', 'sr-uuid'] },
    async (context, vm) => printUuid(context, 'VM', await clone(context, vm, (await givenSr(context)) ?? nullRef)),
  ),
  onVm('start', 'starts it: on=HOST, paused=true', { optional: ['on', 'paused'] }, start),
  forcible('shutdown', 'shutdown', 'shuts it down; force=true does not ask the guest'),
  forcible('reboot', 'reboot', 'reboots it; force=true does not ask the guest'),
  simple('suspend', 'suspend', 'writes its memory to disk and ends its domain'),
  onVm('resume', 'goes on where suspend left it: on=HOST', { optional: ['on', 'paused'] }, resume),
  simple('pause', 'pause', 'stops its vCPUs'),
  simple('unpause', 'unpause', 'lets its vCPUs go on'),
  onVm('destroy', 'forgets the VM; its disks stay', {}, async ({ rpc }, vm) => {
    await rpc.call('VM.destroy', vm.ref);
  }),
  onVm('uninstall', 'destroys the VM and its disks: force=true', {}, uninstall),
  onVm('disk-list', 'lists its disks', { optional: ['vbd-params', 'vdi-params'] }, listDisks),
  onVm(
    'disk-add',
    'makes a disk and gives it to the VM',
    { required: ['disk-size', 'device'], optional: ['sr-uuid'] },
    addDisk,
  ),
  onVm('vif-list', 'lists its network interfaces', { optional: ['params'] }, async (context, vm) => {
    await listDevices(context, vm, 'vif', context.values.get('params'));
  }),
];
