/** Memory for a domain that is to be made. XAPI: ocaml/xenopsd/xc/memory_client.ml and its use in xenops_server_xen.ml (`with_reservation`). */
import { bytes, nullRef, type Bytes, type Ref } from '@xenolith/base';
import { XapiError } from '../errors.ts';
import { roomOn } from '../host/memory-account.ts';
import type { MemoryRange } from '../host/memory-control.ts';
import { isOutcomeKnown } from '../host-error.ts';
import type { Task } from '../task/tasks.ts';
import type { Xapi } from '../xapi.ts';
import { overheadOf } from './memory-overhead.ts';

/** What a VM may be started with. */
export function startRange(xapi: Xapi, vm: Ref<'VM'>): MemoryRange {
  const { memory_dynamic_min, memory_dynamic_max } = xapi.db.get('VM', vm);
  return { minBytes: bytes(memory_dynamic_min), maxBytes: bytes(memory_dynamic_max) };
}

/** What a VM has, or had when it was saved: what its next domain goes on with. */
export function keptTarget(xapi: Xapi, vm: Ref<'VM'>): Bytes {
  const { memory_target, memory_dynamic_max, memory_static_max } = xapi.db.get('VM', vm);
  return bytes(memory_target === 0 ? memory_dynamic_max : Math.min(memory_target, memory_static_max));
}

/** @throws XapiError HOST_NOT_ENOUGH_FREE_MEMORY when a host could not have so much free for a VM, its overhead added */
export function assertMemoryThere(xapi: Xapi, vm: Ref<'VM'>, host: Ref<'host'>, targetBytes: Bytes): void {
  const needed = targetBytes + overheadOf(xapi.db.get('VM', vm));
  const room = roomOn(xapi, host, 'most', vm);
  if (needed > room) throw new XapiError('HOST_NOT_ENOUGH_FREE_MEMORY', String(needed), String(Math.max(0, room)));
}

/**
 * Makes a domain with memory that is kept for it on a host, and says in the record what it was given.
 * @param work is told how much
 * @throws XapiError HOST_NOT_ENOUGH_FREE_MEMORY [needed, available], VMS_FAILED_TO_COOPERATE
 */
export async function withMemory(
  xapi: Xapi,
  vm: Ref<'VM'>,
  place: { readonly host: Ref<'host'>; readonly range: MemoryRange; readonly task?: Task | undefined },
  work: (targetBytes: Bytes) => Promise<void>,
): Promise<void> {
  const { db, hosts } = xapi;
  const before = db.get('VM', vm).memory_target;
  const grant = await hosts.grantMemory(place.host, vm, place.range, place.task).catch((error: unknown) => {
    // Whatever is not known of the host, no domain was begun: the VM has no place there.
    if (db.has('VM', vm)) db.update('VM', vm, { scheduled_to_be_resident_on: nullRef() });
    throw error;
  });
  const { targetBytes } = grant;
  if (db.has('VM', vm)) db.update('VM', vm, { memory_target: targetBytes });
  try {
    await work(targetBytes);
  } catch (error) {
    if (isOutcomeKnown(error) && db.find('VM', vm)?.memory_target === targetBytes)
      db.update('VM', vm, { memory_target: before });
    throw error instanceof XapiError && error.code === 'HOST_NOT_ENOUGH_FREE_MEMORY'
      ? notEnough(xapi, vm, place.host, targetBytes)
      : error;
  } finally {
    grant.release();
  }
}

/** Xen had less than the records say: with what its host told last. */
function notEnough(xapi: Xapi, vm: Ref<'VM'>, host: Ref<'host'>, targetBytes: Bytes): XapiError {
  const { db } = xapi;
  const needed = targetBytes + overheadOf(db.get('VM', vm));
  const free = db.find('host_metrics', db.get('host', host).metrics)?.memory_free ?? 0;
  return new XapiError('HOST_NOT_ENOUGH_FREE_MEMORY', String(needed), String(free));
}
