/** The state machines of all kinds, in every order of their steps. */
import { AssertionError } from '@xenolith/base';
import { describe, expect, test } from 'vitest';
import { exploreLocks, type CpuScript, type LockSpaceResult } from '../../testing/lock-space.ts';
import { aheadOf, lockKinds, type LockKind } from './lock-machine.ts';
import {
  costAhead,
  cpuAt,
  effect,
  effectOf,
  emptyLockState,
  lockShape,
  lockWords,
  ofCpu,
  type LockShape,
} from './lock-state.ts';
import { makeLockMachine } from './make-lock-machine.ts';
import { pvTicket } from './pv-ticket.ts';

const options = { spinThreshold: 1, ticketBits: 8 } as const;

/** Nothing of a lock that nobody is at is left: no mark, no count, no slot, no CPU in a set. */
const restFaults =
  (kind: LockKind, shape: LockShape) =>
  (state: Int32Array): readonly string[] => {
    const faults: string[] = [];
    for (let lock = 0; lock < shape.locks; lock++) {
      const [first, second, third, fourth] = state.subarray(lock * lockWords, (lock + 1) * lockWords);
      const isTicket = kind === 'ticket' || kind === 'pv-ticket';
      if (isTicket ? first !== second : first !== 0 || second !== 0) faults.push(`lock ${lock}: ${first} ${second}`);
      if (third !== 0 || fourth !== 0) faults.push(`lock ${lock}: ${third} ${fourth}`);
    }
    for (let cpu = 0; cpu < shape.cpus; cpu++) {
      const at = cpuAt(shape, cpu);
      const left = [ofCpu.slotLock, ofCpu.waiting, ofCpu.nest, ofCpu.irqsOff].filter((word) => state[at + word] !== 0);
      if (left.length > 0) faults.push(`CPU ${cpu}: ${left.join(' ')}`);
    }
    return faults;
  };

function explored(kind: LockKind, cpus: readonly CpuScript[], isPreemptible = false): LockSpaceResult {
  const all = cpus.flatMap(({ locks, interrupt = 0 }) => [...locks, interrupt]);
  const hasInterrupt = cpus.some(({ interrupt }) => interrupt !== undefined);
  const shape = lockShape({ cpus: cpus.length, locks: Math.max(...all) + 1, frames: hasInterrupt ? 2 : 1 });
  const machine = makeLockMachine(kind, shape, options);
  return exploreLocks({ machine, cpus, isPreemptible, faultsAtRest: restFaults(kind, shape) });
}

const isFair = (kind: LockKind): boolean => kind === 'ticket' || kind === 'pv-ticket';
const isPv = (kind: LockKind): boolean => kind.startsWith('pv');

describe.each(lockKinds)('%s', (kind) => {
  test.each<[string, readonly CpuScript[]]>([
    ['two CPUs, two acquisitions each', [{ locks: [0, 0] }, { locks: [0, 0] }]],
    ['two CPUs at two locks', [{ locks: [0, 1] }, { locks: [1, 0] }]],
    ['an interrupt that takes another lock', [{ locks: [0], interrupt: 1 }, { locks: [0, 1] }]],
    [
      'interrupts on both',
      [
        { locks: [0], interrupt: 1 },
        { locks: [0], interrupt: 1 },
      ],
    ],
    ['an interrupt, and a CPU for each lock', [{ locks: [0], interrupt: 1 }, { locks: [0] }, { locks: [1] }]],
  ])(
    '%s: one owner at a time, nobody waits for ever, nothing is left',
    (_, cpus) => {
      const { fault, overtakings, sleeps, states } = explored(kind, cpus);
      expect(fault).toBeUndefined();
      expect(states).toBeGreaterThan(20);
      if (isFair(kind)) expect(overtakings).toBe(0);
      expect(sleeps > 0).toBe(isPv(kind));
    },
    60_000,
  );

  test('three CPUs: so it is there, and who comes first is served first, where that is promised', () => {
    const first = kind === 'pv-qspin' ? [0] : [0, 0];
    const { fault, overtakings } = explored(kind, [{ locks: first }, { locks: [0] }, { locks: [0] }]);
    expect(fault).toBeUndefined();
    expect(overtakings > 0).toBe(!isFair(kind));
  }, 60_000);
});

