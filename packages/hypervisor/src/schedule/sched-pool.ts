import type { PcpuMask } from './pcpu-mask.ts';
import type { Scheduler } from './scheduler.ts';

/** pCPUs with one policy, as the core needs to know them; machine/machine.ts has the rest. */
export interface SchedPool {
  /** The pCPUs that units of the pool may be on (`cpu_valid`). */
  readonly valid: PcpuMask;
  readonly scheduler: Scheduler;
}

/** A decision of a policy, kept or not: (time, pCPU, unit, slice). */
export type DecisionListener = (nowNs: number, pcpu: number, unit: number, sliceNs: number) => void;
