/** A vCPU at the spinlocks of its kernel. */
import type { Kernel } from './kernel.ts';
import { cpuAt, enterInterrupt, frameAt, leaveInterrupt, ofCpu, ofFrame } from './lock-state.ts';

/** What a vCPU is at: nothing of ours, paying for its next step, spinning, asleep in a poll, leaving a pause loop. */
export const mode = { none: 0, paying: 1, spinning: 2, asleep: 3, exiting: 4 } as const;

/** Counts of a vCPU since its beginning. Of its running time, what is in neither of the first two is its program's. */
export interface LockCounts {
  /** Running time that it spun. */
  readonly spinNs: number;
  /** Running time of locking and unlocking itself, hypercalls, exits, context switches and interrupts. */
  readonly overheadNs: number;
  readonly acquisitions: number;
  /** Acquisitions before somebody who had come earlier. */
  readonly overtakings: number;
  /** Polls that slept, events that were sent, yields of pause loops, and interrupts that were taken. */
  readonly sleeps: number;
  readonly kicks: number;
  readonly yields: number;
  readonly interrupts: number;
}

/** The counts that there are, in the order in which they are listed. */
export const lockCounters = [
  'spinNs',
  'overheadNs',
  'acquisitions',
  'overtakings',
  'sleeps',
  'kicks',
  'yields',
  'interrupts',
] as const satisfies readonly (keyof LockCounts)[];

/** What a frame of a vCPU is at: its task, or an interrupt. Changed by guest-locks.ts only. */
interface LockerFrame {
  mode: number;
  /** What was left when it was switched off: of a cost, or until the next test. */
  leftNs: number;
  /** Tests that are left of the window of pause-loop exiting. */
  window: number;
  /** The lock that it holds or waits to hold, and the one that it waits for, -1 for none; when it came, as a number of arrivals. */
  held: number;
  waitsFor: number;
  arrival: number;
}

/**
 * All of a vCPU that changes with every step, in one object: so an interrupt can put it aside. No slower than arrays by unit.
 */
export interface Locker extends LockCounts, LockerFrame {
  readonly kernel: Kernel;
  readonly unit: number;
  readonly cpu: number;
  /** Where the step of its present frame is in the kernel's state. */
  pcAt: number;
  /** It spins on a pCPU. */
  isActive: boolean;
  /** Test n of a loop is so many pauses after this. */
  baseNs: number;
  /** Since when it has spun. */
  sinceNs: number;
  /** Last test of a stepwise loop. */
  testedNs: number;
  /** Cost that goes before whatever is next. */
  debtNs: number;
  /** Dispatches of the core that it has paid for, and the pCPU that it was on then. */
  dispatches: number;
  pcpu: number;
  /** What an interrupt has interrupted. */
  outer: Readonly<LockerFrame> | undefined;
  spinNs: number;
  overheadNs: number;
  acquisitions: number;
  overtakings: number;
  sleeps: number;
  kicks: number;
  yields: number;
  interrupts: number;
}

/** What of a {@link Locker} follows from nothing else. */
export type LockerState = Omit<Locker, 'kernel'>;

export function makeLocker(kernel: Kernel, unit: number, cpu: number): Locker {
  return {
    kernel,
    unit,
    cpu,
    pcAt: frameAt(kernel.machine.shape, kernel.state, cpu) + ofFrame.pc,
    isActive: false,
    mode: mode.none,
    leftNs: 0,
    window: Infinity,
    held: -1,
    waitsFor: -1,
    arrival: 0,
    baseNs: 0,
    sinceNs: 0,
    testedNs: 0,
    debtNs: 0,
    dispatches: 0,
    pcpu: -1,
    outer: undefined,
    spinNs: 0,
    overheadNs: 0,
    acquisitions: 0,
    overtakings: 0,
    sleeps: 0,
    kicks: 0,
    yields: 0,
    interrupts: 0,
  };
}

/** An interrupt comes on a vCPU that runs, and at no lock's timer any more: what it does is in a frame of its own. */
export function enterFrame(locker: Locker): void {
  const { kernel, cpu, mode: outerMode, leftNs, window, held, waitsFor, arrival } = locker;
  locker.outer = { mode: outerMode, leftNs, window, held, waitsFor, arrival };
  locker.mode = mode.none;
  locker.held = locker.waitsFor = -1;
  locker.interrupts++;
  enterInterrupt(kernel.machine.shape, kernel.state, cpu);
  locker.pcAt = frameAt(kernel.machine.shape, kernel.state, cpu) + ofFrame.pc;
}

/** The interrupt is over. */
export function leaveFrame(locker: Locker): void {
  const { kernel, cpu } = locker;
  Object.assign(locker, locker.outer);
  locker.outer = undefined;
  leaveInterrupt(kernel.machine.shape, kernel.state, cpu);
  locker.pcAt = frameAt(kernel.machine.shape, kernel.state, cpu) + ofFrame.pc;
}

/** Whether somebody waits for a lock who came before a vCPU. */
export function hasEarlier({ kernel, arrival }: Locker, lock: number): boolean {
  for (const other of kernel.lockers) {
    if (other.waitsFor === lock && other.arrival < arrival) return true;
    if (other.outer !== undefined && other.outer.waitsFor === lock && other.outer.arrival < arrival) return true;
  }
  return false;
}

/** What `vcpu_is_preempted` says of a vCPU. */
export function setPreempted({ kernel, cpu }: Locker, isPreempted: 0 | 1): void {
  kernel.state[cpuAt(kernel.machine.shape, cpu) + ofCpu.preempted] = isPreempted;
}
