/** What credit2 knows of pCPUs, run queues, units and domains, in arrays by number (`struct csched2_*`). */
import { grownFloat64, grownInt32 } from '../../engine/timer-heap.ts';
import type { SchedCore } from '../core.ts';
import type { PcpuMask } from '../pcpu-mask.ts';
import * as pcpuMask from '../pcpu-mask.ts';
import type { SchedulerOptions } from '../scheduler-options.ts';

/** Credit of a new unit, and what a reset adds. One credit is a nanosecond of the heaviest unit of a run queue. */
export const creditInit = 10_000_000;
/** Nothing has less. */
export const creditMin = -creditInit;
export const idleCredit = creditMin - 1;
/** Credit that may be carried over a reset. */
export const carryOverMax = 500_000;
/** The shortest and the longest time that a unit is let run. */
export const minTimerNs = 500_000;
export const maxTimerNs = 10_000_000;
/** What a unit gets that is run on another pCPU than it was on. */
export const migrateCompensation = 50_000;
/** So much before its rate limit ends, a unit counts as one that may be preempted. */
export const ratelimitToleranceNs = 50_000;
export const defaultWeight = 256;

/** `CSFLAG_*`. */
export const unitFlag = {
  /** Was chosen for a pCPU, and its state is not saved yet. */
  scheduled: 1,
  /** Is to be queued as soon as its state is saved. */
  delayedAdd: 2,
  /** Is to move to the run queue in `migrateQueue`. */
  migrateRequest: 4,
  yield: 8,
  /** Has one pCPU in its hard affinity. */
  pinned: 16,
} as const;

export const none = -1;

/**
 * Lists are rings in two arrays of the next and the previous one. The numbers of idle units, which are in no list,
 * serve as the rings' beginnings: that of run queue q is at q. There are never more run queues than pCPUs.
 *
 * Masks of run queues are rows of `words` words: that of q begins at q * words. So are the affinities of units, which
 * are copies of the core's.
 */
export class Credit2State {
  declare readonly core: SchedCore;
  declare readonly words: number;
  declare readonly pcpuCount: number;
  /** The pCPUs of the pool. */
  declare readonly valid: PcpuMask;
  /** For masks of the moment. */
  declare readonly scratch: PcpuMask;

  declare readonly runqueueBy: NonNullable<SchedulerOptions['runqueue']>;
  declare readonly maxCpusPerRunqueue: number;
  declare readonly migrateResist: number;
  declare readonly capPeriodNs: number;
  declare readonly smtPowerSavings: boolean;
  declare ratelimitUs: number;
  /** {@link ratelimitUs} in nanoseconds. */
  ratelimitNs = 0;
  /** Less than so long a unit runs that may not be preempted yet; -Infinity where it always may. */
  unpreemptableNs = -Infinity;

  // By pCPU.
  /** The run queue of a pCPU, -1 outside of the pool. */
  declare readonly queueOfPcpu: Int32Array;
  /** Threads of its core in its run queue, itself included (`sibling_mask`). */
  declare readonly siblings: Uint32Array;
  /** Threads of its core (`cpu_sibling_mask`). */
  declare readonly coreThreads: Uint32Array;

  /** When the unit that is on a pCPU came there; and the ring of those by that, which for run queue q begins at pcpuCount + q. */
  declare readonly entryNs: Float64Array;
  declare readonly nextEntered: Int32Array;
  declare readonly previousEntered: Int32Array;

  // By run queue.
  /** Run queues there are, ascending (`prv->rql` is in the order of their numbers). */
  declare queues: Int32Array;
  queueCount = 0;
  declare readonly active: Uint32Array;
  declare readonly idle: Uint32Array;
  /** pCPUs that were asked to decide, and have not. */
  declare readonly tickled: Uint32Array;
  /** pCPUs of cores on which every thread is idle and not tickled. */
  declare readonly smtIdle: Uint32Array;
  /** pCPUs outside of that ring whose unit the rate limit may not protect. */
  declare readonly preemptable: Uint32Array;
  /** The words that have its pCPUs: from the first until before the last. Most often one. */
  declare readonly fromWord: Int32Array;
  declare readonly toWord: Int32Array;
  declare readonly cpus: Int32Array;
  declare readonly maxWeight: Int32Array;
  /** The pCPU that was picked last. */
  declare readonly pickBias: Int32Array;
  /** Units that run or wait. */
  declare readonly load: Int32Array;
  /** Average of load, in 2^-18, and the same with what balancing has moved already counted. */
  declare readonly averageLoad: Float64Array;
  declare readonly balancedLoad: Float64Array;
  /** When they were brought up to date, in 1024 ns. */
  declare readonly loadTick: Float64Array;