test('a waiter of a qspinlock gives up early, whenever the vCPU before it loses its pCPU', () => {
  const { fault } = explored('pv-qspin', [{ locks: [0, 0] }, { locks: [0] }], true);
  expect(fault).toBeUndefined();
}, 60_000);

describe('paravirtualised tickets', () => {
  test('a nested wait that leaves its port as it is can lose the wake-up of the one that it interrupted', () => {
    const shape = lockShape({ cpus: 3, locks: 2, frames: 2 });
    const cpus = [{ locks: [0], interrupt: 1 }, { locks: [0] }, { locks: [1] }];
    const machine = pvTicket(shape, { ...options, nestedLeavesPending: false });
    expect(exploreLocks({ machine, cpus }).fault).toMatch(/^nobody will wake CPU 0/);
  }, 60_000);

  test('an event between publishing and the poll makes the poll come back at once', () => {
    const shape = lockShape({ cpus: 2, locks: 1, frames: 1 });
    const machine = pvTicket(shape, options);
    const state = emptyLockState(shape);
    expect(effectOf(machine.lock(state, 0, 0))).toBe(effect.acquired);
    machine.lock(state, 1, 0);
    while (aheadOf(machine, state, 1) !== costAhead.poll) machine.step(state, 1);
    const effects = [effectOf(machine.unlock(state, 0, 0))];
    while (effects.at(-1) !== effect.released) effects.push(effectOf(machine.step(state, 0)));
    expect(effects).toContain(effect.kicked);
    expect(effectOf(machine.step(state, 1))).toBe(effect.polled);
    let last: number = effect.went;
    while (last !== effect.acquired) last = effectOf(machine.step(state, 1));
    // Nobody is left to wait: the mark is gone before the lock is.
    expect(state[1]! & 1).toBe(0);
  });

  test.each([8, 16] as const)('have half of the tickets of %i bits', (ticketBits) => {
    const make = (cpus: number) => () =>
      pvTicket(lockShape({ cpus, locks: 1, frames: 1 }), { spinThreshold: 1, ticketBits });
    const half = 2 ** (ticketBits - 1);
    expect(make(half)).toThrow(AssertionError);
    expect(make(half - 1)).not.toThrow();
  });
});

test.each(['ticket', 'pv-ticket'] as const)('%s: numbers go round, none is skipped', (kind) => {
  const cpus = kind === 'ticket' ? 255 : 127;
  const shape = lockShape({ cpus, locks: 1, frames: 1 });
  const machine = makeLockMachine(kind, shape, { spinThreshold: 1_000_000, ticketBits: 8 });
  const state = emptyLockState(shape);
  const step = kind === 'ticket' ? 1 : 2;
  state[0] = state[1] = 256 - 3 * step;
  const began = state[0];
  // All of them stand in line, with the first one at the lock.
  for (let cpu = 0; cpu < cpus; cpu++) {
    expect(effectOf(machine.lock(state, cpu, 0))).toBe(cpu === 0 ? effect.acquired : effect.went);
  }
  for (let cpu = 0; cpu < cpus; cpu++) {
    expect(state[0]).toBe((began + cpu * step) % 256);
    const passing = Array.from({ length: cpus - cpu - 1 }, (_, index) => machine.passes(state, cpu + 1 + index));
    expect(passing).not.toContain(true);
    let last = effectOf(machine.unlock(state, cpu, 0));
    while (last !== effect.released) last = effectOf(machine.step(state, cpu));
    if (cpu + 1 < cpus) while (effectOf(machine.step(state, cpu + 1)) !== effect.acquired);
  }
  expect(state[0]).toBe(state[1]);
});

test.each(['ticket', 'pv-ticket'] as const)('%s: two CPUs while numbers go round', (kind) => {
  const shape = lockShape({ cpus: 2, locks: 1, frames: 1 });
  const prepare = (state: Int32Array): void => {
    state[0] = state[1] = 254;
  };
  const cpus = [{ locks: [0, 0] }, { locks: [0, 0] }];
  const result = exploreLocks({ machine: makeLockMachine(kind, shape, options), cpus, prepare });
  expect(result).toMatchObject({ fault: undefined, overtakings: 0 });
});
