/** Credit: what running costs, and how all of a run queue get new when the first has none. */
import { raiseTickled } from './idle-masks.ts';
import { carryOverMax, creditInit, creditMin, type Credit2State } from './state.ts';

/**
 * Accounts for the running of a unit since that was done last (`burn_credits`, `t2c_update`): a unit pays more the
 * lighter it is than the heaviest of its run queue; what division leaves over is kept for the next time.
 */
export function burn(s: Credit2State, queue: number, unit: number): void {
  const nowNs = s.core.now;
  const ranNs = nowNs - s.startNs[unit]!;
  if (ranNs <= 0) return;
  const pace = s.pace[unit]!;
  let cost = ranNs * pace;
  if (pace === 0) {
    const weight = s.weight[unit]!;
    const value = ranNs * s.maxWeight[queue]! + s.residual[unit]!;
    cost = Math.floor(value / weight);
    s.residual[unit] = value - cost * weight;
  }
  const left = s.credit[unit]! - cost;
  s.credit[unit] = left < creditMin ? creditMin : left;
  // No cap is Infinity, which stays.
  s.budgetNs[unit]! -= ranNs;
  s.startNs[unit] = nowNs;
}

/** How long a unit can run for an amount of credit that is not negative (`c2t`). */
export function timeOfCredit(s: Credit2State, queue: number, unit: number, credit: number): number {
  const pace = s.pace[unit]!;
  if (pace !== 0) return Math.floor(credit / pace);
  return Math.floor((credit * s.weight[unit]!) / s.maxWeight[queue]!);
}

/**
 * New credit for all units of a run queue (`reset_credit`). Their order stays, so the queue is not sorted again.
 * @param next the unit about to run: with all its credit gone, twice as much is given
 */
export function resetCredit(s: Credit2State, queue: number, next: number): void {
  const { credit, startNs, nextAssigned, core } = s;
  const most = creditInit + carryOverMax;
  const amount = credit[next] === creditMin ? creditInit * 2 : creditInit;
  for (let unit = nextAssigned[queue]!; unit !== queue; unit = nextAssigned[unit]!) {
    const pcpu = core.pcpu[unit]!;
    if (core.current[pcpu] === unit) {
      burn(s, queue, unit);
      // Found to be over its budget: its pCPU is to park it.
      if (s.budgetNs[unit]! <= 0) raiseTickled(s, pcpu, queue);
    }
    const sum = credit[unit]! + amount;
    credit[unit] = sum > most ? most : sum;
    startNs[unit] = core.now;
  }
}
