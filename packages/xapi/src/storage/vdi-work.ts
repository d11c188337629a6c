/** Making, copying, growing and removing disk images, records and files together. XAPI: ocaml/xapi/xapi_vdi.ml. */
import { bytes, isUuid, mibBytes, type Ref } from '@xenolith/base';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import type { HostFiles } from '../host-driver.ts';
import type { Xapi } from '../xapi.ts';
import { updateDiskOperations } from './allowed-operations.ts';
import { carryImage } from './carry.ts';
import { updateAllocation, removeDiskRecord } from './unfinished-disks.ts';
import { withSrOperation, withVdiOperation } from './under-way.ts';
import { assertVdiAllows, type Work } from './vdi-operations.ts';
import { copyRoute, hostOfSr, srDirectory, vdiPath, type CopyRoute } from './vdi-path.ts';

/** Largest disk: what a raw file and a 64-bit sector count bear is more, what anybody means is not. */
const virtualSizeMaxBytes = 64 * 1024 ** 4;

const isLive =
  (xapi: Xapi) =>
  (host: Ref<'host'>): boolean =>
    xapi.hosts.isLive(host);

/** Sizes are whole mebibytes, as XAPI's file drivers round them. @throws XapiError INVALID_VALUE */
export function diskSize(size: number): number {
  if (!(size > 0 && size <= virtualSizeMaxBytes)) throw new XapiError('INVALID_VALUE', 'virtual_size', String(size));
  return Math.ceil(size / mibBytes) * mibBytes;
}

type DiskFields = Partial<RecordOf<'VDI'>> & Pick<RecordOf<'VDI'>, 'SR' | 'virtual_size'>;

/** A new disk of zeros, unfinished: whoever makes it says when it is whole (`xapi.disks.finish`). */
export async function makeDisk(work: Work, fields: DiskFields): Promise<Ref<'VDI'>> {
  const { xapi } = work;
  const size = diskSize(fields.virtual_size);
  return await withSrOperation(work, fields.SR, 'vdi_create', () => {
    const host = hostOfSr(xapi.db, fields.SR, isLive(xapi));
    return xapi.disks.make({ ...fields, virtual_size: size }, host, (files, path) =>
      files.createImage(path, bytes(size)),
    );
  });
}

/** What a copy of a disk has of it. */
export const inheritedByCopies = [
  'name_label',
  'name_description',
  'type',
  'sharable',
  'read_only',
  'virtual_size',
  'other_config',
  'xenstore_data',
  'sm_config',
  'tags',
] as const satisfies readonly (keyof RecordOf<'VDI'>)[];

/** A copy of a disk's file that is made under a path on another host, or on the same one. */
function copyFile(work: Work, from: Ref<'VDI'>, route: CopyRoute): (files: HostFiles, to: string) => Promise<void> {
  const { db } = work.xapi;
  const record = db.get('VDI', from);
  const path = vdiPath(db, record, route.from);
  if (route.from === route.to) return (files, to) => files.copyImage(path, to);
  return (files, to) => carryImage(work, { host: route.from, path, sizeBytes: record.virtual_size }, files, to);
}

/**
 * A full copy of a disk, unfinished as with {@link makeDisk}; in its own repository or in another one, also of another host.
 * @param own fields that the copy has beside those that it inherits
 */
export async function makeCopy(
  work: Work,
  from: Ref<'VDI'>,
  operation: 'clone' | 'copy',
  sr?: Ref<'SR'>,
  own: Partial<RecordOf<'VDI'>> = {},
): Promise<Ref<'VDI'>> {
  const { db, disks } = work.xapi;
  const SR = sr ?? db.get('VDI', from).SR;
  return await withVdiOperation(work, from, operation, () =>
    withSrOperation(work, SR, `vdi_${operation}`, () => {
      const source = db.get('VDI', from);
      const route = copyRoute(db, source.SR, SR, isLive(work.xapi));
      const fields = { ...Object.fromEntries(inheritedByCopies.map((name) => [name, source[name]])), ...own, SR };
      return disks.make(fields, route.to, copyFile(work, from, route));
    }),
  );
}

/**
 * Makes a disk that is there what another one is; what it has more is zeros. It changes at once or not at all.
 * @throws XapiError VDI_READONLY, VDI_TOO_SMALL [vdi, smallest size that would do], VDI_IN_USE
 */
export async function copyInto(work: Work, from: Ref<'VDI'>, into: Ref<'VDI'>): Promise<void> {
  const { db } = work.xapi;
  const { read_only, virtual_size: size, SR } = db.get('VDI', into);
  const { virtual_size: needed } = db.get('VDI', from);
  if (read_only) throw new XapiError('VDI_READONLY', into);
  if (size < needed) throw new XapiError('VDI_TOO_SMALL', into, String(needed));
  await withVdiOperation(work, from, 'copy', () =>
    withVdiOperation(
      work,
      into,
      'blocked',
      () => withSrOperation(work, SR, 'vdi_copy', () => replaceFile(work, from, into)),
      'resize',
    ),
  );
}

