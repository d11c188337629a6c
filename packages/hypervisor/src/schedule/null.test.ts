import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { coreFaults } from '../check/core-invariants.ts';
import { nullFaults } from '../check/null-invariants.ts';
import { act, randomAction, randomVcpu } from '../testing/random-scheduling.ts';
import { TestMachine, type TestVcpu } from '../testing/test-machine.ts';
import { errno, runState, type SchedPool } from './core.ts';
import { NullScheduler } from './null.ts';

const ms = (value: number): number => value * 1_000_000;
const hog: TestVcpu = { program: [['hog']] };

interface Setup {
  readonly machine: TestMachine;
  readonly pool: SchedPool;
  readonly policy: NullScheduler;
}

function setUp(pcpus: number, inPool: readonly number[] = Array.from({ length: pcpus }, (_, pcpu) => pcpu)): Setup {
  const machine = new TestMachine(pcpus);
  const pool = machine.pool('null', inPool);
  if (!(pool.scheduler instanceof NullScheduler)) throw new Error('another policy');
  return { machine, pool, policy: pool.scheduler };
}

function expectSound({ machine: { core }, pool, policy }: Setup): void {
  expect([...coreFaults(core), ...nullFaults(core, policy, pool.valid)]).toEqual([]);
}

/** The pCPU that each unit is kept for, -1 while it waits or is offline. */
const placesOf = ({ machine, policy }: Setup, units: readonly number[]): readonly number[] =>
  units.map((unit) => Array.from({ length: machine.core.pcpuCount }, (_, p) => policy.assignedTo(p)).indexOf(unit));

