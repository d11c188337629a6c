/** What every kind of spinlock is: steps of CPUs on a state that they share. Time has no part in it. */
import { costAhead, frameAt, ofFrame, type LockShape } from './lock-state.ts';

/**
 * Kinds of spinlock: a byte that is tested and set; tickets (Linux 2.6.25 on); the byte of the first paravirtualised locks
 * (2008); paravirtualised tickets (2012, in Linux 3.12 to 4.1), and the queue that came after them (4.2 on).
 */
export type LockKind = 'test-and-set' | 'ticket' | 'pv-byte' | 'pv-ticket' | 'pv-qspin';

export const lockKinds: readonly LockKind[] = ['test-and-set', 'ticket', 'pv-byte', 'pv-ticket', 'pv-qspin'];

export interface LockOptions {
  /** Tests before a waiter of a paravirtualised lock gives up spinning. */
  readonly spinThreshold: number;
  /** Bits of a ticket: 8 in kernels for fewer than 256 CPUs, else 16. */
  readonly ticketBits: 8 | 16;
}

/**
 * One kind, for so many locks and CPUs. A step is what other CPUs see as one: an access to memory that is shared, an
 * atomic operation, or a hypercall. State is changed in place: who wants the one before keeps a copy.
 */
export interface LockMachine {
  readonly kind: LockKind;
  readonly shape: LockShape;
  /** The first step of locking, and of unlocking what a CPU holds. @returns what {@link step} does */
  lock(state: Int32Array, cpu: number, lock: number): number;
  unlock(state: Int32Array, cpu: number, lock: number): number;
  /** The next step of a CPU at a lock. @returns an effect, with a CPU (lock-state.ts) */
  step(state: Int32Array, cpu: number): number;
  /** What the next step costs, of `costAhead`, by the frame's `pc`; `pause` is a test of a loop that spins. */
  readonly costOf: Uint8Array;
  /** Of a CPU that spins: whether its test would end the loop now. */
  passes(state: Int32Array, cpu: number): boolean;
  /**
   * Of a CPU that spins and whose test fails: how many tests until one after which it gives up, when nothing changes;
   * Infinity for never. Always at least 1.
   */
  testsLeft(state: Int32Array, cpu: number): number;
  /** Of a CPU that spins: whether what {@link testsLeft} says may have become less by what others did. */
  hurries(state: Int32Array, cpu: number): boolean;
  /** So many tests failed, fewer than {@link testsLeft}. */
  skip(state: Int32Array, cpu: number, tests: number): void;
}

/** A table of costs by step: those of the loops that spin, of polls, and of sending events. */
export function costTable(
  pauses: readonly number[],
  polls: readonly number[] = [],
  sends: readonly number[] = [],
): Uint8Array {
  const table = new Uint8Array(64);
  for (const step of pauses) table[step] = costAhead.pause;
  for (const step of polls) table[step] = costAhead.poll;
  for (const step of sends) table[step] = costAhead.send;
  return table;
}

/** What the next step of a CPU costs. */
export const aheadOf = ({ costOf, shape }: LockMachine, state: Int32Array, cpu: number): number =>
  costOf[state[frameAt(shape, state, cpu) + ofFrame.pc]!]!;
