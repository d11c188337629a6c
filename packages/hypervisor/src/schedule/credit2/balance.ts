/** Evening out the load of run queues (`balance_load`). */
import { unitOfLoad, updateQueueLoad, updateUnitLoad } from './load.ts';
import { mayRunOn, moveUnit } from './migrate.ts';
import { none, unitFlag, type Credit2State } from './state.ts';

/** What of balancing differs between releases. */
export interface BalanceRules {
  readonly updateQueueLoad: (s: Credit2State, queue: number, change: number) => void;
  readonly updateUnitLoad: (s: Credit2State, unit: number, load: number) => void;
  readonly mayRunOn: (s: Credit2State, unit: number, queue: number) => boolean;
  readonly moveUnit: (s: Credit2State, unit: number, queue: number) => void;
}

export const balanceRules: BalanceRules = { updateQueueLoad, updateUnitLoad, mayRunOn, moveUnit };

/** Differences that are put up with: `credit2_balance_under`, `credit2_balance_over` at their defaults. */
const toleranceUnder = unitOfLoad;
const toleranceOver = unitOfLoad / 8;

/**
 * Moves a unit to the run queue whose load is furthest from this one's, or one from there, or exchanges two: whatever
 * leaves the smallest difference.
 */
export function balance(s: Credit2State, rules: BalanceRules, local: number): void {
  const other = furthest(s, rules, local);
  if (other === none) return;
  const localLoad = s.balancedLoad[local]!;
  // Quirk: the run queue that was looked at last is weighed here, not the one that was chosen.
  const last = s.queues[s.queueCount - 1]!;
  const most = Math.max(localLoad, s.balancedLoad[last]!);
  const capacity = Math.max(s.cpus[local]!, s.cpus[last]!) * unitOfLoad;
  const difference = Math.abs(localLoad - s.balancedLoad[other]!);
  if (difference < (most < capacity ? toleranceUnder : toleranceOver)) return;

  let best = difference;
  let bestPush = none;
  let bestPull = none;
  const apart = localLoad - s.balancedLoad[other]!;
  const { nextAssigned, unitLoad } = s;
  let areOthersUpdated = false;
  for (let push = nextAssigned[local]!; push !== local; push = nextAssigned[push]!) {
    rules.updateUnitLoad(s, push, s.core.isRunnable(push) ? 1 : 0);
    if (!isMovable(s, rules, push, other)) continue;
    const after = apart - 2 * unitLoad[push]!;
    for (let pull = nextAssigned[other]!; pull !== other; pull = nextAssigned[pull]!) {
      if (!areOthersUpdated) rules.updateUnitLoad(s, pull, s.core.isRunnable(pull) ? 1 : 0);
      if (!isMovable(s, rules, pull, local)) continue;
      const left = Math.abs(after + 2 * unitLoad[pull]!);
      if (left < best) {
        best = left;
        bestPush = push;
        bestPull = pull;
      }
    }
    areOthersUpdated = true;
    if (Math.abs(after) < best) {
      best = Math.abs(after);
      bestPush = push;
      bestPull = none;
    }
  }
  for (let pull = nextAssigned[other]!; pull !== other; pull = nextAssigned[pull]!) {
    if (!isMovable(s, rules, pull, local)) continue;
    const left = Math.abs(apart + 2 * unitLoad[pull]!);
    if (left < best) {
      best = left;
      bestPush = none;
      bestPull = pull;
    }
  }
  if (bestPush !== none) rules.moveUnit(s, bestPush, other);
  if (bestPull !== none) rules.moveUnit(s, bestPull, local);
}

/** The run queue whose load differs most from this one's, the first of equals; -1 when all have the same. */
function furthest(s: Credit2State, rules: BalanceRules, local: number): number {
  rules.updateQueueLoad(s, local, 0);
  let most = 0;
  let found = none;
  for (let at = 0; at < s.queueCount; at++) {
    const queue = s.queues[at]!;
    if (queue === local) continue;
    rules.updateQueueLoad(s, queue, 0);
    const difference = Math.abs(s.balancedLoad[local]! - s.balancedLoad[queue]!);
    if (difference > most) {
      most = difference;
      found = queue;
    }
  }
  return found;
}

/** `unit_is_migrateable()`. */
const isMovable = (s: Credit2State, rules: BalanceRules, unit: number, queue: number): boolean =>
  (s.flags[unit]! & unitFlag.migrateRequest) === 0 && rules.mayRunOn(s, unit, queue);