  // By unit.
  declare unitCapacity: number;
  declare credit: Int32Array;
  declare weight: Int32Array;
  /** What division by the weight left over. */
  declare residual: Int32Array;
  /**
   * Credit that a nanosecond costs, where that is a whole number and the residual has no part in it: then nothing needs
   * to be divided. 0 where it has to be.
   */
  declare pace: Float64Array;
  declare flags: Uint8Array;
  /** The run queue that a unit is assigned to, -1 for none. */
  declare queue: Int32Array;
  declare migrateQueue: Int32Array;
  /** The pCPU that was asked to take a queued unit, -1 for none. */
  declare tickledPcpu: Int32Array;
  /** Since when its running is not accounted for. */
  declare startNs: Float64Array;
  /** What is left of a capped unit's time, Infinity for one without cap. */
  declare budgetNs: Float64Array;
  declare quotaNs: Float64Array;
  declare unitLoad: Float64Array;
  declare unitLoadTick: Float64Array;
  /** The ring of those that wait, by credit; -1 outside. */
  declare nextQueued: Int32Array;
  declare previousQueued: Int32Array;
  /** The ring of those that are assigned, in order of coming. */
  declare nextAssigned: Int32Array;
  declare previousAssigned: Int32Array;
  /** The list of a domain's units that wait for budget, newest first. */
  declare nextParked: Int32Array;
  declare hard: Uint32Array;
  declare soft: Uint32Array;

  // By domain.
  domainCapacity = 16;
  declare domainWeight: Int32Array;
  declare domainCap: Int32Array;
  declare domainUnits: Int32Array;
  declare domainTotalNs: Float64Array;
  declare domainBudgetNs: Float64Array;
  declare nextReplenishNs: Float64Array;
  declare firstParked: Int32Array;
  declare replenishTimer: Int32Array;

