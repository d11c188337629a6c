/** The kernel of a domain, as far as its spinlocks go. */
import { assert } from '@xenolith/base';
import { defaultLockCosts, type LockCosts, type PauseLoopExiting } from './lock-costs.ts';
import type { LockKind, LockMachine } from './lock-machine.ts';
import { emptyLockState, frameAt, lockShape, ofFrame } from './lock-state.ts';
import { makeLockMachine } from './make-lock-machine.ts';

export interface KernelSpec {
  readonly lock: LockKind;
  /** How many locks it has; 1 where absent. */
  readonly locks?: number;
  /** Tests before a waiter of a paravirtualised lock gives up; what the kind had in Linux where absent. */
  readonly spinThreshold?: number;
  /** 16 where absent. */
  readonly ticketBits?: 8 | 16;
  readonly costs?: Partial<LockCosts>;
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
  /** By CPU: where its step is in the state, and its unit. */
  readonly pcAt: Int32Array;
  readonly units: readonly number[];
  /** The lock that it holds, and the one that it waits for, -1 for none, and when it came, as a number of arrivals. */
  readonly held: Int32Array;
  readonly waitsFor: Int32Array;
  readonly arrival: Float64Array;
  /** By lock: CPUs that wait for it, and the pCPU that had its cache line last. */
  readonly waiters: Int32Array;
  readonly linePcpu: Int32Array;
  /** CPUs that spin on a pCPU now, the first `spinning` of them. */
  readonly spinners: Int32Array;
  spinning: number;
  arrivals: number;
}

/** What of a {@link Kernel} is not in its spec. */
export interface KernelState {
  readonly spec: KernelSpec;
  readonly units: readonly number[];
  readonly arrays: readonly (Int32Array | Float64Array)[];
  readonly spinning: number;
  readonly arrivals: number;
}

/** @throws AssertionError for more CPUs than there are tickets for, and for numbers that make no sense */
export function makeKernel(spec: KernelSpec, units: readonly number[]): Kernel {
  const { lock, locks = 1, spinThreshold = defaultSpinThresholds[lock], ticketBits = 16, pauseLoopExiting } = spec;
  assert(Number.isSafeInteger(locks) && locks >= 1 && locks <= locksMax, `${locks} locks`);
  const costs = { ...defaultLockCosts, ...spec.costs };
  for (const [name, cost] of Object.entries(costs)) assert(Number.isFinite(cost) && cost >= 0, `${name} of ${cost}`);
  assert(costs.pauseNs > 0, 'a test takes time');
  const shape = lockShape({ cpus: units.length, locks, frames: 1 });
  const state = emptyLockState(shape);
  return {
    spec,
    machine: makeLockMachine(lock, shape, { spinThreshold, ticketBits }),
    costs,
    testsOfWindow: pauseLoopExiting === undefined ? Infinity : Math.ceil(pauseLoopExiting.windowNs / costs.pauseNs),
    state,
    pcAt: Int32Array.from(units, (_, cpu) => frameAt(shape, state, cpu) + ofFrame.pc),
    units,
    held: new Int32Array(units.length).fill(-1),
    waitsFor: new Int32Array(units.length).fill(-1),
    arrival: new Float64Array(units.length),
    waiters: new Int32Array(locks),
    linePcpu: new Int32Array(locks).fill(-1),
    spinners: new Int32Array(units.length),
    spinning: 0,
    arrivals: 0,
  };
}

const arraysOf = (kernel: Kernel): readonly (Int32Array | Float64Array)[] => [
  kernel.state,
  kernel.held,
  kernel.waitsFor,
  kernel.arrival,
  kernel.waiters,
  kernel.linePcpu,
  kernel.spinners,
];

export const captureKernel = (kernel: Kernel): KernelState => ({
  spec: kernel.spec,
  units: kernel.units,
  arrays: arraysOf(kernel).map((array) => array.slice()),
  spinning: kernel.spinning,
  arrivals: kernel.arrivals,
});

export function restoredKernel({ spec, units, arrays, spinning, arrivals }: KernelState): Kernel {
  const kernel = makeKernel(spec, units);
  for (const [index, array] of arraysOf(kernel).entries()) array.set(arrays[index]!);
  kernel.spinning = spinning;
  kernel.arrivals = arrivals;
  return kernel;
}
