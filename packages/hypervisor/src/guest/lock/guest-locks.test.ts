/** Spinlocks of guests in time, on machines that schedule their vCPUs. */
import { AssertionError } from '@xenolith/base';
import { describe, expect, test } from 'vitest';
import type { RunFigures } from '../../machine/figures.ts';
import { Machine } from '../../machine/machine.ts';
import type { SchedulerName } from '../../schedule/scheduler.ts';
import { buildTopology } from '../../topology/topology.ts';
import { defaultInterrupts, type KernelSpec } from './kernel.ts';
import { lockKinds } from './lock-machine.ts';

const ms = 1_000_000;

interface Setting {
  readonly kernel: KernelSpec;
  readonly scheduler?: SchedulerName;
  readonly vms?: number;
  readonly vcpus?: number;
  readonly pcpus?: number;
  readonly seed?: number;
  readonly sleepNs?: number;
}

/** VMs of some vCPUs that want a lock most of the time, and fewer pCPUs, some time after they began. */
function machineOf({
  kernel,
  scheduler = 'credit',
  vms = 2,
  vcpus = 3,
  pcpus = 2,
  seed = 1,
  ...rest
}: Setting): Machine {
  const topology = buildTopology({ nodes: 1, socketsPerNode: 1, coresPerSocket: pcpus, threadsPerCore: 1 });
  const machine = new Machine({ topology, seed });
  machine.addCpupool({ name: 'p', scheduler, pcpus: topology.pcpus.map(({ pcpu }) => pcpu) });
  for (let vm = 0; vm < vms; vm++) {
    machine.addDomain({
      name: `vm${vm}`,
      cpupool: 'p',
      kernel,
      vcpus: Array.from({ length: vcpus }, (_, vcpu) => ({
        startNs: 1 + vm * 1_300_417 + vcpu * 170_003,
        workload: {
          kind: 'locking' as const,
          gapNs: [50_000, 300_000] as const,
          holdNs: [20_000, 90_000] as const,
          locks: kernel.locks ?? 1,
          ...(rest.sleepNs === undefined ? {} : { sleepNs: rest.sleepNs, perSleep: 5 }),
        },
      })),
    });
  }
  return machine;
}

const figuresAfter = (machine: Machine, durationNs: number): readonly RunFigures[] => {
  machine.run(durationNs);
  return machine.figures().domains;
};

/** Often, and with a lock that is wanted by others too. */
const interrupts = { periodNs: 401_003, workNs: 9_001, holdNs: 60_007 };
const pauseLoopExiting = { windowNs: 40_000, exitNs: 1300 };

describe.each(lockKinds)('%s', (lock) => {
  // A pause that no other length is a multiple of: which of two things at one instant comes first is nobody's promise.
  const costs = { pauseNs: 1009, pollNs: 617, sendNs: 503 };
  test.each<[string, Partial<Setting> & { readonly more?: Partial<KernelSpec> }]>([
    ['credit', {}],
    ['credit2', { scheduler: 'credit2', seed: 2 }],
    ['rtds', { scheduler: 'rtds', seed: 3 }],
    ['three VMs of four vCPUs', { vms: 3, vcpus: 4, pcpus: 3, seed: 4 }],
    ['a threshold of milliseconds', { vms: 3, scheduler: 'rtds', more: { spinThreshold: 5000 }, seed: 11 }],
    ['several locks', { more: { locks: 2 }, seed: 5 }],
    ['a long threshold', { more: { spinThreshold: 700 }, seed: 6 }],
    ['vCPUs that sleep', { sleepNs: 700_000, seed: 7 }],
    ['pause-loop exiting', { more: { pauseLoopExiting }, seed: 8 }],
    ['interrupts', { more: { interrupts, spinThreshold: 200 }, seed: 10 }],
    ['interrupts, and vCPUs that sleep', { more: { interrupts }, scheduler: 'credit2', sleepNs: 700_000, seed: 12 }],
    ['interrupts and pause-loop exiting', { more: { interrupts, pauseLoopExiting }, vcpus: 4, seed: 13 }],
    ['pause-loop exiting under credit2', { more: { pauseLoopExiting }, scheduler: 'credit2', seed: 9 }],
  ])('comes to the same with and without an event for each test: %s', (_, { more, ...setting }) => {
    const kernel: KernelSpec = { lock, costs, spinThreshold: 30, ...more };
    const fast = machineOf({ ...setting, kernel });
    const stepwise = machineOf({ ...setting, kernel: { ...kernel, isStepwise: true } });
    for (let time = 0; time < 5; time++) {
      const figures = figuresAfter(fast, 37 * ms);
      expect(figuresAfter(stepwise, 37 * ms)).toEqual(figures);
      expect(figures.reduce((sum, { locks }) => sum + locks.acquisitions, 0)).toBeGreaterThan(2);
    }
    expect(stepwise.core.events).toBeGreaterThan(fast.core.events);
  });

  test('goes on from a snapshot as it went on from itself', () => {
    for (const atNs of [3 * ms, 17_345_678, 61_000_003]) {
      const machine = machineOf({ kernel: { lock, spinThreshold: 2000, pauseLoopExiting, interrupts } });
      machine.run(atNs);
      const snapshot = structuredClone(machine.capture());
      const first = figuresAfter(machine, 40 * ms);
      machine.restore(snapshot);
      expect(figuresAfter(machine, 40 * ms)).toEqual(first);
    }
  });

  test('running time is work, spinning and overhead, and nothing else', () => {
    const machine = machineOf({ kernel: { lock, spinThreshold: 500 } });
    const [vm] = figuresAfter(machine, 200 * ms);
    expect(vm!.completed).toBeGreaterThan(10);
    const { spinNs, overheadNs } = vm!.locks;
    const workNs = vm!.runNs - spinNs - overheadNs;
    // A unit is 175 and 55 µs of work on average.
    expect(workNs / vm!.completed / 230_000).toBeGreaterThan(0.85);
    expect(workNs / vm!.completed / 230_000).toBeLessThan(1.2);
  });
});

