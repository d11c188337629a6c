/** Parameters of a unit under RTDS (`xen_domctl_sched_rtds`). */
export interface RtdsParameters extends RtdsReservation {
  /** Whether it may also run when its budget is used up, after those that have some. */
  readonly extratime: boolean;
}

/** So much time in so much time. */
export interface RtdsReservation {
  /** 10 … 2^32-1. */
  readonly periodUs: number;
  /** 10 … {@link RtdsReservation.periodUs}. */
  readonly budgetUs: number;
}

/** What a new unit has (`RTDS_DEFAULT_PERIOD`, `RTDS_DEFAULT_BUDGET`). */
export const rtdsDefaults: RtdsParameters = { periodUs: 10_000, budgetUs: 4000, extratime: true };

/** `RTDS_MIN_PERIOD`, `RTDS_MIN_BUDGET`. */
const leastUs = 10;

/** Periods and budgets are 32-bit numbers of µs in the hypercall: `RTDS_MAX_PERIOD` is never reached. */
const mostUs = 0xffff_ffff;

/** Whether a hypercall can have a time and it is not 0, which is all that 4.17 asks of a domain's (`rt_dom_cntl()`). */
const isSome = (us: number): boolean => Number.isInteger(us) && us > 0 && us <= mostUs;

export const isSomeReservation = ({ periodUs, budgetUs }: RtdsReservation): boolean =>
  isSome(periodUs) && isSome(budgetUs);

/** `rt_validate_params()`. */
export const isReservation = (given: RtdsReservation): boolean =>
  isSomeReservation(given) && given.budgetUs >= leastUs && given.budgetUs <= given.periodUs;
