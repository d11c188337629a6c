import { pauseFlag, type SchedCore } from '../schedule/core.ts';
import type { NullScheduler } from '../schedule/null.ts';
import * as pcpuMask from '../schedule/pcpu-mask.ts';
import type { PcpuMask } from '../schedule/pcpu-mask.ts';

/**
 * What is wrong with the null scheduler's state between events: at most one unit to a pCPU, and nobody waits for one
 * that is free.
 * @returns a line for each fault
 */
export function nullFaults(core: SchedCore, policy: NullScheduler, valid: PcpuMask): readonly string[] {
  const faults: string[] = [];
  const free = policy.free();
  const placeOf = new Map<number, number>();
  for (const pcpu of pcpuMask.pcpusOf(valid)) {
    const unit = policy.assignedTo(pcpu);
    if (pcpuMask.has(free, pcpu) !== unit < 0) faults.push(`pCPU ${pcpu} is free, and kept for unit ${unit}`);
    if (placeOf.has(unit)) faults.push(`unit ${unit} has pCPUs ${placeOf.get(unit)!} and ${pcpu}`);
    if (unit >= 0) placeOf.set(unit, pcpu);
    const runs = unit >= 0 && core.isRunnable(unit) ? unit : pcpu;
    if (core.current[pcpu] !== runs) faults.push(`pCPU ${pcpu} runs unit ${core.current[pcpu]!}, not ${runs}`);
  }
  if (!pcpuMask.isSubset(free, valid)) faults.push('a pCPU outside of the pool is free');
  for (const entry of core.domains) {
    if (entry?.pool.scheduler !== policy) continue;
    for (const unit of entry.units) faults.push(...unitFaults(core, policy, unit, placeOf.get(unit), valid));
  }
  return faults;
}

function* unitFaults(
  core: SchedCore,
  policy: NullScheduler,
  unit: number,
  place: number | undefined,
  valid: PcpuMask,
): Iterable<string> {
  const isWaiting = policy.waiting.isOn(unit);
  const isOnline = (core.flags[unit]! & pauseFlag.down) === 0;
  // One that came online paused has no pCPU until it is unpaused.
  const places = Number(isWaiting) + Number(place !== undefined);
  if (places > 1 || (places === 0 && core.isRunnable(unit)) || (places > 0 && !isOnline))
    yield `unit ${unit} is ${isOnline ? 'online' : 'offline'}, on pCPU ${place ?? 'none'}, waiting: ${isWaiting}`;
  if (place !== undefined && core.pcpu[unit] !== place) yield `unit ${unit} of pCPU ${core.pcpu[unit]!} is on ${place}`;
  const suits = pcpuMask.emptyMask(core.words);
  pcpuMask.intersect(suits, core.hard[unit]!, valid);
  if (place !== undefined && !pcpuMask.has(suits, place)) yield `unit ${unit} has pCPU ${place} against its affinity`;
  if (isWaiting && pcpuMask.intersects(suits, policy.free())) yield `unit ${unit} waits, and a pCPU is free for it`;
}
