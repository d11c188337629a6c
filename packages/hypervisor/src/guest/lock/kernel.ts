/** The kernel of a domain, as far as its spinlocks go. */
import { assert } from '@xenolith/base';
import { defaultLockCosts, type LockCosts, type PauseLoopExiting } from './lock-costs.ts';
import type { LockKind, LockMachine } from './lock-machine.ts';
import { emptyLockState, lockShape } from './lock-state.ts';
import { makeLocker, type Locker, type LockerState } from './locker.ts';
import { makeLockMachine } from './make-lock-machine.ts';

/**
 * A timer interrupt on every vCPU: its handler works, takes a lock of its own kind that no task takes, works with it and
 * gives it back. It comes to whatever the task is at: computing, holding a lock, spinning for one, asleep in a poll,
 * which it ends. Who is not on a pCPU then takes it when it is, once; who sleeps by itself has no tick.
 */
export interface Interrupts {
  /** 4 ms for a kernel with `HZ=250`. */
  readonly periodNs: number;
  readonly workNs: number;
  readonly holdNs: number;
}

/** Of a kernel of 250 Hz. The handler's times are guesses of ours: some microseconds, most of them without its lock. */
export const defaultInterrupts: Interrupts = { periodNs: 4_000_000, workNs: 2_000, holdNs: 500 };

export interface KernelSpec {
  readonly lock: LockKind;
  /** How many locks it has; 1 where absent. */
  readonly locks?: number;
  /** Tests before a waiter of a paravirtualised lock gives up; what the kind had in Linux where absent. */
  readonly spinThreshold?: number;
  /** 16 where absent. */
  readonly ticketBits?: 8 | 16;
  readonly costs?: Partial<LockCosts>;
  /** The tick of its clock, which it takes whatever it is at; none where absent. */
  readonly interrupts?: Interrupts;
  /** Only in HVM guests. */
  readonly pauseLoopExiting?: PauseLoopExiting;
  /** Each test of a loop that spins is an event of the engine: slow, and the same in the end. */
  readonly isStepwise?: true;
}

/** `SPIN_THRESHOLD` and its like, as they were merged. */
export const defaultSpinThresholds: Readonly<Record<LockKind, number>> = {
  'test-and-set': 1,
  ticket: 1,
  'pv-byte': 2 ** 10,
  'pv-ticket': 2 ** 15,
  'pv-qspin': 2 ** 15,
};

/** Locks of a kernel that are looked for. */
const locksMax = 4096;

/** A kernel that runs: its state, and who is where. Changed by guest-locks.ts only. */
export interface Kernel {
  readonly spec: KernelSpec;
  readonly machine: LockMachine;
  readonly costs: LockCosts;
  /** Tests until the processor leaves the guest; Infinity without pause-loop exiting. */
  readonly testsOfWindow: number;
  readonly state: Int32Array;
  /** By CPU. */
  readonly lockers: readonly Locker[];
  /** By lock: its owner, -1 for none; CPUs that wait for it; and the pCPU that had its cache line last, -1 for none. */
  readonly owner: Int32Array;
  readonly waiters: Int32Array;
  readonly linePcpu: Int32Array;
  /** Who spins on a pCPU now: the first `spinning` of them, and of the others nobody. */
  readonly spinners: Locker[];
  spinning: number;
  arrivals: number;
}

/** What of a {@link Kernel} is not in its spec. */
export interface KernelState {
  readonly spec: KernelSpec;
  readonly units: readonly number[];
  readonly arrays: readonly Int32Array[];
  readonly lockers: readonly LockerState[];
  /** CPUs. */
  readonly spinners: readonly number[];
  readonly arrivals: number;
}

/** The locks of a kernel: those of its tasks, and one more where it takes interrupts. */
export const interruptLock = ({ locks = 1 }: KernelSpec): number => locks;

/** @throws AssertionError for more CPUs than there are tickets for, and for numbers that make no sense */
export function makeKernel(spec: KernelSpec, units: readonly number[]): Kernel {
  const { lock, locks = 1, spinThreshold = defaultSpinThresholds[lock], ticketBits = 16, pauseLoopExiting } = spec;
  assert(Number.isSafeInteger(locks) && locks >= 1 && locks <= locksMax, `${locks} locks`);
  const costs = { ...defaultLockCosts, ...spec.costs };
  for (const [name, cost] of Object.entries(costs)) assert(Number.isFinite(cost) && cost >= 0, `${name} of ${cost}`);
  assert(costs.pauseNs > 0, 'a test takes time');
  const takesInterrupts = spec.interrupts !== undefined;
  const all = takesInterrupts ? locks + 1 : locks;
  const shape = lockShape({ cpus: units.length, locks: all, frames: takesInterrupts ? 2 : 1 });
  const lockers: Locker[] = [];
  const kernel: Kernel = {
    spec,
    machine: makeLockMachine(lock, shape, { spinThreshold, ticketBits }),
    costs,
    testsOfWindow: pauseLoopExiting === undefined ? Infinity : Math.ceil(pauseLoopExiting.windowNs / costs.pauseNs),
    state: emptyLockState(shape),
    lockers,
    owner: new Int32Array(all).fill(-1),
    waiters: new Int32Array(all),
    linePcpu: new Int32Array(all).fill(-1),
    spinners: [],
    spinning: 0,
    arrivals: 0,
  };
  for (const [cpu, unit] of units.entries()) lockers.push(makeLocker(kernel, unit, cpu));
  return kernel;
}

const arraysOf = ({ state, owner, waiters, linePcpu }: Kernel): readonly Int32Array[] => [
  state,
  owner,
  waiters,
  linePcpu,
];

export const captureKernel = (kernel: Kernel): KernelState => ({
  spec: kernel.spec,
  units: kernel.lockers.map(({ unit }) => unit),
  arrays: arraysOf(kernel).map((array) => array.slice()),
  lockers: kernel.lockers.map(({ kernel: _kernel, ...locker }) => locker),
  spinners: kernel.spinners.slice(0, kernel.spinning).map(({ cpu }) => cpu),
  arrivals: kernel.arrivals,
});

export function restoredKernel({ spec, units, arrays, lockers, spinners, arrivals }: KernelState): Kernel {
  const kernel = makeKernel(spec, units);
  for (const [index, array] of arraysOf(kernel).entries()) array.set(arrays[index]!);
  for (const [cpu, locker] of kernel.lockers.entries()) Object.assign(locker, lockers[cpu]);
  for (const cpu of spinners) kernel.spinners.push(kernel.lockers[cpu]!);
  kernel.spinning = spinners.length;
  kernel.arrivals = arrivals;
  return kernel;
}