test('what a lock costs that nobody else wants: a lock, an unlock and a switch', () => {
  const topology = buildTopology({ nodes: 1, socketsPerNode: 1, coresPerSocket: 1, threadsPerCore: 1 });
  const machine = new Machine({ topology, seed: 1 });
  machine.addCpupool({ name: 'p', scheduler: 'null', pcpus: [0] });
  const workload = { kind: 'locking', gapNs: 900, holdNs: 80 } as const;
  machine.addDomain({ name: 'd', cpupool: 'p', kernel: { lock: 'ticket' }, vcpus: [{ workload }] });
  machine.run(1_002_001);
  const { completed, locks } = machine.figures().domains[0]!;
  expect(completed).toBe(1000);
  expect(locks).toMatchObject({ acquisitions: 1000, spinNs: 0, overheadNs: 2000 + 1000 * 20 });
});

test('caches are filled again where a vCPU was away from its pCPU or has moved, and not where it only slept', () => {
  const overheadNs = (vms: number, refillNs: number): number => {
    const topology = buildTopology({ nodes: 1, socketsPerNode: 1, coresPerSocket: 1, threadsPerCore: 1 });
    const machine = new Machine({ topology, seed: 1 });
    machine.addCpupool({ name: 'p', scheduler: 'rtds', pcpus: [0] });
    const workload = { kind: 'locking', gapNs: 100_000, holdNs: 1000, sleepNs: 1 * ms } as const;
    const kernel = { lock: 'ticket', costs: { refillNs } } as const;
    for (let vm = 0; vm < vms; vm++)
      machine.addDomain({ name: `vm${vm}`, cpupool: 'p', kernel, vcpus: [{ workload }] });
    return figuresAfter(machine, 100 * ms).reduce((sum, { locks }) => sum + locks.overheadNs, 0);
  };
  // Alone: the first time.
  expect(overheadNs(1, 20_000) - overheadNs(1, 0)).toBe(20_000);
  // By turns: nearly each time.
  expect(overheadNs(2, 20_000) - overheadNs(2, 0)).toBeGreaterThan(100 * 20_000);
});

test('who is woken from a poll runs by the wake of its scheduler: credit boosts it', () => {
  const latency = (kernel: KernelSpec): number => {
    const machine = machineOf({ kernel, vms: 1, vcpus: 2, pcpus: 2 });
    machine.addDomain({ name: 'hog', cpupool: 'p', vcpus: [{ workload: { kind: 'hog' } }] });
    const [vm] = figuresAfter(machine, 2000 * ms);
    expect(vm!.locks.sleeps).toBeGreaterThan(50);
    return vm!.wakeNs.p50Ns;
  };
  expect(latency({ lock: 'pv-ticket', spinThreshold: 100 })).toBeLessThan(2 * ms);
});

