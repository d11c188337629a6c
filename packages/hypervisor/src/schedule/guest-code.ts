/**
 * What runs on vCPUs, as the core sees it: code that uses time while it is on a pCPU, and has a timer for each vCPU.
 */
export interface GuestCode {
  /** There are going to be units up to this number. */
  grow(unitCapacity: number): void;
  /** A vCPU is on a pCPU and not blocked, after each decision there: whatever time it uses begins or goes on. */
  running(unit: number): void;
  /** A vCPU left its pCPU without having blocked: its time stands still. */
  stopped(unit: number): void;
  /** The timer of a vCPU is due. */
  fire(unit: number): void;
}
