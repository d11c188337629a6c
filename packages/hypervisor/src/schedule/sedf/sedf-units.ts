/** What SEDF keeps of units. */

/** The period of units that have weights instead of periods (`WEIGHT_PERIOD`). */
export const weightPeriodNs = 100_000_000;

/** Bits of {@link SedfUnits.status}; the names of sched_sedf.c are EXTRA_AWARE, EXTRA_RUN_PEN and so on. */
export const sedfStatus = { extraAware: 1, runsPenalty: 2, runsUtil: 4, wantsPenalty: 8, asleep: 16 } as const;
/** On either queue of extra time. */
export const runsExtra = sedfStatus.runsPenalty | sedfStatus.runsUtil;

/** What the policy keeps of each unit (`struct sedf_vcpu_info`). Integers of fixed width wrap as the fields in C. */
export interface SedfUnits {
  periodNs: Float64Array;
  sliceNs: Float64Array;
  /** Period and slice before a scaling that only other builds of the policy do; parameters of extra time leave them. */
  periodOrigNs: Float64Array;
  sliceOrigNs: Float64Array;
  latencyNs: Float64Array;
  status: Uint8Array;
  weight: Int16Array;
  extraWeight: Int16Array;
  /** End of the present period, 0 for a unit that was never awake. */
  deadlineNs: Float64Array;
  /** When it came onto its pCPU. */
  startNs: Float64Array;
  /** Used of the slice. */
  usedNs: Float64Array;
  /** When it blocked last, 0 for never. */
  blockedNs: Float64Array;
  penaltyScore: Int32Array;
  utilScore: Int32Array;
}

/** Room for units, none of them made yet. */
export const initialUnits = (capacity: number): SedfUnits => ({
  periodNs: new Float64Array(capacity),
  sliceNs: new Float64Array(capacity),
  periodOrigNs: new Float64Array(capacity),
  sliceOrigNs: new Float64Array(capacity),
  latencyNs: new Float64Array(capacity),
  status: new Uint8Array(capacity),
  weight: new Int16Array(capacity),
  extraWeight: new Int16Array(capacity),
  deadlineNs: new Float64Array(capacity),
  startNs: new Float64Array(capacity),
  usedNs: new Float64Array(capacity),
  blockedNs: new Float64Array(capacity),
  penaltyScore: new Int32Array(capacity),
  utilScore: new Int32Array(capacity),
});

/** Makes room for more units, in the same object. */
export function growUnits(units: SedfUnits, capacity: number): void {
  const grown = initialUnits(capacity);
  for (const name of fieldsOf(units)) grown[name].set(units[name]);
  Object.assign(units, grown);
}

/** A new unit (`sedf_alloc_vdata()`): best effort, with extra time only. */
export function resetUnit(units: SedfUnits, unit: number): void {
  for (const name of fieldsOf(units)) units[name][unit] = 0;
  units.periodNs[unit] = units.periodOrigNs[unit] = weightPeriodNs;
  units.extraWeight[unit] = 1;
  units.status[unit] = sedfStatus.extraAware | sedfStatus.asleep;
}

const fieldsOf = (units: SedfUnits): (keyof SedfUnits)[] => Object.keys(units) as (keyof SedfUnits)[];
