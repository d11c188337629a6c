/**
 * Back to a snapshot: the VM gets copies of the snapshot's disks, devices, and memory image where it has one, and the
 * settings that it had then. XAPI: ocaml/xapi/xapi_vm_snapshot.ml (`revert`). Unlike there the copies are made first, so
 * a VM whose snapshot cannot be copied goes on as it was, and what it had is only removed once it is reverted.
 */
import { nullRef, type Ref } from '@xenolith/base';
import type { Call } from '../call/call.ts';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import { updateDeviceOperations } from '../storage/allowed-operations.ts';
import { makeCopy } from '../storage/vdi-work.ts';
import type { Xapi } from '../xapi.ts';
import { copyGuestMetrics, copyVif } from './copy-vm.ts';
import { updateMemoryOverhead } from './memory-overhead.ts';
import { withOperation } from './operations.ts';
import { markHalted, markSuspended } from './power-state.ts';
import { hardShutdown } from './power-work.ts';
import { copySuspendVdi, removeSuspendVdi } from './suspend-image.ts';

/** What a VM goes back to. What is not here is a place, a relation, or for people to sort by (tags, affinity). */
const revertedFields = [
  'name_label',
  'name_description',
  'user_version',
  'memory_static_max',
  'memory_dynamic_max',
  'memory_dynamic_min',
  'memory_static_min',
  'VCPUs_params',
  'VCPUs_max',
  'VCPUs_at_startup',
  'actions_after_softreboot',
  'actions_after_shutdown',
  'actions_after_reboot',
  'actions_after_crash',
  'PV_bootloader',
  'PV_kernel',
  'PV_ramdisk',
  'PV_args',
  'PV_bootloader_args',
  'PV_legacy_args',
  'HVM_boot_policy',
  'HVM_boot_params',
  'HVM_shadow_multiplier',
  'platform',
  'PCI_bus',
  'other_config',
  'last_boot_CPU_flags',
  'last_booted_record',
  'recommendations',
  'xenstore_data',
  'ha_restart_priority',
  'blocked_operations',
  'bios_strings',
  'start_delay',
  'shutdown_delay',
  'order',
  'version',
  'generation_id',
  'hardware_platform_version',
  'has_vendor_device',
  'reference_label',
  'domain_type',
  'NVRAM',
  'numa_affinity_policy',
] as const satisfies readonly (keyof RecordOf<'VM'>)[];

interface Copies {
  /** Copies by the disks of the snapshot. */
  readonly disks: ReadonlyMap<Ref<'VDI'>, Ref<'VDI'>>;
  readonly image: Ref<'VDI'> | undefined;
}

/** @throws XapiError VM_REVERT_FAILED when the VM is gone; the refusals of disks and repositories */
export async function revert(call: Call, snapshot: Ref<'VM'>): Promise<void> {
  const { xapi } = call;
  const { db } = xapi;
  await withOperation(call, snapshot, 'revert', async () => {
    const vm = db.get('VM', snapshot).snapshot_of;
    if (!db.has('VM', vm)) throw new XapiError('VM_REVERT_FAILED', vm, snapshot);
    await withOperation(call, vm, 'reverting', async () => {
      const copies = await makeCopies(call, snapshot);
      const { disks, image } = copies;
      try {
        for (;;) {
          const { power_state } = db.get('VM', vm);
          if (power_state !== 'Running' && power_state !== 'Paused') break;
          await hardShutdown(xapi, vm);
        }
        assertReplaceable(xapi, vm, snapshot);
      } catch (error) {
        await xapi.disks.abandon([...disks.values(), ...(image === undefined ? [] : [image])]);
        throw error;
      }
      await replace(xapi, vm, snapshot, copies);
    });
  });
}

async function makeCopies(call: Call, snapshot: Ref<'VM'>): Promise<Copies> {
  const { xapi, task } = call;
  const { db } = xapi;
  const { VBDs, suspend_VDI, power_state } = db.get('VM', snapshot);
  const from = new Set(
    VBDs.map((vbd) => db.get('VBD', vbd))
      .filter(({ VDI, type }) => type === 'Disk' && db.has('VDI', VDI))
      .map(({ VDI }) => VDI),
  );
  const disks = new Map<Ref<'VDI'>, Ref<'VDI'>>();
  try {
    for (const vdi of from) {
      disks.set(vdi, await makeCopy(call, vdi, 'clone'));
      task.setProgress(disks.size / (from.size + 1));
    }
    const image = power_state === 'Suspended' ? await copySuspendVdi(xapi, suspend_VDI) : undefined;
    return { disks, image };
  } catch (error) {
    await xapi.disks.abandon([...disks.values()]);
    throw error;
  }
}

