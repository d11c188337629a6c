/**
 * Moves a VM within its pool: to another host, its disks to other repositories, its interfaces to other networks. Of a
 * running VM the memory is saved, its disks are copied, and it goes on from there: through a repository that both hosts reach,
 * or else through this server. So it stands still for as long as that takes; its guest need not be able to migrate, only to suspend.
 * XAPI sends memory and disks while the guest runs: ocaml/xapi/xapi_vm_migrate.ml (`pool_migrate`, `migrate_send`).
 */
import type { Ref } from '@xenolith/base';
import type { Call } from '../call/call.ts';
import { XapiError } from '../errors.ts';
import { assertHostAllows } from '../host/host-operations.ts';
import { runVmHooks } from '../host/hooks.ts';
import { assertMovable, copyForMove, takePlaces, type MovedDisks } from '../storage/move-disk.ts';
import { pbdOf } from '../storage/vdi-path.ts';
import type { Xapi } from '../xapi.ts';
import { assertCanBootHere, assertReaches, noMoves, type Moves } from './placement.ts';
import { resumeOn, suspend } from './power-work.ts';
import { carrySuspendVdi, suspendSr } from './suspend-image.ts';

/**
 * @throws XapiError why it could not run on the host (`assertCanBootHere`), or a disk could not go, before anything is
 *   done; VM_MIGRATE_FAILED [vm, source, destination, words] when no repository has place for the memory, or when it did
 *   not go on there: then it goes on where it was, or stays suspended when it cannot do that either; XAPI_HOOK_FAILED
 */
export async function migrate(call: Call, vm: Ref<'VM'>, to: Ref<'host'>, moves: Moves = noMoves): Promise<void> {
  const { xapi } = call;
  const { db } = xapi;
  db.get('host', to);
  const { resident_on: from, power_state } = db.get('VM', vm);
  const runs = power_state === 'Running';
  if (runs && from === to && moves.disks.size + moves.networks.size === 0) return;
  assertCanMigrate(xapi, vm, to, moves);
  if (!runs) return await settle(xapi, await copyForMove(call, moves.disks), moves);
  await runVmHooks(xapi, vm, from, 'vm-pre-migrate', 'source');
  const shares = suspendSr(xapi, vm, from, to) !== undefined;
  await suspend(xapi, vm, shares ? to : from);
  try {
    const copies = await copyForMove(call, moves.disks);
    // Shut down hard meanwhile: then somebody wanted it so.
    if (db.get('VM', vm).power_state !== 'Suspended') {
      await xapi.disks.abandon([...copies.values()]);
      throw failed(vm, from, to, 'it was shut down on the way');
    }
    await settle(xapi, copies, moves);
    if (!shares) await carrySuspendVdi(call, vm, from, to);
    await resumeOn(xapi, vm, to, { paused: false, migrating: true });
  } catch (error) {
    const back = await goBack(xapi, vm, from);
    if (error instanceof XapiError && ['VM_MIGRATE_FAILED', 'TASK_CANCELLED'].includes(error.code)) throw error;
    throw failed(vm, from, to, `${String(error)}; ${back}`);
  }
  await runVmHooks(xapi, vm, from, 'vm-post-destroy', 'suspend');
  await runVmHooks(xapi, vm, to, 'vm-post-migrate', 'destination');
}

/** The VM has its new disks and networks, in one commit. */
async function settle(xapi: Xapi, copies: MovedDisks, { networks }: Moves): Promise<void> {
  for (const [vif, network] of networks) xapi.db.update('VIF', vif, { network });
  await takePlaces(xapi, copies);
}

const failed = (vm: Ref<'VM'>, from: Ref<'host'>, to: Ref<'host'>, words: string): XapiError =>
  new XapiError('VM_MIGRATE_FAILED', vm, from, to, words);

/** @throws XapiError as {@link migrate} */
export function assertCanMigrate(xapi: Xapi, vm: Ref<'VM'>, to: Ref<'host'>, moves: Moves = noMoves): void {
  const { db } = xapi;
  const { power_state, resident_on: from, suspend_VDI } = db.get('VM', vm);
  const runs = power_state === 'Running';
  if (runs && from !== to) {
    assertHostAllows(xapi, to, 'vm_migrate');
    assertCanBootHere(xapi, vm, to, moves);
  } else assertReaches(xapi, vm, to, moves);
  for (const [vdi, sr] of moves.disks) assertMovable(xapi, vdi, sr, vm);
  for (const host of runs && suspendSr(xapi, vm, from, to) === undefined ? [from, to] : []) {
    if (suspendSr(xapi, vm, host) !== undefined) continue;
    throw failed(vm, from, to, `there is no repository for its memory on ${db.get('host', host).name_label}`);
  }
  // What it goes on from stays where it is.
  const image = power_state === 'Suspended' ? db.find('VDI', suspend_VDI) : undefined;
  if (image !== undefined && pbdOf(db, image.SR, to)?.currently_attached !== true) {
    throw new XapiError('VM_REQUIRES_SR', vm, image.SR);
  }
}

/** What became of a VM that did not go on where it was sent. */
async function goBack(xapi: Xapi, vm: Ref<'VM'>, from: Ref<'host'>): Promise<string> {
  const { db } = xapi;
  const { power_state } = db.get('VM', vm);
  if (power_state !== 'Suspended') return `it is ${power_state.toLowerCase()}`;
  // Nobody knows whether it runs there: the next picture of that host tells.
  if (db.has('host', db.get('VM', vm).scheduled_to_be_resident_on)) return 'it may go on there';
  try {
    await resumeOn(xapi, vm, from, { paused: false, migrating: true });
    return 'it goes on where it was';
  } catch (error) {
    return `it stays suspended: ${String(error)}`;
  }
}
