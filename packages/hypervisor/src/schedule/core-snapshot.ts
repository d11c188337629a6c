/** The state of a {@link SchedCore} as a value: what `structuredClone` can copy, and a file or a worker be given. */
import { assert } from '@xenolith/base';
import type { TimerHeapState } from '../engine/timer-heap.ts';
import type { SchedCore } from './core.ts';
import type { PcpuMask } from './pcpu-mask.ts';
import type { SchedPool } from './sched-pool.ts';

type StateArray = Float64Array | Int32Array | Int8Array | Uint32Array | Uint16Array | Uint8Array;

/** State that only the core itself reaches: softirqs, and timers with what they are for. */
export interface HiddenCoreState {
  readonly pending: PcpuMask;
  readonly anyPending: boolean;
  readonly freeUnits: readonly number[];
  readonly freeTimers: readonly number[];
  readonly timerCount: number;
  readonly timerKind: Uint8Array;
  readonly timerOwner: Int32Array;
  readonly timerPolicyKind: Uint8Array;
  readonly timerPcpu: Int32Array;
  /** Numbers of policies, -1 for a timer of none. */
  readonly timerPolicy: readonly number[];
  readonly timers: TimerHeapState;
}

/** A core at a moment between two events, with the state of its pools' policies. */
export interface CoreSnapshot {
  readonly numbers: Readonly<Record<string, number>>;
  readonly arrays: Readonly<Record<string, StateArray>>;
  /** By unit, from the first vCPU on. */
  readonly hard: readonly PcpuMask[];
  readonly soft: readonly PcpuMask[];
  /** Number of the pool of each pCPU, -1 for none. */
  readonly poolOf: readonly number[];
  readonly domains: readonly (
    | { readonly pool: number; readonly units: readonly number[]; readonly pauseCount: number }
    | undefined
  )[];
  readonly pools: readonly { readonly valid: PcpuMask; readonly policy: unknown }[];
  readonly hidden: HiddenCoreState;
}

/** @param pools all pools there are; their places are their numbers */
export function captureCore(core: SchedCore, pools: readonly SchedPool[]): CoreSnapshot {
  const numberOf = (pool: SchedPool): number => {
    const number = pools.indexOf(pool);
    assert(number >= 0, 'all pools are named');
    return number;
  };
  const numbers: Record<string, number> = {};
  const arrays: Record<string, StateArray> = {};
  for (const [name, value] of Object.entries(core)) {
    if (typeof value === 'number') numbers[name] = value;
    else if (isStateArray(value)) arrays[name] = value.slice();
  }
  const masksOf = (masks: readonly PcpuMask[]): readonly PcpuMask[] =>
    masks.slice(core.pcpuCount).map((mask) => mask.slice());
  return {
    numbers,
    arrays,
    hard: masksOf(core.hard),
    soft: masksOf(core.soft),
    poolOf: core.poolOf.map((pool) => (pool === undefined ? -1 : numberOf(pool))),
    domains: Array.from(
      core.domains,
      (entry) => entry && { pool: numberOf(entry.pool), units: [...entry.units], pauseCount: entry.pauseCount },
    ),
    pools: pools.map(({ valid, scheduler }) => ({ valid: valid.slice(), policy: scheduler.capture() })),
    hidden: core.captureHidden((policy) => pools.findIndex(({ scheduler }) => scheduler === policy)),
  };
}

/**
 * Makes a new core of the same topology and release what another one was.
 * @param makePools makes the pools, in the same order, with policies made as they were; called when the core has its units
 */
export function restoreCore(core: SchedCore, snapshot: CoreSnapshot, makePools: () => readonly SchedPool[]): void {
  assert(core.unitCount === core.pcpuCount && core.decisions === 0, 'nothing has happened yet');
  assert(snapshot.numbers['pcpuCount'] === core.pcpuCount, `a snapshot of ${core.pcpuCount} pCPUs`);
  Object.assign(core, snapshot.numbers);
  for (const [name, array] of Object.entries(snapshot.arrays)) Object.assign(core, { [name]: array.slice() });
  for (const [index, mask] of snapshot.hard.entries()) core.hard[core.pcpuCount + index] = mask.slice();
  for (const [index, mask] of snapshot.soft.entries()) core.soft[core.pcpuCount + index] = mask.slice();
  core.guest?.grow(core.unitCapacity);
  const pools = makePools();
  for (const [number, { valid, policy }] of snapshot.pools.entries()) {
    pools[number]!.valid.set(valid);
    pools[number]!.scheduler.restore(policy);
  }
  for (const [pcpu, number] of snapshot.poolOf.entries()) core.poolOf[pcpu] = pools[number];
  for (const [domain, entry] of snapshot.domains.entries()) {
    core.domains[domain] = entry && { ...entry, units: [...entry.units], pool: pools[entry.pool]! };
  }
  core.restoreHidden(
    snapshot.hidden,
    pools.map(({ scheduler }) => scheduler),
  );
}

const isStateArray = (value: unknown): value is StateArray => ArrayBuffer.isView(value) && !(value instanceof DataView);
