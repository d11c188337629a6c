/**
 * ARINC 653 (xen/common/sched/arinc653.c): a fixed table of who runs when, gone through once in each major frame. A
 * vCPU runs only in its entries, and only on the pCPU that it is on. What is followed is 4.23 in all releases: before,
 * a frame began when its decision was made instead of when it was due.
 */
import { errno, type SchedCore } from './core.ts';
import * as pcpuMask from './pcpu-mask.ts';
import type { PcpuMask } from './pcpu-mask.ts';
import type { Scheduler } from './scheduler.ts';

/** An entry of a schedule (`struct sched_entry`): so much of each major frame for a vCPU. */
export interface Arinc653Entry {
  /** The domain, which need not be there: upstream knows it by its UUID. */
  readonly domain: number;
  readonly vcpu: number;
  readonly runtimeNs: number;
}

/** A schedule (`xen_sysctl_arinc653_schedule`). */
export interface Arinc653Schedule {
  /** Length of a major frame; what the entries leave of it is idle. */
  readonly majorFrameNs: number;
  /** 1 … 64, in order. */
  readonly entries: readonly Arinc653Entry[];
}

/** `ARINC653_MAX_DOMAINS_PER_SCHEDULE`. */
const entriesMax = 64;

/** `DEFAULT_TIMESLICE`: of each vCPU of domain 0, and of the frame when there is no entry. */
const defaultRuntimeNs = 10_000_000;

const none = -1;

/** Of a unit: in this pool; woken, and not put to sleep since. A unit that blocks stays awake. */
const trait = { member: 1, awake: 2 } as const;

export class Arinc653 implements Scheduler {
  readonly name = 'arinc653';
  readonly #core: SchedCore;
  /** The pCPUs of the pool, kept by the core. */
  readonly #valid: PcpuMask;
  /** Bits of {@link trait}. */
  #traits: Uint8Array;

  // The schedule, by entry.
  readonly #entryDomain = new Int32Array(entriesMax);
  readonly #entryVcpu = new Int32Array(entriesMax);
  readonly #entryRuntimeNs = new Float64Array(entriesMax);
  /** The unit that an entry means, `none` while it is not in the pool. */
  readonly #entryUnit = new Int32Array(entriesMax).fill(none);
  #entryCount = 0;
  #majorFrameNs = defaultRuntimeNs;

  /** Place in the present frame: the entry, {@link #entryCount} for the rest of it, and when that is over. */
  #at = 0;
  #nextSwitchNs = 0;
  #nextFrameNs = 0;

  constructor(core: SchedCore, valid: PcpuMask) {
    this.#core = core;
    this.#valid = valid;
    this.#traits = new Uint8Array(core.unitCapacity);
    this.#entryRuntimeNs[0] = defaultRuntimeNs;
  }

