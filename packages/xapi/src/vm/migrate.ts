/**
 * Moves a running VM to another host of its pool: its memory is saved to a repository that both hosts reach, and it goes
 * on from there. So it stands still for as long as that takes; its guest need not be able to migrate, only to suspend.
 * XAPI sends the memory while the guest runs: ocaml/xapi/xapi_vm_migrate.ml (`pool_migrate`).
 */
import type { Ref } from '@xenolith/base';
import type { Call } from '../call/call.ts';
import { XapiError } from '../errors.ts';
import { runVmHooks } from '../host/hooks.ts';
import type { Xapi } from '../xapi.ts';
import { assertCanBootHere } from './placement.ts';
import { resumeOn, suspend } from './power-work.ts';
import { suspendSr } from './suspend-image.ts';

/**
 * @throws XapiError why it could not run on the host (`assertCanBootHere`), before anything is done; VM_MIGRATE_FAILED
 *   [vm, source, destination, words] when no repository has place for the memory, or when it did not go on there: then it
 *   goes on where it was, or stays suspended when it cannot do that either; XAPI_HOOK_FAILED
 */
export async function poolMigrate(call: Call, vm: Ref<'VM'>, to: Ref<'host'>): Promise<void> {
  const { xapi } = call;
  const { db } = xapi;
  db.get('host', to);
  const { resident_on: from } = db.get('VM', vm);
  if (from === to) return;
  assertCanMigrate(xapi, vm, from, to);
  await runVmHooks(xapi, vm, from, 'vm-pre-migrate', 'source');
  await suspend(xapi, vm, to);
  // Shut down hard meanwhile: then somebody wanted it so.
  if (db.get('VM', vm).power_state !== 'Suspended') throw failed(vm, from, to, 'it was shut down on the way');
  try {
    await resumeOn(xapi, vm, to, { paused: false, migrating: true });
  } catch (error) {
    const back = await goBack(xapi, vm, from);
    throw failed(vm, from, to, `${String(error)}; ${back}`);
  }
  await runVmHooks(xapi, vm, from, 'vm-post-destroy', 'suspend');
  await runVmHooks(xapi, vm, to, 'vm-post-migrate', 'destination');
}

const failed = (vm: Ref<'VM'>, from: Ref<'host'>, to: Ref<'host'>, words: string): XapiError =>
  new XapiError('VM_MIGRATE_FAILED', vm, from, to, words);

/** @throws XapiError as {@link poolMigrate} */
export function assertCanMigrate(xapi: Xapi, vm: Ref<'VM'>, from: Ref<'host'>, to: Ref<'host'>): void {
  assertCanBootHere(xapi, vm, to);
  if (suspendSr(xapi, vm, from, to) === undefined) {
    throw failed(vm, from, to, 'there is no repository that both hosts reach, for its memory to go through');
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
