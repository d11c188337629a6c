import { ref as makeRef } from '@xenolith/base';
import { describe, expect, test } from 'vitest';
import { enums } from '../datamodel/enums.ts';
import type { RecordOf } from '../datamodel/types.ts';
import { OpenPool } from '../testing/open-pool.ts';
import { allowedBeside, operationRules, refusalOf, type PowerState, type VmOperation } from './operations.ts';

const states: readonly PowerState[] = ['Halted', 'Paused', 'Running', 'Suspended'];
const ref = makeRef<'VM'>('OpaqueRef:1');

const { xapi } = await OpenPool.start();
const blank = xapi.db.get('VM', xapi.db.create('VM', {}));
const codeOf = (vm: Partial<RecordOf<'VM'>>, operation: VmOperation, hostIsDead = false): string | undefined =>
  refusalOf({ ref, vm: { ...blank, ...vm }, hostIsDead, mayRun: false }, operation)?.code;

/**
 * XAPI's power states for each operation (`allowed_power_states`). What takes a narrower set here is what has no effect on
 * a running VM here.
 */
const table: Readonly<Partial<Record<VmOperation, readonly PowerState[]>>> = {
  start: ['Halted'],
  start_on: ['Halted'],
  provision: ['Halted'],
  make_into_template: ['Halted'],
  changing_VCPUs: ['Halted'],
  changing_VCPUs_live: ['Running'],
  changing_static_range: ['Halted'],
  changing_memory_limits: ['Halted'],
  changing_dynamic_range: ['Halted', 'Running'],
  changing_memory_live: ['Running'],
  awaiting_memory_live: ['Running'],
  clone: ['Halted'],
  copy: ['Halted'],
  export: ['Halted'],
  snapshot: states,
  checkpoint: ['Paused', 'Running', 'Suspended'],
  reverting: states,
  revert: states,
  unpause: ['Paused'],
  resume: ['Suspended'],
  resume_on: ['Suspended'],
  send_sysrq: ['Running'],
  send_trigger: ['Running'],
  pause: ['Running'],
  pool_migrate: ['Running'],
  migrate_send: ['Halted', 'Running', 'Suspended'],
  suspend: ['Running'],
  clean_shutdown: ['Running'],
  clean_reboot: ['Running'],
  hard_reboot: ['Paused', 'Running'],
  hard_shutdown: ['Paused', 'Running', 'Suspended'],
  shutdown: ['Paused', 'Running', 'Suspended'],
  get_boot_record: ['Paused', 'Running', 'Suspended'],
  destroy: ['Halted', 'Suspended'],
  power_state_reset: states,
  assert_operation_valid: states,
  update_allowed_operations: states,
};

describe('in each power state', () => {
  test.each(enums.vm_operations.flatMap((operation) => states.map((state) => [operation, state] as const)))(
    '%s when %s',
    (operation, power_state) => {
      const accepted = table[operation];
      const expected = accepted === undefined ? 'NOT_IMPLEMENTED' : 'VM_BAD_POWER_STATE';
      const is_a_template = operation === 'provision';
      const is_a_snapshot = operation === 'revert';
      expect(codeOf({ power_state, is_a_template, is_a_snapshot }, operation)).toBe(
        accepted?.includes(power_state) === true ? undefined : expected,
      );
    },
  );

  test('a refusal names the states that would do, and the one that is', () => {
    expect(refusalOf({ ref, vm: blank, hostIsDead: false, mayRun: false }, 'hard_shutdown')?.description).toEqual([
      'VM_BAD_POWER_STATE',
      ref,
      'paused, running, suspended',
      'halted',
    ]);
  });
});

describe('beside others', () => {
  const alone = Object.keys(operationRules) as readonly VmOperation[];
  const always = ['hard_shutdown', 'power_state_reset', 'get_boot_record', 'assert_operation_valid'];
  const hard = ['hard_shutdown', 'hard_reboot', 'shutdown', 'destroy'];
  const copies = ['clone', 'copy', 'export'];
  const stilling = ['snapshot', 'checkpoint', 'reverting', 'pool_migrate', 'migrate_send'];

  test.each(alone.flatMap((operation) => alone.map((other) => [operation, other] as const)))(
    '%s while %s is under way',
    (operation, other) => {
      const expected =
        always.includes(operation) ||
        operation === 'update_allowed_operations' ||
        (operation === 'hard_reboot' && !hard.includes(other) && !stilling.includes(other)) ||
        (copies.includes(operation) && copies.includes(other));
      expect(allowedBeside(operation, [other])).toBe(expected);
    },
  );

  test('one among several that forbids is enough', () => {
    expect(allowedBeside('clone', ['copy', 'start'])).toBe(false);
    expect(allowedBeside('hard_reboot', ['clean_shutdown', 'hard_shutdown'])).toBe(false);
  });

  test('a refusal names what is under way', () => {
    const vm = { ...blank, current_operations: { 'OpaqueRef:task': 'start' } } as const;
    expect(refusalOf({ ref, vm, hostIsDead: false, mayRun: false }, 'start')?.description).toEqual([
      'OTHER_OPERATION_IN_PROGRESS',
      'VM',
      ref,
      'start',
      'OpaqueRef:task',
    ]);
  });
});

