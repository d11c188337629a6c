/** What the credit scheduler knows (xen/common/sched/credit.c): arrays by pCPU, unit and domain. */
import { grownFloat64, grownInt32 } from '../../engine/timer-heap.ts';
import type { SchedCore } from '../core.ts';
import * as pcpuMask from '../pcpu-mask.ts';
import type { PcpuMask } from '../pcpu-mask.ts';
import type { XenVersion } from '../scheduler.ts';
import type { SchedulerOptions } from '../scheduler-options.ts';
import { bootParameters, type CreditParameters } from './parameters.ts';

/** `CSCHED_PRI_*`: a unit that was just woken, one with credit, one without, and the idle unit. */
export const priority = { boost: 0, under: -1, over: -2, idle: -64 } as const;

/**
 * `CSCHED_FLAG_UNIT_*`. The pinned flag is not kept: all it saves is a search whose result it foretells. `soft` is ours:
 * the unit's soft affinity is effective, and counted in {@link CreditState.softTotal}.
 */
export const creditFlag = { parked: 1, yield: 2, migrating: 4, soft: 8 } as const;

export const defaultWeight = 256;
const none = -1;

export class CreditState {
  declare readonly core: SchedCore;
  declare readonly pcpuCount: number;
  /** The pCPUs that units may be on, kept by the pool. */
  declare readonly valid: PcpuMask;
  declare readonly version: XenVersion;
  /** A unit that yielded is known as such until it leaves the queue, not only while it is put there (since 4.18). */
  declare readonly yieldLasts: boolean;
  declare readonly smtPowerSavings: boolean;
  declare readonly tickleOneIdleCpu: boolean;
  /** Time between two searches for work by one pCPU must exceed this; below 0 before 4.18, which knew no limit. */
  declare readonly balanceRatelimitNs: number;
  declare parameters: CreditParameters;

  // Of the machine, which does not change: who shares a core, a socket, a node with a pCPU.
  declare readonly socketOf: Int32Array;
  declare readonly nodeOf: Int32Array;
  declare readonly siblings: readonly PcpuMask[];
  declare readonly socketMasks: readonly PcpuMask[];
  declare readonly nodeMasks: readonly PcpuMask[];

  // Of the pool.
  /** pCPUs that run their idle unit and were not asked to look for work since. */
  declare readonly idlers: PcpuMask;
  declare readonly pcpus: PcpuMask;
  pcpuTotal = 0;
  /** The pCPU that accounts for all of them, and its timer. */
  master = none;
  masterTimer = none;
  /** Where the search for work in a node begins: after this pCPU. */
  declare readonly balanceBias: Int32Array;
  /** Weight of all active units together. */
  weight = 0;
  /** Credit that all pCPUs together give in a slice. */
  credit = 0;
  creditBalance = 0;
  /** Counts accountings, after which queues are to be sorted. */
  sortEpoch = 0;
  firstDomain = none;
  /** Units whose soft affinity is effective: where there is none, nobody is looked for that would like to be elsewhere. */
  softTotal = 0;

  // By pCPU.
  declare readonly sortedAt: Int32Array;
  declare readonly idleBias: Int32Array;
  /** Units that wait for a pCPU or run there, the idle unit not among them. */
  declare readonly runnableCount: Int32Array;
  /** The pCPUs that have more than one of them: from no other can any be taken. */
  declare readonly crowded: PcpuMask;
  declare readonly lastBalanceNs: Float64Array;
  declare readonly tickTimer: Int32Array;

  // By unit.
  declare priorityOf: Int8Array;
  declare flags: Uint8Array;
  declare creditOf: Int32Array;
  /** What a burn left over, in millionths of a credit. */
  declare residual: Int32Array;
  /** While a unit runs, since when it has not paid; while it does not, that minus when it stopped. */
  declare startNs: Float64Array;
  declare lastScheduledNs: Float64Array;
  declare isActive: Uint8Array;
  declare activeNext: Int32Array;
  declare activePrevious: Int32Array;
  /** Run queues, in a ring: node p is the end of pCPU p's queue, node p + pcpuCount is unit p. -1: in no queue. */
  declare queueNext: Int32Array;
  declare queuePrevious: Int32Array;