  constructor(core: SchedCore, valid: PcpuMask, options: SchedulerOptions) {
    const { pcpuCount, words, topology } = core;
    this.core = core;
    this.words = words;
    this.pcpuCount = pcpuCount;
    this.valid = valid;
    this.scratch = pcpuMask.emptyMask(words);
    this.runqueueBy = options.runqueue ?? 'socket';
    this.maxCpusPerRunqueue = options.maxCpusPerRunqueue ?? 16;
    this.migrateResist = (options.migrateResistUs ?? 500) * 1000;
    // No period, as one below 500 µs, is taken for the default (csched2_global_init).
    this.capPeriodNs = (options.capPeriodMs ?? 10) * 1_000_000 || 10_000_000;
    this.smtPowerSavings = options.smtPowerSavings ?? false;
    // One out of range is taken for the default (scheduler_init).
    const { ratelimitUs = 1000 } = options;
    this.ratelimitUs = isRatelimit(ratelimitUs) ? ratelimitUs : 1000;
    this.setRatelimit(this.ratelimitUs);

    this.queueOfPcpu = new Int32Array(pcpuCount).fill(none);
    this.siblings = new Uint32Array(pcpuCount * words);
    this.coreThreads = new Uint32Array(pcpuCount * words);
    for (const { pcpu, socket, core: ofSocket } of topology.pcpus) {
      for (const other of topology.pcpus) {
        if (other.socket === socket && other.core === ofSocket) addToRow(this.coreThreads, pcpu * words, other.pcpu);
      }
    }

    this.entryNs = new Float64Array(pcpuCount);
    this.nextEntered = new Int32Array(pcpuCount * 2).fill(none);
    this.previousEntered = new Int32Array(pcpuCount * 2).fill(none);

    this.queues = new Int32Array(pcpuCount);
    this.active = new Uint32Array(pcpuCount * words);
    this.idle = new Uint32Array(pcpuCount * words);
    this.tickled = new Uint32Array(pcpuCount * words);
    this.smtIdle = new Uint32Array(pcpuCount * words);
    this.preemptable = new Uint32Array(pcpuCount * words);
    this.fromWord = new Int32Array(pcpuCount);
    this.toWord = new Int32Array(pcpuCount);
    this.cpus = new Int32Array(pcpuCount);
    this.maxWeight = new Int32Array(pcpuCount).fill(1);
    this.pickBias = new Int32Array(pcpuCount);
    this.load = new Int32Array(pcpuCount);
    this.averageLoad = new Float64Array(pcpuCount);
    this.balancedLoad = new Float64Array(pcpuCount);
    this.loadTick = new Float64Array(pcpuCount);

    const units = core.unitCapacity;
    this.unitCapacity = units;
    // Idle units have less than any other ever has, also as the beginnings of rings.
    this.credit = new Int32Array(units).fill(idleCredit, 0, pcpuCount);
    this.weight = new Int32Array(units);
    this.residual = new Int32Array(units);
    this.pace = new Float64Array(units);
    this.flags = new Uint8Array(units);
    this.queue = new Int32Array(units).fill(none);
    this.migrateQueue = new Int32Array(units).fill(none);
    this.tickledPcpu = new Int32Array(units).fill(none);
    this.startNs = new Float64Array(units);
    this.budgetNs = new Float64Array(units).fill(Infinity);
    this.quotaNs = new Float64Array(units);
    this.unitLoad = new Float64Array(units);
    this.unitLoadTick = new Float64Array(units);
    this.nextQueued = new Int32Array(units).fill(none);
    this.previousQueued = new Int32Array(units).fill(none);
    this.nextAssigned = new Int32Array(units).fill(none);
    this.previousAssigned = new Int32Array(units).fill(none);
    this.nextParked = new Int32Array(units).fill(none);
    this.hard = new Uint32Array(units * words);
    this.soft = new Uint32Array(units * words);

    const domains = this.domainCapacity;
    this.domainWeight = new Int32Array(domains);
    this.domainCap = new Int32Array(domains);
    this.domainUnits = new Int32Array(domains);
    this.domainTotalNs = new Float64Array(domains);
    this.domainBudgetNs = new Float64Array(domains);
    this.nextReplenishNs = new Float64Array(domains);
    this.firstParked = new Int32Array(domains).fill(none);
    this.replenishTimer = new Int32Array(domains).fill(none);
  }

  growUnits(capacity: number): void {
    if (capacity <= this.unitCapacity) return;
    this.unitCapacity = capacity;
    this.credit = grownInt32(this.credit, capacity, 0);
    this.weight = grownInt32(this.weight, capacity, 0);
    this.residual = grownInt32(this.residual, capacity, 0);
    this.pace = grownFloat64(this.pace, capacity);
    const flags = new Uint8Array(capacity);
    flags.set(this.flags);
    this.flags = flags;
    this.queue = grownInt32(this.queue, capacity, none);
    this.migrateQueue = grownInt32(this.migrateQueue, capacity, none);
    this.tickledPcpu = grownInt32(this.tickledPcpu, capacity, none);
    this.startNs = grownFloat64(this.startNs, capacity);
    this.budgetNs = grownFloat64(this.budgetNs, capacity);
    this.quotaNs = grownFloat64(this.quotaNs, capacity);
    this.unitLoad = grownFloat64(this.unitLoad, capacity);
    this.unitLoadTick = grownFloat64(this.unitLoadTick, capacity);
    this.nextQueued = grownInt32(this.nextQueued, capacity, none);
    this.previousQueued = grownInt32(this.previousQueued, capacity, none);
    this.nextAssigned = grownInt32(this.nextAssigned, capacity, none);
    this.previousAssigned = grownInt32(this.previousAssigned, capacity, none);
    this.nextParked = grownInt32(this.nextParked, capacity, none);
    this.hard = grownUint32(this.hard, capacity * this.words);
    this.soft = grownUint32(this.soft, capacity * this.words);
  }

