import { assert } from '@xenolith/base';
import type { SchedCore } from './core.ts';
import * as pcpuMask from './pcpu-mask.ts';
import type { SchedPool } from './sched-pool.ts';

/** Passes over the units of a pool after which a pCPU that leaves it is kept from taking more of them, and the most. */
const barAfterPasses = 8;
const leavePassesMax = 16;

/**
 * A pCPU stops to serve its pool: the units on it go elsewhere, and its policy forgets it (`cpu_disable_scheduler`,
 * `schedule_cpu_rm`). A unit whose hard affinity has nothing left in the pool gets everything.
 * @returns how often a hard affinity was broken
 */
export function leavePool(core: SchedCore, pcpu: number, pool: SchedPool): number {
  assert(core.poolOf[pcpu] === pool, `pCPU ${pcpu} is in the pool`);
  pcpuMask.removeFrom(pool.valid, pcpu);
  core.currentPcpu = Math.max(0, pcpuMask.first(pool.valid));
  let broken = 0;
  let barred: readonly number[] = [];
  // A unit that runs leaves at its next decision; then the units are gone through again.
  for (let pass = 0; ; pass++) {
    assert(pass < leavePassesMax, `units leave pCPU ${pcpu}`);
    // From a run queue that it shares, a pCPU takes the next unit that waits, for as long as any does: Xen answers
    // EAGAIN then and is asked again. Here the units that wait do without it for a moment.
    if (pass === barAfterPasses) barred = barFrom(core, pcpu, pool);
    let wasRunning = false;
    for (const unit of unitsOf(core, pool)) {
      const hard = core.hard[unit]!;
      if (pcpuMask.has(hard, pcpu) && !pcpuMask.intersects(hard, pool.valid)) {
        core.storeAffinity(unit, pcpuMask.everyPcpu(core.words), undefined);
        broken++;
      }
      if (core.pcpu[unit] !== pcpu) continue;
      if (core.isRunning[unit] === 1) wasRunning = true;
      core.startMigration(unit);
      core.finishMigration(unit);
    }
    if (!wasRunning) break;
    core.drain();
  }
  core.drain();
  for (const unit of barred) {
    const hard = core.hard[unit]!.slice();
    pcpuMask.addTo(hard, pcpu);
    core.storeAffinity(unit, hard, undefined);
  }
  core.timers.disarm(pcpu);
  pool.scheduler.removePcpu(pcpu);
  return broken;
}

/** Takes a pCPU out of the hard affinity of a pool's units, which have others. @returns those that had it */
function barFrom(core: SchedCore, pcpu: number, pool: SchedPool): readonly number[] {
  const had = unitsOf(core, pool).filter((unit) => pcpuMask.has(core.hard[unit]!, pcpu));
  for (const unit of had) {
    const hard = core.hard[unit]!.slice();
    pcpuMask.removeFrom(hard, pcpu);
    core.storeAffinity(unit, hard, undefined);
  }
  return had;
}

/** The units of a pool's domains, in order of domains and vCPUs. */
const unitsOf = (core: SchedCore, pool: SchedPool): readonly number[] =>
  core.domains.flatMap((entry) => (entry?.pool === pool ? entry.units : []));
