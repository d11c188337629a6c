/** Parameters of the credit scheduler: those of domains, those of pools, and what follows from them. */
import { errno } from '../core.ts';
import type { XenVersion } from '../scheduler.ts';
import type { SchedulerOptions } from '../scheduler-options.ts';

/** Parameters of a domain under credit and credit2 (`xen_domctl_sched_credit`): weight 1 … 65535; cap in % of one pCPU, 0 for none. Absent: as it is. */
export interface WeightAndCap {
  readonly weight?: number;
  readonly cap?: number;
}

/** Parameters of a credit cpupool (`xen_sysctl_credit_schedule`). Absent: as it is. */
export interface CreditPoolParameters {
  readonly tsliceMs?: number;
  readonly ratelimitUs?: number;
  readonly migrationDelayUs?: number;
}

/** What a pool goes by. */
export interface CreditParameters {
  readonly tsliceNs: number;
  /** Time between two ticks of a pCPU: a third of a slice, or all of one below 3 ms. */
  readonly tickNs: number;
  /** Credits that a unit pays for a slice. */
  readonly creditsPerSlice: number;
  /** How long a unit runs at least, 0 for no such limit. */
  readonly ratelimitNs: number;
  /** How long after it ran a unit is not stolen, 0 for no such limit. */
  readonly migrationDelayNs: number;
}

// xen/include/public/sysctl.h: XEN_SYSCTL_CSCHED_TSLICE_*, XEN_SYSCTL_SCHED_RATELIMIT_*, XEN_SYSCTL_CSCHED_MGR_DLY_MAX_US.
const tsliceMaxMs = 1000;
const ratelimitMinUs = 100;
const ratelimitMaxUs = 500_000;
const migrationDelayMaxUs = 100_000;

const defaultTsliceMs = 30;
const defaultRatelimitUs = 1000;
const ticksPerSlice = 3;
const creditsPerMs = 10;

/**
 * The shortest time that a timer is set for in place of the rest of the rate limit (`CSCHED_MIN_TIMER`). Quirk: it is the
 * least rate limit, a number of microseconds, and is taken for one of nanoseconds.
 */
export const minTimerNs = ratelimitMinUs;

const isIn = (value: number, min: number, max: number): boolean =>
  Number.isInteger(value) && value >= min && value <= max;

const isRatelimit = (us: number): boolean => us === 0 || isIn(us, ratelimitMinUs, ratelimitMaxUs);

/** Parameters with another slice (`__csched_set_tslice`). */
function withSlice(parameters: CreditParameters, tsliceMs: number): CreditParameters {
  const ticks = tsliceMs < ticksPerSlice ? 1 : ticksPerSlice;
  return {
    ...parameters,
    tsliceNs: tsliceMs * 1_000_000,
    // In whole microseconds.
    tickNs: Math.floor((tsliceMs * 1000) / ticks) * 1000,
    creditsPerSlice: creditsPerMs * tsliceMs,
  };
}

/**
 * What the parameters of the command line amount to (`scheduler_init`, `csched_global_init`, `csched_init`): those out of
 * range have their defaults, and a rate limit beyond the slice is the slice.
 */
export function bootParameters(options: SchedulerOptions): CreditParameters {
  const { tsliceMs = defaultTsliceMs, ratelimitUs = defaultRatelimitUs, migrationDelayUs = 0 } = options;
  const slice = isIn(tsliceMs, 1, tsliceMaxMs) ? tsliceMs : defaultTsliceMs;
  const limit = isRatelimit(ratelimitUs) ? ratelimitUs : defaultRatelimitUs;
  const delay = isIn(migrationDelayUs, 0, migrationDelayMaxUs) ? migrationDelayUs : 0;
  const rest = { ratelimitNs: Math.min(limit, slice * 1000) * 1000, migrationDelayNs: delay * 1000 };
  return withSlice({ ...rest, tsliceNs: 0, tickNs: 0, creditsPerSlice: 0 }, slice);
}

/**
 * The parameters after a call that changes some (`csched_sys_cntl`). 4.2 changes the slice alone, and neither the ticks
 * nor the credit that belong to it.
 * @returns a negative error number where one is out of range
 */
export function changedParameters(
  parameters: CreditParameters,
  change: CreditPoolParameters,
  version: XenVersion,
): CreditParameters | number {
  const now = poolParametersOf(parameters);
  const { tsliceMs = now.tsliceMs, ratelimitUs = now.ratelimitUs, migrationDelayUs = now.migrationDelayUs } = change;
  if (!isIn(tsliceMs, 1, tsliceMaxMs) || !isRatelimit(ratelimitUs)) return errno.invalid;
  // The call of 4.2 cannot switch the limit off, though the command line can.
  if (version === '4.2' && change.ratelimitUs === 0) return errno.invalid;
  if (ratelimitUs > tsliceMs * 1000 || !isIn(migrationDelayUs, 0, migrationDelayMaxUs)) return errno.invalid;
  const rest = { ...parameters, ratelimitNs: ratelimitUs * 1000, migrationDelayNs: migrationDelayUs * 1000 };
  return version === '4.2' ? { ...rest, tsliceNs: tsliceMs * 1_000_000 } : withSlice(rest, tsliceMs);
}

/** Parameters in the units of the call. */
export const poolParametersOf = ({
  tsliceNs,
  ratelimitNs,
  migrationDelayNs,
}: CreditParameters): Required<CreditPoolParameters> => ({
  tsliceMs: tsliceNs / 1_000_000,
  ratelimitUs: ratelimitNs / 1000,
  migrationDelayUs: migrationDelayNs / 1000,
});

/** Whether the call could say these: both are 16 bits wide in the interface. */
export const isWeightAndCap = ({ weight = 0, cap = 0 }: WeightAndCap): boolean =>
  isIn(weight, 0, 0xffff) && isIn(cap, 0, 0xffff);

/** In place of a weight or a cap: leave it as it is. */
export const keepWeight = 0;
export const keepCap = 0xffff;
