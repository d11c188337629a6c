/**
 * Averages of load as Xen 4.2 has them: the window is 2^18 ticks of 1024 ns, and a load of one is 2^18 too; sums are
 * divided as a whole, in unsigned 64-bit arithmetic, whose overflow is part of what it does.
 */
import type { Credit2State } from './state.ts';

const shift = 18n;
const scale = 2 ** 18;
/** Averages from here on may overflow, or leave what numbers hold exactly. */
const largeAverage = 2 ** 34;

function averageOf(average: number, load: number, ticks: number): number {
  if (ticks > scale) return load * scale;
  if (ticks >= 0 && average >= 0 && average < largeAverage) {
    return Math.floor((ticks * load * scale + (scale - ticks) * average) / scale);
  }
  // A unit's first update may be at fewer ticks than nanoseconds it was made at, and what balancing counts below nothing.
  const sum = BigInt(ticks) * BigInt(load * scale) + BigInt(scale - ticks) * BigInt(average);
  return Number(BigInt.asUintN(64, sum) >> shift);
}

/** `__update_runq_load()`. */
export function updateQueueLoad(s: Credit2State, queue: number, change: number): void {
  const tick = Math.floor(s.core.now / 1024);
  const ticks = tick - s.loadTick[queue]!;
  const load = s.load[queue]!;
  s.averageLoad[queue] = averageOf(s.averageLoad[queue]!, load, ticks);
  s.balancedLoad[queue] = averageOf(s.balancedLoad[queue]!, load, ticks);
  s.load[queue] = load + change;
  s.loadTick[queue] = tick;
}

/** `__update_svc_load()`. */
export function updateUnitLoad(s: Credit2State, unit: number, load: number): void {
  const tick = Math.floor(s.core.now / 1024);
  s.unitLoad[unit] = averageOf(s.unitLoad[unit]!, load, tick - s.unitLoadTick[unit]!);
  s.unitLoadTick[unit] = tick;
}

/** A unit begins to run or wait (1) or ceases to (-1). */
export function updateLoad(s: Credit2State, queue: number, unit: number, change: number): void {
  updateQueueLoad(s, queue, change);
  updateUnitLoad(s, unit, change < 0 ? 1 : 0);
}
