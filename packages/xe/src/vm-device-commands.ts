/** Commands about the disks, drives and interfaces of virtual machines. */
import type { WireStruct, WireValue } from '@xenolith/wire';
import { parseBytes } from './quantity.ts';
import type { Command, CommandContext } from './command.ts';
import { defaultSr, printUuid } from './command-words.ts';
import { jsonRows, showRows, wantedColumns } from './generic-commands.ts';
import { objectNamed } from './objects.ts';
import { fetchRows, loadKind, nullRef, type Kind, type Row } from './records.ts';
import { byNameOrUuid } from './select.ts';
import { NoMatchError } from './usage-error.ts';
import { givenSr, onVm } from './vm-choice.ts';
import { textOf } from './wire-text.ts';

const kindOf = (name: string): Promise<Kind> => {
  const object = objectNamed(name);
  if (object === undefined) throw new Error(`no object ${name}`);
  return loadKind(object);
};

type DriveType = 'Disk' | 'CD';

/** The VBDs of a VM that are disks, or drives for discs, in the order of their devices. */
async function vbdsOf({ rpc }: CommandContext, vm: Row, type: DriveType): Promise<readonly Row[]> {
  const rows = (await fetchRows(rpc, await kindOf('vbd'))).filter(
    ({ record }) => record['VM'] === vm.ref && record['type'] === type,
  );
  return [...rows].sort((a, b) => Number(a.record['userdevice']) - Number(b.record['userdevice']));
}

/** Each VBD with its VDI: under headings, as values, or as JSON in pairs. */
export async function listDrives(context: CommandContext, vm: Row, type: DriveType): Promise<void> {
  const { options, values, write } = context;
  const vbds = await vbdsOf(context, vm, type);
  const vbdKind = await kindOf('vbd');
  const vdiKind = await kindOf('vdi');
  const vbdColumns = wantedColumns(vbdKind, values.get('vbd-params') ?? 'uuid,vm-name-label,userdevice');
  const vdiColumns = wantedColumns(vdiKind, values.get('vdi-params') ?? 'uuid,name-label,sr-name-label,virtual-size');
  const vdiRows = vbds.length === 0 ? [] : await fetchRows(context.rpc, vdiKind);
  const vdiOf = ({ record }: Row): Row | undefined => vdiRows.find(({ ref }) => ref === record['VDI']);
  if (options.json) {
    const [vbdValues, vdiValues] = await Promise.all([
      jsonRows(context, vbds, vbdColumns),
      Promise.all(
        vbds.map(async (vbd) => {
          const vdi = vdiOf(vbd);
          return vdi === undefined ? null : (await jsonRows(context, [vdi], vdiColumns))[0];
        }),
      ),
    ]);
    context.give(vbdValues.map((vbd, i) => ({ vbd, vdi: vdiValues[i] ?? null })));
    return;
  }
  if (options.minimal) {
    await showRows(context, vbds, vbdColumns);
    await showRows(
      context,
      vbds.map(vdiOf).filter((vdi) => vdi !== undefined),
      vdiColumns,
    );
    return;
  }
  for (const [i, vbd] of vbds.entries()) {
    write(`${type} ${i} VBD:\n`);
    await showRows(context, [vbd], vbdColumns);
    const vdi = vdiOf(vbd);
    if (vdi === undefined) continue;
    write(`${type} ${i} VDI:\n`);
    await showRows(context, [vdi], vdiColumns);
  }
}

async function listVifs(context: CommandContext, vm: Row): Promise<void> {
  const kind = await kindOf('vif');
  const rows = (await fetchRows(context.rpc, kind)).filter(({ record }) => record['VM'] === vm.ref);
  await showRows(context, rows, wantedColumns(kind, context.values.get('params')));
}

const vbdRecord = (vm: Row, vdi: WireValue, device: string, type: DriveType): WireStruct => ({
  VM: vm.ref,
  VDI: vdi,
  userdevice: device,
  bootable: false,
  mode: type === 'CD' ? 'RO' : 'RW',
  type,
  unpluggable: true,
  empty: false,
  other_config: {},
  qos_algorithm_type: '',
  qos_algorithm_params: {},
});

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
    .call('VBD.create', vbdRecord(vm, vdi, context.required('device'), 'Disk'))
    .catch(async (error: unknown) => {
      // A disk that nobody has is of no use.
      await rpc.call('VDI.destroy', vdi).catch(() => {});
      throw error;
    });
  await printUuid(context, 'VBD', made);
}

/** The disk goes with its VBD. */
async function removeDisk(context: CommandContext, vm: Row): Promise<void> {
  const device = context.required('device');
  const vbd = (await vbdsOf(context, vm, 'Disk')).find(({ record }) => record['userdevice'] === device);
  if (vbd === undefined) throw new NoMatchError(`the VM has no disk ${device}`);
  await context.rpc.call('VBD.destroy', vbd.ref);
  const vdi = vbd.record['VDI'];
  if (vdi !== undefined && vdi !== nullRef) await context.task('VDI.destroy', vdi);
}

async function addCd(context: CommandContext, vm: Row): Promise<void> {
  const vdi = await byNameOrUuid(context.rpc, 'vdi', context.required('cd-name'));
  const vbd = await context.rpc.call('VBD.create', vbdRecord(vm, vdi.ref, context.required('device'), 'CD'));
  await printUuid(context, 'VBD', vbd);
}

async function removeCd(context: CommandContext, vm: Row): Promise<void> {
  const vdi = await byNameOrUuid(context.rpc, 'vdi', context.required('cd-name'));
  const vbd = (await vbdsOf(context, vm, 'CD')).find(({ record }) => record['VDI'] === vdi.ref);
  if (vbd === undefined) throw new NoMatchError('the VM has no drive with it');
  await context.rpc.call('VBD.destroy', vbd.ref);
}

/** The disks in repositories for discs. */
async function listCds(context: CommandContext): Promise<void> {
  const srs = (await fetchRows(context.rpc, await kindOf('sr')))
    .filter(({ record }) => record['content_type'] === 'iso')
    .map(({ ref }) => ref);
  const kind = await kindOf('vdi');
  const rows = (await fetchRows(context.rpc, kind)).filter(({ record }) => srs.includes(textOf(record['SR'])));
  await showRows(context, rows, wantedColumns(kind, context.values.get('params') ?? 'name-label,uuid'));
}

const listParams = { optional: ['vbd-params', 'vdi-params'] } as const;

export const vmDeviceCommands: readonly Command[] = [
  onVm('disk-list', 'lists its disks', listParams, (context, vm) => listDrives(context, vm, 'Disk')),
  onVm('cd-list', 'lists its drives for discs', listParams, (context, vm) => listDrives(context, vm, 'CD')),
  onVm(
    'disk-add',
    'makes a disk and gives it to the VM',
    { required: ['disk-size', 'device'], optional: ['sr-uuid'] },
    addDisk,
  ),
  onVm('disk-remove', 'takes a disk from the VM and destroys it', { required: ['device'] }, removeDisk),
  onVm('cd-add', 'gives the VM a drive with a disc: cd-name=NAME-OR-UUID', { required: ['cd-name', 'device'] }, addCd),
  onVm('cd-remove', 'takes the drive with a disc from the VM', { required: ['cd-name'] }, removeCd),
  onVm('vif-list', 'lists its network interfaces', { optional: ['params'] }, listVifs),
  {
    name: 'cd-list',
    help: 'lists the discs that a VM can be given',
    required: [],
    optional: ['params'],
    run: listCds,
  },
];
