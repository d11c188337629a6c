/** The places that a VM has for disks. */
import type { Ref } from '@xenolith/base';
import type { Xapi } from '../xapi.ts';
import { diskName } from './domain-config.ts';

/** More disks than this no PV guest sees (xvda … xvdz). */
export const disksMax = 26;

/** Places for disks that a VM has free, as numbers. */
export function freeDevices(xapi: Xapi, vm: Ref<'VM'>): readonly string[] {
  const taken = new Set(xapi.db.get('VM', vm).VBDs.map((vbd) => diskName(xapi.db.get('VBD', vbd).userdevice)));
  return Array.from({ length: disksMax }, (_, index) => String(index)).filter((device) => !taken.has(diskName(device)));
}
