/**
 * Marks disks, devices and repositories while something is done with them: `current_operations`, which clients watch
 * and which the tables of operations decide by. XAPI: ocaml/xapi/message_forwarding.ml (`with_sr_andor_vdi`,
 * `with_vbds_marked`).
 */
import { nullRef, type Ref } from '@xenolith/base';
import type { Xapi } from '../xapi.ts';
import { updateDeviceOperations, updateDiskOperations, updateOwnSrOperations } from './allowed-operations.ts';
import { vbdRefusal } from './attach.ts';
import { assertSrAllows, type SrOperation } from './sr-operations.ts';
import { assertVdiAllows, type VdiOperation, type Work } from './vdi-operations.ts';

const without = <T>(operations: Readonly<Record<string, T>>, key: string): Readonly<Record<string, T>> =>
  Object.fromEntries(Object.entries(operations).filter(([name]) => name !== key));

/**
 * Runs an operation on a disk.
 * @param refusedAs the operation whose refusals hold for it, when it is in no table itself
 * @throws XapiError why it is refused now
 */
export async function withVdiOperation<T>(
  { xapi, task }: Work,
  ref: Ref<'VDI'>,
  operation: VdiOperation,
  action: () => Promise<T>,
  refusedAs: VdiOperation = operation,
): Promise<T> {
  const { db } = xapi;
  assertVdiAllows(xapi, ref, refusedAs);
  const before = db.get('VDI', ref).current_operations;
  db.update('VDI', ref, { current_operations: { ...before, [task.ref]: operation } });
  updateDiskOperations(xapi, ref);
  try {
    return await action();
  } finally {
    if (db.has('VDI', ref)) {
      db.update('VDI', ref, { current_operations: without(db.get('VDI', ref).current_operations, task.ref) });
      updateDiskOperations(xapi, ref);
    }
  }
}

/** Runs an operation on a repository. @throws XapiError why it is refused now */
export async function withSrOperation<T>(
  { xapi, task }: Work,
  ref: Ref<'SR'>,
  operation: SrOperation,
  action: () => Promise<T>,
): Promise<T> {
  const { db } = xapi;
  assertSrAllows(xapi, ref, operation);
  const before = db.get('SR', ref).current_operations;
  db.update('SR', ref, { current_operations: { ...before, [task.ref]: operation } });
  updateOwnSrOperations(xapi, ref);
  try {
    return await action();
  } finally {
    if (db.has('SR', ref)) {
      db.update('SR', ref, { current_operations: without(db.get('SR', ref).current_operations, task.ref) });
      updateOwnSrOperations(xapi, ref);
    }
  }
}

/**
 * Gives a VM its devices while it starts or resumes: refuses when one cannot be had, and marks them so that nobody
 * else takes them meanwhile. The mark has the task of the VM's operation.
 * @throws XapiError VDI_IN_USE, OTHER_OPERATION_IN_PROGRESS and the other reasons of {@link attachRefusal}
 */
export async function withDevices<T>(xapi: Xapi, vm: Ref<'VM'>, action: () => Promise<T>): Promise<T> {
  const { db } = xapi;
  const { VBDs, VIFs, current_operations } = db.get('VM', vm);
  const [task = nullRef<'task'>()] = Object.keys(current_operations);
  for (const vbd of VBDs) {
    const refusal = vbdRefusal(xapi, vbd);
    if (refusal !== undefined) throw refusal;
  }
  markDevices(xapi, vm, VBDs, VIFs, { [task]: 'attach' });
  try {
    return await action();
  } finally {
    markDevices(xapi, vm, VBDs, VIFs, {});
  }
}

function markDevices(
  xapi: Xapi,
  vm: Ref<'VM'>,
  vbds: readonly Ref<'VBD'>[],
  vifs: readonly Ref<'VIF'>[],
  current_operations: Readonly<Record<string, 'attach'>>,
): void {
  const { db } = xapi;
  for (const vbd of vbds) if (db.has('VBD', vbd)) db.update('VBD', vbd, { current_operations });
  for (const vif of vifs) if (db.has('VIF', vif)) db.update('VIF', vif, { current_operations });
  updateDeviceOperations(xapi, vm);
}
