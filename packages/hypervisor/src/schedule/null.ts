/**
 * The null scheduler (xen/common/sched/null.c): at most one unit to a pCPU, assigned for good. Units without a pCPU
 * wait until one is free. There is no timer and no parameter.
 */
import { assert } from '@xenolith/base';
import { pauseFlag, type SchedCore } from './core.ts';
import * as pcpuMask from './pcpu-mask.ts';
import type { PcpuMask } from './pcpu-mask.ts';
import type { Scheduler } from './scheduler.ts';
import { UnitLists } from './unit-lists.ts';

const none = -1;

/** The wait queue is the only list of its {@link UnitLists}. */
const list = 0;
const end = -1;

export class NullScheduler implements Scheduler {
  readonly name = 'null';
  readonly #core: SchedCore;
  /** The pCPUs of the pool, kept by the core. */
  readonly #valid: PcpuMask;
  /** pCPUs of the pool with no unit assigned (`cpus_free`). */
  readonly #free: PcpuMask;
  /** The unit assigned to each pCPU (`struct null_pcpu`). */
  readonly #assigned: Int32Array;
  /** Units without a pCPU, in the order of coming (`waitq`). */
  readonly waiting: UnitLists;
  readonly #scratch: PcpuMask;

  constructor(core: SchedCore, valid: PcpuMask) {
    this.#core = core;
    this.#valid = valid;
    this.#free = pcpuMask.emptyMask(core.words);
    this.#scratch = pcpuMask.emptyMask(core.words);
    this.#assigned = new Int32Array(core.pcpuCount).fill(none);
    this.waiting = new UnitLists(1, core.unitCapacity);
  }

  grow(unitCapacity: number): void {
    this.waiting.grow(unitCapacity);
  }

  growDomains(): void {}

