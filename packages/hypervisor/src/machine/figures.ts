/** What a machine has done, in figures: times in nanoseconds, shares between 0 and 1. */
import type { LockCounts } from '../guest/lock/locker.ts';
import type { Histogram } from '../guest/workload/histogram.ts';

/** How long something took: quantiles are rounded up by at most 1/32, the rest is exact. */
export interface LatencyFigures {
  readonly count: number;
  readonly meanNs: number;
  readonly p50Ns: number;
  readonly p95Ns: number;
  readonly p99Ns: number;
  readonly maxNs: number;
}

export interface RunFigures {
  readonly runNs: number;
  readonly runnableNs: number;
  readonly blockedNs: number;
  readonly offlineNs: number;
  /** Times that a vCPU came onto a pCPU, and onto another one than before. */
  readonly dispatches: number;
  readonly migrations: number;
  /** Units of work done, and jobs that were not done by their deadline. */
  readonly completed: number;
  readonly missed: number;
  /** Running time as far as it came to work: all of it on a machine whose memory costs nothing. */
  readonly workNs: number;
  /** What its kernel's spinlocks did; all 0 without a kernel that has some. */
  readonly locks: LockCounts;
  /** From the wake of a vCPU to its being on a pCPU. */
  readonly wakeNs: LatencyFigures;
  /** From the coming of a job to its end. */
  readonly responseNs: LatencyFigures;
}

export interface DomainFigures extends RunFigures {
  readonly name: string;
  /** Time on pCPUs, in pCPUs: 0.333 is a third of one. */
  readonly pcpuShare: number;
  readonly vcpus: readonly RunFigures[];
}

export interface PcpuFigures {
  readonly pcpu: number;
  readonly idleNs: number;
  readonly utilisation: number;
  readonly contextSwitches: number;
  readonly decisions: number;
}

export interface CpupoolFigures {
  /** The number that Xen gives it. */
  readonly id: number;
  readonly name: string;
  readonly pcpus: readonly number[];
  readonly utilisation: number;
  readonly contextSwitches: number;
}

/** Figures since the measuring began, by number of domain (in order of their making), pCPU and cpupool. */
export interface MachineFigures {
  readonly durationNs: number;
  readonly domains: readonly DomainFigures[];
  readonly pcpus: readonly PcpuFigures[];
  readonly cpupools: readonly CpupoolFigures[];
}

export function latencyFigures(histogram: Histogram): LatencyFigures {
  return {
    count: histogram.count,
    meanNs: histogram.mean,
    p50Ns: histogram.quantile(0.5),
    p95Ns: histogram.quantile(0.95),
    p99Ns: histogram.quantile(0.99),
    maxNs: histogram.max,
  };
}
