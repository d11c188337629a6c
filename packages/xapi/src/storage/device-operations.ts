/**
 * Which operations a VBD or a VIF accepts now. One table serves `allowed_operations` and every refusal, so the two
 * cannot disagree. XAPI: ocaml/xapi/xapi_vbd_helpers.ml, xapi_vif_helpers.ml (`valid_operations`).
 */
import { nullRef, type Ref } from '@xenolith/base';
import type { EnumOf, RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import type { Xapi } from '../xapi.ts';
import { vbdRefusal } from './attach.ts';
import { isReserved } from './reserved.ts';

export type DeviceClass = 'VBD' | 'VIF';
/** Those of a VIF are among those of a VBD. */
export type DeviceOperation = EnumOf<'vbd_operations'>;

type PowerState = EnumOf<'vm_power_state'>;

interface Rule {
  readonly states: readonly PowerState[];
  /** Whether the guest must have it (true), must not (false), or either. */
  readonly attached?: boolean;
  /** Whether it may be in the guest's hands afterwards: then what it is of must be free for it. */
  readonly takes?: true;
  /** For drives only. */
  readonly drive?: true;
}

const unplug: Rule = { states: ['Running'], attached: true };

/**
 * The operations that do something here; XAPI knows more, and what is not here is never allowed. `attach` is what the
 * next start or resume does.
 */
export const deviceRules: Readonly<Partial<Record<DeviceOperation, Rule>>> = {
  attach: { states: ['Halted', 'Suspended'], attached: false, takes: true },
  plug: { states: ['Running'], attached: false, takes: true },
  unplug,
  unplug_force: unplug,
  insert: { states: ['Halted', 'Running'], attached: false, drive: true },
  eject: { states: ['Halted', 'Running'], drive: true },
};

/** What a VIF knows of them: a guest is never asked whether it lets go of one. */
const vifOperations: ReadonlySet<DeviceOperation> = new Set(['attach', 'plug', 'unplug']);

/** What may be done with a VM while its devices change. */
const beside: ReadonlySet<EnumOf<'vm_operations'>> = new Set([
  'clone',
  'copy',
  'changing_dynamic_range',
  'changing_memory_live',
  'awaiting_memory_live',
  'changing_VCPUs_live',
  'get_boot_record',
  'assert_operation_valid',
  'update_allowed_operations',
  'data_source_op',
  'call_plugin',
  'send_sysrq',
  'send_trigger',
  'query_services',
]);

/** What the decision is made from. */
export interface DeviceSituation {
  readonly kind: DeviceClass;
  readonly ref: Ref<'VBD'> | Ref<'VIF'>;
  readonly device: Pick<RecordOf<'VBD'>, 'currently_attached' | 'current_operations' | 'runtime_properties' | 'VM'>;
  /** Of a VBD only. */
  readonly drive?: Pick<RecordOf<'VBD'>, 'type' | 'empty' | 'unpluggable'>;
  readonly vm: Pick<RecordOf<'VM'>, 'power_state' | 'current_operations' | 'is_control_domain' | 'resident_on'>;
  /** A start or resume of the VM ended unheard. */
  readonly isPromised: boolean;
  /** The host that it runs on does not answer. */
  readonly hostIsDead: boolean;
  /** Why what it is of cannot be had now. */
  readonly takeRefusal: XapiError | undefined;
}

const expected = (states: readonly PowerState[]): string => states.map((state) => state.toLowerCase()).join(', ');

/** Why an operation is refused now, or undefined when it is accepted. */
export function deviceRefusal(situation: DeviceSituation, operation: DeviceOperation): XapiError | undefined {
  const { kind, ref, device, drive, vm } = situation;
  const rule = kind === 'VIF' && !vifOperations.has(operation) ? undefined : deviceRules[operation];
  if (rule === undefined) return new XapiError('NOT_IMPLEMENTED', `${kind}.${operation}`);
  const busy = underWay(kind, ref, device, situation.hostIsDead);
  if (busy !== undefined) return busy;
  const byDrive = drive === undefined ? undefined : driveRefusal(ref, drive, rule, operation);
  if (byDrive !== undefined) return byDrive;
  const inTheWay = Object.entries(vm.current_operations).find(([, name]) => !beside.has(name));
  if (inTheWay !== undefined) {
    return new XapiError('OTHER_OPERATION_IN_PROGRESS', 'VM', device.VM, inTheWay[1], inTheWay[0]);
  }
  if (situation.isPromised && operation !== 'attach') {
    return new XapiError('OTHER_OPERATION_IN_PROGRESS', 'VM', device.VM, 'start', nullRef());
  }
  if (vm.is_control_domain) return new XapiError('OPERATION_NOT_ALLOWED', 'a control domain keeps its devices');
  if (!rule.states.includes(vm.power_state)) {
    return new XapiError('VM_BAD_POWER_STATE', device.VM, expected(rule.states), vm.power_state.toLowerCase());
  }
  if (rule.attached === false && device.currently_attached) return new XapiError('DEVICE_ALREADY_ATTACHED', ref);
  if (rule.attached === true && !device.currently_attached) return new XapiError('DEVICE_ALREADY_DETACHED', ref);
  if (situation.hostIsDead) return new XapiError('HOST_OFFLINE', vm.resident_on);
  return rule.takes === true ? situation.takeRefusal : undefined;
}

/** What is under way with a device, as a refusal. */
function underWay(
  kind: DeviceClass,
  ref: string,
  device: Pick<RecordOf<'VBD'>, 'current_operations' | 'runtime_properties'>,
  hostIsDead: boolean,
): XapiError | undefined {
  const [other] = Object.entries(device.current_operations);
  if (other !== undefined) return new XapiError('OTHER_OPERATION_IN_PROGRESS', kind, ref, other[1], other[0]);
  // Nobody heard the end of a plug or an unplug: the next look at the host tells.
  return isReserved(device) && !hostIsDead
    ? new XapiError('OTHER_OPERATION_IN_PROGRESS', kind, ref, 'plug', nullRef())
    : undefined;
}

/**
 * Refuses to remove a device, or to make it another one, while its VM has it or something is done with it.
 * @throws XapiError DEVICE_ALREADY_ATTACHED, OTHER_OPERATION_IN_PROGRESS
 */
export function assertDetached(xapi: Xapi, kind: DeviceClass, ref: Ref<'VBD'> | Ref<'VIF'>): void {
  const { db } = xapi;
  const device = kind === 'VBD' ? db.get('VBD', ref as Ref<'VBD'>) : db.get('VIF', ref as Ref<'VIF'>);
  const busy = underWay(kind, ref, device, false);
  if (busy !== undefined) throw busy;
  if (device.currently_attached) throw new XapiError('DEVICE_ALREADY_ATTACHED', ref);
}

function driveRefusal(
  ref: string,
  { type, empty, unpluggable }: NonNullable<DeviceSituation['drive']>,
  rule: Rule,
  operation: DeviceOperation,
): XapiError | undefined {
  if (rule.drive === true && type === 'Disk') return new XapiError('VBD_NOT_REMOVABLE_MEDIA', ref);
  if (operation === 'insert' && !empty) return new XapiError('VBD_NOT_EMPTY', ref);
  if ((operation === 'eject' || operation === 'plug') && empty) return new XapiError('VBD_IS_EMPTY', ref);
  if ((operation === 'unplug' || operation === 'unplug_force') && !unpluggable) {
    return new XapiError('VBD_NOT_UNPLUGGABLE', ref);
  }
  return undefined;
}

function situationOf(xapi: Xapi, kind: DeviceClass, ref: Ref<'VBD'> | Ref<'VIF'>): DeviceSituation | undefined {
  const { db, hosts } = xapi;
  const device = kind === 'VBD' ? db.get('VBD', ref as Ref<'VBD'>) : db.get('VIF', ref as Ref<'VIF'>);
  const vm = db.find('VM', device.VM);
  if (vm === undefined) return undefined;
  const runs = vm.power_state === 'Running' || vm.power_state === 'Paused';
  return {
    kind,
    ref,
    device,
    ...(kind === 'VBD' ? { drive: db.get('VBD', ref as Ref<'VBD'>) } : {}),
    vm,
    isPromised: db.has('host', vm.scheduled_to_be_resident_on),
    hostIsDead: runs && !hosts.isLive(vm.resident_on),
    takeRefusal: kind === 'VBD' ? vbdRefusal(xapi, ref as Ref<'VBD'>) : undefined,
  };
}

/** @throws XapiError why the operation is refused now */
export function assertDeviceAllows(
  xapi: Xapi,
  kind: DeviceClass,
  ref: Ref<'VBD'> | Ref<'VIF'>,
  operation: DeviceOperation,
): void {
  const situation = situationOf(xapi, kind, ref);
  const refusal = situation === undefined ? undefined : deviceRefusal(situation, operation);
  if (refusal !== undefined) throw refusal;
}

/** What a device accepts now; nothing without its VM. */
export function deviceAllows(xapi: Xapi, kind: DeviceClass, ref: Ref<'VBD'> | Ref<'VIF'>): DeviceOperation[] {
  const situation = situationOf(xapi, kind, ref);
  if (situation === undefined) return [];
  const operations = Object.keys(deviceRules) as DeviceOperation[];
  return operations.filter((operation) => deviceRefusal(situation, operation) === undefined);
}
