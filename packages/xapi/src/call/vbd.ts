/** Calls of block devices of VMs. XAPI: ocaml/xapi/xapi_vbd.ml. */
import { nullRef } from '@xenolith/base';
import type { Ref } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import { diskName } from '../vm/domain-config.ts';
import type { Xapi } from '../xapi.ts';
import type { CallsOf } from './call.ts';

/** More disks than this no PV guest sees (xvda … xvdz). */
export const disksMax = 26;

/** Places for disks that a VM has free, as numbers. */
export function freeDevices(xapi: Xapi, vm: Ref<'VM'>): readonly string[] {
  const taken = new Set(xapi.db.get('VM', vm).VBDs.map((vbd) => diskName(xapi.db.get('VBD', vbd).userdevice)));
  return Array.from({ length: disksMax }, (_, index) => String(index)).filter((device) => !taken.has(diskName(device)));
}

export const vbdCalls = {
  create: ({ xapi }, { args }) => {
    const { db } = xapi;
    const { VM, empty = false, userdevice = 'autodetect', type = 'Disk', mode = 'RW' } = args;
    if (VM === undefined) throw new XapiError('FIELD_TYPE_ERROR', 'VM');
    const vm = db.get('VM', VM);
    const VDI = empty ? nullRef<'VDI'>() : (args.VDI ?? nullRef<'VDI'>());
    if (!empty) db.get('VDI', VDI);
    if (vm.power_state !== 'Halted')
      throw new XapiError('VM_BAD_POWER_STATE', VM, 'halted', vm.power_state.toLowerCase());
    const free = freeDevices(xapi, VM);
    const place = userdevice === 'autodetect' || userdevice === '' ? free[0] : userdevice;
    if (place === undefined) throw new XapiError('DEVICE_ALREADY_EXISTS', userdevice);
    const device = diskName(place);
    if (!free.some((candidate) => diskName(candidate) === device)) throw new XapiError('DEVICE_ALREADY_EXISTS', place);
    if (type === 'CD' && mode !== 'RO') throw new XapiError('VBD_CDS_MUST_BE_READONLY');
    return db.create('VBD', {
      ...args,
      VM,
      VDI,
      empty,
      userdevice: place,
      device: '',
      type,
      mode,
      currently_attached: false,
      allowed_operations: ['attach'],
    });
  },
  destroy: ({ xapi }, { self }) => {
    if (xapi.db.get('VBD', self).currently_attached) throw new XapiError('DEVICE_ALREADY_ATTACHED', self);
    xapi.db.destroy('VBD', self);
  },
  set_mode: ({ xapi }, { self, value }) => {
    const vbd = xapi.db.get('VBD', self);
    if (vbd.currently_attached) throw new XapiError('DEVICE_ALREADY_ATTACHED', self);
    if (vbd.type === 'CD' && value === 'RW') throw new XapiError('VBD_CDS_MUST_BE_READONLY');
    xapi.db.update('VBD', self, { mode: value });
  },
} as const satisfies CallsOf<'VBD'>;