  // By domain.
  declare weightOf: Uint16Array;
  declare capOf: Uint16Array;
  declare activeCount: Int32Array;
  declare firstUnit: Int32Array;
  declare domainNext: Int32Array;
  declare domainPrevious: Int32Array;

  /** Masks to work in, none of which is in use across a call of anything that uses them. */
  declare readonly candidates: PcpuMask;
  declare readonly idleCandidates: PcpuMask;
  declare readonly group: PcpuMask;

  constructor(core: SchedCore, valid: PcpuMask, options: SchedulerOptions) {
    const { pcpuCount, words, unitCapacity } = core;
    this.core = core;
    this.pcpuCount = pcpuCount;
    this.valid = valid;
    this.version = options.xenVersion ?? core.xenVersion;
    this.yieldLasts = this.version === '4.23';
    this.smtPowerSavings = options.smtPowerSavings ?? false;
    this.tickleOneIdleCpu = options.tickleOneIdleCpu ?? true;
    this.balanceRatelimitNs =
      this.version === '4.23' ? Math.min(options.loadBalanceRatelimitUs ?? 1000, balanceRatelimitMaxUs) * 1000 : -1;
    this.parameters = bootParameters(options);

    const { pcpus, nodes } = core.topology;
    this.socketOf = Int32Array.from(pcpus, ({ socket }) => socket);
    this.nodeOf = Int32Array.from(pcpus, ({ node }) => node);
    const maskOf = (isIn: (pcpu: number) => boolean): PcpuMask =>
      pcpuMask.maskOf(words, [...pcpus.keys()].filter(isIn));
    this.siblings = pcpus.map(({ socket, core: own }) =>
      maskOf((other) => pcpus[other]!.socket === socket && pcpus[other]!.core === own),
    );
    this.socketMasks = pcpus.map(({ socket }) => maskOf((other) => pcpus[other]!.socket === socket));
    this.nodeMasks = nodes.map(({ node }) => maskOf((other) => pcpus[other]!.node === node));

    this.idlers = pcpuMask.emptyMask(words);
    this.pcpus = pcpuMask.emptyMask(words);
    this.crowded = pcpuMask.emptyMask(words);
    this.candidates = pcpuMask.emptyMask(words);
    this.idleCandidates = pcpuMask.emptyMask(words);
    this.group = pcpuMask.emptyMask(words);
    this.balanceBias = new Int32Array(nodes.length);

    this.sortedAt = new Int32Array(pcpuCount);
    this.idleBias = new Int32Array(pcpuCount);
    this.runnableCount = new Int32Array(pcpuCount);
    this.lastBalanceNs = new Float64Array(pcpuCount);
    this.tickTimer = new Int32Array(pcpuCount).fill(none);

    this.priorityOf = new Int8Array(unitCapacity);
    this.flags = new Uint8Array(unitCapacity);
    this.creditOf = new Int32Array(unitCapacity);
    this.residual = new Int32Array(unitCapacity);
    this.startNs = new Float64Array(unitCapacity);
    this.lastScheduledNs = new Float64Array(unitCapacity);
    this.isActive = new Uint8Array(unitCapacity);
    this.activeNext = new Int32Array(unitCapacity);
    this.activePrevious = new Int32Array(unitCapacity);
    this.queueNext = new Int32Array(unitCapacity + pcpuCount).fill(none);
    this.queuePrevious = new Int32Array(unitCapacity + pcpuCount).fill(none);
    for (let pcpu = 0; pcpu < pcpuCount; pcpu++) {
      this.queueNext[pcpu] = pcpu;
      this.queuePrevious[pcpu] = pcpu;
    }

    const domains = 16;
    this.weightOf = new Uint16Array(domains);
    this.capOf = new Uint16Array(domains);
    this.activeCount = new Int32Array(domains);
    this.firstUnit = new Int32Array(domains).fill(none);
    this.domainNext = new Int32Array(domains);
    this.domainPrevious = new Int32Array(domains);
  }

