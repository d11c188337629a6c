/**
 * What a VM appliance accepts now; one table for `allowed_operations` and for refusals. XAPI:
 * ocaml/xapi/xapi_vm_appliance_lifecycle.ml.
 */
import type { Ref } from '@xenolith/base';
import type { Call } from '../call/call.ts';
import { enums } from '../datamodel/enums.ts';
import type { EnumOf, RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import type { Xapi } from '../xapi.ts';

export type ApplianceOperation = EnumOf<'vm_appliance_operation'>;

/** What the decision is made from. */
export interface ApplianceSituation {
  readonly ref: Ref<'VM_appliance'>;
  readonly current_operations: RecordOf<'VM_appliance'>['current_operations'];
  readonly powerStates: readonly RecordOf<'VM'>['power_state'][];
}

/** Why an operation is refused now, or undefined: one at a time, and only where there is a VM that it would change. */
export function applianceRefusal(situation: ApplianceSituation, operation: ApplianceOperation): XapiError | undefined {
  const { ref, current_operations, powerStates } = situation;
  const [other] = Object.entries(current_operations);
  if (other !== undefined) {
    return new XapiError('OTHER_OPERATION_IN_PROGRESS', 'VM_appliance', ref, other[1], other[0]);
  }
  if (powerStates.length === 0) return new XapiError('OPERATION_NOT_ALLOWED', 'the appliance has no VMs');
  const hasWork = powerStates.some((state) => (state === 'Halted') === (operation === 'start'));
  const state = operation === 'start' ? 'halted' : 'running, paused or suspended';
  return hasWork ? undefined : new XapiError('OPERATION_NOT_ALLOWED', `no VM of the appliance is ${state}`);
}

function situationOf({ db }: Xapi, ref: Ref<'VM_appliance'>): ApplianceSituation {
  const { VMs, current_operations } = db.get('VM_appliance', ref);
  return { ref, current_operations, powerStates: VMs.map((vm) => db.get('VM', vm).power_state) };
}

/** Computes `allowed_operations` anew: after one of its VMs came, went or changed its state. */
export function updateApplianceOperations(xapi: Xapi, ref: Ref<'VM_appliance'>): void {
  const { db } = xapi;
  if (!db.has('VM_appliance', ref)) return;
  const situation = situationOf(xapi, ref);
  const allowed_operations = enums.vm_appliance_operation.filter(
    (operation) => applianceRefusal(situation, operation) === undefined,
  );
  db.update('VM_appliance', ref, { allowed_operations });
}

/** Runs an operation of an appliance, marked in `current_operations`. @throws XapiError why it is refused now */
export async function withApplianceOperation(
  { xapi, task }: Call,
  ref: Ref<'VM_appliance'>,
  operation: ApplianceOperation,
  action: () => Promise<void>,
): Promise<void> {
  const { db } = xapi;
  const refusal = applianceRefusal(situationOf(xapi, ref), operation);
  if (refusal !== undefined) throw refusal;
  db.update('VM_appliance', ref, { current_operations: { [task.ref]: operation } });
  updateApplianceOperations(xapi, ref);
  try {
    await action();
  } finally {
    if (db.has('VM_appliance', ref)) {
      db.update('VM_appliance', ref, { current_operations: {} });
      updateApplianceOperations(xapi, ref);
    }
  }
}
