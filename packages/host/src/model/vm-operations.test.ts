/** `allowed_operations` never lies: what it lists is accepted now, what it does not list is refused for the VM's state. */
import fc from 'fast-check';
import type { Ref } from '@xenolith/base';
import type { WireValue } from '@xenolith/wire';
import { enums } from '@xenolith/xapi';
import { expect, test } from 'vitest';
import { ModelPool } from '../testing/model-pool.ts';

type Call = readonly [operation: string, args: (pool: ModelPool) => readonly WireValue[], method?: string];

/** The calls behind operations, where there is one. */
const calls: readonly Call[] = [
  ['start', () => [false, false]],
  ['start', () => [true, false]],
  ['start_on', (pool) => [pool.host(), false, false]],
  ['pause', () => []],
  ['unpause', () => []],
  ['suspend', () => []],
  ['resume', () => [false, false]],
  ['resume', () => [true, false]],
  ['resume_on', (pool) => [pool.host(), false, false]],
  ['clean_shutdown', () => []],
  ['clean_reboot', () => []],
  ['hard_shutdown', () => []],
  ['hard_reboot', () => []],
  ['shutdown', () => []],
  ['power_state_reset', () => []],
  ['provision', () => []],
  ['clone', () => ['copy']],
  ['copy', () => ['copy', 'OpaqueRef:NULL']],
  ['make_into_template', () => [true], 'set_is_a_template'],
  ['make_into_template', () => [false], 'set_is_a_template'],
  ['changing_VCPUs', () => ['1'], 'set_VCPUs_max'],
  ['changing_dynamic_range', () => [String(2 ** 26)], 'set_memory_dynamic_min'],
  ['snapshot', () => ['snapshot']],
  ['pool_migrate', (pool) => [pool.host(), {}]],
  ['checkpoint', () => ['checkpoint']],
  ['destroy', () => []],
];

/** Refusals that are about the state of the VM, not about what was asked. */
const stateErrors = new Set([
  'VM_BAD_POWER_STATE',
  'OTHER_OPERATION_IN_PROGRESS',
  'OPERATION_BLOCKED',
  'VM_IS_TEMPLATE',
  'VM_IS_SNAPSHOT',
  'PROVISION_ONLY_ALLOWED_ON_TEMPLATE',
  'OPERATION_NOT_ALLOWED',
  'VM_HAS_NO_SUSPEND_VDI',
  'NOT_IMPLEMENTED',
]);

test('over random sequences of operations, one after the other', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(calls.length - 1), { minLength: 1, maxLength: 12 }), async (sequence) => {
      const pool = await ModelPool.open();
      const vm = await pool.newVm();
      for (const index of sequence) {
        await everyAnswerIsTheList(pool, vm);
        const [operation, args, method = operation] = calls[index]!;
        const isListed = pool.vm(vm).allowed_operations.some((listed) => listed === operation);
        const isUndoing = method === 'set_is_a_template' && args(pool)[0] === false;
        const [code = ''] = (await pool.refusal(`VM.${method}`, vm, ...args(pool))).split(' ');
        if (isListed || isUndoing) expect(stateErrors.has(code), `${operation}: ${code}`).toBe(false);
        else expect(stateErrors.has(code), `${operation}: ${code}`).toBe(true);
        await pool.clock.advanceAsync(5000);
        if (!pool.db.has('VM', vm)) return;
        await look(pool);
        expect(pool.disagreements()).toEqual([]);
      }
    }),
    { numRuns: 40 },
  );
});

/** A reset of the record alone is set right by the next picture. */
async function look(pool: ModelPool): Promise<void> {
  await pool.xapi.hosts.driverOf(pool.host()).refresh();
  await pool.settle();
}

/** `VM.assert_operation_valid` says of every operation what the list says. */
async function everyAnswerIsTheList(pool: ModelPool, vm: Ref<'VM'>): Promise<void> {
  // All are asked in one moment: what is under way may go on while the answers come.
  const listed = [...pool.vm(vm).allowed_operations].sort();
  const asked = enums.vm_operations.map((operation) => pool.begin('VM.assert_operation_valid', vm, operation));
  const answers = await Promise.all(asked);
  expect(enums.vm_operations.filter((_, index) => answers[index]?.ok === true).sort()).toEqual(listed);
}

test('over random operations begun while others are under way', { timeout: 180_000 }, async () => {
  // A provision writes the list of what the VM accepts a moment after it has stopped being a template.
  const indexes = calls.flatMap(([operation], index) => (operation === 'provision' ? [] : [index]));
  const step = fc.record({ index: fc.constantFrom(...indexes), waitMs: fc.constantFrom(0, 0, 0, 500, 5000) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 12 }), async (sequence) => {
      const pool = await ModelPool.open();
      const vm = await pool.newVm();
      const answers: Promise<unknown>[] = [];
      for (const { index, waitMs } of sequence) {
        if (!pool.db.has('VM', vm)) break;
        await everyAnswerIsTheList(pool, vm);
        const [operation, args, method = operation] = calls[index]!;
        if (!pool.db.has('VM', vm)) break;
        answers.push(pool.begin(`VM.${method}`, vm, ...args(pool)));
        if (waitMs > 0) await pool.clock.advanceAsync(waitMs);
      }
      const ended = Promise.all(answers).then(() => true);
      await pool.clock.advanceAsync(60_000);
      // Guests that do not answer are waited for.
      if (!(await Promise.race([ended, pool.settle()]))) await pool.clock.advanceAsync(2_000_000);
      await ended;
      await look(pool);
      expect(pool.disagreements()).toEqual([]);
    }),
    { numRuns: 40 },
  );
});
