/**
 * How loaded run queues are, and how much each unit contributes: averages that decay over a window of 2^30 ns, in units
 * of 2^-18, told in ticks of 1024 ns (`update_runq_load`, `update_svc_load`).
 *
 * Shifts to the right are floors of products, which stay below 2^53: a tick count of at most 2^20 times an average of
 * at most 2^18 for each unit, of which there are less than 2^15.
 */
import type { Credit2State } from './state.ts';

const windowTicks = 1 << 20;
const perWindow = 2 ** -20;
/** A load of one. */
export const unitOfLoad = 1 << 18;

const tickOf = ({ core }: Credit2State): number => Math.floor(core.now / 1024);

/** Brings the averages of a run queue up to now, then counts `change` more units in it. */
export function updateQueueLoad(s: Credit2State, queue: number, change: number): void {
  const tick = tickOf(s);
  const { averageLoad, balancedLoad } = s;
  const load = s.load[queue]!;
  const ticks = tick - s.loadTick[queue]!;
  if (ticks > windowTicks) {
    averageLoad[queue] = load * unitOfLoad;
    balancedLoad[queue] = load * unitOfLoad;
  } else if (ticks > 0) {
    const average = averageLoad[queue]!;
    const balanced = balancedLoad[queue]!;
    const sample = Math.floor(ticks * load * 0.25);
    averageLoad[queue] = average + sample - Math.floor(ticks * average * perWindow);
    balancedLoad[queue] = balanced + sample - Math.floor(ticks * balanced * perWindow);
  }
  s.load[queue] = load + change;
  s.loadTick[queue] = tick;
}

/** Brings the average of a unit up to now: until now its load was 1 or 0. */
export function updateUnitLoad(s: Credit2State, unit: number, load: number): void {
  const tick = tickOf(s);
  const ticks = tick - s.unitLoadTick[unit]!;
  if (ticks > windowTicks) {
    s.unitLoad[unit] = load * unitOfLoad;
  } else if (ticks > 0) {
    const average = s.unitLoad[unit]!;
    s.unitLoad[unit] = average + load * (ticks >> 2) - Math.floor(ticks * average * perWindow);
  }
  s.unitLoadTick[unit] = tick;
}

/** A unit begins to run or wait (1) or ceases to (-1). */
export function updateLoad(s: Credit2State, queue: number, unit: number, change: number): void {
  updateQueueLoad(s, queue, change);
  updateUnitLoad(s, unit, change < 0 ? 1 : 0);
}
