/**
 * What a change of power state means for the records: of the VM, its metrics, its devices and its consoles.
 * XAPI: ocaml/xapi/xapi_vm_lifecycle.ml (`force_state_reset`), xapi_xenops.ml (`update_vm`).
 */
import { nullRef, type DomId, type Ref } from '@xenolith/base';
import { formatDateTime } from '@xenolith/wire';
import { guestsChanged } from '../host/host-operations.ts';
import { updateDeviceOperations } from '../storage/allowed-operations.ts';
import { notReserved } from '../storage/reserved.ts';
import type { Xapi } from '../xapi.ts';
import { setConsoleLocation } from './console-location.ts';
import { updateAllowedOperations } from './operations.ts';

/** Where a running VM is. */
export interface Placement {
  readonly host: Ref<'host'>;
  readonly domid: DomId;
  readonly paused: boolean;
}

/** The VM has a domain now, or has another one than before. */
export function markRunning(xapi: Xapi, ref: Ref<'VM'>, { host, domid, paused }: Placement): void {
  const { db } = xapi;
  const vm = db.get('VM', ref);
  const isNew = vm.domid !== domid || vm.resident_on !== host;
  // A guest that reboots keeps the devices that it has: what was unplugged stays away.
  const isReboot = vm.domid !== -1 && vm.resident_on === host;
  db.update('VM', ref, {
    power_state: paused ? 'Paused' : 'Running',
    domid,
    resident_on: host,
    scheduled_to_be_resident_on: nullRef(),
    ...(vm.memory_target === 0 ? { memory_target: vm.memory_dynamic_max } : {}),
  });
  if (isNew) {
    if (!isReboot) setDevicesAttached(xapi, ref, true);
    ensureConsole(xapi, ref);
    if (db.has('VM_metrics', vm.metrics)) {
      const started = formatDateTime(xapi.clock.now());
      db.update('VM_metrics', vm.metrics, { start_time: started, VCPUs_number: vm.VCPUs_at_startup });
    }
  }
  if (isNew) for (const each of new Set([host, vm.resident_on])) guestsChanged(xapi, each);
  updateAllowedOperations(xapi, ref);
  updateDeviceOperations(xapi, ref);
}

/** The VM has no domain any more, and nothing of it is kept but its disks. */
export function markHalted(xapi: Xapi, ref: Ref<'VM'>): void {
  release(xapi, ref);
  xapi.db.update('VM', ref, { power_state: 'Halted', suspend_VDI: nullRef(), memory_target: 0 });
  updateAllowedOperations(xapi, ref);
  updateDeviceOperations(xapi, ref);
}

/** The VM has no domain any more; its memory is in its suspend VDI. */
export function markSuspended(xapi: Xapi, ref: Ref<'VM'>): void {
  release(xapi, ref);
  xapi.db.update('VM', ref, { power_state: 'Suspended' });
  updateAllowedOperations(xapi, ref);
  updateDeviceOperations(xapi, ref);
}

function release(xapi: Xapi, ref: Ref<'VM'>): void {
  const { db } = xapi;
  const vm = db.get('VM', ref);
  db.update('VM', ref, { domid: -1, resident_on: nullRef(), scheduled_to_be_resident_on: nullRef() });
  for (const host of new Set([vm.resident_on, vm.scheduled_to_be_resident_on])) guestsChanged(xapi, host);
  setDevicesAttached(xapi, ref, false);
  for (const console of vm.consoles) db.destroy('console', console);
  if (db.has('VM_metrics', vm.metrics)) db.update('VM_metrics', vm.metrics, withoutDomain);
}

/** What `VM_metrics` says of a VM that has no domain. */
const withoutDomain = {
  memory_actual: 0,
  state: [],
  VCPUs_utilisation: {},
  VCPUs_CPU: {},
  VCPUs_flags: {},
  numa_optimised: false,
  numa_nodes: 0,
  numa_node_memory: {},
} as const;

function setDevicesAttached(xapi: Xapi, ref: Ref<'VM'>, attached: boolean): void {
  const { db } = xapi;
  const vm = db.get('VM', ref);
  for (const vbd of vm.VBDs) {
    const { empty } = db.get('VBD', vbd);
    db.update('VBD', vbd, { currently_attached: attached && !empty, ...notReserved });
  }
  for (const vif of vm.VIFs) db.update('VIF', vif, { currently_attached: attached, ...notReserved });
}

/** A running domain has a text console; XenAPI calls it vt100. */
function ensureConsole(xapi: Xapi, ref: Ref<'VM'>): void {
  const { db } = xapi;
  if (db.get('VM', ref).consoles.length > 0) return;
  const console = db.create('console', { VM: ref, protocol: 'vt100' });
  setConsoleLocation(xapi, console);
}
