/**
 * What a host accepts now. One table serves `allowed_operations` and every refusal that follows from the host's own state, so
 * the two cannot disagree. XAPI: ocaml/xapi/xapi_host_helpers.ml (`valid_operations`, `with_host_operation`).
 */
import type { Ref } from '@xenolith/base';
import type { Call } from '../call/call.ts';
import { enums } from '../datamodel/enums.ts';
import type { EnumOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import type { Xapi } from '../xapi.ts';

export type HostOperation = EnumOf<'host_allowed_operations'>;

/** What brings VMs to a host, and what takes them away; neither begins while the other is under way. */
const bringing: ReadonlySet<HostOperation> = new Set(['provision', 'vm_resume', 'vm_migrate']);
const emptying: ReadonlySet<HostOperation> = new Set(['evacuate', 'reboot', 'shutdown']);
const down: ReadonlySet<HostOperation> = new Set(['reboot', 'shutdown']);
/** A host that takes no VM refuses them; XAPI says so only when a host is looked for. */
const needsEnabled: ReadonlySet<HostOperation> = new Set(['provision', 'vm_start', 'vm_resume', 'vm_migrate']);

/** VMs that are on a host or on their way there, its control domain left out. */
function guestOf({ db }: Xapi, host: Ref<'host'>): Ref<'VM'> | undefined {
  const here = db.get('host', host).resident_VMs.find((vm) => !db.get('VM', vm).is_control_domain);
  return here ?? [...db.all('VM')].find(([, vm]) => vm.scheduled_to_be_resident_on === host)?.[0];
}

function refusalByOthers(
  host: Ref<'host'>,
  operation: HostOperation,
  underWay: Readonly<Record<string, HostOperation>>,
): XapiError | undefined {
  const other = Object.entries(underWay).find(
    ([, each]) =>
      (bringing.has(operation) && emptying.has(each)) ||
      (emptying.has(operation) && bringing.has(each)) ||
      (down.has(operation) && down.has(each)) ||
      (operation === 'power_on' && each === 'power_on'),
  );
  if (other === undefined) return undefined;
  const [task, what] = other;
  return new XapiError('OTHER_OPERATION_IN_PROGRESS', 'host', host, what, task);
}

/** Why a host does not accept an operation now; undefined when it does. */
export function hostRefusalOf(xapi: Xapi, host: Ref<'host'>, operation: HostOperation): XapiError | undefined {
  const { enabled, power_on_mode: mode, current_operations: current } = xapi.db.get('host', host);
  if (operation === 'apply_updates') return new XapiError('NOT_IMPLEMENTED', 'host.apply_updates');
  // A word of the records alone, as it is for a host that is away.
  if (operation === 'enable') return undefined;
  const other = refusalByOthers(host, operation, current);
  if (other !== undefined) return other;
  const isLive = xapi.hosts.isLive(host);
  if (operation === 'power_on') {
    if (isLive) return new XapiError('HOST_IS_LIVE', host);
    return mode === '' ? new XapiError('HOST_POWER_ON_MODE_DISABLED') : undefined;
  }
  if (down.has(operation) && enabled) return new XapiError('HOST_NOT_DISABLED');
  if (!isLive) return new XapiError('HOST_OFFLINE', host);
  if (needsEnabled.has(operation) && !enabled) return new XapiError('HOST_DISABLED', host);
  const guest = down.has(operation) ? guestOf(xapi, host) : undefined;
  return guest === undefined ? undefined : new XapiError('HOST_IN_USE', host, 'VM', guest);
}

/** @throws XapiError why the operation is refused now */
export function assertHostAllows(xapi: Xapi, host: Ref<'host'>, operation: HostOperation): void {
  const refusal = hostRefusalOf(xapi, host, operation);
  if (refusal !== undefined) throw refusal;
}

/** Computes `host.allowed_operations` anew: after whatever could have changed it. */
export function updateHostOperations(xapi: Xapi, host: Ref<'host'>): void {
  if (!xapi.db.has('host', host)) return;
  xapi.db.update('host', host, {
    allowed_operations: enums.host_allowed_operations.filter(
      (operation) => hostRefusalOf(xapi, host, operation) === undefined,
    ),
  });
}

/** VMs came to a host or left it: what that changes, it changes for one that takes none. */
export function guestsChanged(xapi: Xapi, host: Ref<'host'>): void {
  if (xapi.db.find('host', host)?.enabled === false) updateHostOperations(xapi, host);
}

/** Runs an operation of a host, marked in `current_operations` while it lasts. @throws XapiError why it is refused now */
export async function withHostOperation<T>(
  { xapi, task }: Pick<Call, 'xapi' | 'task'>,
  host: Ref<'host'>,
  operation: HostOperation,
  action: () => Promise<T>,
): Promise<T> {
  const { db } = xapi;
  assertHostAllows(xapi, host, operation);
  db.update('host', host, {
    current_operations: { ...db.get('host', host).current_operations, [task.ref]: operation },
  });
  updateHostOperations(xapi, host);
  try {
    return await action();
  } finally {
    if (db.has('host', host)) {
      const rest = Object.entries(db.get('host', host).current_operations).filter(([key]) => key !== task.ref);
      db.update('host', host, { current_operations: Object.fromEntries(rest) });
      updateHostOperations(xapi, host);
    }
  }
}
