/**
 * Caps: a domain has so much time in each period, its units take shares of it as they begin to run, and wait, parked,
 * when there is none.
 */
import { pauseFlag } from '../core.ts';
import { updateLoad } from './load.ts';
import { dequeue, enqueue, isQueued } from './run-queues.ts';
import { none, unitFlag, type Credit2State } from './state.ts';
import { tickle } from './tickle.ts';

/**
 * Time for a capped unit that has none, from that of its domain, whose debt it adds to; without any left it is parked
 * (`unit_grab_budget`).
 * @returns whether it may run
 */
export function grabBudget(s: Credit2State, unit: number): boolean {
  const { budgetNs, domainBudgetNs } = s;
  if (budgetNs[unit]! > 0) return true;
  const domain = s.core.domain[unit]!;
  const left = domainBudgetNs[domain]! + budgetNs[unit]!;
  const taken = left > 0 ? Math.min(left, s.quotaNs[unit]!) : 0;
  domainBudgetNs[domain] = left - taken;
  budgetNs[unit] = taken;
  if (taken > 0) return true;
  park(s, domain, unit);
  return false;
}

/** `park_unit()`: only the flag is set; the run state follows when the unit leaves its pCPU, that of a queued one not. */
function park(s: Credit2State, domain: number, unit: number): void {
  s.core.flags[unit]! |= pauseFlag.parked;
  if (isQueued(s, unit)) {
    dequeue(s, unit);
    updateLoad(s, s.queue[unit]!, unit, -1);
  }
  s.nextParked[unit] = s.firstParked[domain]!;
  s.firstParked[domain] = unit;
}

/**
 * A unit that stops running gives back what it has left (`unit_return_budget`).
 * @returns the first of the domain's units that can be unparked now
 */
export function returnBudget(s: Credit2State, unit: number): number {
  const domain = s.core.domain[unit]!;
  s.domainBudgetNs[domain]! += s.budgetNs[unit]!;
  s.budgetNs[unit] = 0;
  return s.domainBudgetNs[domain]! > 0 ? takeParked(s, domain) : none;
}

/** Takes a domain's list of parked units from it. */
export function takeParked(s: Credit2State, domain: number): number {
  const first = s.firstParked[domain]!;
  s.firstParked[domain] = none;
  return first;
}

/**
 * A unit leaves its domain, or the scheduler: it waits for budget no more. Upstream forgets that it is parked, so that
 * it would not run in the pool that it moves to either.
 */
export function forgetParked(s: Credit2State, unit: number): void {
  const domain = s.core.domain[unit]!;
  s.core.flags[unit]! &= ~pauseFlag.parked;
  let before = none;
  for (let parked = s.firstParked[domain]!; parked !== none; parked = s.nextParked[parked]!) {
    if (parked === unit) {
      if (before === none) s.firstParked[domain] = s.nextParked[unit]!;
      else s.nextParked[before] = s.nextParked[unit]!;
      return;
    }
    before = parked;
  }
}

/** Lets the units of a list compete for budget again (`unpark_parked_units`). */
export function unpark(s: Credit2State, first: number): void {
  const { core, nextParked } = s;
  let unit = first;
  while (unit !== none) {
    const next = nextParked[unit]!;
    nextParked[unit] = none;
    core.flags[unit]! &= ~pauseFlag.parked;
    if ((s.flags[unit]! & unitFlag.scheduled) !== 0) {
      s.flags[unit]! |= unitFlag.delayedAdd;
    } else if (core.isRunnable(unit)) {
      updateLoad(s, s.queue[unit]!, unit, 1);
      enqueue(s, unit);
      tickle(s, unit);
    }
    unit = next;
  }
}

/** The end of a domain's period (`replenish_domain_budget`): what is saved up never exceeds a period's. */
export function replenish(s: Credit2State, domain: number): void {
  const { now } = s.core;
  do {
    s.nextReplenishNs[domain]! += s.capPeriodNs;
    s.domainBudgetNs[domain]! += s.domainTotalNs[domain]!;
  } while (s.nextReplenishNs[domain]! <= now);
  if (s.domainBudgetNs[domain]! > 0) {
    s.domainBudgetNs[domain] = Math.min(s.domainBudgetNs[domain]!, s.domainTotalNs[domain]!);
    unpark(s, takeParked(s, domain));
  }
  s.core.timers.arm(s.replenishTimer[domain]!, s.nextReplenishNs[domain]!);
}
