/**
 * Whether a VM may have its devices now. A disk that is not `sharable` is written by one VM at a time, and not at all
 * while something else is done with it. XAPI: ocaml/xapi/xapi_vbd_helpers.ml, xapi_vif_helpers.ml
 * (`check_operation_error`).
 */
import { nullRef, type Ref } from '@xenolith/base';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import type { Xapi } from '../xapi.ts';
import { usesOf, type VdiOperation } from './vdi-operations.ts';
import { srRefusal } from './vdi-path.ts';

/** What the decision about attaching a disk is made from. */
export interface AttachSituation {
  readonly ref: Ref<'VDI'>;
  readonly vdi: Pick<
    RecordOf<'VDI'>,
    'managed' | 'missing' | 'sharable' | 'read_only' | 'current_operations' | 'SR' | 'type'
  >;
  readonly writes: boolean;
  /** The other holds on the disk; those of the same VM count, as they would come with it. */
  readonly others: readonly { readonly writes: boolean }[];
}

/** Operations on a disk that only read it, so that others may. */
const onlyRead: ReadonlySet<VdiOperation> = new Set(['clone', 'copy', 'snapshot', 'update']);

/** Why a disk cannot be attached now, or undefined when it can. */
export function attachRefusal({ ref, vdi, writes, others }: AttachSituation): XapiError | undefined {
  const inTheWay = Object.entries(vdi.current_operations).find(
    ([, operation]) => operation !== 'update' && (writes || !onlyRead.has(operation)),
  );
  if (inTheWay !== undefined) return new XapiError('OTHER_OPERATION_IN_PROGRESS', 'VDI', ref, inTheWay[1], inTheWay[0]);
  if (!vdi.managed) return new XapiError('VDI_NOT_MANAGED', ref);
  if (!vdi.sharable && others.some((other) => writes || other.writes)) {
    return new XapiError('VDI_IN_USE', ref, 'attach');
  }
  if (writes && vdi.read_only) return new XapiError('VDI_READONLY', ref);
  if (vdi.type === 'suspend') return new XapiError('VDI_INCOMPATIBLE_TYPE', ref, vdi.type);
  if (vdi.missing) return new XapiError('VDI_MISSING', vdi.SR, ref);
  return undefined;
}

/** Why a VBD cannot be attached now; an empty drive always can. */
export function vbdRefusal(xapi: Xapi, ref: Ref<'VBD'>): XapiError | undefined {
  const { db, hosts } = xapi;
  const { VM, VDI, mode, empty } = db.get('VBD', ref);
  const vdi = db.find('VDI', VDI);
  if (empty || vdi === undefined) return undefined;
  const runs = ['Running', 'Paused'].includes(db.find('VM', VM)?.power_state ?? 'Halted');
  const own = vdi.VBDs.filter((vbd) => vbd !== ref && db.get('VBD', vbd).VM === VM).map((vbd) => ({
    vbd,
    writes: db.get('VBD', vbd).mode === 'RW',
  }));
  const held = usesOf(db, VDI).filter(({ vbd }) => vbd !== ref);
  const foreign = held.filter(({ vm }) => vm !== VM);
  // What a VM has at its next start comes all at once; what a running one has not now is not in the way.
  const ownNow = runs ? own.filter(({ vbd }) => held.some((use) => use.vbd === vbd)) : own;
  return (
    attachRefusal({ ref: VDI, vdi, writes: mode === 'RW', others: [...ownNow, ...foreign] }) ??
    srRefusal(db, vdi.SR, (host) => hosts.isLive(host))
  );
}

/**
 * Refuses to change what a VM is made of while it is not halted, or while something is done with it that counts on that.
 * @throws XapiError VM_BAD_POWER_STATE, OTHER_OPERATION_IN_PROGRESS
 */
export function assertHalted(xapi: Xapi, ref: Ref<'VM'>): void {
  const { power_state } = xapi.db.get('VM', ref);
  if (power_state !== 'Halted') throw new XapiError('VM_BAD_POWER_STATE', ref, 'halted', power_state.toLowerCase());
  assertDevicesMayChange(xapi, ref);
}

/**
 * Refuses to give a VM other devices, or to change those that it has not got now, while it is suspended, as its memory
 * knows them, or while something is done with it that counts on them.
 * @throws XapiError VM_BAD_POWER_STATE, OTHER_OPERATION_IN_PROGRESS
 */
export function assertDevicesMayChange(xapi: Xapi, ref: Ref<'VM'>): void {
  const vm = xapi.db.get('VM', ref);
  if (vm.power_state === 'Suspended') {
    throw new XapiError('VM_BAD_POWER_STATE', ref, 'halted, running', 'suspended');
  }
  const other = Object.entries(vm.current_operations).find(([, name]) => name !== 'clone' && name !== 'copy');
  if (other !== undefined) throw new XapiError('OTHER_OPERATION_IN_PROGRESS', 'VM', ref, other[1], other[0]);
  // Nobody heard the end of a start: it may have a domain with the devices that it had then.
  if (xapi.db.has('host', vm.scheduled_to_be_resident_on)) {
    throw new XapiError('OTHER_OPERATION_IN_PROGRESS', 'VM', ref, 'start', nullRef());
  }
}
