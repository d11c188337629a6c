/** VMs that start and stop together, in the order and with the delays of their records. XAPI: ocaml/xapi/xapi_vm_appliance.ml. */
import type { Ref } from '@xenolith/base';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import { withApplianceOperation, type ApplianceOperation } from '../vm/appliance-operations.ts';
import { pause } from '../vm/wait.ts';
import type { Call, CallsOf } from './call.ts';
import { vmPowerCalls } from './vm-power.ts';

interface Step {
  readonly operation: ApplianceOperation;
  /** What its VMs are then; those that are it already are left alone. */
  readonly goal: RecordOf<'VM'>['power_state'];
  readonly act: (call: Call, vm: Ref<'VM'>) => Promise<void>;
}

const stops: Readonly<Record<Exclude<ApplianceOperation, 'start'>, Step['act']>> = {
  clean_shutdown: async (call, vm) => vmPowerCalls.clean_shutdown(call, { vm }),
  hard_shutdown: async (call, vm) => vmPowerCalls.hard_shutdown(call, { vm }),
  shutdown: async (call, vm) => vmPowerCalls.shutdown(call, { vm }),
};

/** VMs by their turn; those of one turn go at once. They stop the other way round. */
function turns({ xapi }: Call, vms: readonly Ref<'VM'>[], starting: boolean): readonly (readonly Ref<'VM'>[])[] {
  const groups = Map.groupBy(vms, (vm) => xapi.db.get('VM', vm).order);
  return [...groups].toSorted(([a], [b]) => (starting ? a - b : b - a)).map(([, group]) => group);
}

/**
 * Does a step with the VMs of an appliance, turn by turn. One that fails keeps none of the others from their turn.
 * @throws XapiError OPERATION_PARTIALLY_FAILED [operation, VMs that are not what they should be…], TASK_CANCELLED
 */
function perform(call: Call, self: Ref<'VM_appliance'>, step: Step): Promise<void> {
  return withApplianceOperation(call, self, step.operation, async () => {
    const { xapi, task } = call;
    const { db } = xapi;
    const starting = step.operation === 'start';
    const isDone = (vm: Ref<'VM'>): boolean => db.find('VM', vm)?.power_state === step.goal;
    const vms = db.get('VM_appliance', self).VMs.filter((vm) => !isDone(vm));
    const groups = turns(call, vms, starting);
    for (const [index, group] of groups.entries()) {
      task.throwIfCancelled();
      await Promise.all(group.map((vm) => asSubtask(call, step, vm)));
      task.setProgress((index + 1) / groups.length);
      const records = group.flatMap((vm) => db.find('VM', vm) ?? []);
      const delays = records.map((vm) => (starting ? vm.start_delay : vm.shutdown_delay));
      // The delay is until the next turn.
      if (index + 1 < groups.length) await pause(xapi, Math.max(0, ...delays) * 1000, task);
    }
    const failed = vms.filter((vm) => !isDone(vm));
    if (failed.length > 0) {
      throw new XapiError('OPERATION_PARTIALLY_FAILED', `VM_appliance.${step.operation}`, ...failed);
    }
  });
}

/** As XAPI's own call to itself: each VM has a task, and what became of it is told there. Never fails. */
async function asSubtask(call: Call, step: Step, vm: Ref<'VM'>): Promise<void> {
  const { xapi } = call;
  const task = xapi.tasks.begin(`Async.VM.${step.operation}`, { session: call.session, subtaskOf: call.task.ref });
  try {
    await step.act({ ...call, task }, vm);
    xapi.tasks.succeed(task, '');
  } catch (error) {
    xapi.tasks.fail(task, error instanceof XapiError ? error.description : ['INTERNAL_ERROR', String(error)]);
  }
}

export const vmApplianceCalls = {
  start: (call, { self, paused }) =>
    perform(call, self, {
      operation: 'start',
      goal: paused ? 'Paused' : 'Running',
      act: async (own, vm) => vmPowerCalls.start(own, { vm, start_paused: paused, force: false }),
    }),
  clean_shutdown: (call, { self }) =>
    perform(call, self, { operation: 'clean_shutdown', goal: 'Halted', act: stops.clean_shutdown }),
  hard_shutdown: (call, { self }) =>
    perform(call, self, { operation: 'hard_shutdown', goal: 'Halted', act: stops.hard_shutdown }),
  shutdown: (call, { self }) => perform(call, self, { operation: 'shutdown', goal: 'Halted', act: stops.shutdown }),
} as const satisfies CallsOf<'VM_appliance'>;
