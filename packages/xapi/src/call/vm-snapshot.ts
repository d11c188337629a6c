/** Snapshots and checkpoints of VMs, and the way back. XAPI: ocaml/xapi/xapi_vm_snapshot.ml. */
import type { Ref } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import { copyVm, type CopyOptions } from '../vm/copy-vm.ts';
import { withOperation } from '../vm/operations.ts';
import { resumeOn, suspend } from '../vm/power-work.ts';
import { revert } from '../vm/revert.ts';
import type { Call, CallsOf } from './call.ts';

/**
 * A snapshot with the memory: a running VM is suspended for it, and goes on where it was. When that fails, or a crash of
 * ours comes between, it stays suspended, with all that it had.
 * @throws XapiError VM_CHECKPOINT_RESUME_FAILED [vm] when it cannot go on; the refusals of a suspend and of disks
 */
export async function checkpoint(
  call: Call,
  vm: Ref<'VM'>,
  named: Pick<CopyOptions, 'nameLabel' | 'byVmss'>,
): Promise<Ref<'VM'>> {
  const { xapi } = call;
  const { db } = xapi;
  const { power_state: powerStateBefore, resident_on: host } = db.get('VM', vm);
  const options = { ...named, operation: 'checkpoint', powerStateBefore } as const;
  if (powerStateBefore !== 'Running') return await copyVm(call, vm, options);
  const goOn = async (): Promise<void> => {
    // Shut down hard meanwhile: then somebody wanted it so.
    if (db.get('VM', vm).power_state !== 'Suspended') return;
    try {
      await resumeOn(xapi, vm, host, { paused: false });
    } catch (error) {
      xapi.log.warn('a VM does not go on after its checkpoint', { vm: db.get('VM', vm).uuid, error: String(error) });
      throw new XapiError('VM_CHECKPOINT_RESUME_FAILED', vm);
    }
  };
  let copy: Ref<'VM'>;
  try {
    await suspend(xapi, vm);
    copy = await copyVm(call, vm, options);
  } catch (error) {
    await goOn();
    throw error;
  }
  await goOn();
  return copy;
}

export const vmSnapshotCalls = {
  snapshot: (call, { vm, new_name, ignore_vdis }) =>
    withOperation(call, vm, 'snapshot', () =>
      copyVm(call, vm, { nameLabel: new_name, operation: 'snapshot', ignored: ignore_vdis }),
    ),
  checkpoint: (call, { vm, new_name }) =>
    withOperation(call, vm, 'checkpoint', () => checkpoint(call, vm, { nameLabel: new_name })),
  revert: (call, { snapshot }) => revert(call, snapshot),
} as const satisfies CallsOf<'VM'>;
