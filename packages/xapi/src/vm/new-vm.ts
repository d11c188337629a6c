/** A new VM record with the metrics record that goes with it. */
import type { Ref } from '@xenolith/base';
import type { RecordOf } from '../datamodel/types.ts';
import type { Xapi } from '../xapi.ts';
import { updateMemoryOverhead } from './memory-overhead.ts';
import { updateAllowedOperations } from './operations.ts';

/** vCPUs of a VM: as many as Xen gives a PV guest. */
export const vcpusMax = 512;

/** Makes a VM; what is not given is as XAPI has it for a VM made by hand: one vCPU, ends as it is told to. */
export function newVmRecord(xapi: Xapi, fields: Partial<RecordOf<'VM'>>, ref?: Ref<'VM'>): Ref<'VM'> {
  const metrics = xapi.db.create('VM_metrics', { VCPUs_number: fields.VCPUs_at_startup ?? 1 });
  const vm = xapi.db.create(
    'VM',
    {
      domid: -1,
      VCPUs_max: 1,
      VCPUs_at_startup: 1,
      actions_after_shutdown: 'destroy',
      actions_after_reboot: 'restart',
      actions_after_crash: 'destroy',
      version: 0,
      ...fields,
      metrics,
    },
    ref,
  );
  updateMemoryOverhead(xapi, vm);
  updateAllowedOperations(xapi, vm);
  return vm;
}
