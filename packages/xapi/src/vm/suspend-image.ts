/**
 * The image of a suspended VM: a VDI of type suspend, next to the disks of the host it ran on.
 *
 * The host's file is the truth: it has its name from the moment the domain has ended in it until the moment before a
 * domain goes on from it (see `save` and `restore` of HostDriver). So an image that is there was never gone on from, and
 * a VM can lose its memory to a crash of ours neither while it is saved nor while it is restored.
 */
import { nullRef, type Ref } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import { HostError, unfinishedSuffix, type HostFiles } from '../host-driver.ts';
import { carryImage } from '../storage/carry.ts';
import { imageEnding, removeDiskRecord } from '../storage/unfinished-disks.ts';
import type { Work } from '../storage/vdi-operations.ts';
import { hostOfSr, vdiPath } from '../storage/vdi-path.ts';
import type { Xapi } from '../xapi.ts';

/** The repositories with files that a host reaches. */
const fileSrsOf = ({ db }: Xapi, host: Ref<'host'>): readonly Ref<'SR'>[] =>
  db
    .get('host', host)
    .PBDs.map((pbd) => db.get('PBD', pbd))
    .filter((pbd) => pbd.currently_attached && db.get('SR', pbd.SR).type === 'file')
    .map((pbd) => pbd.SR);

/**
 * Where a VM's memory would be saved: undefined when there is no such repository.
 * @param host where it runs
 * @param next where it is to go on, when that is another host
 */
export function suspendSr(xapi: Xapi, vm: Ref<'VM'>, host: Ref<'host'>, next = host): Ref<'SR'> | undefined {
  const { db } = xapi;
  const there = new Set(fileSrsOf(xapi, next));
  const attached = fileSrsOf(xapi, host).filter((sr) => there.has(sr));
  const wanted = [db.get('VM', vm).suspend_SR, db.get('host', host).suspend_image_sr];
  return wanted.find((candidate) => attached.includes(candidate)) ?? attached[0];
}

/** Records where a VM's memory will be saved. @throws XapiError VM_NO_SUSPEND_SR when the host has no repository */
export function createSuspendVdi(xapi: Xapi, vm: Ref<'VM'>, host: Ref<'host'>, next = host): Ref<'VDI'> {
  const { db } = xapi;
  const record = db.get('VM', vm);
  const sr = suspendSr(xapi, vm, host, next);
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
  db.update('VDI', vdi, { location: `${db.get('VDI', vdi).uuid}${imageEnding}` });
  db.update('VM', vm, { suspend_VDI: vdi });
  return vdi;
}

/** A copy of an image that is whole, unfinished as disks are: whoever makes it says whose it is, and finishes it. */
export async function copySuspendVdi(xapi: Xapi, from: Ref<'VDI'>): Promise<Ref<'VDI'>> {
  const { db, disks, hosts } = xapi;
  const { name_label, name_description, SR, type, virtual_size } = db.get('VDI', from);
  const host = hostOfSr(db, SR, (candidate) => hosts.isLive(candidate));
  const path = vdiPath(db, db.get('VDI', from), host);
  const fields = { name_label, name_description, SR, type, virtual_size, read_only: false, sharable: false };
  return await disks.make(fields, host, (files, to) => files.copyImage(path, to));
}

/**
 * Takes the memory of a suspended VM to a repository of another host, through this server. Its image is the one or the other,
 * each of them whole, and the first one goes once it is the other.
 * @throws XapiError VM_NO_SUSPEND_SR; VM_HAS_NO_SUSPEND_VDI when it has been shut down or let go on meanwhile
 */
