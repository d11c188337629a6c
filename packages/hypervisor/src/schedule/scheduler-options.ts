import type { XenVersion } from './scheduler.ts';

/** What a policy is made with, as given at boot or when its cpupool is made. Absent ones have Xen's defaults. */
export interface SchedulerOptions {
  readonly xenVersion?: XenVersion;
  /** credit: length of a time slice in ms, 1 … 1000. */
  readonly tsliceMs?: number;
  /** credit, credit2: how long a unit runs at least before another takes its place, in µs; 0 or 100 … 500000. */
  readonly ratelimitUs?: number;
  /** credit: how long a unit counts as cache hot after it ran, in µs, 0 … 100000. */
  readonly migrationDelayUs?: number;
  /** credit: ask one idle pCPU to look at a unit that woke, not all of them (`tickle_one_idle_cpu`). */
  readonly tickleOneIdleCpu?: boolean;
  /** credit: least time between two searches for work by one pCPU in µs, up to 1 s (`load-balance-ratelimit`). */
  readonly loadBalanceRatelimitUs?: number;
  /** credit, credit2: fill up cores before others are woken (`sched_smt_power_savings`). */
  readonly smtPowerSavings?: boolean;
  /**
   * credit2: which pCPUs share a run queue (`credit2_runqueue`). Run queues even out their loads only when credit is given
   * anew, by averages over a second, and an idle pCPU takes nothing from another run queue: with one for each pCPU, three
   * units that compute were seen to share a pCPU for 30 ms beside an idle one, as upstream's rules have it.
   */
  readonly runqueue?: 'cpu' | 'core' | 'socket' | 'node' | 'all';
  /** credit2: `sched_credit2_max_cpus_runqueue`. */
  readonly maxCpusPerRunqueue?: number;
  /** credit2: `sched_credit2_migrate_resist` in µs. */
  readonly migrateResistUs?: number;
  /** credit2: `credit2_cap_period_ms`. */
  readonly capPeriodMs?: number;
}
