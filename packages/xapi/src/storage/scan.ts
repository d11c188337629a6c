/** Makes the records of a repository say what is in its directory. XAPI: ocaml/xapi/xapi_sr.ml (`scan`, `update_vdis`). */
import type { Ref } from '@xenolith/base';
import type { RecordOf } from '../datamodel/types.ts';
import type { HostFile, HostFiles } from '../host-driver.ts';
import type { Xapi } from '../xapi.ts';
import { updateSrOperations } from './allowed-operations.ts';
import { removeDiskRecord, updateAllocation } from './unfinished-disks.ts';
import { isSrType } from './sm.ts';
import { hostOfSr, srDirectory } from './vdi-path.ts';

const imageName = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.raw$/;

export interface ScanOptions {
  /** Whether images that no record knows become disks; otherwise only what is known is looked at. */
  readonly adopt: boolean;
}

/**
 * Looks at the files of a repository: what is left over of disks goes, known disks get their sizes and are marked
 * missing or found again, images under a uuid that nobody knows become disks, and the repository gets its figures.
 */
export async function scan(xapi: Xapi, sr: Ref<'SR'>, { adopt }: ScanOptions): Promise<void> {
  const { db, hosts, disks } = xapi;
  await disks.sweep(sr);
  const host = hostOfSr(db, sr, (candidate) => hosts.isLive(candidate));
  const directory = srDirectory(db, sr, host);
  await hosts.onFiles(host, async (files) => {
    // What something is done with meanwhile may or may not be in the listing: only what is as it was before counts.
    const atRest = db.get('SR', sr).VDIs.filter((vdi) => isAtRest(xapi, vdi));
    const sizesBefore = new Map(atRest.map((vdi) => [vdi, db.get('VDI', vdi).virtual_size]));
    const space = await files.space(directory);
    const found = await files.list(directory);
    if (!db.has('SR', sr)) return;
    const byName = new Map(found.map((file) => [file.name, file]));
    for (const [vdi, sizeBefore] of sizesBefore) {
      const record = db.find('VDI', vdi);
      const isAsBefore = record?.virtual_size === sizeBefore && isAtRest(xapi, vdi);
      if (isAsBefore) update(xapi, vdi, byName.get(record.location));
    }
    const { type } = db.get('SR', sr);
    if (adopt && type === 'iso') followDiscs(xapi, sr, found);
    else if (adopt) await adoptImages(xapi, sr, files, directory, found);
    if (!db.has('SR', sr)) return;
    db.update('SR', sr, {
      physical_size: space.totalBytes,
      physical_utilisation: space.totalBytes - space.freeBytes,
    });
    updateAllocation(xapi, sr);
    updateSrOperations(xapi, sr);
  });
}

/** Reads the sizes of one disk anew. */
export async function lookAtDisk(xapi: Xapi, vdi: Ref<'VDI'>): Promise<void> {
  const { db, hosts } = xapi;
  const { SR, location } = db.get('VDI', vdi);
  const host = hostOfSr(db, SR, (candidate) => hosts.isLive(candidate));
  const sizes = await hosts.onFiles(host, (files) => files.stat(`${srDirectory(db, SR, host)}/${location}`));
  if (!db.has('VDI', vdi)) return;
  update(xapi, vdi, sizes);
  updateAllocation(xapi, SR);
}

/** Whether nobody is at a disk, so that a look at its file can be believed. */
function isAtRest(xapi: Xapi, ref: Ref<'VDI'>): boolean {
  const { db } = xapi;
  const vdi = db.get('VDI', ref);
  if (!vdi.managed || Object.keys(vdi.current_operations).length > 0) return false;
  if (vdi.type !== 'suspend') return true;
  const [owner] = db.naming('VM', 'suspend_VDI', ref);
  return owner === undefined || Object.keys(db.get('VM', owner).current_operations).length === 0;
}

function update(xapi: Xapi, ref: Ref<'VDI'>, sizes: Omit<HostFile, 'name'> | undefined): void {
  const { db } = xapi;
  const vdi = db.get('VDI', ref);
  const changes: Partial<RecordOf<'VDI'>> =
    sizes === undefined
      ? { missing: true, physical_utilisation: 0 }
      : {
          missing: false,
          physical_utilisation: sizes.usedBytes,
          // A saved VM's file is as long as its memory was, not what the disk of a guest would be.
          virtual_size: vdi.type === 'suspend' ? vdi.virtual_size : sizes.sizeBytes,
        };
  db.update('VDI', ref, changes);
}

/** Whether a disk of a repository has its image under a name. */
const isKnown = ({ db }: Xapi, sr: Ref<'SR'>, name: string): boolean =>
  db.get('SR', sr).VDIs.some((vdi) => db.get('VDI', vdi).location === name);

/** Every image of a disc in the directory is a disk to read; one that is gone is none, unless it is in a drive. */
function followDiscs(xapi: Xapi, sr: Ref<'SR'>, found: readonly HostFile[]): void {
  const { db } = xapi;
  const images = found.filter(({ name, sizeBytes }) => /\.(?:iso|img)$/i.test(name) && sizeBytes > 0);
  for (const { name, sizeBytes, usedBytes } of images) {
    if (isKnown(xapi, sr, name)) continue;
    db.create('VDI', {
      name_label: name,
      SR: sr,
      type: 'user',
      location: name,
      virtual_size: sizeBytes,
      physical_utilisation: usedBytes,
      read_only: true,
      sharable: true,
      managed: true,
    });
  }
  const names = new Set(images.map(({ name }) => name));
  for (const vdi of db.get('SR', sr).VDIs) {
    const { location, VBDs } = db.get('VDI', vdi);
    if (!names.has(location) && VBDs.length === 0) removeDiskRecord(xapi, vdi);
  }
}

async function adoptImages(
  xapi: Xapi,
  sr: Ref<'SR'>,
  files: HostFiles,
  directory: string,
  found: readonly HostFile[],
): Promise<void> {
  const { db, log } = xapi;
  for (const { name } of found) {
    const uuid = imageName.exec(name)?.[1];
    if (uuid === undefined || db.byUuid('VDI', uuid) !== undefined || isKnown(xapi, sr, name)) continue;
    // Looked at again: it may have been removed with its record since the listing began.
    const sizes = await files.stat(`${directory}/${name}`);
    if (sizes === undefined || sizes.sizeBytes === 0) continue;
    if (!db.has('SR', sr) || db.byUuid('VDI', uuid) !== undefined) continue;
    log.info('a scan found a disk that no record knew', { uuid });
    db.create('VDI', {
      uuid,
      name_description: 'Found by a scan of the repository',
      SR: sr,
      type: 'user',
      location: name,
      virtual_size: sizes.sizeBytes,
      physical_utilisation: sizes.usedBytes,
      managed: true,
    });
  }
}

/**
 * Looks at what a host holds when it answers again, after a crash of ours too: finishes what was cut short, and
 * believes the files. Never fails: what cannot be looked at is looked at the next time.
 */
export async function lookAtStorage(xapi: Xapi, host: Ref<'host'>): Promise<void> {
  const { db, log } = xapi;
  const attached = db.get('host', host).PBDs.map((pbd) => db.get('PBD', pbd));
  for (const { SR, currently_attached } of attached) {
    if (!currently_attached || !isSrType(db.find('SR', SR)?.type ?? '')) continue;
    try {
      await scan(xapi, SR, { adopt: false });
      await db.durable();
    } catch (error) {
      log.warn('a repository could not be looked at', { sr: db.find('SR', SR)?.uuid, error: String(error) });
    }
  }
}
