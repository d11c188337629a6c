/**
 * Which operations a VM accepts now. One table serves `allowed_operations` and every refusal, so the two cannot
 * disagree. XAPI: ocaml/xapi/xapi_vm_lifecycle.ml (`check_operation_error`, `is_allowed_concurrently`).
 */
import type { Ref } from '@xenolith/base';
import type { EnumOf, RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import type { Call } from '../call/call.ts';
import type { Xapi } from '../xapi.ts';

export type VmOperation = EnumOf<'vm_operations'>;
export type PowerState = EnumOf<'vm_power_state'>;

interface Rule {
  readonly states: readonly PowerState[];
  /** Whether a template accepts it; otherwise VM_IS_TEMPLATE. */
  readonly template?: boolean;
  /** Only a template accepts it. */
  readonly templateOnly?: boolean;
  /** Whether a control domain accepts it. */
  readonly controlDomain?: boolean;
  /** Whether it needs nothing of the host the VM runs on. */
  readonly hostMayBeDead?: boolean;
}

const anyState: readonly PowerState[] = ['Halted', 'Paused', 'Running', 'Suspended'];
const halted: readonly PowerState[] = ['Halted'];

/** The operations that do something here; XAPI knows more, and what is not here is never allowed. */
export const operationRules: Readonly<Partial<Record<VmOperation, Rule>>> = {
  start: { states: halted },
  start_on: { states: halted },
  clone: { states: ['Halted', 'Suspended'], template: true },
  copy: { states: ['Halted', 'Suspended'], template: true },
  provision: { states: halted, template: true },
  make_into_template: { states: halted, template: true },
  changing_static_range: { states: halted, template: true },
  changing_memory_limits: { states: halted, template: true },
  changing_dynamic_range: { states: halted, template: true },
  changing_VCPUs: { states: halted, template: true },
  pause: { states: ['Running'] },
  unpause: { states: ['Paused'] },
  suspend: { states: ['Running'] },
  resume: { states: ['Suspended'] },
  resume_on: { states: ['Suspended'] },
  clean_shutdown: { states: ['Running'] },
  clean_reboot: { states: ['Running'] },
  hard_shutdown: { states: ['Paused', 'Running', 'Suspended'] },
  hard_reboot: { states: ['Paused', 'Running'] },
  shutdown: { states: ['Paused', 'Running', 'Suspended'] },
  destroy: { states: ['Halted', 'Suspended'], template: true },
  get_boot_record: { states: ['Paused', 'Running', 'Suspended'], controlDomain: true, hostMayBeDead: true },
  power_state_reset: { states: anyState, hostMayBeDead: true },
  assert_operation_valid: { states: anyState, template: true, controlDomain: true, hostMayBeDead: true },
  update_allowed_operations: { states: anyState, template: true, controlDomain: true, hostMayBeDead: true },
};

const together: ReadonlySet<string> = new Set(['clone', 'copy']);

/** Whether `operation` may begin while the others are under way. */
export function allowedBeside(operation: VmOperation, underWay: readonly VmOperation[]): boolean {
  if (underWay.length === 0) return true;
  if (operation === 'assert_operation_valid' || operation === 'update_allowed_operations') return true;
  if (operation === 'get_boot_record') return true;
  if (operation === 'hard_shutdown') return !underWay.includes('hard_shutdown') && !underWay.includes('destroy');
  if (operation === 'hard_reboot') {
    return underWay.every((other) => other === 'clean_shutdown' || other === 'clean_reboot');
  }
  return together.has(operation) && underWay.every((other) => together.has(other));
}

/** What the decision is made from. */
export interface VmSituation {
  readonly ref: Ref<'VM'>;
  readonly vm: RecordOf<'VM'>;
  /** The host it runs on does not answer. */
  readonly hostIsDead: boolean;
}

const expected = (states: readonly PowerState[]): string => states.map((state) => state.toLowerCase()).join(', ');

/** Why an operation is refused now, or undefined when it is accepted. The order of checks is XAPI's. */
export function refusalOf({ ref, vm, hostIsDead }: VmSituation, operation: VmOperation): XapiError | undefined {
  const rule = operationRules[operation];
  if (rule === undefined) return new XapiError('NOT_IMPLEMENTED', `VM.${operation}`);
  const reason = Object.hasOwn(vm.blocked_operations, operation) ? vm.blocked_operations[operation] : undefined;
  if (reason !== undefined) return new XapiError('OPERATION_BLOCKED', ref, reason);
  if (!rule.states.includes(vm.power_state)) {
    return new XapiError('VM_BAD_POWER_STATE', ref, expected(rule.states), vm.power_state.toLowerCase());
  }
  const underWay = Object.entries(vm.current_operations);
  const [first] = underWay;
  if (
    first !== undefined &&
    !allowedBeside(
      operation,
      underWay.map(([, other]) => other),
    )
  ) {
    return new XapiError('OTHER_OPERATION_IN_PROGRESS', 'VM', ref, first[1], first[0]);
  }
  if (vm.is_a_template && rule.template !== true) return new XapiError('VM_IS_TEMPLATE', ref, operation);
  if (vm.is_default_template && operation === 'destroy') return new XapiError('VM_CANNOT_DELETE_DEFAULT_TEMPLATE', ref);
  if (vm.is_control_domain && rule.controlDomain !== true) {
    return new XapiError('OPERATION_NOT_ALLOWED', `${operation} is not allowed on a control domain`);
  }
  if (hostIsDead && rule.hostMayBeDead !== true) return new XapiError('HOST_OFFLINE', vm.resident_on);
  return undefined;
}

function situationOf(xapi: Xapi, ref: Ref<'VM'>): VmSituation {
  const vm = xapi.db.get('VM', ref);
  return { ref, vm, hostIsDead: xapi.db.has('host', vm.resident_on) && !xapi.hosts.isLive(vm.resident_on) };
}

/** @throws XapiError why the operation is refused now */
export function assertAllowed(xapi: Xapi, ref: Ref<'VM'>, operation: VmOperation): void {
  const refusal = refusalOf(situationOf(xapi, ref), operation);
  if (refusal !== undefined) throw refusal;
}

/** Computes `allowed_operations` anew: after whatever could have changed it. */
export function updateAllowedOperations(xapi: Xapi, ref: Ref<'VM'>): void {
  if (!xapi.db.has('VM', ref)) return;
  const situation = situationOf(xapi, ref);
  const operations = Object.keys(operationRules) as VmOperation[];
  xapi.db.update('VM', ref, {
    allowed_operations: operations.filter((operation) => refusalOf(situation, operation) === undefined),
  });
}

/** Runs an operation of a VM with the marks that clients watch: `current_operations` while it lasts. */
export async function withOperation<T>(
  { xapi, task }: Call,
  ref: Ref<'VM'>,
  operation: VmOperation,
  action: () => Promise<T>,
): Promise<T> {
  assertAllowed(xapi, ref, operation);
  const before = xapi.db.get('VM', ref).current_operations;
  xapi.db.update('VM', ref, { current_operations: { ...before, [task.ref]: operation } });
  updateAllowedOperations(xapi, ref);
  try {
    return await action();
  } finally {
    if (xapi.db.has('VM', ref)) {
      const rest = Object.entries(xapi.db.get('VM', ref).current_operations).filter(([key]) => key !== task.ref);
      xapi.db.update('VM', ref, { current_operations: Object.fromEntries(rest) });
      updateAllowedOperations(xapi, ref);
    }
  }
}