/** The disks of a VM that those of a snapshot take the place of. Others stay, in no VM; so do those that another VM has. */
function replacedDisks({ db }: Xapi, vm: Ref<'VM'>, snapshot: Ref<'VM'>): readonly Ref<'VDI'>[] {
  const origins = new Set(
    db
      .get('VM', snapshot)
      .VBDs.map((vbd) => db.get('VBD', vbd).VDI)
      .map((vdi) => db.find('VDI', vdi)?.snapshot_of),
  );
  const disks = new Set(db.get('VM', vm).VBDs.map((vbd) => db.get('VBD', vbd).VDI));
  return [...disks].filter(
    (vdi) => origins.has(vdi) && db.get('VDI', vdi).VBDs.every((vbd) => db.get('VBD', vbd).VM === vm),
  );
}

/** @throws XapiError OTHER_OPERATION_IN_PROGRESS while somebody works with a disk that would go */
function assertReplaceable(xapi: Xapi, vm: Ref<'VM'>, snapshot: Ref<'VM'>): void {
  for (const vdi of replacedDisks(xapi, vm, snapshot)) {
    const [other] = Object.entries(xapi.db.get('VDI', vdi).current_operations);
    if (other !== undefined) throw new XapiError('OTHER_OPERATION_IN_PROGRESS', 'VDI', vdi, other[1], other[0]);
  }
}

/** Up to the first wait nothing comes between, so all of it is in one commit, and so is that the old disks will go. */
async function replace(xapi: Xapi, vm: Ref<'VM'>, snapshot: Ref<'VM'>, { disks, image }: Copies): Promise<void> {
  const { db } = xapi;
  const before = db.get('VM', vm);
  const gone = replacedDisks(xapi, vm, snapshot);
  for (const vbd of before.VBDs) db.destroy('VBD', vbd);
  for (const vif of before.VIFs) db.destroy('VIF', vif);
  xapi.disks.finish([...disks.values(), ...(image === undefined ? [] : [image])]);
  for (const vbd of db.get('VM', snapshot).VBDs) copyVbd(xapi, vbd, vm, disks);
  for (const vif of db.get('VM', snapshot).VIFs) copyVif(xapi, db.get('VIF', vif), vm, true);
  for (const [of, disk] of disks) {
    const origin = db.get('VDI', of).snapshot_of;
    if (!db.has('VDI', origin)) continue;
    for (const sibling of db.get('VDI', origin).snapshots) db.update('VDI', sibling, { snapshot_of: disk });
  }
  db.destroy('VM_guest_metrics', before.guest_metrics);
  db.update('VM', vm, {
    ...settingsAt(xapi, snapshot),
    guest_metrics: copyGuestMetrics(xapi, db.get('VM', snapshot).guest_metrics),
    parent: snapshot,
  });
  if (image === undefined) markHalted(xapi, vm);
  else {
    db.update('VM', vm, { suspend_VDI: image, memory_target: db.get('VM', snapshot).memory_target });
    markSuspended(xapi, vm);
  }
  updateMemoryOverhead(xapi, vm);
  updateDeviceOperations(xapi, vm);
  await xapi.disks.retire(gone);
  await removeSuspendVdi(xapi, before.suspend_VDI);
}

function copyVbd({ db }: Xapi, from: Ref<'VBD'>, VM: Ref<'VM'>, disks: ReadonlyMap<Ref<'VDI'>, Ref<'VDI'>>): void {
  const { uuid: _u, allowed_operations: _a, current_operations: _c, metrics: _m, ...rest } = db.get('VBD', from);
  const VDI = disks.get(rest.VDI) ?? (db.has('VDI', rest.VDI) ? rest.VDI : nullRef<'VDI'>());
  db.create('VBD', { ...rest, VM, VDI, currently_attached: false });
}

/** The settings that a VM had when its snapshot was taken. */
function settingsAt({ db }: Xapi, snapshot: Ref<'VM'>): Partial<RecordOf<'VM'>> {
  const record = db.get('VM', snapshot);
  const then = metadataOf(record.snapshot_metadata) ?? record;
  return Object.fromEntries(revertedFields.map((name) => [name, then[name]]));
}

/** A snapshot without metadata of ours is from elsewhere: its own record has what it needs to run. */
function metadataOf(text: string): RecordOf<'VM'> | undefined {
  try {
    return JSON.parse(text) as RecordOf<'VM'>;
  } catch {
    return undefined;
  }
}
