/**
 * Memory of a host by the records: what is there, less what its VMs have or were promised. XAPI: ocaml/xapi/memory_check.ml
 * (`host_compute_free_memory_with_policy`).
 */
import { bytes, fromKib, type Bytes, type Ref } from '@xenolith/base';
import { emergencyPoolKib, xenOwnKib } from '@xenolith/hypervisor';
import type { Database } from '../database/database.ts';
import type { RecordOf } from '../datamodel/types.ts';
import type { DomainInfo, HostFacts } from '../host-driver.ts';
import { overheadOf } from '../vm/memory-overhead.ts';
import type { Xapi } from '../xapi.ts';

/** With every balloon as small as it may get now, or as it is. */
export type Compression = 'most' | 'none';

/** The part of free memory that stays free. */
const reservedBytes = fromKib(emergencyPoolKib + xenOwnKib);

/** What a VM that is on a host, or on its way there, counts for, its overhead included. */
function usedBy(xapi: Xapi, vm: RecordOf<'VM'>, compression: Compression): number {
  const { memory_dynamic_min, memory_dynamic_max, memory_target } = vm;
  if (vm.is_control_domain) return memory_dynamic_min;
  const told = memory_target === 0 ? memory_dynamic_max : memory_target;
  // It goes on with what it had when it was saved, and nobody can take that from it.
  if (vm.power_state === 'Suspended') return told + overheadOf(vm);
  // While a VM is paused its balloon does not move.
  if (compression === 'most' && vm.power_state !== 'Paused') return memory_dynamic_min + overheadOf(vm);
  const { memory_actual } = xapi.db.find('VM_metrics', vm.metrics) ?? { memory_actual: 0 };
  // Who has less than its least will soon have that.
  return Math.max(told, memory_actual, memory_dynamic_min) + overheadOf(vm);
}

/** The VMs that are on a host or on their way there. */
export const vmsAt = (db: Database, host: Ref<'host'>): ReadonlySet<Ref<'VM'>> =>
  new Set([...db.naming('VM', 'resident_on', host), ...db.naming('VM', 'scheduled_to_be_resident_on', host)]);

/**
 * What is left of a host's memory for more VMs, in bytes; less than nothing when its VMs have more than they should.
 * @param except counts for nothing: who asks for its own sake
 */
export function roomOn(xapi: Xapi, host: Ref<'host'>, compression: Compression, except?: Ref<'VM'>): number {
  const { db } = xapi;
  const { metrics, memory_overhead } = db.get('host', host);
  let room = (db.find('host_metrics', metrics)?.memory_total ?? 0) - memory_overhead;
  for (const ref of vmsAt(db, host)) if (ref !== except) room -= usedBy(xapi, db.get('VM', ref), compression);
  return room;
}

/** `host.compute_free_memory`: what a VM that starts could have, with the balloons of the others as small as they may get. */
export const freeMemoryOf = (xapi: Xapi, host: Ref<'host'>): Bytes => bytes(Math.max(0, roomOn(xapi, host, 'most')));

/**
 * What Xen keeps for itself and what is to stay free (`host.memory_overhead`): neither free nor any domain's when the host
 * was looked at. XAPI takes it at the boot of the host (`Create_misc.record_host_memory_properties`).
 */
export function hostOverhead(
  xapi: Xapi,
  { memoryTotalBytes, memoryFreeBytes }: Pick<HostFacts, 'memoryTotalBytes' | 'memoryFreeBytes'>,
  domains: readonly DomainInfo[],
): Bytes {
  let own = memoryTotalBytes - memoryFreeBytes;
  for (const { memoryBytes, uuid, domid } of domains) {
    const ref = domid === 0 ? undefined : xapi.db.byUuid('VM', uuid);
    own -= memoryBytes + (ref === undefined ? 0 : overheadOf(xapi.db.get('VM', ref)));
  }
  return bytes(Math.max(0, own) + reservedBytes);
}