export async function carrySuspendVdi(work: Work, vm: Ref<'VM'>, from: Ref<'host'>, to: Ref<'host'>): Promise<void> {
  const { xapi } = work;
  const { db, disks, hosts } = xapi;
  const { suspend_VDI } = db.get('VM', vm);
  const SR = suspendSr(xapi, vm, to);
  if (SR === undefined) throw new XapiError('VM_NO_SUSPEND_SR', vm);
  const image = db.find('VDI', suspend_VDI);
  const path = image === undefined ? undefined : vdiPath(db, image, from);
  const sizes = path === undefined ? undefined : await hosts.onFiles(from, (files) => files.stat(path));
  if (image === undefined || path === undefined || sizes === undefined) {
    throw new XapiError('VM_HAS_NO_SUSPEND_VDI', vm);
  }
  const { name_label, name_description, type, virtual_size } = image;
  const fields = { name_label, name_description, SR, type, virtual_size, read_only: false, sharable: false };
  const carried = { host: from, path, sizeBytes: sizes.sizeBytes };
  const made = await disks.make(fields, to, (files, place) => carryImage(work, carried, files, place));
  if (db.find('VM', vm)?.suspend_VDI !== suspend_VDI) {
    await disks.abandon([made]);
    throw new XapiError('VM_HAS_NO_SUSPEND_VDI', vm);
  }
  disks.finish([made]);
  db.update('VM', vm, { suspend_VDI: made });
  await removeSuspendVdi(xapi, suspend_VDI);
}

/** What a host has of an image. */
export type ImageState =
  /** A domain has ended in it, and none has gone on from it. */
  | 'whole'
  /** A save is at it. */
  | 'unfinished'
  | 'none';

/** Looks at an image. @throws HostError, and XapiError SR_NOT_ATTACHED */
export async function imageState(
  xapi: Xapi,
  vdi: Ref<'VDI'>,
  host: Ref<'host'>,
  files: Pick<HostFiles, 'stat'>,
): Promise<ImageState> {
  const path = vdiPath(xapi.db, xapi.db.get('VDI', vdi), host);
  // In this order: a save that ends meanwhile is seen as one or the other, never as none.
  const unfinished = await files.stat(`${path}${unfinishedSuffix}`);
  if ((await files.stat(path)) !== undefined) return 'whole';
  return unfinished === undefined ? 'none' : 'unfinished';
}

/** Forgets the image of a VM whose file is gone. */
export function forgetSuspendVdi(xapi: Xapi, vm: Ref<'VM'>): void {
  const { suspend_VDI } = xapi.db.get('VM', vm);
  xapi.db.update('VM', vm, { suspend_VDI: nullRef() });
  removeDiskRecord(xapi, suspend_VDI);
}

/**
 * Removes an image that no VM has any more: its file, then its record. When the host cannot be asked now, or fails to
 * do it, the record stays, for {@link sweepSuspendVdis} to find: when the host is heard again, and after a while when it is not
 * lost.
 */
export async function removeSuspendVdi(xapi: Xapi, vdi: Ref<'VDI'>): Promise<void> {
  const { db } = xapi;
  if (!db.has('VDI', vdi)) return;
  // That no VM has it is on disk before its file is gone: nothing is to be looked for that is not there.
  await db.durable();
  const record = db.find('VDI', vdi);
  if (record === undefined) return;
  let host: Ref<'host'> | undefined;
  try {
    host = hostOfSr(db, record.SR, (candidate) => xapi.hosts.isLive(candidate));
    const path = vdiPath(db, record, host);
    await xapi.hosts.driverOf(host).files.remove(path);
    removeDiskRecord(xapi, vdi);
  } catch (error) {
    if (!(error instanceof HostError || error instanceof XapiError)) throw error;
    if (host !== undefined) xapi.hosts.imageLeft(host);
    xapi.log.warn('a suspend image is left on its host for now', { vdi: record.uuid, error: String(error) });
  }
}

/** Removes the images on a host that no VM has: what was left when the host could not be asked, or at a crash. */
export async function sweepSuspendVdis(xapi: Xapi, host: Ref<'host'>): Promise<void> {
  const { db } = xapi;
  const here = db.get('host', host).PBDs.flatMap((pbd) => db.find('SR', db.get('PBD', pbd).SR)?.VDIs ?? []);
  const unused = here.filter((ref) => {
    const { type, location, managed } = db.get('VDI', ref);
    const isImage = type === 'suspend' && managed && location.endsWith(imageEnding);
    return isImage && db.naming('VM', 'suspend_VDI', ref).length === 0;
  });
  for (const vdi of unused) await removeSuspendVdi(xapi, vdi);
}