/** Of a disk on another host a copy is made beside it first, and removed then. */
async function replaceFile({ xapi, task }: Work, from: Ref<'VDI'>, into: Ref<'VDI'>): Promise<void> {
  const { db, disks, hosts } = xapi;
  const { virtual_size, name_label } = db.get('VDI', from);
  const target = db.get('VDI', into);
  const route = copyRoute(db, db.get('VDI', from).SR, target.SR, isLive(xapi));
  const replaceBy = (path: string): Promise<void> =>
    hosts.onFiles(route.to, async (files) => {
      const to = vdiPath(db, target, route.to);
      await files.replaceImage(path, to, bytes(target.virtual_size));
      const sizes = await files.stat(to);
      if (sizes !== undefined) db.update('VDI', into, { physical_utilisation: sizes.usedBytes });
    });
  if (route.from === route.to) return await replaceBy(vdiPath(db, db.get('VDI', from), route.from));
  const fields = { name_label, virtual_size, SR: target.SR };
  const carried = await disks.make(fields, route.to, copyFile({ xapi, task }, from, route));
  try {
    await replaceBy(vdiPath(db, db.get('VDI', carried), route.to));
  } finally {
    await disks.abandon([carried]);
  }
}

/** Grows a disk. @throws XapiError INVALID_VALUE for a smaller size */
export async function resizeDisk(work: Work, vdi: Ref<'VDI'>, size: number): Promise<void> {
  const { xapi } = work;
  const { db } = xapi;
  const wanted = diskSize(size);
  await withVdiOperation(work, vdi, 'resize', () => {
    const record = db.get('VDI', vdi);
    if (wanted < record.virtual_size) throw new XapiError('INVALID_VALUE', 'size', `${size}: a disk cannot shrink`);
    return withSrOperation(work, record.SR, 'vdi_resize', async () => {
      const host = hostOfSr(db, record.SR, isLive(xapi));
      // The file grows at once or not at all; a crash before the record follows is mended by the look at the next start.
      await xapi.hosts.onFiles(host, (files) => files.resizeImage(vdiPath(db, record, host), bytes(wanted)));
      db.update('VDI', vdi, { virtual_size: wanted });
      updateAllocation(xapi, record.SR);
    });
  });
}

/** Removes a disk with its file and its VBDs. @throws XapiError VDI_IN_USE while a VM holds it */
export async function destroyDisk(work: Work, vdi: Ref<'VDI'>): Promise<void> {
  const { db, disks } = work.xapi;
  await withVdiOperation(work, vdi, 'destroy', () =>
    withSrOperation(work, db.get('VDI', vdi).SR, 'vdi_destroy', () => disks.destroy(vdi)),
  );
}

/** Drops a disk's record, leaving its file alone: a scan finds it again. */
export function forgetDisk(xapi: Xapi, vdi: Ref<'VDI'>): void {
  assertVdiAllows(xapi, vdi, 'forget');
  removeDiskRecord(xapi, vdi);
}

/** What is said of a disk that is there already. */
type KnownDisk = Pick<
  RecordOf<'VDI'>,
  'uuid' | 'name_label' | 'name_description' | 'SR' | 'type' | 'sharable' | 'read_only' | 'other_config' | 'location'
> &
  Partial<Pick<RecordOf<'VDI'>, 'xenstore_data' | 'sm_config' | 'is_a_snapshot' | 'snapshot_time' | 'snapshot_of'>>;

/**
 * Takes an image that is in a repository into the database, as it is.
 * @throws XapiError VDI_LOCATION_MISSING, LOCATION_NOT_UNIQUE, UUID_INVALID
 */
export async function introduceDisk(work: Work, disk: KnownDisk): Promise<Ref<'VDI'>> {
  const { xapi } = work;
  const { db } = xapi;
  const { SR, location } = disk;
  const uuid = disk.uuid.toLowerCase();
  if (uuid !== '' && (!isUuid(uuid) || db.byUuid('VDI', uuid) !== undefined)) {
    throw new XapiError('UUID_INVALID', 'VDI', disk.uuid.slice(0, 100));
  }
  return await withSrOperation(work, SR, 'vdi_introduce', async () => {
    const host = hostOfSr(db, SR, isLive(xapi));
    // What a client calls it is only believed when it is one of the names in the directory.
    const files = await xapi.hosts.onFiles(host, (on) => on.list(srDirectory(db, SR, host)));
    const file = files.find(({ name }) => name === location);
    if (file === undefined) throw new XapiError('VDI_LOCATION_MISSING', SR, location.slice(0, 200));
    const isKnown = db.get('SR', SR).VDIs.some((vdi) => db.get('VDI', vdi).location === location);
    if (isKnown) throw new XapiError('LOCATION_NOT_UNIQUE', SR, location);
    const { name_label, name_description, type, sharable, read_only, other_config } = disk;
    const vdi = db.create('VDI', {
      SR,
      location,
      name_label,
      name_description,
      type,
      sharable,
      read_only,
      other_config,
      ...(uuid === '' ? {} : { uuid }),
      xenstore_data: disk.xenstore_data ?? {},
      sm_config: disk.sm_config ?? {},
      is_a_snapshot: disk.is_a_snapshot ?? false,
      ...(disk.snapshot_of !== undefined && db.has('VDI', disk.snapshot_of) ? { snapshot_of: disk.snapshot_of } : {}),
      virtual_size: file.sizeBytes,
      physical_utilisation: file.usedBytes,
      managed: true,
    });
    updateDiskOperations(xapi, vdi);
    updateAllocation(xapi, SR);
    return vdi;
  });
}
