/** Calls of disks. XAPI: ocaml/xapi/xapi_vdi.ml. */
import { nullRef, type Ref } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import { updateDiskOperations } from '../storage/allowed-operations.ts';
import { lookAtDisk } from '../storage/scan.ts';
import { finishSnapshots, makeSnapshots } from '../storage/snapshot.ts';
import { withVdiOperation } from '../storage/under-way.ts';
import { usesOf } from '../storage/vdi-operations.ts';
import {
  copyInto,
  destroyDisk,
  forgetDisk,
  introduceDisk,
  makeCopy,
  makeDisk,
  resizeDisk,
} from '../storage/vdi-work.ts';
import type { Xapi } from '../xapi.ts';
import type { CallsOf } from './call.ts';
import { plainSet } from './plain.ts';

/** @throws XapiError SR_OPERATION_NOT_SUPPORTED */
function refuseCbt(xapi: Xapi, self: Ref<'VDI'>): never {
  throw new XapiError('SR_OPERATION_NOT_SUPPORTED', xapi.db.get('VDI', self).SR);
}

export const vdiCalls = {
  create: async (call, { args }) => {
    const vdi = await makeDisk(call, args);
    call.xapi.disks.finish([vdi]);
    return vdi;
  },
  destroy: (call, { self }) => destroyDisk(call, self),
  clone: async (call, { vdi }) => {
    const copy = await makeCopy(call, vdi, 'clone');
    call.xapi.disks.finish([copy]);
    return copy;
  },
  copy: async (call, { vdi, sr, base_vdi, into_vdi }) => {
    if (base_vdi !== nullRef()) call.xapi.db.get('VDI', base_vdi);
    if (into_vdi !== nullRef()) {
      // Into a disk that is as the base was, all of it comes to the same as what changed.
      await copyInto(call, vdi, into_vdi);
      return into_vdi;
    }
    if (base_vdi !== nullRef()) throw new XapiError('NOT_IMPLEMENTED', 'VDI.copy of what changed into a new disk');
    const copy = await makeCopy(call, vdi, 'copy', sr === nullRef() ? undefined : sr);
    call.xapi.disks.finish([copy]);
    return copy;
  },
  snapshot: async (call, { vdi }) => {
    const snapshots = await makeSnapshots(call, [vdi]);
    finishSnapshots(call.xapi, snapshots);
    return snapshots.get(vdi) ?? nullRef();
  },
  resize: (call, { vdi, size }) => resizeDisk(call, vdi, size),
  forget: ({ xapi }, { vdi }) => forgetDisk(xapi, vdi),
  update: (call, { vdi }) => withVdiOperation(call, vdi, 'update', () => lookAtDisk(call.xapi, vdi)),
  introduce: (call, args) => introduceDisk(call, args),
  pool_introduce: (call, args) => introduceDisk(call, args),
  // No driver here resets a disk at boot, or follows which blocks change; XAPI refuses it in the same words.
  set_on_boot: ({ xapi }, { self, value }) => {
    const { SR } = xapi.db.get('VDI', self);
    if (value === 'reset') throw new XapiError('SR_OPERATION_NOT_SUPPORTED', SR);
    xapi.db.update('VDI', self, { on_boot: value });
  },
  enable_cbt: ({ xapi }, { self }) => refuseCbt(xapi, self),
  disable_cbt: ({ xapi }, { self }) => refuseCbt(xapi, self),
  data_destroy: ({ xapi }, { self }) => refuseCbt(xapi, self),
  list_changed_blocks: ({ xapi }, { vdi_from, vdi_to }) => {
    xapi.db.get('VDI', vdi_from);
    return refuseCbt(xapi, vdi_to);
  },
  // There is no network that hosts serve disks on by NBD.
  get_nbd_info: ({ xapi }, { self }) => {
    xapi.db.get('VDI', self);
    return [];
  },
  set_missing: plainSet('VDI', 'missing'),
  set_virtual_size: plainSet('VDI', 'virtual_size'),
  set_physical_utilisation: plainSet('VDI', 'physical_utilisation'),
  set_name_label: plainSet('VDI', 'name_label'),
  set_name_description: plainSet('VDI', 'name_description'),
  set_is_a_snapshot: plainSet('VDI', 'is_a_snapshot'),
  set_snapshot_of: plainSet('VDI', 'snapshot_of'),
  set_snapshot_time: plainSet('VDI', 'snapshot_time'),
  set_metadata_of_pool: plainSet('VDI', 'metadata_of_pool'),
  set_sharable: ({ xapi }, { self, value }) => {
    const uses = usesOf(xapi.db, self);
    if (!value && uses.length > 1 && uses.some(({ writes }) => writes)) {
      throw new XapiError('VDI_IN_USE', self, 'set_sharable');
    }
    xapi.db.update('VDI', self, { sharable: value });
    updateDiskOperations(xapi, self);
  },
  set_read_only: ({ xapi }, { self, value }) => {
    if (value && usesOf(xapi.db, self).some(({ writes }) => writes)) {
      throw new XapiError('VDI_IN_USE', self, 'set_read_only');
    }
    xapi.db.update('VDI', self, { read_only: value });
    updateDiskOperations(xapi, self);
  },
} as const satisfies CallsOf<'VDI'>;