describe('the first reason counts', () => {
  const everything = {
    power_state: 'Running',
    blocked_operations: { start: 'no' },
    current_operations: { t: 'start' },
    is_a_template: true,
    is_control_domain: true,
  } as const satisfies Partial<RecordOf<'VM'>>;

  test.each<[string, Partial<RecordOf<'VM'>>, VmOperation, string | undefined]>([
    ['blocked', everything, 'start', 'OPERATION_BLOCKED'],
    ['power state', { ...everything, blocked_operations: {} }, 'start', 'VM_BAD_POWER_STATE'],
    ['under way', { ...everything, blocked_operations: {} }, 'pause', 'OTHER_OPERATION_IN_PROGRESS'],
    ['template', { ...everything, current_operations: {} }, 'pause', 'VM_IS_TEMPLATE'],
    ['control domain', { power_state: 'Running', is_control_domain: true }, 'pause', 'OPERATION_NOT_ALLOWED'],
    ['blocked for something else', { blocked_operations: { start: 'no' } }, 'start_on', undefined],
    ['a key of every object is no reason', { blocked_operations: {} }, 'start', undefined],
  ])('%s', (_, vm, operation, code) => {
    expect(codeOf(vm, operation)).toBe(code);
  });

  test.each<[VmOperation, string | undefined]>([
    ['clone', undefined],
    ['copy', undefined],
    ['provision', undefined],
    ['changing_VCPUs', undefined],
    ['changing_memory_limits', undefined],
    ['changing_static_range', undefined],
    ['changing_dynamic_range', undefined],
    ['destroy', undefined],
    ['start', 'VM_IS_TEMPLATE'],
    ['start_on', 'VM_IS_TEMPLATE'],
    ['power_state_reset', 'VM_IS_TEMPLATE'],
  ])('a template: %s is %s', (operation, code) => {
    expect(codeOf({ is_a_template: true }, operation)).toBe(code);
  });

  test.each<[VmOperation, Partial<RecordOf<'VM'>>, string | undefined]>([
    ['revert', { power_state: 'Halted' }, undefined],
    ['revert', { power_state: 'Suspended' }, undefined],
    ['clone', { power_state: 'Suspended' }, undefined],
    ['copy', { power_state: 'Halted' }, undefined],
    ['copy', { power_state: 'Running' }, 'VM_BAD_POWER_STATE'],
    ['destroy', { power_state: 'Suspended' }, undefined],
    ['hard_shutdown', { power_state: 'Suspended' }, undefined],
    ['assert_operation_valid', {}, undefined],
    ['start', {}, 'VM_IS_SNAPSHOT'],
    ['provision', {}, 'VM_IS_SNAPSHOT'],
    ['snapshot', {}, 'VM_IS_SNAPSHOT'],
    ['resume', { power_state: 'Suspended' }, 'VM_IS_SNAPSHOT'],
    ['make_into_template', {}, 'VM_IS_SNAPSHOT'],
    ['power_state_reset', {}, 'VM_IS_SNAPSHOT'],
  ])('a snapshot: %s of %j is %s', (operation, vm, code) => {
    expect(codeOf({ is_a_template: true, is_a_snapshot: true, ...vm }, operation)).toBe(code);
  });

  test('only a snapshot is reverted to', () => {
    expect(codeOf({}, 'revert')).toBe('REVERT_ONLY_ALLOWED_ON_SNAPSHOT');
    expect(codeOf({ is_a_template: true }, 'revert')).toBe('VM_IS_TEMPLATE');
  });

  test('a default template cannot be destroyed', () => {
    expect(codeOf({ is_a_template: true, is_default_template: true }, 'destroy')).toBe(
      'VM_CANNOT_DELETE_DEFAULT_TEMPLATE',
    );
  });

  test.each(Object.keys(operationRules) as readonly VmOperation[])('a host that does not answer: %s', (operation) => {
    const [power_state] = operationRules[operation]?.states ?? [];
    const free = /^(get_boot_record|power_state_reset|assert_operation_valid|update_allowed_operations)$/.test(
      operation,
    );
    const is_a_template = operation === 'provision';
    const is_a_snapshot = operation === 'revert';
    expect(
      codeOf({ is_a_template, is_a_snapshot, ...(power_state === undefined ? {} : { power_state }) }, operation, true),
    ).toBe(free ? undefined : 'HOST_OFFLINE');
  });
});
