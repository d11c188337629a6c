/** Computes the `allowed_operations` of disks, devices and repositories anew: after whatever they follow from changed. */
import type { Ref } from '@xenolith/base';
import type { EnumOf } from '../datamodel/types.ts';
import type { Xapi } from '../xapi.ts';
import { deviceAllows } from './device-operations.ts';
import { srAllows } from './sr-operations.ts';
import { vdiAllows } from './vdi-operations.ts';

/** Of everything, as after a start: they are not kept. */
export function updateStorageOperations(xapi: Xapi): void {
  const { db } = xapi;
  for (const sr of db.refs('SR')) updateSrOperations(xapi, sr);
  for (const [vbd, { VDI }] of db.all('VBD')) if (!db.has('VDI', VDI)) updateVbdOperations(xapi, vbd);
  for (const vif of db.refs('VIF')) updateVifOperations(xapi, vif);
}

/** Of the repositories that a host reaches, with what is in them: when it comes or goes. */
export function updateOperationsAt(xapi: Xapi, host: Ref<'host'>): void {
  for (const pbd of xapi.db.get('host', host).PBDs) updateSrOperations(xapi, xapi.db.get('PBD', pbd).SR);
}

/** Of a repository and of the disks in it. */
export function updateSrOperations(xapi: Xapi, sr: Ref<'SR'>): void {
  const { db } = xapi;
  if (!db.has('SR', sr)) return;
  updateOwnSrOperations(xapi, sr);
  for (const vdi of db.get('SR', sr).VDIs) updateDiskOperations(xapi, vdi);
}

/** Of a repository alone. */
export function updateOwnSrOperations(xapi: Xapi, sr: Ref<'SR'>): void {
  if (xapi.db.has('SR', sr)) xapi.db.update('SR', sr, { allowed_operations: srAllows(xapi, sr) });
}

/** Of a disk and of the VBDs that it is in, since each of them follows from the others. */
export function updateDiskOperations(xapi: Xapi, vdi: Ref<'VDI'>): void {
  const { db } = xapi;
  if (!db.has('VDI', vdi)) return;
  db.update('VDI', vdi, { allowed_operations: vdiAllows(xapi, vdi) });
  for (const vbd of db.get('VDI', vdi).VBDs) updateVbdOperations(xapi, vbd);
}

/** Of a VM's devices, and of the disks in them. */
export function updateDeviceOperations(xapi: Xapi, vm: Ref<'VM'>): void {
  const { db } = xapi;
  const record = db.find('VM', vm);
  if (record === undefined) return;
  const repositories = new Set<Ref<'SR'>>();
  for (const vbd of record.VBDs) {
    const { VDI } = db.get('VBD', vbd);
    const vdi = db.find('VDI', VDI);
    if (vdi === undefined) {
      updateVbdOperations(xapi, vbd);
      continue;
    }
    updateDiskOperations(xapi, VDI);
    repositories.add(vdi.SR);
  }
  const memory = db.find('VDI', record.suspend_VDI);
  if (memory !== undefined) {
    updateDiskOperations(xapi, record.suspend_VDI);
    repositories.add(memory.SR);
  }
  for (const sr of repositories) updateOwnSrOperations(xapi, sr);
  for (const vif of record.VIFs) updateVifOperations(xapi, vif);
}

function updateVbdOperations(xapi: Xapi, ref: Ref<'VBD'>): void {
  xapi.db.update('VBD', ref, { allowed_operations: deviceAllows(xapi, 'VBD', ref) });
}

function updateVifOperations(xapi: Xapi, ref: Ref<'VIF'>): void {
  xapi.db.update('VIF', ref, { allowed_operations: deviceAllows(xapi, 'VIF', ref) as EnumOf<'vif_operations'>[] });
}
