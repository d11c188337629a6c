import type { SchedCore } from '../schedule/core.ts';
import { serverFlag } from '../schedule/rtds/rtds-servers.ts';
import type { Rtds } from '../schedule/rtds.ts';

/**
 * What is wrong with the state of RTDS (of Xen 4.23) between events: everybody is in the queues that budget and run
 * state say, in order, and the timer is set for the first replenishment.
 * @param areParametersOld whether no parameters were changed while it ran: less budget counts only from the next
 *   replenishment, and whoever runs is not asked then
 * @returns a line for each fault
 */
export function rtdsFaults(core: SchedCore, policy: Rtds, areParametersOld: boolean): readonly string[] {
  const faults: string[] = [];
  const { servers, runQueue, replenishments } = policy;
  const queued = runQueue.unitsOf(0);
  for (const [index, unit] of queued.entries()) {
    if (index > 0 && servers.comparePriority(queued[index - 1]!, unit) < 0)
      faults.push(`units ${queued.join(' ')} are queued out of order at ${index}`);
    if (servers.leftNs[unit]! <= 0) faults.push(`unit ${unit} is queued to run without budget`);
  }
  const first = replenishments.first(0);
  // Who was behind one that left the queue may be overdue.
  const dueNs = first < 0 ? undefined : Math.max(core.now, servers.deadlineNs[first]!);
  if (policy.timerDeadlineNs() !== dueNs)
    faults.push(`the timer is due at ${policy.timerDeadlineNs() ?? 'never'}, not ${dueNs ?? 'never'}`);
  for (const entry of core.domains) {
    if (entry?.pool.scheduler !== policy) continue;
    for (const unit of entry.units) faults.push(...unitFaults(core, policy, unit, areParametersOld));
  }
  return faults;
}

function* unitFaults(core: SchedCore, policy: Rtds, unit: number, areParametersOld: boolean): Iterable<string> {
  const { servers } = policy;
  const runs = core.current[core.pcpu[unit]!] === unit;
  const isQueued = policy.runQueue.isOn(unit);
  const isSetAside = servers.has(unit, serverFlag.isInDepletedQueue);
  const isRunnable = core.isRunnable(unit);
  const places = Number(runs) + Number(isQueued) + Number(isSetAside);
  if (places !== (isRunnable ? 1 : 0)) yield `unit ${unit} is in ${places} places, runnable: ${isRunnable}`;
  if (policy.replenishments.isOn(unit) !== isRunnable) yield `unit ${unit} is replenished, runnable: ${isRunnable}`;
  if (servers.has(unit, serverFlag.delayedAdd)) yield `unit ${unit} is still to be queued`;
  const hasExtra = servers.has(unit, serverFlag.extratime);
  if (isSetAside && (hasExtra || servers.leftNs[unit] !== 0)) yield `unit ${unit} is set aside and has budget`;
  if (!hasExtra && servers.level[unit] !== 0 && areParametersOld)
    yield `unit ${unit} has level ${servers.level[unit]!}`;
  const usedNs = runs ? core.now - servers.lastStartNs[unit]! : 0;
  if (usedNs < 0 || servers.lastStartNs[unit]! > core.now) yield `unit ${unit} starts in the time to come`;
  if (!areParametersOld) return;
  if (servers.leftNs[unit]! > servers.budgetNs[unit]!) yield `unit ${unit} has more left than its budget`;
  // An instant is over one nanosecond after it: what is due then has not happened.
  if (servers.leftNs[unit]! - usedNs < 0) yield `unit ${unit} has run over its budget`;
}
