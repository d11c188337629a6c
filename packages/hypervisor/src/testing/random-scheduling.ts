/** Random small scenarios for property tests of policies: domains that compute, block and yield, and things done to them. */
import fc from 'fast-check';
import type { Step } from '../guest/workload/step.ts';
import type { SchedPool } from '../schedule/core.ts';
import type { TestMachine, TestVcpu } from './test-machine.ts';

const lengthNs = fc.integer({ min: 1, max: 8000 }).map((us) => us * 1000);

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constant('run' as const), lengthNs),
  fc.tuple(fc.constant('block' as const), lengthNs),
  fc.constant(['yield'] as const),
);

/** A vCPU that takes time in each round, so that its program does not go round at one instant. */
export const randomVcpu = (pcpus: number): fc.Arbitrary<TestVcpu> =>
  fc.record({
    program: fc.tuple(fc.array(step, { maxLength: 4 }), lengthNs).map(([steps, ns]): Step[] => [...steps, ['run', ns]]),
    hard: fc.option(fc.uniqueArray(fc.nat(pcpus - 1), { minLength: 1 }), { nil: undefined }),
  });

export interface RandomAction {
  readonly what: 'pause' | 'unpause' | 'down' | 'up' | 'hard' | 'soft' | 'remove' | 'add' | 'parameters';
  readonly afterNs: number;
  readonly unit: number;
  readonly pcpu: number;
  readonly seed: number;
}

export const randomAction = (pcpus: number): fc.Arbitrary<RandomAction> =>
  fc.record({
    what: fc.constantFrom('pause', 'unpause', 'down', 'up', 'hard', 'soft', 'remove', 'add', 'parameters'),
    afterNs: lengthNs,
    unit: fc.nat(8),
    pcpu: fc.nat(pcpus - 1),
    seed: fc.nat(1000),
  });

/** Does an action, as far as it can be done; not `parameters`, which are a policy's own. */
export function act(
  machine: TestMachine,
  pool: SchedPool,
  units: readonly number[],
  { what, unit: index, pcpu, seed }: RandomAction,
): void {
  const { core } = machine;
  const unit = units[index % units.length]!;
  switch (what) {
    case 'pause':
      core.pauseUnits([unit]);
      break;
    case 'unpause':
      if (core.pauseCount[unit]! > 0) core.unpauseUnits([unit]);
      break;
    case 'down':
      core.setDown(unit);
      break;
    case 'up':
      core.setUp(unit);
      break;
    case 'hard':
      core.setAffinity(unit, machine.mask(pcpu, seed % core.pcpuCount), undefined);
      break;
    case 'soft':
      core.setAffinity(unit, undefined, machine.mask(pcpu, seed % core.pcpuCount));
      break;
    case 'remove':
      if (core.poolOf[pcpu] === pool && core.poolOf.filter((other) => other === pool).length > 1)
        core.removePcpu(pcpu, pool);
      break;
    case 'add':
      if (core.poolOf[pcpu] === undefined) core.addPcpu(pcpu, pool);
      break;
    case 'parameters':
      break;
  }
  core.drain();
}
