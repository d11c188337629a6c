/** Calls about the memory of VMs. XAPI: ocaml/xapi/xapi_vm.ml, xapi_vm_helpers.ml, vm_memory_constraints.ml. */
import { mibBytes, type Ref } from '@xenolith/base';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import { roomOn } from '../host/memory-account.ts';
import { maximiseMemory, overheadOf, updateMemoryOverhead } from '../vm/memory-overhead.ts';
import { assertAllowed, withOperation, type VmOperation } from '../vm/operations.ts';
import { waitForVm } from '../vm/wait.ts';
import type { Xapi } from '../xapi.ts';
import type { Call, CallsOf } from './call.ts';

const gigantic = 2 ** 48;

export type MemoryLimits = Pick<
  RecordOf<'VM'>,
  'memory_static_min' | 'memory_dynamic_min' | 'memory_dynamic_max' | 'memory_static_max'
>;

/**
 * static_min ≤ dynamic_min ≤ dynamic_max ≤ static_max, none negative.
 * @throws XapiError MEMORY_CONSTRAINT_VIOLATION
 */
export function assertMemory(limits: MemoryLimits): void {
  const { memory_static_min: low, memory_dynamic_min: min, memory_dynamic_max: max, memory_static_max: high } = limits;
  if (!(0 <= low && low <= min && min <= max && max <= high && high < gigantic)) {
    throw new XapiError('MEMORY_CONSTRAINT_VIOLATION', 'static_min <= dynamic_min <= dynamic_max <= static_max');
  }
}

/** Limits of a VM that does not run. */
function setMemory(xapi: Xapi, operation: VmOperation, self: Ref<'VM'>, limits: Partial<MemoryLimits>): void {
  assertAllowed(xapi, self, operation);
  assertMemory({ ...xapi.db.get('VM', self), ...limits });
  xapi.db.update('VM', self, limits);
  updateMemoryOverhead(xapi, self);
}

type DynamicRange = Partial<Pick<MemoryLimits, 'memory_dynamic_min' | 'memory_dynamic_max'>>;

/**
 * The range of a VM's balloon. Of one that runs it is moved there at once, together with those of the others on its host;
 * who has not come up yet, or does not follow, is waited for no longer than squeezed does.
 * @throws XapiError HOST_NOT_ENOUGH_FREE_MEMORY when the others have to keep more than is left beside the new minimum
 */
async function setDynamicRange(
  call: Call,
  self: Ref<'VM'>,
  range: DynamicRange,
  operation: VmOperation = 'changing_dynamic_range',
): Promise<void> {
  const { xapi, task } = call;
  if (xapi.db.get('VM', self).power_state !== 'Running') {
    setMemory(xapi, operation, self, range);
    return;
  }
  await withOperation(call, self, operation, async () => {
    const limits = { ...xapi.db.get('VM', self), ...range };
    assertMemory(limits);
    const { resident_on: host } = limits;
    const needed = limits.memory_dynamic_min + overheadOf(limits);
    const room = roomOn(xapi, host, 'most', self);
    if (needed > room && limits.memory_dynamic_min > xapi.db.get('VM', self).memory_dynamic_min)
      throw new XapiError('HOST_NOT_ENOUGH_FREE_MEMORY', String(needed), String(Math.max(0, room)));
    xapi.db.update('VM', self, range);
    await xapi.hosts.balanceMemory(host, self, task);
  });
}

/** How near a guest must come to its target, and how long that may take (`Xapi_globs.wait_memory_target_timeout`). */
const targetToleranceBytes = mibBytes;
const targetTimeoutMs = 256_000;

/** Waits until what a VM has is what it was told. */
function waitForTarget({ xapi, task }: Call, self: Ref<'VM'>): Promise<void> {
  const { db } = xapi;
  const isThere = ({ metrics, memory_target }: RecordOf<'VM'>): boolean => {
    const { memory_actual } = db.get('VM_metrics', metrics);
    return Math.abs(memory_actual - memory_target) <= targetToleranceBytes;
  };
  return waitForVm(xapi, self, isThere, {
    timeoutMs: targetTimeoutMs,
    late: () => new XapiError('VM_MEMORY_TARGET_WAIT_TIMEOUT'),
    task,
  });
}

export const vmMemoryCalls = {
  set_memory_dynamic_max: (call, { self, value }) => setDynamicRange(call, self, { memory_dynamic_max: value }),
  set_memory_dynamic_min: (call, { self, value }) => setDynamicRange(call, self, { memory_dynamic_min: value }),
  set_memory_dynamic_range: (call, { self, min, max }) =>
    setDynamicRange(call, self, { memory_dynamic_min: min, memory_dynamic_max: max }),
  set_memory_static_max: ({ xapi }, { self, value }) =>
    setMemory(xapi, 'changing_static_range', self, { memory_static_max: value }),
  set_memory_static_min: ({ xapi }, { self, value }) =>
    setMemory(xapi, 'changing_static_range', self, { memory_static_min: value }),
  set_memory_static_range: ({ xapi }, { self, min, max }) =>
    setMemory(xapi, 'changing_static_range', self, { memory_static_min: min, memory_static_max: max }),
  set_memory_limits: ({ xapi }, { self, static_min, static_max, dynamic_min, dynamic_max }) =>
    setMemory(xapi, 'changing_memory_limits', self, {
      memory_static_min: static_min,
      memory_static_max: static_max,
      memory_dynamic_min: dynamic_min,
      memory_dynamic_max: dynamic_max,
    }),
  set_memory: ({ xapi }, { self, value }) =>
    setMemory(xapi, 'changing_memory_limits', self, {
      memory_static_max: value,
      memory_dynamic_min: value,
      memory_dynamic_max: value,
    }),
  /** The old form of a dynamic range without any play. */
  set_memory_target_live: (call, { self, target }) =>
    setDynamicRange(call, self, { memory_dynamic_min: target, memory_dynamic_max: target }, 'changing_memory_live'),
  wait_memory_target_live: (call, { self }) =>
    withOperation(call, self, 'awaiting_memory_live', () => waitForTarget(call, self)),
  compute_memory_overhead: ({ xapi }, { vm }) => overheadOf(xapi.db.get('VM', vm)),
  maximise_memory: ({ xapi }, { self, total, approximate }) =>
    maximiseMemory(xapi.db.get('VM', self), total, approximate),
} as const satisfies CallsOf<'VM'>;