  grow(unitCapacity: number): void {
    if (unitCapacity <= this.flags.length) return;
    this.priorityOf = grown(this.priorityOf, new Int8Array(unitCapacity));
    this.flags = grown(this.flags, new Uint8Array(unitCapacity));
    this.creditOf = grownInt32(this.creditOf, unitCapacity, 0);
    this.residual = grownInt32(this.residual, unitCapacity, 0);
    this.startNs = grownFloat64(this.startNs, unitCapacity);
    this.lastScheduledNs = grownFloat64(this.lastScheduledNs, unitCapacity);
    this.isActive = grown(this.isActive, new Uint8Array(unitCapacity));
    this.activeNext = grownInt32(this.activeNext, unitCapacity, 0);
    this.activePrevious = grownInt32(this.activePrevious, unitCapacity, 0);
    this.queueNext = grownInt32(this.queueNext, unitCapacity + this.pcpuCount, none);
    this.queuePrevious = grownInt32(this.queuePrevious, unitCapacity + this.pcpuCount, none);
  }

  growDomains(domainCapacity: number): void {
    if (domainCapacity <= this.weightOf.length) return;
    const capacity = Math.max(domainCapacity, this.weightOf.length * 2);
    this.weightOf = grown(this.weightOf, new Uint16Array(capacity));
    this.capOf = grown(this.capOf, new Uint16Array(capacity));
    this.activeCount = grownInt32(this.activeCount, capacity, 0);
    this.firstUnit = grownInt32(this.firstUnit, capacity, none);
    this.domainNext = grownInt32(this.domainNext, capacity, 0);
    this.domainPrevious = grownInt32(this.domainPrevious, capacity, 0);
  }

  /** Fresh data of a unit (`csched_alloc_udata`). */
  resetUnit(unit: number): void {
    this.priorityOf[unit] = unit < this.pcpuCount ? priority.idle : priority.under;
    this.flags[unit] = 0;
    this.creditOf[unit] = 0;
    this.residual[unit] = 0;
    this.startNs[unit] = 0;
    this.lastScheduledNs[unit] = 0;
    this.isActive[unit] = 0;
    this.queueNext[unit + this.pcpuCount] = none;
    this.queuePrevious[unit + this.pcpuCount] = none;
  }
}

/** `CSCHED_MAX_LOAD_BALANCE_RATELIMIT_US`. */
const balanceRatelimitMaxUs = 1_000_000;

/** Everything in a {@link CreditState} that changes while units run. */
export interface CreditSnapshot {
  readonly numbers: Pick<CreditState, (typeof numberFields)[number]>;
  readonly arrays: Pick<CreditState, (typeof arrayFields)[number]>;
}

const numberFields = [
  'parameters',
  'pcpuTotal',
  'master',
  'masterTimer',
  'weight',
  'credit',
  'creditBalance',
  'sortEpoch',
  'firstDomain',
  'softTotal',
] as const;

const arrayFields = [
  'idlers',
  'pcpus',
  'crowded',
  'balanceBias',
  'sortedAt',
  'idleBias',
  'runnableCount',
  'lastBalanceNs',
  'tickTimer',
  'priorityOf',
  'flags',
  'creditOf',
  'residual',
  'startNs',
  'lastScheduledNs',
  'isActive',
  'activeNext',
  'activePrevious',
  'queueNext',
  'queuePrevious',
  'weightOf',
  'capOf',
  'activeCount',
  'firstUnit',
  'domainNext',
  'domainPrevious',
] as const;

export function captureState(state: CreditState): CreditSnapshot {
  return {
    numbers: Object.fromEntries(numberFields.map((field) => [field, state[field]])) as CreditSnapshot['numbers'],
    arrays: Object.fromEntries(arrayFields.map((field) => [field, state[field].slice()])) as CreditSnapshot['arrays'],
  };
}

export function restoreState(state: CreditState, { numbers, arrays }: CreditSnapshot): void {
  state.grow(arrays.flags.length);
  state.growDomains(arrays.weightOf.length);
  Object.assign(state, numbers);
  for (const field of arrayFields) state[field].set(arrays[field]);
}

function grown<T extends Int8Array | Uint8Array | Uint16Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