  addPcpu(pcpu: number): void {
    pcpuMask.addTo(this.#free, pcpu);
    this.#assigned[pcpu] = none;
  }

  removePcpu(pcpu: number): void {
    const unit = this.#assigned[pcpu]!;
    assert(unit === none, `unit ${unit} has left pCPU ${pcpu}`);
    pcpuMask.removeFrom(this.#free, pcpu);
  }

  addDomain(): void {}

  removeDomain(): void {}

  addUnit(): void {}

  removeUnit(): void {}

  insert(unit: number): void {
    // A unit that is offline has no use for a pCPU.
    if (!this.#isOnline(unit)) return;
    const pcpu = this.pick(unit);
    this.#core.pcpu[unit] = pcpu;
    // The wake-up that follows asks for the decision.
    if (this.#assigned[pcpu] === none) this.#assign(unit, pcpu);
    else this.waiting.insertBefore(unit, end);
  }

  remove(unit: number): void {
    if (!this.#isOnline(unit)) return;
    if (this.waiting.isOn(unit)) this.waiting.remove(unit);
    // One that came online paused, and was never woken, has no pCPU: upstream's assertion does not hold for it.
    else if (this.#assigned[this.#core.pcpu[unit]!] === unit) this.#deassign(unit);
  }

  pick(unit: number): number {
    const core = this.#core;
    const pcpu = core.pcpu[unit]!;
    const mask = this.#scratch;
    const assigned = this.#assigned[pcpu]!;
    const isOwn = assigned === none || assigned === unit;
    for (let step = this.#hasSoft(unit) ? 0 : 1; step < 2; step++) {
      pcpuMask.intersect(mask, core.hard[unit]!, this.#valid);
      // Soft affinity that matters has pCPUs of the hard one (`soft_aff_effective`), if perhaps not of the pool.
      if (step === 0) pcpuMask.intersect(mask, mask, core.soft[unit]!);
      if (isOwn && pcpuMask.has(mask, pcpu)) return pcpu;
      if (pcpuMask.intersect(mask, mask, this.#free)) return pcpuMask.first(mask);
    }
    // Upstream takes any at random (`cpumask_any()`): the unit only waits there. The lowest is as good.
    pcpuMask.intersect(mask, core.hard[unit]!, this.#valid);
    return pcpuMask.first(mask);
  }

  migrate(unit: number, pcpu: number): void {
    const core = this.#core;
    if (core.pcpu[unit] === pcpu) return;
    if (this.#assigned[core.pcpu[unit]!] === unit) this.#deassign(unit);
    if (!this.#isOnline(unit)) {
      this.waiting.remove(unit);
    } else if (this.#assigned[pcpu] === none && this.#isInHard(unit, pcpu)) {
      this.waiting.remove(unit);
      this.#assign(unit, pcpu);
    } else if (!this.waiting.isOn(unit)) {
      this.waiting.insertBefore(unit, end);
    }
    core.pcpu[unit] = pcpu;
  }

  wake(unit: number): void {
    const core = this.#core;
    const pcpu = core.pcpu[unit]!;
    if (core.current[pcpu] === unit || this.waiting.isOn(unit)) return;
    const assigned = this.#assigned[pcpu]!;
    if (assigned === unit) {
      core.raise(pcpu);
      return;
    }
    // Neither on a pCPU nor waiting: it was offline and comes back, to its own pCPU if that is free and suits it.
    if (
      assigned === none &&
      this.#isInHard(unit, pcpu) &&
      (!this.#hasSoft(unit) || pcpuMask.has(core.soft[unit]!, pcpu))
    ) {
      this.#assign(unit, pcpu);
      core.raise(pcpu);
      return;
    }
    // Else it waits, and the first of the free ones that suit it takes it.
    this.waiting.insertBefore(unit, end);
    const mask = this.#scratch;
    pcpuMask.intersect(mask, core.hard[unit]!, this.#valid);
    if (pcpuMask.intersect(mask, mask, this.#free)) core.raiseAll(mask);
  }

  sleep(unit: number): void {
    const core = this.#core;
    const pcpu = core.pcpu[unit]!;
    if (!this.#isOnline(unit)) {
      if (this.waiting.isOn(unit)) this.waiting.remove(unit);
      else if (this.#assigned[pcpu] === unit && this.#deassign(unit)) return;
    }
    if (core.current[pcpu] === unit) core.raise(pcpu);
  }

  yield(): void {}

  adjustAffinity(): void {}

  contextSaved(): void {}

  schedule(pcpu: number): number {
    const core = this.#core;
    core.sliceNs = -1;
    let unit = this.#assigned[pcpu]!;
    if (unit === none) unit = this.#takeWaiting(pcpu);
    return unit !== none && core.isRunnable(unit) ? unit : pcpu;
  }

  fire(): void {}

  /** The unit that a pCPU is kept for, -1 for none. */
  assignedTo(pcpu: number): number {
    return this.#assigned[pcpu]!;
  }

  /** The pCPUs that no unit is assigned to. */
  free(): PcpuMask {
    return this.#free.slice();
  }

  capture(): NullState {
    return this.#arrays().map((array) => array.slice());
  }

  restore(state: unknown): void {
    for (const [index, array] of this.#arrays().entries()) array.set((state as NullState)[index]!);
  }

  /** The arrays that are all its state. */
  #arrays(): NullState {
    return [this.#free, this.#assigned, ...this.waiting.arrays()];
  }

  #isOnline(unit: number): boolean {
    return (this.#core.flags[unit]! & pauseFlag.down) === 0;
  }

  /** `has_soft_affinity()`: soft affinity that is all of the pool is none. */
  #hasSoft(unit: number): boolean {
    const core = this.#core;
    return core.softEffective[unit] === 1 && !pcpuMask.isSubset(this.#valid, core.soft[unit]!);
  }

  #isInHard(unit: number, pcpu: number): boolean {
    return pcpuMask.has(this.#core.hard[unit]!, pcpu) && pcpuMask.has(this.#valid, pcpu);
  }

  /** `unit_assign()`. */
  #assign(unit: number, pcpu: number): void {
    this.#assigned[pcpu] = unit;
    this.#core.pcpu[unit] = pcpu;
    pcpuMask.removeFrom(this.#free, pcpu);
  }

  /** `unit_deassign()`: the first one that waits for the pCPU gets it. Says whether there was one. */
  #deassign(unit: number): boolean {
    const pcpu = this.#core.pcpu[unit]!;
    assert(this.#assigned[pcpu] === unit, `unit ${unit} is on pCPU ${pcpu}`);
    this.#assigned[pcpu] = none;
    pcpuMask.addTo(this.#free, pcpu);
    if (this.#takeWaiting(pcpu) === none) return false;
    this.#core.raise(pcpu);
    return true;
  }

  /** Gives a free pCPU to a unit that waits for one: those that would like it first. */
  #takeWaiting(pcpu: number): number {
    const core = this.#core;
    const { waiting } = this;
    if (waiting.first(list) < 0 || !pcpuMask.has(this.#valid, pcpu)) return none;
    for (let step = 0; step < 2; step++) {
      for (let unit = waiting.first(list); unit >= 0; unit = waiting.next(unit)) {
        if (step === 0 && !(this.#hasSoft(unit) && pcpuMask.has(core.soft[unit]!, pcpu))) continue;
        if (!pcpuMask.has(core.hard[unit]!, pcpu)) continue;
        waiting.remove(unit);
        this.#assign(unit, pcpu);
        return unit;
      }
    }
    return none;
  }
}

type NullState = readonly (Int32Array | Uint32Array)[];
