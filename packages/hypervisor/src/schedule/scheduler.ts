import type { PcpuMask } from './pcpu-mask.ts';

/** The schedulers of Xen by the names that `sched=` and `xl` know (`sedf` was removed in Xen 4.6). */
export type SchedulerName = 'credit' | 'credit2' | 'sedf' | 'rtds' | 'null' | 'arinc653';

/** `XEN_SCHEDULER_*` (xen/include/public/domctl.h). */
export const schedulerIds: Readonly<Record<SchedulerName, number>> = {
  sedf: 4,
  credit: 5,
  credit2: 6,
  arinc653: 7,
  rtds: 8,
  null: 9,
};

/** The release whose behaviour is followed where the releases differ. */
export type XenVersion = '4.2' | '4.17' | '4.23';

/**
 * One instance of a scheduling policy, that of one cpupool: what `struct scheduler` is in xen/common/sched/private.h.
 * Units and pCPUs are indexes into the core's arrays; only the core calls these methods. Nothing here allocates.
 */
export interface Scheduler {
  readonly name: SchedulerName;

  /** There are going to be units up to this number. */
  grow(unitCapacity: number): void;
  /** There are going to be domains up to this number. */
  growDomains(domainCapacity: number): void;

  /** A pCPU joins: its private data and those of its idle unit are made, its timers armed (`init_pdata`, `switch_sched`). */
  addPcpu(pcpu: number): void;
  /** A pCPU that runs its idle unit and has no units leaves (`deinit_pdata`). */
  removePcpu(pcpu: number): void;

  /** A domain joins, with default parameters (`alloc_domdata`). */
  addDomain(domain: number): void;
  removeDomain(domain: number): void;
  /** Data of a unit (`alloc_udata`); its domain is there. */
  addUnit(unit: number): void;
  removeUnit(unit: number): void;

  /** A unit with its data joins the policy (`insert_unit`); most choose a pCPU for it. */
  insert(unit: number): void;
  /** A unit that does not run leaves it (`remove_unit`). */
  remove(unit: number): void;

  /** The pCPU where a unit should be (`pick_resource`). */
  pick(unit: number): number;
  /** Moves a unit that does not run (`migrate`); sets its pCPU in the core's table. */
  migrate(unit: number, pcpu: number): void;
  wake(unit: number): void;
  sleep(unit: number): void;
  yield(unit: number): void;
  /** Affinity is about to change to these masks (`adjust_affinity`). */
  adjustAffinity(unit: number, hard: PcpuMask, soft: PcpuMask): void;
  /** A unit that left its pCPU has its state saved (`context_saved`). */
  contextSaved(unit: number): void;

  /**
   * Decides what a pCPU runs next (`do_schedule`).
   * @returns the unit; how long it may run is left in the core's `sliceNs`, negative for no limit
   */
  schedule(pcpu: number): number;
  /** One of its timers is due: what kind of its own, and for which of its things (a pCPU, a unit, a domain …). */
  fire(kind: number, owner: number): void;

  /** A copy of all its state, for {@link restore}. */
  capture(): unknown;
  /** Takes back what {@link capture} gave, in the same arrangement of pCPUs, units and domains. */
  restore(state: unknown): void;
}
