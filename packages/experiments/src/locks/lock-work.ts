/** What the VMs of the lock experiments do, and what their locks are called. */
import type { LockKind, Workload } from '@xenolith/hypervisor';

/** The microbenchmark: one lock that every vCPU wants again about 10 µs after it gave it back, and holds for 1 µs. */
export const oneLock: Workload = { kind: 'locking', gapNs: [5_000, 15_000], holdNs: 1_000 };

/** The same, wanted a tenth as often: the lock is held about 8 % of the time by one of 8 vCPUs that all run. */
export const lockWantedLess: Workload = { kind: 'locking', gapNs: [50_000, 150_000], holdNs: 1_000 };

/**
 * Stand-ins, by the shares that the specification gives (locks.md, section 5), not by measurement. How many locks a
 * kernel has that matter is our guess.
 */
export const standIns = {
  /** Building a kernel: mostly computing, 5 % of it in many short critical sections. */
  kernbench: { kernelLocks: 16, work: { kind: 'locking', gapNs: [4_000, 15_000], holdNs: [200, 800], locks: 16 } },
  /** A database with many clients: a quarter of the time in critical sections, and it sleeps and wakes all the time. */
  pgbench: {
    kernelLocks: 4,
    work: {
      kind: 'locking',
      gapNs: [3_000, 9_000],
      holdNs: [1_000, 3_000],
      locks: 4,
      sleepNs: [50_000, 150_000],
      perSleep: 20,
    },
  },
  /** Parallel compression: computes, and takes the lock of a queue for each block. */
  pbzip2: { kernelLocks: 1, work: { kind: 'locking', gapNs: [5_000_000, 15_000_000], holdNs: [5_000, 15_000] } },
} as const satisfies Record<string, { readonly kernelLocks: number; readonly work: Workload }>;

/** For people. */
export const lockNames: Readonly<Record<LockKind, string>> = {
  'test-and-set': 'test-and-set',
  ticket: 'ticket',
  'pv-byte': 'old PV byte',
  'pv-ticket': 'PV ticket',
  'pv-qspin': 'PV qspinlock',
};
