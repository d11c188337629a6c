/**
 * Disks that go to another repository: a copy there takes the place of the disk, in one commit, and the disk is removed.
 * XAPI gives a moved disk another uuid too. XAPI: ocaml/xapi/xapi_vdi.ml (`pool_migrate`), xapi_vm_migrate.ml.
 */
import type { Ref } from '@xenolith/base';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import type { Xapi } from '../xapi.ts';
import { updateDiskOperations } from './allowed-operations.ts';
import { assertSrAllows } from './sr-operations.ts';
import { assertVdiAllows, usesOf, type Work } from './vdi-operations.ts';
import { copyRoute } from './vdi-path.ts';
import { makeCopy } from './vdi-work.ts';

/** Where disks are to go. */
export type DiskMoves = ReadonlyMap<Ref<'VDI'>, Ref<'SR'>>;
/** Copies by the disks that they are of: unfinished, until {@link takePlaces}. */
export type MovedDisks = ReadonlyMap<Ref<'VDI'>, Ref<'VDI'>>;

/** What a moved disk keeps beside what every copy has of its original. */
const keptFields = [
  'is_a_snapshot',
  'snapshot_of',
  'snapshot_time',
  'on_boot',
  'allow_caching',
  'metadata_of_pool',
] as const satisfies readonly (keyof RecordOf<'VDI'>)[];

/**
 * Refuses a move that could not be made.
 * @param vm the VM that may hold the disk: it has no domain while the disk is copied
 * @throws XapiError the refusals of the disk and of the repository; VDI_IN_USE when another VM holds it
 */
export function assertMovable(xapi: Xapi, vdi: Ref<'VDI'>, to: Ref<'SR'>, vm?: Ref<'VM'>): void {
  const { db, hosts } = xapi;
  if (usesOf(db, vdi).some((use) => use.vm !== vm)) throw new XapiError('VDI_IN_USE', vdi, 'mirror');
  assertVdiAllows(xapi, vdi, 'copy', vm);
  // What cannot be removed cannot be moved, whoever holds it.
  assertSrAllows(xapi, db.get('VDI', vdi).SR, 'vdi_destroy');
  assertSrAllows(xapi, to, 'vdi_copy');
  copyRoute(db, db.get('VDI', vdi).SR, to, (host) => hosts.isLive(host));
}

/** Copies disks that nobody writes to where they are to go. What was copied is removed when one fails. */
export async function copyForMove(work: Work, moves: DiskMoves): Promise<MovedDisks> {
  const { xapi, task } = work;
  const copies = new Map<Ref<'VDI'>, Ref<'VDI'>>();
  try {
    for (const [vdi, sr] of moves) {
      task.throwIfCancelled();
      const record = xapi.db.get('VDI', vdi);
      const kept = Object.fromEntries(keptFields.map((name) => [name, record[name]]));
      copies.set(vdi, await makeCopy(work, vdi, 'copy', sr, kept));
      task.setProgress(copies.size / (moves.size + 1));
    }
    task.throwIfCancelled();
  } catch (error) {
    await xapi.disks.abandon([...copies.values()]);
    throw error;
  }
  return copies;
}

/**
 * Makes the copies whole and puts them in the place of what they are of: up to the first wait, so that what the caller
 * wrote in the same moment is in one commit with it. Then the originals are removed.
 */
export async function takePlaces(xapi: Xapi, copies: MovedDisks): Promise<void> {
  const { db } = xapi;
  xapi.disks.finish([...copies.values()]);
  for (const [from, to] of copies) {
    const { VBDs, snapshots } = db.get('VDI', from);
    for (const vbd of VBDs) db.update('VBD', vbd, { VDI: to });
    for (const snapshot of snapshots) db.update('VDI', snapshot, { snapshot_of: to });
    updateDiskOperations(xapi, to);
  }
  await xapi.disks.retire([...copies.keys()]);
}

/**
 * Moves a disk that no guest has.
 * @param vm a suspended VM that may hold it
 * @throws XapiError VDI_IN_USE when another VM holds it, also by the time that it is copied
 */
export async function moveDisk(work: Work, vdi: Ref<'VDI'>, to: Ref<'SR'>, vm?: Ref<'VM'>): Promise<Ref<'VDI'>> {
  const { xapi } = work;
  assertMovable(xapi, vdi, to, vm);
  const copies = await copyForMove(work, new Map([[vdi, to]]));
  try {
    assertMovable(xapi, vdi, to, vm);
  } catch (error) {
    await xapi.disks.abandon([...copies.values()]);
    throw error;
  }
  await takePlaces(xapi, copies);
  return copies.get(vdi) ?? vdi;
}
