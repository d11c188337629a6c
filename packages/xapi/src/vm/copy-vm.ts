/**
 * Copies of VMs: clones, full copies, snapshots and checkpoints differ in what their disks come from and in what their
 * record says of where it came from. XAPI: ocaml/xapi/xapi_vm_clone.ml (`clone`, `copy_vm_record`).
 */
import { nullRef, randomUuid, type Ref } from '@xenolith/base';
import { formatDateTime } from '@xenolith/wire';
import type { Call } from '../call/call.ts';
import { randomMac } from '../call/vif.ts';
import type { RecordOf } from '../datamodel/types.ts';
import { updateDeviceOperations } from '../storage/allowed-operations.ts';
import { finishSnapshots, makeSnapshots } from '../storage/snapshot.ts';
import { makeCopy } from '../storage/vdi-work.ts';
import type { Xapi } from '../xapi.ts';
import { newVmRecord } from './new-vm.ts';
import { updateAllowedOperations, type PowerState } from './operations.ts';
import { copySuspendVdi } from './suspend-image.ts';

/** The fields of a VM that its copy does not inherit. */
const ownFields = [
  'uuid',
  'allowed_operations',
  'current_operations',
  'blocked_operations',
  'power_state',
  'is_default_template',
  'is_a_snapshot',
  'snapshot_of',
  'snapshots',
  'snapshot_time',
  'snapshot_info',
  'snapshot_metadata',
  'transportable_snapshot_id',
  'is_snapshot_from_vmpp',
  'is_vmss_snapshot',
  'parent',
  'children',
  'suspend_VDI',
  'suspend_SR',
  'resident_on',
  'scheduled_to_be_resident_on',
  'consoles',
  'VIFs',
  'VBDs',
  'VUSBs',
  'crash_dumps',
  'VTPMs',
  'domid',
  'memory_target',
  'metrics',
  'guest_metrics',
  'VGPUs',
  'attached_PCIs',
  'blobs',
  'groups',
  'appliance',
  'start_delay',
  'shutdown_delay',
  'order',
  'version',
  'ha_always_run',
  'requires_reboot',
  'protection_policy',
  'snapshot_schedule',
] as const satisfies readonly (keyof RecordOf<'VM'>)[];

export interface CopyOptions {
  readonly nameLabel: string;
  readonly operation: 'clone' | 'copy' | 'snapshot' | 'checkpoint';
  /** Where the copies of its disks go; each beside its original when absent. */
  readonly sr?: Ref<'SR'>;
  /** Disks that a snapshot leaves out, with their devices. */
  readonly ignored?: readonly Ref<'VDI'>[];
  /** What the VM was when a snapshot of it was asked for, where that is not what it is by now. */
  readonly powerStateBefore?: PowerState;
  /** The snapshot is taken by a schedule. */
  readonly byVmss?: boolean;
}

const isSnapshot = ({ operation }: CopyOptions): boolean => operation === 'snapshot' || operation === 'checkpoint';

/**
 * Makes a copy of a VM with copies of its disks, and of its memory image where it has one that the copy goes on from. It
 * appears whole, in one commit, once all is there; what was made is removed again when a disk cannot be copied.
 */
export async function copyVm(call: Call, from: Ref<'VM'>, options: CopyOptions): Promise<Ref<'VM'>> {
  const { xapi } = call;
  const { db } = xapi;
  const source = db.get('VM', from);
  const ignored = new Set(options.ignored);
  const vbds = source.VBDs.map((vbd) => db.get('VBD', vbd)).filter(({ VDI }) => !ignored.has(VDI));
  const own = vbds.filter(({ VDI, type }) => type === 'Disk' && db.has('VDI', VDI)).map(({ VDI }) => VDI);
  const disks = await copyDisks(call, from, [...new Set(own)], options);
  const withMemory = options.operation !== 'snapshot' && source.power_state === 'Suspended';
  let image: Ref<'VDI'> | undefined;
  try {
    if (withMemory) image = await copySuspendVdi(xapi, db.get('VM', from).suspend_VDI);
    call.task.throwIfCancelled();
  } catch (error) {
    await xapi.disks.abandon([...disks.values(), ...(image === undefined ? [] : [image])]);
    throw error;
  }
  // From here to the end nothing waits, so all of it is in one commit.
  if (isSnapshot(options)) finishSnapshots(xapi, disks);
  else xapi.disks.finish([...disks.values()]);
  if (image !== undefined) xapi.disks.finish([image]);
  const vm = copyRecord(xapi, from, source, options, image);
  for (const vbd of vbds) {
    const { uuid: _uuid, allowed_operations: _allowed, current_operations: _current, metrics: _metrics, ...rest } = vbd;
    const VDI = disks.get(vbd.VDI) ?? (db.has('VDI', vbd.VDI) ? vbd.VDI : nullRef<'VDI'>());
    // The copy of a disk is its VM's own, whoever had the original.
    const other_config = vbd.type === 'Disk' ? { ...vbd.other_config, owner: '' } : vbd.other_config;
    db.create('VBD', { ...rest, other_config, VM: vm, VDI, currently_attached: false });
  }
  for (const vif of db.get('VM', from).VIFs) copyVif(xapi, db.get('VIF', vif), vm, isSnapshot(options));
  updateAllowedOperations(xapi, vm);
  updateDeviceOperations(xapi, vm);
  return vm;
}