  grow(unitCapacity: number): void {
    if (unitCapacity <= this.#traits.length) return;
    const traits = new Uint8Array(unitCapacity);
    traits.set(this.#traits);
    this.#traits = traits;
  }

  growDomains(): void {}

  addPcpu(): void {}

  removePcpu(): void {}

  addDomain(): void {}

  removeDomain(): void {}

  /** Every vCPU of domain 0 gets an entry as long as there are any, whatever schedule there is. */
  addUnit(unit: number): void {
    const core = this.#core;
    if (core.domain[unit] === 0 && this.#entryCount < entriesMax) {
      const entry = this.#entryCount++;
      this.#setEntry(entry, 0, core.vcpu[unit]!, defaultRuntimeNs);
      // The frame has had room for the first one from the beginning.
      if (entry > 0) this.#majorFrameNs += defaultRuntimeNs;
    }
    this.#traits[unit] = trait.member;
    this.#findUnits();
  }

  removeUnit(unit: number): void {
    this.#traits[unit] = 0;
    this.#findUnits();
  }

  /** Nothing: a unit stays on the pCPU that it was made with. */
  insert(): void {}

  remove(): void {}

  /** Its own pCPU, or the first when that is not in the pool. Affinity says nothing. */
  pick(unit: number): number {
    const pcpu = this.#core.pcpu[unit]!;
    return pcpuMask.has(this.#valid, pcpu) ? pcpu : pcpuMask.first(this.#valid);
  }

  migrate(unit: number, pcpu: number): void {
    this.#core.pcpu[unit] = pcpu;
  }

  wake(unit: number): void {
    this.#traits[unit]! |= trait.awake;
    this.#core.raise(this.#core.pcpu[unit]!);
  }

  sleep(unit: number): void {
    const core = this.#core;
    this.#traits[unit]! &= ~trait.awake;
    const pcpu = core.pcpu[unit]!;
    if (core.current[pcpu] === unit) core.raise(pcpu);
  }

  yield(): void {}

  adjustAffinity(): void {}

  contextSaved(): void {}

  schedule(pcpu: number): number {
    const core = this.#core;
    const { now } = core;
    const runtimeNs = this.#entryRuntimeNs;
    if (now >= this.#nextFrameNs) {
      const lateNs = (now - this.#nextFrameNs) % this.#majorFrameNs;
      this.#at = 0;
      this.#nextFrameNs = now - lateNs + this.#majorFrameNs;
      this.#nextSwitchNs = now - lateNs + runtimeNs[0]!;
    }
    while (now >= this.#nextSwitchNs && this.#at < this.#entryCount) {
      this.#at++;
      if (this.#at < this.#entryCount) this.#nextSwitchNs += runtimeNs[this.#at]!;
    }
    const isOver = this.#at >= this.#entryCount;
    if (isOver) this.#nextSwitchNs = this.#nextFrameNs;
    core.sliceNs = this.#nextSwitchNs - now;
    const unit = isOver ? none : this.#entryUnit[this.#at]!;
    if (unit === none || (this.#traits[unit]! & trait.awake) === 0) return pcpu;
    return core.isRunnable(unit) && core.pcpu[unit] === pcpu ? unit : pcpu;
  }

  fire(): void {}

  /**
   * Puts a schedule in place (`arinc653_sched_set()`, reached by `XEN_SYSCTL_scheduler_op`). A major frame of it begins
   * now. Quirk: no pCPU is told, so what runs goes on until the next decision there.
   * @returns 0, or EINVAL for no entry or over 64, a frame or a runtime that is not positive, or a frame too short for
   * all entries
   */
  setSchedule({ majorFrameNs, entries }: Arinc653Schedule): number {
    if (!isSpan(majorFrameNs) || entries.length < 1 || entries.length > entriesMax) return errno.invalid;
    let totalNs = 0;
    for (const { runtimeNs } of entries) {
      if (!isSpan(runtimeNs)) return errno.invalid;
      totalNs += runtimeNs;
    }
    if (totalNs > majorFrameNs) return errno.invalid;
    this.#entryCount = entries.length;
    this.#majorFrameNs = majorFrameNs;
    for (const [entry, { domain, vcpu, runtimeNs }] of entries.entries()) {
      this.#setEntry(entry, domain, vcpu, runtimeNs);
    }
    this.#findUnits();
    this.#nextFrameNs = this.#core.now;
    return 0;
  }

  /** The schedule in place (`arinc653_sched_get()`). */
  currentSchedule(): Arinc653Schedule {
    return {
      majorFrameNs: this.#majorFrameNs,
      entries: Array.from({ length: this.#entryCount }, (_, entry) => ({
        domain: this.#entryDomain[entry]!,
        vcpu: this.#entryVcpu[entry]!,
        runtimeNs: this.#entryRuntimeNs[entry]!,
      })),
    };
  }

  capture(): Arinc653State {
    return {
      arrays: this.#arrays().map((array) => array.slice()),
      entryCount: this.#entryCount,
      majorFrameNs: this.#majorFrameNs,
      at: this.#at,
      nextSwitchNs: this.#nextSwitchNs,
      nextFrameNs: this.#nextFrameNs,
    };
  }

  restore(state: unknown): void {
    const { arrays, entryCount, majorFrameNs, at, nextSwitchNs, nextFrameNs } = state as Arinc653State;
    for (const [index, array] of this.#arrays().entries()) array.set(arrays[index]!);
    this.#entryCount = entryCount;
    this.#majorFrameNs = majorFrameNs;
    this.#at = at;
    this.#nextSwitchNs = nextSwitchNs;
    this.#nextFrameNs = nextFrameNs;
  }

  #arrays(): Arinc653State['arrays'] {
    return [this.#traits, this.#entryDomain, this.#entryVcpu, this.#entryRuntimeNs, this.#entryUnit];
  }

  #setEntry(entry: number, domain: number, vcpu: number, runtimeNs: number): void {
    this.#entryDomain[entry] = domain;
    this.#entryVcpu[entry] = vcpu;
    this.#entryRuntimeNs[entry] = runtimeNs;
  }

  /** `update_schedule_units()`: after units or entries have come or gone. */
  #findUnits(): void {
    const core = this.#core;
    for (let entry = 0; entry < this.#entryCount; entry++) {
      this.#entryUnit[entry] = none;
      for (let unit = core.pcpuCount; unit < core.unitCount; unit++) {
        if ((this.#traits[unit]! & trait.member) === 0) continue;
        if (core.domain[unit] !== this.#entryDomain[entry] || core.vcpu[unit] !== this.#entryVcpu[entry]) continue;
        this.#entryUnit[entry] = unit;
      }
    }
  }
}

interface Arinc653State {
  readonly arrays: readonly (Uint8Array | Int32Array | Float64Array)[];
  readonly entryCount: number;
  readonly majorFrameNs: number;
  readonly at: number;
  readonly nextSwitchNs: number;
  readonly nextFrameNs: number;
}

/** Whether a number can be a length of time that is not none. */
const isSpan = (ns: number): boolean => Number.isSafeInteger(ns) && ns > 0;
