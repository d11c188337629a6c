/**
 * Which operations a VM accepts now. One table serves `allowed_operations` and every refusal that
 * follows from the VM's own record, so the two cannot disagree; what its disks, its hosts and the arguments refuse
 * comes after. XAPI: ocaml/xapi/xapi_vm_lifecycle.ml (`check_operation_error`, `is_allowed_concurrently`).
 */
import { nullRef, type Ref } from '@xenolith/base';
import type { EnumOf, RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import type { Call } from '../call/call.ts';
import { updateDeviceOperations } from '../storage/allowed-operations.ts';
import type { Xapi } from '../xapi.ts';
import { updateApplianceOperations } from './appliance-operations.ts';

export type VmOperation = EnumOf<'vm_operations'>;
export type PowerState = EnumOf<'vm_power_state'>;

interface Rule {
  readonly states: readonly PowerState[];
  /** Whether a template accepts it; otherwise VM_IS_TEMPLATE. */
  readonly template?: boolean;
  /** Only a template accepts it; otherwise PROVISION_ONLY_ALLOWED_ON_TEMPLATE. */
  readonly templateOnly?: boolean;
  /** Whether a snapshot accepts it; otherwise VM_IS_SNAPSHOT. `suspended`: then also one that has a memory image. */
  readonly snapshot?: true | 'suspended';
  /** Only a snapshot accepts it; otherwise REVERT_ONLY_ALLOWED_ON_SNAPSHOT. */
  readonly snapshotOnly?: boolean;
  /** Whether a control domain accepts it. */
  readonly controlDomain?: boolean;
  /** Whether it needs nothing of the host the VM runs on. */
  readonly hostMayBeDead?: boolean;
}

const anyState: readonly PowerState[] = ['Halted', 'Paused', 'Running', 'Suspended'];
const halted: readonly PowerState[] = ['Halted'];
const withImage: readonly PowerState[] = ['Halted', 'Suspended'];

const always: Rule = { states: anyState, template: true, snapshot: true, controlDomain: true, hostMayBeDead: true };

/** The operations that do something here; XAPI knows more, and what is not here is never allowed. */
export const operationRules: Readonly<Partial<Record<VmOperation, Rule>>> = {
  start: { states: halted },
  start_on: { states: halted },
  clone: { states: halted, template: true, snapshot: 'suspended' },
  copy: { states: halted, template: true, snapshot: 'suspended' },
  // A memory image is not in what is exported, so a suspended VM is not either; XAPI's is.
  export: { states: halted, template: true, snapshot: true },
  snapshot: { states: anyState },
  checkpoint: { states: ['Paused', 'Running', 'Suspended'] },
  revert: { states: anyState, snapshot: true, snapshotOnly: true },
  reverting: { states: anyState },
  provision: { states: halted, template: true, templateOnly: true },
  make_into_template: { states: halted },
  changing_static_range: { states: halted, template: true },
  changing_memory_limits: { states: halted, template: true },
  changing_dynamic_range: { states: ['Halted', 'Running'], template: true },
  changing_memory_live: { states: ['Running'] },
  awaiting_memory_live: { states: ['Running'] },
  changing_VCPUs: { states: halted, template: true },
  changing_VCPUs_live: { states: ['Running'] },
  pool_migrate: { states: ['Running'] },
  migrate_send: { states: ['Halted', 'Running', 'Suspended'] },
  send_sysrq: { states: ['Running'] },
  send_trigger: { states: ['Running'] },
  pause: { states: ['Running'] },
  unpause: { states: ['Paused'] },
  suspend: { states: ['Running'] },
  resume: { states: ['Suspended'] },
  resume_on: { states: ['Suspended'] },
  clean_shutdown: { states: ['Running'] },
  clean_reboot: { states: ['Running'] },
  hard_shutdown: { states: ['Paused', 'Running', 'Suspended'], snapshot: true },
  hard_reboot: { states: ['Paused', 'Running'] },
  shutdown: { states: ['Paused', 'Running', 'Suspended'] },
  destroy: { states: ['Halted', 'Suspended'], template: true, snapshot: true },
  get_boot_record: { states: ['Paused', 'Running', 'Suspended'], controlDomain: true, hostMayBeDead: true },
  power_state_reset: { states: anyState, hostMayBeDead: true },
  assert_operation_valid: always,
  update_allowed_operations: always,
};

/** What ends a domain, or may come to that. */
const hard: ReadonlySet<string> = new Set(['hard_shutdown', 'hard_reboot', 'shutdown', 'destroy']);
const together: ReadonlySet<string> = new Set(['clone', 'copy', 'export']);
/** What a guest stands still for, or is on its way for. Another domain in its place would not, so here XAPI lets more through than we do. */
const stilling: ReadonlySet<string> = new Set(['snapshot', 'checkpoint', 'reverting', 'pool_migrate', 'migrate_send']);

/** Whether `operation` may begin while the others are under way. */
export function allowedBeside(operation: VmOperation, underWay: readonly VmOperation[]): boolean {
  if (underWay.length === 0) return true;
  if (operation === 'assert_operation_valid' || operation === 'update_allowed_operations') return true;
  if (operation === 'get_boot_record' || operation === 'power_state_reset' || operation === 'hard_shutdown')
    return true;
  if (operation === 'hard_reboot') return !underWay.some((other) => hard.has(other) || stilling.has(other));
  return together.has(operation) && underWay.every((other) => together.has(other));
}

/** What the decision is made from. */
export interface VmSituation {
  readonly ref: Ref<'VM'>;
  readonly vm: RecordOf<'VM'>;
  /** The host it runs on, or may run on, does not answer. */
  readonly hostIsDead: boolean;
  /** A start or resume of it ended unheard: it may have a domain on the host that was promised to it. */
  readonly mayRun: boolean;
}

const expected = (states: readonly PowerState[]): string => states.map((state) => state.toLowerCase()).join(', ');

/** Why an operation is refused now, or undefined when it is accepted. The order of checks is XAPI's. */
export function refusalOf(situation: VmSituation, operation: VmOperation): XapiError | undefined {
  const { ref, vm } = situation;
  const rule = operationRules[operation];
  if (rule === undefined) return new XapiError('NOT_IMPLEMENTED', `VM.${operation}`);
  const reason = Object.hasOwn(vm.blocked_operations, operation) ? vm.blocked_operations[operation] : undefined;
  if (reason !== undefined) return new XapiError('OPERATION_BLOCKED', ref, reason);
  const states = vm.is_a_snapshot && rule.snapshot === 'suspended' ? withImage : rule.states;
  if (!states.includes(vm.power_state)) {
    return new XapiError('VM_BAD_POWER_STATE', ref, expected(states), vm.power_state.toLowerCase());
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
  const kind = refusalByKind(ref, vm, operation, rule);
  if (kind !== undefined) return kind;
  return rule.hostMayBeDead === true ? undefined : refusalByHost(situation);
}

/** What a template, a snapshot or a control domain does not accept. */
function refusalByKind(ref: Ref<'VM'>, vm: RecordOf<'VM'>, operation: VmOperation, rule: Rule): XapiError | undefined {
  // A snapshot is a template to clients as well, with rules of its own.
  if (vm.is_a_snapshot && rule.snapshot === undefined) return new XapiError('VM_IS_SNAPSHOT', ref, operation);
  if (vm.is_a_snapshot) return undefined;
  if (vm.is_a_template && rule.template !== true) return new XapiError('VM_IS_TEMPLATE', ref, operation);
  if (!vm.is_a_template && rule.templateOnly === true) return new XapiError('PROVISION_ONLY_ALLOWED_ON_TEMPLATE');
  if (rule.snapshotOnly === true) return new XapiError('REVERT_ONLY_ALLOWED_ON_SNAPSHOT');
  if (vm.is_default_template && operation === 'provision') {
    return new XapiError('OPERATION_NOT_ALLOWED', 'a default template is cloned before it is provisioned');
  }
  if (vm.is_default_template && operation === 'destroy') return new XapiError('VM_CANNOT_DELETE_DEFAULT_TEMPLATE', ref);
  if (vm.is_control_domain && rule.controlDomain !== true) {
    return new XapiError('OPERATION_NOT_ALLOWED', `${operation} is not allowed on a control domain`);
  }
  return undefined;
}

/** A VM that may have a domain is left alone until the next picture of its host tells. */
function refusalByHost({ ref, vm, hostIsDead, mayRun }: VmSituation): XapiError | undefined {
  if (hostIsDead) return new XapiError('HOST_OFFLINE', mayRun ? vm.scheduled_to_be_resident_on : vm.resident_on);
  const unheard = vm.power_state === 'Suspended' ? 'resume' : 'start';
  return mayRun ? new XapiError('OTHER_OPERATION_IN_PROGRESS', 'VM', ref, unheard, nullRef()) : undefined;
}

function situationOf(xapi: Xapi, ref: Ref<'VM'>): VmSituation {
  const { db, hosts } = xapi;
  const vm = db.get('VM', ref);
  const isPromised = db.has('host', vm.scheduled_to_be_resident_on);
  const mayRun = isPromised && Object.keys(vm.current_operations).length === 0;
  const host = mayRun ? vm.scheduled_to_be_resident_on : vm.resident_on;
  return { ref, vm, hostIsDead: db.has('host', host) && !hosts.isLive(host), mayRun };
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
  updateApplianceOperations(xapi, situation.vm.appliance);
}

/** What is under way with a VM loses its domain or its image, or is given up: it may fail from now on. */
export function overtakeOperations({ db, tasks }: Xapi, ref: Ref<'VM'>): void {
  for (const task of Object.keys(db.get('VM', ref).current_operations)) tasks.overtake(task as Ref<'task'>);
}

/**
 * Runs an operation of a VM with the marks that clients watch: `current_operations` while it lasts.
 * @throws XapiError why it is refused; TASK_CANCELLED [task] when a hard shutdown or reboot took its domain or image away and
 *   the host has no better word for it (XAPI cancels such tasks: ocaml/xapi/xapi_vm.ml, `hard_shutdown`)
 */
export async function withOperation<T>(
  { xapi, task }: Call,
  ref: Ref<'VM'>,
  operation: VmOperation,
  action: () => Promise<T>,
): Promise<T> {
  assertAllowed(xapi, ref, operation);
  const before = xapi.db.get('VM', ref).current_operations;
  if (hard.has(operation)) overtakeOperations(xapi, ref);
  xapi.db.update('VM', ref, { current_operations: { ...before, [task.ref]: operation } });
  updateAllowedOperations(xapi, ref);
  updateDeviceOperations(xapi, ref);
  try {
    return await action();
  } catch (error) {
    const isWordless = error instanceof XapiError && error.code === 'INTERNAL_ERROR';
    throw isWordless && task.overtaken ? new XapiError('TASK_CANCELLED', task.ref) : error;
  } finally {
    if (xapi.db.has('VM', ref)) {
      const rest = Object.entries(xapi.db.get('VM', ref).current_operations).filter(([key]) => key !== task.ref);
      xapi.db.update('VM', ref, { current_operations: Object.fromEntries(rest) });
      updateAllowedOperations(xapi, ref);
      updateDeviceOperations(xapi, ref);
    }
  }
}
