/** What locks cost a guest, in nanoseconds of its running time. */
export interface LockCosts {
  /** An uncontended lock, and an unlock. */
  readonly lockNs: number;
  readonly unlockNs: number;
  /** What the lock and unlock of a kind cost more: calls through a table, where they are not patched out. */
  readonly callNs: number;
  /** A turn of a loop that spins: a test and a PAUSE. */
  readonly pauseNs: number;
  /** The lock's cache line comes from another pCPU of the socket, or from another socket. */
  readonly transferNs: number;
  readonly farTransferNs: number;
  /** `SCHEDOP_poll`, and `EVTCHNOP_send`. */
  readonly pollNs: number;
  readonly sendNs: number;
  /** The vCPU comes onto a pCPU: a context switch, before it goes on. */
  readonly switchNs: number;
  /** The guest puts another thread on a vCPU. */
  readonly threadNs: number;
  /**
   * Work that takes longer because caches are cold: the vCPU was on another pCPU before, another vCPU with a kernel was
   * on this one meanwhile, or another thread was on the vCPU. From a few microseconds to more than a millisecond, by what the work touches (Li,
   * Ding and Shen, Quantifying the cost of context switch, ExpCS 2007).
   */
  readonly refillNs: number;
}

/**
 * Estimates, not measurements of ours: orders of magnitude for a server of 2.6 GHz of about 2010 (a PAUSE of 40 cycles),
 * after the specification of this model (locks.md, section 4), which gives no further source.
 */
export const defaultLockCosts: LockCosts = {
  lockNs: 10,
  unlockNs: 10,
  callNs: 0,
  pauseNs: 15,
  transferNs: 60,
  farTransferNs: 120,
  pollNs: 600,
  sendNs: 500,
  switchNs: 2000,
  threadNs: 2000,
  refillNs: 0,
};

/** Pause-loop exiting: after so long in a loop that spins a vCPU leaves its guest, and Xen makes it yield. */
export interface PauseLoopExiting {
  readonly windowNs: number;
  readonly exitNs: number;
}

/** Xen's window of 4096 cycles, at 2.6 GHz; the cost of an exit is of the same estimates. */
export const defaultPauseLoopExiting: PauseLoopExiting = { windowNs: 1575, exitNs: 1200 };
