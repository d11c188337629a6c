/** A start that takes memory from others, cut short anywhere; and pools whose VMs come, go and change their ranges. */
import { fromMib, mibBytes, type Ref } from '@xenolith/base';
import { memoryOf } from '@xenolith/hypervisor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ModelPool } from '../testing/model-pool.ts';

async function pass(pool: ModelPool, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 500) await pool.clock.advanceAsync(500);
}

async function newVm(pool: ModelPool, name: string, min: number, max: number): Promise<Ref<'VM'>> {
  const vm = await pool.newVm(name);
  await pool.call('VM.set_memory_limits', vm, fromMib(64), fromMib(max), fromMib(min), fromMib(max));
  return vm;
}

const mibOf = (pool: ModelPool, vm: Ref<'VM'>): number => {
  const { uuid } = pool.vm(vm);
  const domain = pool
    .machine()
    .hypervisor.domains()
    .find(({ spec }) => spec.uuid === uuid);
  return domain === undefined ? 0 : memoryOf(domain) / mibBytes;
};

/** Steps that no start takes. */
const stepsMax = 100;

test.each(['killed', 'host lost'] as const)('a start among others, %s at each step', async (mishap) => {
  const outcomes = new Set<string>();
  for (let step = 0; step < stepsMax; step++) {
    const pool = await ModelPool.open();
    const first = await newVm(pool, 'first', 512, 2900);
    await pool.call('VM.start', first, false, false);
    await pass(pool, 12_000);
    const second = await newVm(pool, 'second', 1024, 1024);
    const isCut = await pool.befall(mishap, step, () => pool.answer('VM.start', second, false, false));
    await pass(pool, 30_000);
    expect(pool.disagreements(), `step ${step}`).toEqual([]);
    const state = pool.vm(second).power_state;
    outcomes.add(state);
    // What it does not have, the other one has again.
    expect([mibOf(pool, first) > 2800, mibOf(pool, second)], `step ${step}`).toEqual(
      state === 'Running' ? [false, 1024] : [true, 0],
    );
    expect(pool.vm(second).memory_target).toBe(state === 'Running' ? fromMib(1024) : 0);
    if (state === 'Halted') await pool.call('VM.start', second, false, false);
    expect(mibOf(pool, second)).toBe(1024);
    if (!isCut) break;
    expect(step).toBeLessThan(stepsMax - 1);
  }
  expect([...outcomes].sort()).toEqual(['Halted', 'Running']);
});

const vmCount = 5;
const sizes = fc.tuple(fc.integer({ min: 70, max: 1900 }), fc.nat(1500));
type Act =
  | { readonly kind: 'turn'; readonly vm: number; readonly paused: boolean }
  | { readonly kind: 'range'; readonly vm: number; readonly share: number }
  | { readonly kind: 'wait'; readonly seconds: number };
const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ kind: fc.constant('turn' as const), vm: fc.nat(vmCount - 1), paused: fc.boolean() }),
  fc.record({ kind: fc.constant('range' as const), vm: fc.nat(vmCount - 1), share: fc.integer({ min: 0, max: 100 }) }),
  fc.record({ kind: fc.constant('wait' as const), seconds: fc.nat(40) }),
);

/** A least that was set while the guest was coming up, above what it has; then one that is made paused and gives nothing. */
const aboveWhatItHas: [[number, number][], Act[]] = [
  [
    [70, 0],
    [412, 1480],
    [827, 705],
    [70, 0],
    [70, 0],
  ],
  [
    { kind: 'turn', vm: 2, paused: false },
    { kind: 'turn', vm: 1, paused: false },
    { kind: 'range', vm: 1, share: 78 },
    { kind: 'turn', vm: 2, paused: false },
    { kind: 'turn', vm: 2, paused: true },
  ],
];

test('a VM starts if and only if it is said to fit, and memory is never overcommitted, whatever happened before', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(sizes, { minLength: vmCount, maxLength: vmCount }),
      fc.array(act, { maxLength: 14 }),
      async (shapes, acts) => {
        const pool = await ModelPool.open();
        const vms: Ref<'VM'>[] = [];
        for (const [min, more] of shapes) vms.push(await newVm(pool, `vm${vms.length}`, min, min + more));
        for (const each of acts) {
          if (each.kind === 'wait') {
            await pass(pool, each.seconds * 1000);
            continue;
          }
          const vm = vms[each.vm]!;
          const { power_state, memory_static_max } = pool.vm(vm);
          if (each.kind === 'range') {
            const min = Math.max(fromMib(64), Math.floor((memory_static_max * each.share) / 100));
            await pool.answer('VM.set_memory_dynamic_range', vm, Math.min(min, memory_static_max), memory_static_max);
          } else if (power_state === 'Halted') {
            const said = await pool.refusal('VM.assert_can_boot_here', vm, pool.host());
            const did = await pool.refusal('VM.start', vm, each.paused, false);
            expect(did).toBe(said);
            if (did === 'no refusal')
              expect(mibOf(pool, vm) * mibBytes).toBeGreaterThanOrEqual(pool.vm(vm).memory_dynamic_min);
          } else await pool.call('VM.hard_shutdown', vm);
        }
        await pass(pool, 40_000);
        expect(pool.disagreements()).toEqual([]);
        expect(pool.machine().hypervisor.memoryFreeBytes).toBeGreaterThanOrEqual(fromMib(71));
        for (const vm of vms) {
          const { power_state, memory_dynamic_min, memory_dynamic_max, memory_target } = pool.vm(vm);
          if (power_state !== 'Running') continue;
          const has = mibOf(pool, vm) * mibBytes;
          expect(has).toBeGreaterThanOrEqual(memory_dynamic_min - 4096);
          expect(has).toBeLessThanOrEqual(memory_dynamic_max + 4096);
          expect(Math.abs(has - memory_target)).toBeLessThanOrEqual(4096);
        }
      },
    ),
    { numRuns: 40, examples: [aboveWhatItHas] },
  );
}, 60_000);