  growDomains(count: number): void {
    if (count <= this.domainCapacity) return;
    const capacity = Math.max(count, this.domainCapacity * 2);
    this.domainCapacity = capacity;
    this.domainWeight = grownInt32(this.domainWeight, capacity, 0);
    this.domainCap = grownInt32(this.domainCap, capacity, 0);
    this.domainUnits = grownInt32(this.domainUnits, capacity, 0);
    this.domainTotalNs = grownFloat64(this.domainTotalNs, capacity);
    this.domainBudgetNs = grownFloat64(this.domainBudgetNs, capacity);
    this.nextReplenishNs = grownFloat64(this.nextReplenishNs, capacity);
    this.firstParked = grownInt32(this.firstParked, capacity, none);
    this.replenishTimer = grownInt32(this.replenishTimer, capacity, none);
  }

  setRatelimit(ratelimitUs: number): void {
    this.ratelimitUs = ratelimitUs;
    this.ratelimitNs = ratelimitUs * 1000;
    const isProtected = this.ratelimitNs > ratelimitToleranceNs;
    this.unpreemptableNs = isProtected ? this.ratelimitNs - ratelimitToleranceNs : -Infinity;
  }

  /** The affinity of a unit, from the core or about to be stored there. */
  copyAffinity(unit: number, hard: PcpuMask, soft: PcpuMask): void {
    this.hard.set(hard, unit * this.words);
    this.soft.set(soft, unit * this.words);
  }

  /** Whether a unit prefers some of the pCPUs it may run on (`has_soft_affinity`). */
  hasSoft(unit: number): boolean {
    if (this.core.softEffective[unit] === 0) return false;
    const { valid, soft, words } = this;
    const row = Math.imul(unit, words);
    for (let word = 0; word < words; word++) if ((valid[word]! & ~soft[row + word]!) !== 0) return true;
    return false;
  }

  /** Every array, and the few numbers; the ends of growing are as they are. */
  capture(): Credit2Captured {
    const arrays: Record<string, Int32Array | Uint32Array | Uint8Array | Float64Array> = {};
    for (const [name, value] of Object.entries(this)) {
      if (isArray(value) && value !== this.valid) arrays[name] = value.slice();
    }
    return { arrays, queueCount: this.queueCount, ratelimitUs: this.ratelimitUs };
  }

  restore({ arrays, queueCount, ratelimitUs }: Credit2Captured): void {
    this.growUnits(arrays['flags']!.length);
    this.growDomains(arrays['domainWeight']!.length);
    for (const [name, value] of Object.entries(this)) {
      const kept = arrays[name];
      if (isArray(value) && kept !== undefined) value.set(kept);
    }
    this.queueCount = queueCount;
    this.setRatelimit(ratelimitUs);
  }
}

export interface Credit2Captured {
  readonly arrays: Readonly<Record<string, Int32Array | Uint32Array | Uint8Array | Float64Array>>;
  readonly queueCount: number;
  readonly ratelimitUs: number;
}

/** `XEN_SYSCTL_SCHED_RATELIMIT_MIN` and `_MAX`; 0 is no limit. */
export const isRatelimit = (ratelimitUs: number): boolean =>
  ratelimitUs === 0 || (Number.isInteger(ratelimitUs) && ratelimitUs >= 100 && ratelimitUs <= 500_000);

const isArray = (value: unknown): value is Int32Array | Uint32Array | Uint8Array | Float64Array =>
  value instanceof Int32Array ||
  value instanceof Uint32Array ||
  value instanceof Uint8Array ||
  value instanceof Float64Array;

function grownUint32(array: Uint32Array, capacity: number): Uint32Array {
  const grown = new Uint32Array(capacity);
  grown.set(array);
  return grown;
}

export const rowHas = (rows: Uint32Array, row: number, pcpu: number): boolean =>
  (rows[row + (pcpu >>> 5)]! & (1 << (pcpu & 31))) !== 0;

export function addToRow(rows: Uint32Array, row: number, pcpu: number): void {
  rows[row + (pcpu >>> 5)]! |= 1 << (pcpu & 31);
}

export function removeFromRow(rows: Uint32Array, row: number, pcpu: number): void {
  rows[row + (pcpu >>> 5)]! &= ~(1 << (pcpu & 31));
}

/** One row as a mask of its own, which shares its words. */
export const rowOf = (rows: Uint32Array, row: number, words: number): PcpuMask =>
  rows.subarray(row, row + words) as PcpuMask;

/** The lowest pCPU of a row, -1 when it is empty. */
export const firstOfRow = (rows: Uint32Array, row: number, words: number): number =>
  pcpuMask.first(rowOf(rows, row, words));
