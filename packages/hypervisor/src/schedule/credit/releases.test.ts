import { describe, expect, test } from 'vitest';
import { coreFaults } from '../../check/core-invariants.ts';
import { creditFaults, queueOf } from '../../check/credit-invariants.ts';
import { creditPool, hog, hogs, ms, setUp, us, waker } from '../../testing/credit-setup.ts';
import { TestMachine, type TestVcpu } from '../../testing/test-machine.ts';
import { errno, pauseFlag } from '../core.ts';
import { priority } from './state.ts';

describe('releases', () => {
  test('4.2 does not take a rate limit of 0, and keeps the ticks and the credit of the old slice', () => {
    const { credit } = setUp(1, [], { xenVersion: '4.2' });
    expect(credit.setPool({ ratelimitUs: 0 })).toBe(errno.invalid);
    expect(credit.setPool({ tsliceMs: 5 })).toBe(0);
    expect(credit.state.parameters).toMatchObject({ tsliceNs: ms(5), tickNs: ms(10), creditsPerSlice: 300 });
    expect(credit.state.credit).toBe(300);
    expect(setUp(1, [], { xenVersion: '4.2', ratelimitUs: 0 }).credit.poolParameters().ratelimitUs).toBe(0);
  });

  test.each([
    // 150 µs are 1.5 credits, three times: rounded up each time, or what is left is paid again with the next.
    ['4.2', [-2, -3, -5]],
    ['4.23', [-1, -3, -5]],
  ] as const)('what 150 µs cost in %s', (xenVersion, expected) => {
    const { machine, credit, units } = setUp(1, [{ vcpus: [waker(150, 1000)] }], { xenVersion });
    const unit = units[0]![0]!;
    const after = expected.map((_, round) => {
      machine.runTo(us(150 + 1150 * round + 1));
      return credit.state.creditOf[unit];
    });
    expect(after).toEqual(expected);
  });

  test.each([
    ['4.2', 0],
    ['4.17', 1],
    ['4.23', 1],
  ] as const)('where a new vCPU begins in %s: pCPU %i', (xenVersion, expected) => {
    const pinned = { vcpus: [{ ...hog, hard: [0] }] };
    const { machine, pool } = setUp(2, [pinned, pinned], { xenVersion });
    const [unit] = machine.domain(2, pool, [hog]);
    expect(machine.core.pcpu[unit!]).toBe(expected);
  });

  test.each([
    ['4.17', 1],
    ['4.23', 0],
  ] as const)(
    'whether a pCPU looks for work twice in a millisecond: in %s the second hog is on pCPU %i',
    (xenVersion, at) => {
      // Nobody waits on pCPU 0 when it comes, so it stays there; pCPU 1 has just looked.
      const { machine, units } = setUp(2, [{ vcpus: [hog] }, { vcpus: [hog] }], { xenVersion });
      expect(units.map(([unit]) => machine.core.pcpu[unit!])).toEqual([0, at]);
      const none = setUp(2, [{ vcpus: [hog] }, { vcpus: [hog] }], { xenVersion, loadBalanceRatelimitUs: 0 });
      expect(none.machine.core.pcpu[none.units[1]![0]!]).toBe(at);
      none.machine.runTo(ms(200));
      expect(none.units.map(([unit]) => none.machine.core.pcpu[unit!]!).toSorted((a, c) => a - c)).toEqual([0, 1]);
    },
  );

  test.each([
    ['4.2', priority.boost],
    ['4.17', priority.under],
    ['4.23', priority.under],
  ] as const)('a unit that another hard affinity moves has in %s priority %i', (xenVersion, expected) => {
    const { machine, credit, units } = setUp(2, [{ vcpus: [hog] }, { vcpus: [hog] }, { vcpus: [hog] }], { xenVersion });
    const { core } = machine;
    const waiting = units.flat().find((unit) => core.current[core.pcpu[unit]!] !== unit)!;
    credit.state.priorityOf[waiting] = priority.under;
    core.setAffinity(waiting, machine.mask(1 - core.pcpu[waiting]!), undefined);
    expect(credit.state.priorityOf[waiting]).toBe(expected);
  });

  test.each([
    ['4.2', priority.boost],
    ['4.17', priority.under],
    ['4.23', priority.under],
  ] as const)('a capped unit that may run again has in %s priority %i', (xenVersion, expected) => {
    const { machine, credit, units } = setUp(1, [{ cap: 50, vcpus: [hog] }], { xenVersion });
    const unit = units[0]![0]!;
    machine.runTo(ms(119));
    expect(machine.core.flags[unit]).toBe(pauseFlag.parked);
    machine.runTo(ms(121));
    expect(machine.core.flags[unit]).toBe(0);
    expect(credit.state.priorityOf[unit]).toBe(expected);
  });

  test.each([
    ['4.17', true],
    ['4.23', false],
  ] as const)('whether one that yielded is taken by a pCPU with nothing to do in %s: %s', (xenVersion, isTaken) => {
    // Yields at 32 ms on pCPU 0, to a hog; at 33 ms the unit of pCPU 1 blocks.
    const busy: TestVcpu = {
      program: [
        ['run', ms(33)],
        ['block', ms(100)],
      ],
      hard: [1],
    };
    const yielder: TestVcpu = { program: [['run', ms(2)], ['yield']] };
    const domains = [{ vcpus: [{ ...hog, hard: [0] }] }, { vcpus: [busy] }, { vcpus: [yielder] }];
    const { machine, credit, units } = setUp(2, domains, { xenVersion });
    const unit = units[2]![0]!;
    machine.runTo(ms(33));
    expect(queueOf(credit.state, 0)).toContain(unit);
    machine.runTo(ms(33) + 1);
    expect(machine.core.current[1] === unit).toBe(isTaken);
  });
});

