/** Calls of schedules that take snapshots of VMs. XAPI: ocaml/xapi/xapi_vmss.ml. */
import { nullRef, type Ref } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import { copyVm } from '../vm/copy-vm.ts';
import { withOperation } from '../vm/operations.ts';
import type { SnapshotWork } from '../vm/snapshot-schedules.ts';
import { assertRetained, assertSchedule, keysFor, scheduleFor } from '../vm/vmss-schedule.ts';
import type { Xapi } from '../xapi.ts';
import type { Call, CallsOf } from './call.ts';
import { plainAddTo, plainRemoveFrom, plainSet } from './plain.ts';
import { vmLifeCalls } from './vm-life.ts';
import { checkpoint } from './vm-snapshot.ts';

/** @throws XapiError VALUE_NOT_SUPPORTED for what guests cannot do, as XAPI no longer can either */
function assertType(type: string): void {
  if (type === 'snapshot_with_quiesce')
    throw new XapiError('VALUE_NOT_SUPPORTED', 'type', type, 'guests are not asked to hold still by themselves');
}

/** The disks that go with a snapshot: they are snapshots themselves, and in no other VM. */
function disksOf({ db }: Xapi, snapshot: Ref<'VM'>): readonly Ref<'VDI'>[] {
  const vdis = db.get('VM', snapshot).VBDs.map((vbd) => db.get('VBD', vbd).VDI);
  return [...new Set(vdis)].filter((ref) => {
    const vdi = db.find('VDI', ref);
    if (vdi?.is_a_snapshot !== true || Object.keys(vdi.current_operations).length > 0) return false;
    return vdi.VBDs.every((vbd) => db.get('VBD', vbd).VM === snapshot);
  });
}

/** How schedules take snapshots, and remove them. */
export const snapshotWork: SnapshotWork = {
  take: async (call, vm, { type, name_label }) => {
    const { clock, db } = call.xapi;
    const nameLabel = `${name_label} ${new Date(clock.now()).toISOString().slice(0, 16)}`;
    const runs = db.get('VM', vm).power_state === 'Running';
    // A guest that does not run has no memory to keep.
    if (type === 'checkpoint' && runs) {
      await withOperation(call, vm, 'checkpoint', () => checkpoint(call, vm, { nameLabel, byVmss: true }));
      return;
    }
    await withOperation(call, vm, 'snapshot', () =>
      copyVm(call, vm, { nameLabel, operation: 'snapshot', byVmss: true }),
    );
  },
  remove: async (call, snapshot) => {
    const disks = disksOf(call.xapi, snapshot);
    // Its records go before anything is waited for, so that its disks will go is in the same commit.
    const ending = vmLifeCalls.destroy(call, { self: snapshot });
    if (!call.xapi.db.has('VM', snapshot)) await call.xapi.disks.retire(disks);
    await ending;
  },
};

export const vmssCalls = {
  create: ({ xapi }: Call, { args }) => {
    const { frequency, schedule = {}, retained_snapshots = 7, type } = args;
    assertType(type);
    assertSchedule(schedule, keysFor(frequency));
    assertRetained(retained_snapshots);
    const vmss = xapi.db.create('VMSS', { ...args, schedule: scheduleFor(frequency, schedule) });
    xapi.schedules.plan();
    return vmss;
  },
  destroy: ({ xapi }, { self }) => {
    const { db, messages } = xapi;
    const { VMs, uuid } = db.get('VMSS', self);
    if (VMs.length > 0) throw new XapiError('VMSS_HAS_VM');
    const about = messages.matching(({ obj_uuid }) => obj_uuid === uuid);
    for (const message of Object.keys(about)) db.destroy('message', message as Ref<'message'>);
    db.destroy('VMSS', self);
  },
  snapshot_now: async ({ xapi }, { vmss }) => {
    xapi.db.get('VMSS', vmss);
    if (xapi.schedules.isRunning(vmss)) {
      throw new XapiError('OTHER_OPERATION_IN_PROGRESS', 'VMSS', vmss, 'snapshot_now', nullRef());
    }
    await xapi.schedules.run(vmss);
    return '';
  },
  set_retained_snapshots: ({ xapi }, { self, value }) => {
    assertRetained(value);
    xapi.db.update('VMSS', self, { retained_snapshots: value });
  },
  set_frequency: ({ xapi }, { self, value }) => {
    const schedule = scheduleFor(value, xapi.db.get('VMSS', self).schedule);
    xapi.db.update('VMSS', self, { frequency: value, schedule });
  },
  set_schedule: ({ xapi }, { self, value }) => {
    assertSchedule(value);
    xapi.db.update('VMSS', self, { schedule: value });
  },
  add_to_schedule: (call, args) => {
    assertSchedule({ [args.key]: args.value });
    plainAddTo('VMSS', 'schedule')(call, args);
  },
  remove_from_schedule: plainRemoveFrom('VMSS', 'schedule'),
  set_last_run_time: plainSet('VMSS', 'last_run_time'),
  set_type: ({ xapi }, { self, value }) => {
    assertType(value);
    xapi.db.update('VMSS', self, { type: value });
  },
} as const satisfies CallsOf<'VMSS'>;
