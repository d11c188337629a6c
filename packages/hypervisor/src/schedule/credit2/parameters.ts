/** Weight and cap of a domain taking force (`csched2_dom_cntl`). */
import { takeParked, unpark } from './budget.ts';
import { burn } from './credit.ts';
import { setPace, updateMaxWeight } from './run-queues.ts';
import { addToRow, minTimerNs, type Credit2State } from './state.ts';

/** All units of a domain weigh the same; the pace of their run queues follows. */
export function setWeight(s: Credit2State, domain: number, weight: number): void {
  const old = s.domainWeight[domain]!;
  s.domainWeight[domain] = weight;
  for (const unit of s.core.domainEntry(domain).units) {
    s.weight[unit] = weight;
    setPace(s, s.queue[unit]!, unit);
    updateMaxWeight(s, s.queue[unit]!, weight, old);
  }
}

/**
 * Sets or changes the cap of a domain. The first one gives it a whole period's time at once, and none to its units: those
 * that run are asked to get theirs.
 */
export function setCap(s: Credit2State, domain: number, cap: number): void {
  const { core } = s;
  const { units } = core.domainEntry(domain);
  const totalNs = Math.floor((s.capPeriodNs * cap) / 100);
  const quotaNs = Math.max(Math.floor(totalNs / s.domainUnits[domain]!), minTimerNs);
  s.domainTotalNs[domain] = totalNs;
  for (const unit of units) s.quotaNs[unit] = quotaNs;
  if (s.domainCap[domain] === 0) {
    s.domainBudgetNs[domain] = totalNs;
    s.nextReplenishNs[domain] = core.now + s.capPeriodNs;
    core.timers.arm(s.replenishTimer[domain]!, s.nextReplenishNs[domain]);
    for (const unit of units) {
      if (core.isRunning[unit] === 1) {
        // What it ran until now is not taken from its budget.
        const pcpu = core.pcpu[unit]!;
        const queue = s.queueOfPcpu[pcpu]!;
        burn(s, queue, unit);
        addToRow(s.tickled, queue * s.words, pcpu);
        core.raise(pcpu);
      }
      s.budgetNs[unit] = 0;
    }
  }
  s.domainCap[domain] = cap;
}

/** Takes the cap of a domain away; who was parked competes again. */
export function removeCap(s: Credit2State, domain: number): void {
  const { core } = s;
  core.timers.disarm(s.replenishTimer[domain]!);
  for (const unit of core.domainEntry(domain).units) {
    s.budgetNs[unit] = Infinity;
    s.quotaNs[unit] = 0;
  }
  s.domainCap[domain] = 0;
  unpark(s, takeParked(s, domain));
}