describe('pCPUs and domains that come and go', () => {
  test('another pCPU accounts when the accountant leaves, and credit follows the number of pCPUs', () => {
    const { machine, credit, pool, units } = setUp(3, [{ vcpus: hogs(3) }]);
    const { core } = machine;
    machine.runTo(ms(95));
    expect([credit.state.master, credit.state.credit]).toEqual([0, 900]);
    const { sortEpoch } = credit.state;
    core.removePcpu(0, pool);
    expect([credit.state.master, credit.state.credit]).toEqual([1, 600]);
    machine.runTo(ms(185));
    expect(credit.state.sortEpoch).toBe(sortEpoch + 3);
    expect(units[0]!.map((unit) => core.pcpu[unit]).every((pcpu) => pcpu !== 0)).toBe(true);
    core.addPcpu(0, pool);
    core.drain();
    expect([credit.state.master, credit.state.credit]).toEqual([1, 900]);
    machine.runTo(ms(300));
    expect(units[0]!.map((unit) => core.pcpu[unit]!).toSorted((a, c) => a - c)).toEqual([0, 1, 2]);
    expect([...coreFaults(core), ...creditFaults(core, credit)]).toEqual([]);
  });

  test('accounting is done on the pCPU that took it over', () => {
    const options = { tsliceMs: 10 };
    const machine = new TestMachine(3, options);
    const { pool } = creditPool(machine, [0, 1, 2], options);
    machine.core.removePcpu(0, pool);
    // Ticks come each 3333 µs, so the accounting is alone at its time.
    machine.runTo(ms(10) + 1);
    expect(machine.core.currentPcpu).toBe(1);
  });

  test('the last pCPU takes the timers with it', () => {
    const machine = new TestMachine(1);
    const { pool } = creditPool(machine, [0]);
    expect(machine.core.timers.size).toBe(2);
    machine.core.removePcpu(0, pool);
    expect(machine.core.timers.size).toBe(0);
  });

  test.each([
    ['4.2', pauseFlag.parked],
    ['4.17', 0],
    ['4.23', 0],
  ] as const)('a parked unit that moves to another pool has there in %s flags %i', (xenVersion, flags) => {
    const machine = new TestMachine(2, { xenVersion });
    const from = creditPool(machine, [0]);
    const to = creditPool(machine, [1]);
    const [unit] = machine.domain(0, from.pool, [hog]);
    from.credit.setDomain(0, { cap: 50 });
    machine.start([unit!]);
    machine.runTo(ms(70));
    expect(machine.core.flags[unit!]).toBe(pauseFlag.parked);
    machine.core.moveDomain(0, to.pool);
    expect(machine.core.flags[unit!]).toBe(flags);
    expect(to.credit.domainParameters(0)).toEqual({ weight: 256, cap: 0 });
    expect(from.credit.state.weight).toBe(0);
    expect(creditFaults(machine.core, from.credit)).toEqual([]);
  });

  test('a domain that ends leaves its weight and its soft affinity behind nowhere', () => {
    const { machine, credit } = setUp(4, [{ vcpus: hogs(3), soft: [0, 1] }, { vcpus: hogs(2) }]);
    machine.runTo(ms(100));
    expect([credit.state.weight, credit.state.softTotal]).toEqual([256 * 5, 3]);
    machine.core.removeDomain(0);
    expect([credit.state.weight, credit.state.softTotal]).toEqual([256 * 2, 0]);
    machine.runTo(ms(200));
    expect([...coreFaults(machine.core), ...creditFaults(machine.core, credit)]).toEqual([]);
  });
});