test('pause-loop exiting yields where the others only spin', () => {
  const yields = (more: Partial<KernelSpec>): number =>
    figuresAfter(machineOf({ kernel: { lock: 'ticket', ...more } }), 100 * ms)[0]!.locks.yields;
  expect(yields({})).toBe(0);
  expect(yields({ pauseLoopExiting })).toBeGreaterThan(100);
});

describe.each(lockKinds)('%s: interrupts come to whatever a vCPU is at', (lock) => {
  // At most one owner, and that whoever gives back a lock has it, is asserted at each step.
  test.each([1, 2, 3])('nobody waits for ever, and the order holds: seed %i', (seed) => {
    const machine = machineOf({ kernel: { lock, spinThreshold: 300, interrupts }, vcpus: 4, seed });
    const counts = (what: 'completed' | 'acquisitions'): readonly number[] =>
      machine
        .figures()
        .domains.flatMap(({ vcpus }) =>
          vcpus.map(({ completed, locks }) => (what === 'completed' ? completed : locks.acquisitions)),
        );
    // Nothing but handlers gets on with plain tickets: each wait for their lock takes longer than a tick.
    const what = lock === 'ticket' ? 'acquisitions' : 'completed';
    machine.run(100 * ms);
    const before = counts(what);
    machine.run(400 * ms);
    expect(counts(what).filter((each, vcpu) => each <= before[vcpu]!)).toEqual([]);
    for (const { locks, runNs, vcpus } of machine.figures().domains) {
      // A tick that comes to a handler that still waits, or twice to a vCPU without a pCPU, is one with the next.
      expect(locks.interrupts).toBeGreaterThan((runNs / interrupts.periodNs) * 0.2);
      expect(locks.interrupts).toBeLessThan(((500 * ms) / interrupts.periodNs) * vcpus.length);
      expect(locks.overheadNs).toBeGreaterThan(locks.interrupts * (interrupts.workNs + interrupts.holdNs) * 0.95);
      if (lock === 'ticket' || lock === 'pv-ticket') expect(locks.overtakings).toBe(0);
      if (lock.startsWith('pv')) expect(locks.sleeps).toBeGreaterThan(10);
    }
  });
});

test('a kernel of 250 Hz takes 250 interrupts a second of its running time, and none while it sleeps', () => {
  const ticks = (sleepNs?: number): number => {
    const topology = buildTopology({ nodes: 1, socketsPerNode: 1, coresPerSocket: 1, threadsPerCore: 1 });
    const machine = new Machine({ topology, seed: 1 });
    machine.addCpupool({ name: 'p', scheduler: 'null', pcpus: [0] });
    const workload = {
      kind: 'locking',
      gapNs: 900,
      holdNs: 100,
      ...(sleepNs === undefined ? {} : { sleepNs, perSleep: 1 }),
    } as const;
    machine.addDomain({
      name: 'd',
      cpupool: 'p',
      kernel: { lock: 'ticket', interrupts: defaultInterrupts },
      vcpus: [{ workload }],
    });
    return figuresAfter(machine, 2000 * ms)[0]!.locks.interrupts;
  };
  expect(ticks()).toBe(499);
  expect(ticks(10 * ms)).toBeLessThan(10);
});

describe('is refused', () => {
  test.each<[string, KernelSpec]>([
    ['no lock at all', { lock: 'ticket', locks: 0 }],
    ['a test that takes no time', { lock: 'ticket', costs: { pauseNs: 0 } }],
    ['a cost that is none', { lock: 'ticket', costs: { sendNs: Number.NaN } }],
    ['a waiter that never tests', { lock: 'pv-ticket', spinThreshold: 0 }],
  ])('%s', (_, kernel) => {
    expect(() => machineOf({ kernel })).toThrow(AssertionError);
  });

  test('a program that locks in a domain without locks', () => {
    const machine = machineOf({ kernel: { lock: 'ticket' } });
    const workload = { kind: 'locking', gapNs: 10, holdNs: 10 } as const;
    machine.addDomain({ name: 'd', cpupool: 'p', vcpus: [{ workload }] });
    expect(() => machine.run(100 * ms)).toThrow(AssertionError);
  });
});
