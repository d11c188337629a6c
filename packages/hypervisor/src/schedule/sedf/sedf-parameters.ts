/** Parameters of domains under SEDF, and the slices that follow from weights (`sedf_adjust()` of Xen 4.2). */
import { errno, type SchedCore } from '../core.ts';
import { sedfStatus, weightPeriodNs, type SedfUnits } from './sedf-units.ts';

/** Parameters of a domain under SEDF (`xen_domctl_sched_sedf` of 4.2). */
export interface SedfParameters {
  readonly periodNs: number;
  readonly sliceNs: number;
  /** Kept and told, but nothing uses it in this build of the policy. */
  readonly latencyNs: number;
  readonly extratime: boolean;
  readonly weight: number;
}

/** What weights do not give away of it (`WEIGHT_SAFETY`). */
const weightSafetyNs = 5_000_000;
const periodMinNs = 10_000;
const periodMaxNs = 10_000_000_000;
const sliceMinNs = 5_000;

/**
 * Sets periods, slices and weights of a domain's units, and the slices of all that have weights.
 * - weight and extra time, no period: a share of extra time only
 * - weight otherwise: a share of each 100 ms, as real time; a period that is given means nothing more
 * - no weight: period and slice
 *
 * Weights are 16-bit numbers with a sign, and wrap.
 * @param own the units of the domain
 * @param all the units of all domains of the pool
 * @returns 0, or EINVAL with nothing changed
 */
export function adjustDomain(
  units: SedfUnits,
  own: readonly number[],
  all: readonly number[],
  core: SchedCore,
  { periodNs, sliceNs, extratime, weight }: SedfParameters,
): number {
  if (periodNs === 0 && weight === 0) return errno.invalid;
  if (weight !== 0 && extratime && periodNs === 0) {
    for (const unit of own) {
      units.extraWeight[unit] = weight;
      units.weight[unit] = 0;
      // The originals stay: a weight of others still counts what this unit had, and a longer period comes back by
      // doubling.
      units.sliceNs[unit] = 0;
      units.periodNs[unit] = weightPeriodNs;
    }
  } else if (weight !== 0) {
    for (const unit of own) units.weight[unit] = weight;
  } else {
    if (periodNs > periodMaxNs || periodNs < periodMinNs || sliceNs > periodNs || sliceNs < sliceMinNs)
      return errno.invalid;
    for (const unit of own) {
      units.weight[unit] = 0;
      units.extraWeight[unit] = 0;
      units.periodNs[unit] = units.periodOrigNs[unit] = periodNs;
      units.sliceNs[unit] = units.sliceOrigNs[unit] = sliceNs;
    }
  }
  shareByWeight(units, all, core);
  return 0;
}

/** `sedf_adjust_weights()`: on each pCPU, what units without weight leave of 100 ms, less 5, goes by weight. */
function shareByWeight(units: SedfUnits, all: readonly number[], core: SchedCore): void {
  const weights = new Int32Array(core.pcpuCount);
  const fixedNs = new Float64Array(core.pcpuCount);
  for (const unit of all) {
    const pcpu = core.pcpu[unit]!;
    if (units.weight[unit] !== 0) weights[pcpu]! += units.weight[unit]!;
    else fixedNs[pcpu]! += projectedNs(units.sliceOrigNs[unit]!, units.periodOrigNs[unit]!);
  }
  for (const unit of all) {
    const pcpu = core.pcpu[unit]!;
    const weight = units.weight[unit]!;
    // Weights that cancel out (they have a sign) make Xen divide by 0 and die; here nothing changes.
    if (weight === 0 || weights[pcpu] === 0) continue;
    units.periodNs[unit] = units.periodOrigNs[unit] = weightPeriodNs;
    const leftNs = weightPeriodNs - weightSafetyNs - fixedNs[pcpu]!;
    // Where more is promised than there is, slices become negative. Not -0, which is another number to those who look.
    const sliceNs = Math.trunc((weight * leftNs) / weights[pcpu]!) + 0;
    units.sliceNs[unit] = units.sliceOrigNs[unit] = sliceNs;
  }
}

/** A slice projected to 100 ms. The product passes 2^53. */
const projectedNs = (sliceNs: number, periodNs: number): number =>
  Number((BigInt(weightPeriodNs) * BigInt(sliceNs)) / BigInt(periodNs));

/** The parameters that a unit has (`XEN_DOMCTL_SCHEDOP_getinfo`); an extra weight is not told. */
export const domainParametersOf = (units: SedfUnits, unit: number): SedfParameters => ({
  periodNs: units.periodNs[unit]!,
  sliceNs: units.sliceNs[unit]!,
  latencyNs: units.latencyNs[unit]!,
  extratime: (units.status[unit]! & sedfStatus.extraAware) !== 0,
  weight: units.weight[unit]!,
});