/** Copies of disks, unfinished. */
async function copyDisks(
  call: Call,
  vm: Ref<'VM'>,
  disks: readonly Ref<'VDI'>[],
  options: CopyOptions,
): Promise<ReadonlyMap<Ref<'VDI'>, Ref<'VDI'>>> {
  const { operation, sr } = options;
  if (operation === 'snapshot' || operation === 'checkpoint') return await makeSnapshots(call, disks, vm);
  const made = new Map<Ref<'VDI'>, Ref<'VDI'>>();
  try {
    for (const vdi of disks) {
      call.task.throwIfCancelled();
      made.set(vdi, await makeCopy(call, vdi, operation, sr));
      call.task.setProgress(made.size / (disks.length + 1));
    }
  } catch (error) {
    await call.xapi.disks.abandon([...made.values()]);
    throw error;
  }
  return made;
}

/** An interface like another one; a snapshot keeps its address, as it is never on the network itself. */
export function copyVif(xapi: Xapi, vif: RecordOf<'VIF'>, VM: Ref<'VM'>, keepsMac: boolean): void {
  const { uuid: _uuid, allowed_operations: _allowed, current_operations: _current, metrics: _metrics, ...rest } = vif;
  const address = keepsMac ? {} : { MAC: randomMac(xapi.random), MAC_autogenerated: true };
  xapi.db.create('VIF', { ...rest, ...address, VM, currently_attached: false });
}

/** The record of a copy. `source` is the VM as it was when its disks were looked at. */
function copyRecord(
  xapi: Xapi,
  from: Ref<'VM'>,
  source: RecordOf<'VM'>,
  options: CopyOptions,
  image: Ref<'VDI'> | undefined,
): Ref<'VM'> {
  const { db } = xapi;
  const inherited = Object.fromEntries(
    Object.entries(source).filter(([name]) => !(ownFields as readonly string[]).includes(name)),
  );
  const vm = newVmRecord(xapi, {
    ...inherited,
    name_label: options.nameLabel,
    other_config: otherConfigOf(xapi, source, options),
    guest_metrics: copyGuestMetrics(xapi, source.guest_metrics),
    ...(image === undefined
      ? {}
      : { power_state: 'Suspended', suspend_VDI: image, memory_target: source.memory_target }),
    ...(isSnapshot(options) ? snapshotFields(xapi, from, source, options) : {}),
  });
  if (isSnapshot(options)) db.update('VM', from, { parent: vm });
  return vm;
}

/** What the record of a snapshot says of where it came from. The order of snapshots is a chain of `parent`. */
function snapshotFields(
  xapi: Xapi,
  from: Ref<'VM'>,
  source: RecordOf<'VM'>,
  options: CopyOptions,
): Partial<RecordOf<'VM'>> {
  return {
    is_a_template: true,
    is_a_snapshot: true,
    snapshot_of: from,
    snapshot_time: formatDateTime(xapi.clock.now()),
    snapshot_info: {
      'disk-snapshot-type': 'crash_consistent',
      'power-state-at-snapshot': options.powerStateBefore ?? source.power_state,
    },
    // Read by `VM.revert` alone. XAPI's own form of it is another one, and opaque to clients too.
    snapshot_metadata: JSON.stringify(source),
    is_vmss_snapshot: options.byVmss === true,
    parent: xapi.db.get('VM', from).parent,
  };
}

/** XAPI derives MAC addresses from `mac_seed`, so no two VMs have the same; here it is only kept for clients. */
function otherConfigOf(xapi: Xapi, source: RecordOf<'VM'>, options: CopyOptions): Readonly<Record<string, string>> {
  const { default_template: _default, xensource_internal: _internal, ...kept } = source.other_config;
  return {
    ...kept,
    ...(isSnapshot(options) ? {} : { mac_seed: randomUuid(xapi.random) }),
    ...(source.is_a_template && kept['base_template_name'] === undefined
      ? { base_template_name: source.name_label }
      : {}),
  };
}

export function copyGuestMetrics({ db }: Xapi, ref: Ref<'VM_guest_metrics'>): Ref<'VM_guest_metrics'> {
  const record = db.find('VM_guest_metrics', ref);
  if (record === undefined) return nullRef();
  const { uuid: _, ...rest } = record;
  return db.create('VM_guest_metrics', rest);
}
