/** Calls of block devices of VMs. XAPI: ocaml/xapi/xapi_vbd.ml. */
import { nullRef } from '@xenolith/base';
import type { Ref } from '@xenolith/base';
import type { EnumOf, RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import { updateDeviceOperations, updateDiskOperations } from '../storage/allowed-operations.ts';
import { assertDevicesMayChange, assertHalted, attachRefusal, vbdRefusal } from '../storage/attach.ts';
import { assertDetached, assertDeviceAllows } from '../storage/device-operations.ts';
import { ejectDisc, insertDisc, plugDisk, unplugDisk } from '../storage/hot-plug.ts';
import { usesOf } from '../storage/vdi-operations.ts';
import { freeDevices } from '../vm/disk-places.ts';
import { diskName } from '../vm/domain-config.ts';
import type { Xapi } from '../xapi.ts';
import type { CallsOf } from './call.ts';

/**
 * Refuses what could never be attached so; what another VM has only now is seen when the VM starts.
 * @throws XapiError VDI_NOT_MANAGED, VDI_INCOMPATIBLE_TYPE, VDI_READONLY
 */
function assertAttachableKind(xapi: Xapi, ref: Ref<'VDI'>, mode: EnumOf<'vbd_mode'>): void {
  const vdi = xapi.db.get('VDI', ref);
  const kind = { ...vdi, missing: false, current_operations: {} };
  const refusal = attachRefusal({ ref, vdi: kind, writes: mode === 'RW', others: [] });
  if (refusal !== undefined) throw refusal;
}

/**
 * The place that a disk is given: the one asked for when it is free, the first free one when none is asked for.
 * @throws XapiError INVALID_DEVICE, DEVICE_ALREADY_EXISTS
 */
function placeFor(free: readonly string[], asked: string): string {
  const place = asked === 'autodetect' || asked === '' ? free[0] : asked;
  if (place === undefined) throw new XapiError('DEVICE_ALREADY_EXISTS', asked);
  if (/^0\d/.test(place)) throw new XapiError('INVALID_DEVICE', place);
  const device = diskName(place);
  if (!free.some((candidate) => diskName(candidate) === device)) throw new XapiError('DEVICE_ALREADY_EXISTS', place);
  return place;
}

/** A device that may be made another one: its VM has not got it now. */
function changeable(xapi: Xapi, self: Ref<'VBD'>): RecordOf<'VBD'> {
  const vbd = xapi.db.get('VBD', self);
  assertDetached(xapi, 'VBD', self);
  assertDevicesMayChange(xapi, vbd.VM);
  return vbd;
}

/** @throws XapiError VBD_CDS_MUST_BE_READONLY; INVALID_VALUE for a disk without an image */
function assertType({ type, mode, empty }: Pick<RecordOf<'VBD'>, 'type' | 'mode' | 'empty'>): void {
  if (empty && type === 'Disk') throw new XapiError('INVALID_VALUE', 'empty', 'only a drive can be empty');
  if (type === 'CD' && mode !== 'RO') throw new XapiError('VBD_CDS_MUST_BE_READONLY');
}

export const vbdCalls = {
  create: ({ xapi }, { args }) => {
    const { db } = xapi;
    const { VM, empty, userdevice, mode } = args;
    const VDI = empty ? nullRef<'VDI'>() : args.VDI;
    assertType(args);
    assertDevicesMayChange(xapi, VM);
    if (!empty) assertAttachableKind(xapi, VDI, mode);
    const place = placeFor(freeDevices(xapi, VM), userdevice);
    const vbd = db.create('VBD', {
      ...args,
      VDI,
      userdevice: place,
      device: '',
      currently_attached: false,
    });
    updateDeviceOperations(xapi, VM);
    return vbd;
  },
  destroy: ({ xapi }, { self }) => {
    const { VM, VDI } = xapi.db.get('VBD', self);
    assertDetached(xapi, 'VBD', self);
    if (xapi.db.has('VM', VM)) assertDevicesMayChange(xapi, VM);
    xapi.db.destroy('VBD', self);
    updateDiskOperations(xapi, VDI);
    updateDeviceOperations(xapi, VM);
  },
  set_mode: ({ xapi }, { self, value }) => {
    const vbd = changeable(xapi, self);
    assertHalted(xapi, vbd.VM);
    assertType({ ...vbd, mode: value });
    if (xapi.db.has('VDI', vbd.VDI)) assertAttachableKind(xapi, vbd.VDI, value);
    xapi.db.update('VBD', self, { mode: value });
    updateDeviceOperations(xapi, vbd.VM);
  },
  set_type: ({ xapi }, { self, value }) => {
    assertType({ ...changeable(xapi, self), type: value });
    xapi.db.update('VBD', self, { type: value });
  },
  set_userdevice: ({ xapi }, { self, value }) => {
    const { VM, userdevice } = changeable(xapi, self);
    // Its own place is free for it, under any of its names.
    xapi.db.update('VBD', self, { userdevice: placeFor([...freeDevices(xapi, VM), userdevice], value) });
  },
  set_unpluggable: ({ xapi }, { self, value }) => {
    const { VM } = xapi.db.get('VBD', self);
    xapi.db.update('VBD', self, { unpluggable: value });
    updateDeviceOperations(xapi, VM);
  },
  plug: (call, { self }) => plugDisk(call, self),
  unplug: (call, { self }) => unplugDisk(call, self, { force: false }),
  unplug_force: (call, { self }) => unplugDisk(call, self, { force: true }),
  unplug_force_no_safety_check: (call, { self }) => unplugDisk(call, self, { force: true }),
  insert: (call, { vbd, vdi }) => {
    const { xapi } = call;
    assertDeviceAllows(xapi, 'VBD', vbd, 'insert');
    const others = usesOf(xapi.db, vdi);
    const refusal = attachRefusal({ ref: vdi, vdi: xapi.db.get('VDI', vdi), writes: false, others });
    if (refusal !== undefined) throw refusal;
    return insertDisc(call, vbd, vdi);
  },
  eject: (call, { vbd }) => ejectDisc(call, vbd),
  assert_attachable: ({ xapi }, { self }) => {
    const { currently_attached } = xapi.db.get('VBD', self);
    if (currently_attached) throw new XapiError('DEVICE_ALREADY_ATTACHED', self);
    const refusal = vbdRefusal(xapi, self);
    if (refusal !== undefined) throw refusal;
  },
} as const satisfies CallsOf<'VBD'>;