describe('the null scheduler', () => {
  test('of 16 vCPUs on 8 pCPUs the first 8 have one each, the others none', () => {
    const setup = setUp(8);
    const { machine, pool } = setup;
    const units = [0, 1, 2, 3].flatMap((domain) => {
      const own = machine.domain(domain, pool, [hog, hog, hog, hog]);
      machine.start(own);
      return own;
    });
    machine.runTo(ms(1000));
    const running = units.map((unit) => machine.core.timeIn(unit, runState.running));
    expect(running).toEqual([...Array<number>(8).fill(ms(1000)), ...Array<number>(8).fill(0)]);
    expectSound(setup);
  });

  test('a vCPU that blocks keeps its pCPU, with no timer and a decision at each change only', () => {
    const setup = setUp(1);
    const { machine, pool } = setup;
    const [waker] = machine.domain(0, pool, [
      {
        program: [
          ['run', ms(1)],
          ['block', ms(2)],
        ],
      },
    ]);
    const [late] = machine.domain(1, pool, [hog]);
    machine.start([waker!, late!]);
    machine.runTo(ms(7));
    expect(machine.trace).toEqual([
      '0 0 0 -1',
      `0 0 ${waker!} -1`,
      `${ms(1)} 0 0 -1`,
      `${ms(3)} 0 ${waker!} -1`,
      `${ms(4)} 0 0 -1`,
      `${ms(6)} 0 ${waker!} -1`,
    ]);
    expect(setup.policy.waiting.unitsOf(0)).toEqual([late]);
  });

  test('the first waiter that would like a freed pCPU gets it, before those who came earlier', () => {
    const setup = setUp(2);
    const { machine, pool, policy } = setup;
    const { core } = machine;
    const units = machine.domain(0, pool, [hog, hog, hog, hog, hog]);
    machine.start(units.slice(0, 2));
    core.setAffinity(units[2]!, machine.mask(1), undefined);
    core.setAffinity(units[4]!, undefined, machine.mask(0));
    machine.start(units.slice(2));
    expect(policy.waiting.unitsOf(0)).toEqual(units.slice(2));
    core.setDown(units[0]!);
    core.drain();
    expect(placesOf(setup, units)).toEqual([-1, 1, -1, -1, 0]);
    core.setDown(units[4]!);
    core.drain();
    expect(placesOf(setup, units)).toEqual([-1, 1, -1, 0, -1]);
    core.setDown(units[1]!);
    core.drain();
    expect(placesOf(setup, units)).toEqual([-1, -1, 1, 0, -1]);
    expectSound(setup);
  });

  test('one that comes back takes its old pCPU, else any free one, else it waits', () => {
    const setup = setUp(3);
    const { machine, pool, policy } = setup;
    const { core } = machine;
    const units = machine.domain(0, pool, [hog, hog, hog]);
    machine.start(units.slice(0, 2));
    core.setDown(units[1]!);
    core.drain();
    expect(core.current[1]).toBe(1);
    core.setUp(units[1]!);
    core.drain();
    expect(placesOf(setup, units)).toEqual([0, 1, -1]);
    core.setDown(units[1]!);
    core.drain();
    core.setAffinity(units[2]!, machine.mask(1), undefined);
    machine.start([units[2]!]);
    core.setUp(units[1]!);
    core.drain();
    expect(placesOf(setup, units)).toEqual([0, 2, 1]);
    core.setAffinity(units[1]!, machine.mask(1), undefined);
    core.drain();
    expect(policy.waiting.unitsOf(0)).toEqual([units[1]]);
    expectSound(setup);
  });

  test('one that comes online paused gets a pCPU when it is unpaused, and can go before', () => {
    const setup = setUp(1);
    const { machine, pool } = setup;
    const { core } = machine;
    for (const domain of [0, 1]) {
      const [unit] = machine.domain(domain, pool, [hog]);
      core.pauseUnits([unit!]);
      core.setUp(unit!);
      core.drain();
      expect(placesOf(setup, [unit!])).toEqual([-1]);
    }
    const [first, second] = [0, 1].map((domain) => core.domainEntry(domain).units[0]!);
    core.unpauseUnits([first!]);
    core.drain();
    expect(placesOf(setup, [first!, second!])).toEqual([0, -1]);
    core.removeDomain(1);
    expect(placesOf(setup, [first!])).toEqual([0]);
    expectSound(setup);
  });

  test('soft affinity chooses among the free pCPUs, and is given up for a free one', () => {
    const setup = setUp(4);
    const { machine, pool } = setup;
    const { core } = machine;
    const units = machine.domain(0, pool, [hog, hog, hog]);
    machine.start(units);
    core.setAffinity(units[2]!, undefined, machine.mask(3));
    core.drain();
    expect(placesOf(setup, units)).toEqual([0, 1, 3]);
    core.setAffinity(units[0]!, undefined, machine.mask(3));
    core.drain();
    expect(placesOf(setup, units)).toEqual([0, 1, 3]);
    core.setAffinity(units[0]!, undefined, machine.mask(2, 3));
    core.drain();
    expect(placesOf(setup, units)).toEqual([2, 1, 3]);
    expectSound(setup);
  });

  test('a hard affinity without a pCPU of the pool is refused', () => {
    const { machine, pool } = setUp(2, [0]);
    const [unit] = machine.domain(0, pool, [hog]);
    machine.start([unit!]);
    expect(machine.core.setAffinity(unit!, machine.mask(1), undefined)).toBe(errno.invalid);
    expect(machine.core.current[0]).toBe(unit);
  });

  test('a pCPU that leaves sends its vCPU to a free one or to the queue; one that comes takes from the queue', () => {
    const setup = setUp(3, [0, 1]);
    const { machine, pool, policy } = setup;
    const { core } = machine;
    const units = machine.domain(0, pool, [hog, { ...hog, hard: [1] }]);
    machine.start(units);
    expect(core.removePcpu(1, pool)).toBe(1);
    expect(placesOf(setup, units)).toEqual([0, -1]);
    expect(policy.waiting.unitsOf(0)).toEqual([units[1]]);
    expectSound(setup);
    core.addPcpu(2, pool);
    core.drain();
    expect(placesOf(setup, units)).toEqual([0, 2]);
    expectSound(setup);
  });

  test('domains that end and move leave their pCPUs to others', () => {
    const setup = setUp(4, [0, 1]);
    const { machine, pool, policy } = setup;
    const { core } = machine;
    const others = machine.pool('rtds', [2, 3]);
    const [first, second, third] = [0, 1, 2].map((domain) => {
      const units = machine.domain(domain, pool, [hog, hog]);
      machine.start(units);
      return units;
    });
    expect(policy.waiting.unitsOf(0)).toEqual([...second!, ...third!]);
    machine.runTo(ms(1));
    core.moveDomain(0, others);
    expect(placesOf(setup, second!)).toEqual([0, 1]);
    expect(first!.map((unit) => core.pcpu[unit])).toEqual([2, 3]);
    expectSound(setup);
    core.removeDomain(1);
    expect(placesOf(setup, third!)).toEqual([0, 1]);
    expect(policy.waiting.unitsOf(0)).toEqual([]);
    expectSound(setup);
    core.moveDomain(0, pool);
    expect(policy.waiting.unitsOf(0)).toEqual(first);
    machine.runTo(ms(2));
    core.removeDomain(0);
    expect(policy.waiting.unitsOf(0)).toEqual([]);
    expectSound(setup);
  });

  test('its state comes back as it was captured, and what follows is the same', () => {
    const made = (): Setup => {
      const setup = setUp(2);
      const program: TestVcpu['program'] = [
        ['run', ms(1), ms(3)],
        ['block', ms(1), ms(3)],
      ];
      setup.machine.start(
        setup.machine.domain(
          0,
          setup.pool,
          [3, 4, 5].map((seed) => ({ program, seed })),
        ),
      );
      return setup;
    };
    const [plain, restored] = [made(), made()];
    const early = restored.policy.capture();
    for (const { machine } of [plain, restored]) {
      machine.runTo(ms(10));
      machine.core.setDown(machine.core.domainEntry(0).units[0]!);
      machine.core.drain();
    }
    const state = restored.policy.capture();
    restored.policy.restore(early);
    expect(restored.policy.capture()).not.toEqual(state);
    restored.policy.restore(state);
    expect(restored.policy.capture()).toEqual(state);
    for (const { machine } of [plain, restored]) {
      machine.core.setUp(machine.core.domainEntry(0).units[0]!);
      machine.core.drain();
      machine.runTo(ms(50));
    }
    expect(restored.machine.trace).toEqual(plain.machine.trace);
  });
});

test('whatever happens, a pCPU has one unit and nobody waits for a free one', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(randomVcpu(3), { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
      fc.array(randomAction(3), { maxLength: 12 }),
      (domains, actions) => {
        const setup = setUp(3);
        const { machine, pool } = setup;
        const check = (): void => expectSound(setup);
        const units = domains.flatMap((vcpus, domain) => machine.domain(domain, pool, vcpus));
        machine.start(units);
        check();
        for (const action of actions) {
          machine.runTo(machine.core.now + action.afterNs, check);
          act(machine, pool, units, action);
          check();
        }
        machine.runTo(machine.core.now + ms(30), check);
      },
    ),
    { numRuns: 100 },
  );
});
