/** The image of a suspended VM: a VDI of type suspend, next to the disks of the host it ran on. */
import { nullRef, type Ref } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import { hostOfSr, vdiPath } from '../storage/vdi-path.ts';
import type { Xapi } from '../xapi.ts';

/** Records where a VM's memory will be saved. @throws XapiError VM_NO_SUSPEND_SR when the host has no repository */
export function createSuspendVdi(xapi: Xapi, vm: Ref<'VM'>, host: Ref<'host'>): Ref<'VDI'> {
  const { db } = xapi;
  const record = db.get('VM', vm);
  const attached = db
    .get('host', host)
    .PBDs.map((pbd) => db.get('PBD', pbd))
    .filter((pbd) => pbd.currently_attached && db.get('SR', pbd.SR).type === 'file')
    .map((pbd) => pbd.SR);
  const wanted = [record.suspend_SR, db.get('host', host).suspend_image_sr];
  const sr = wanted.find((candidate) => attached.includes(candidate)) ?? attached[0];
  if (sr === undefined) throw new XapiError('VM_NO_SUSPEND_SR', vm);
  const vdi = db.create('VDI', {
    name_label: 'Suspend image',
    name_description: `Memory of ${record.uuid}`,
    SR: sr,
    type: 'suspend',
    virtual_size: record.memory_static_max,
    read_only: false,
    sharable: false,
    managed: true,
  });
  db.update('VDI', vdi, { location: `${db.get('VDI', vdi).uuid}.save` });
  db.update('VM', vm, { suspend_VDI: vdi });
  return vdi;
}

/** Forgets the image of a VM and removes its file. */
export async function destroySuspendVdi(xapi: Xapi, vm: Ref<'VM'>): Promise<void> {
  const { db } = xapi;
  const { suspend_VDI: vdi } = db.get('VM', vm);
  db.update('VM', vm, { suspend_VDI: nullRef() });
  if (!db.has('VDI', vdi)) return;
  const record = db.get('VDI', vdi);
  const host = hostOfSr(db, record.SR, (candidate) => xapi.hosts.isLive(candidate));
  const path = vdiPath(db, record, host);
  // The file first: a record without its file is found by whoever looks, a file without its record by nobody.
  await xapi.hosts.onFiles(host, (files) => files.remove(path));
  db.destroy('VDI', vdi);
}
