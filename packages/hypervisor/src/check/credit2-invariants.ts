import { pauseFlag, type SchedCore } from '../schedule/core.ts';
import { creditMin, none, rowHas, unitFlag, type Credit2State } from '../schedule/credit2/state.ts';
import * as pcpuMask from '../schedule/pcpu-mask.ts';

export interface Credit2Since {
  /** No thread was added beside a busy one: there upstream counts a core as idle that is not. */
  readonly areCoresWhole: boolean;
  /** No cap was changed: budget that was given stays where it is. */
  readonly areCapsOld: boolean;
}

/**
 * What is wrong with credit2's state between events, when all decisions that were asked for have been made.
 * @param since what has not happened to it, and may be relied on
 * @returns a line for each fault; none for a sound state
 */
export function credit2Faults(
  core: SchedCore,
  s: Credit2State,
  { areCoresWhole, areCapsOld }: Credit2Since,
): readonly string[] {
  const faults: string[] = [];
  const queues = [...s.queues.subarray(0, s.queueCount)];
  if (queues.some((queue, at) => at > 0 && queues[at - 1]! >= queue)) faults.push(`run queues ${queues.join(' ')}`);
  for (const queue of queues) {
    for (const fault of queueFaults(core, s, queue)) faults.push(`run queue ${queue}: ${fault}`);
    for (const fault of pcpuFaults(core, s, queue, areCoresWhole)) faults.push(`run queue ${queue}: ${fault}`);
  }
  for (const pcpu of core.current.keys()) {
    const queue = s.queueOfPcpu[pcpu]!;
    if ((queue !== none) !== pcpuMask.has(s.valid, pcpu))
      faults.push(`pCPU ${pcpu} of the pool is in run queue ${queue}`);
    if (queue !== none && !queues.includes(queue)) faults.push(`pCPU ${pcpu} is in no run queue ${queue}`);
  }
  for (const [domain, entry] of core.domains.entries()) {
    if (entry?.pool.valid !== s.valid) continue;
    for (const unit of entry.units) {
      for (const fault of unitFaults(core, s, unit)) faults.push(`unit ${unit} of domain ${domain}: ${fault}`);
    }
    for (const fault of budgetFaults(core, s, domain, entry.units, areCapsOld))
      faults.push(`domain ${domain}: ${fault}`);
  }
  return faults;
}

/** Members of a ring in order; a ring that goes wrong ends where there are more of them than units. */
function ring(next: Int32Array, previous: Int32Array, head: number): readonly number[] {
  const members: number[] = [];
  for (let at = next[head]!; at !== head && at >= 0 && members.length <= next.length; at = next[at]!) members.push(at);
  const backwards: number[] = [];
  for (let at = previous[head]!; at !== head && at >= 0 && backwards.length <= next.length; at = previous[at]!)
    backwards.push(at);
  return backwards.toReversed().join(' ') === members.join(' ') ? members : [...members, none];
}

function* queueFaults(core: SchedCore, s: Credit2State, queue: number): Iterable<string> {
  const queued = ring(s.nextQueued, s.previousQueued, queue);
  const assigned = ring(s.nextAssigned, s.previousAssigned, queue);
  if (queued.includes(none) || assigned.includes(none)) yield 'a ring is torn';
  const credits = queued.map((unit) => s.credit[unit]!);
  if (credits.some((credit, at) => at > 0 && credits[at - 1]! < credit)) yield `out of order: ${credits.join(' ')}`;
  for (const unit of queued) {
    if (s.queue[unit] !== queue) yield `unit ${unit} of run queue ${s.queue[unit]!} waits here`;
    if (!core.isRunnable(unit)) yield `unit ${unit} waits and cannot run`;
    if (core.isRunning[unit] === 1) yield `unit ${unit} waits and runs`;
  }
  for (const unit of assigned) if (s.queue[unit] !== queue) yield `unit ${unit} is of run queue ${s.queue[unit]!}`;
  const running = assigned.filter((unit) => core.isRunning[unit] === 1).length;
  if (s.load[queue] !== queued.length + running) yield `load ${s.load[queue]!} of ${queued.length} and ${running}`;
  const heaviest = assigned.reduce((most, unit) => Math.max(most, s.weight[unit]!), 1);
  if (s.maxWeight[queue] !== heaviest) yield `heaviest ${s.maxWeight[queue]!}, not ${heaviest}`;
  if (s.averageLoad[queue]! < 0 || s.balancedLoad[queue]! < 0) yield 'an average below 0';
}

function* pcpuFaults(core: SchedCore, s: Credit2State, queue: number, areCoresWhole: boolean): Iterable<string> {
  const row = queue * s.words;
  const entered = ring(s.nextEntered, s.previousEntered, s.pcpuCount + queue);
  if (entered.includes(none)) yield 'the ring of pCPUs is torn';
  const entries = entered.map((pcpu) => s.entryNs[pcpu]!);
  if (entries.some((entryNs, at) => at > 0 && entries[at - 1]! > entryNs))
    yield `entered out of order: ${entries.join(' ')}`;
  let count = 0;
  for (const [pcpu, unit] of core.current.entries()) {
    const isHere = s.queueOfPcpu[pcpu] === queue;
    if (rowHas(s.active, row, pcpu) !== isHere) yield `pCPU ${pcpu} is active in the wrong run queue`;
    if (isHere) count++;
    const isIdle = unit === pcpu;
    if (rowHas(s.idle, row, pcpu) !== (isHere && isIdle)) yield `pCPU ${pcpu} is in the wrong place of idle`;
    if (rowHas(s.tickled, row, pcpu)) yield `pCPU ${pcpu} was asked and has not decided`;
    if (areCoresWhole && rowHas(s.smtIdle, row, pcpu) && !(isHere && isIdle)) yield `pCPU ${pcpu} is in an idle core`;
    const isOld = rowHas(s.preemptable, row, pcpu);
    const isYoung = entered.includes(pcpu);
    if (Number(isOld) + Number(isYoung) !== Number(isHere && !isIdle))
      yield `pCPU ${pcpu} is old ${isOld}, young ${isYoung}`;
    if (isHere && !isIdle && s.entryNs[pcpu] !== core.stateEntryNs[unit])
      yield `pCPU ${pcpu} was entered at ${s.entryNs[pcpu]!}, not ${core.stateEntryNs[unit]!}`;
  }
  if (s.cpus[queue] !== count) yield `${s.cpus[queue]!} pCPUs, not ${count}`;
}

function* unitFaults(core: SchedCore, s: Credit2State, unit: number): Iterable<string> {
  const isRunning = core.isRunning[unit] === 1;
  const queue = s.queue[unit]!;
  if (queue !== s.queueOfPcpu[core.pcpu[unit]!]) yield `run queue ${queue} on pCPU ${core.pcpu[unit]!}`;
  const isQueued = s.nextQueued[unit] !== none;
  if (isQueued !== (core.isRunnable(unit) && !isRunning)) yield isQueued ? 'waits' : 'does not wait';
  if (((s.flags[unit]! & unitFlag.scheduled) !== 0) !== isRunning) yield 'is wrong about its being on a pCPU';
  if ((s.flags[unit]! & unitFlag.delayedAdd) !== 0) yield 'was to be queued and is not';
  if (s.credit[unit]! < creditMin) yield `credit ${s.credit[unit]!}`;
  if (s.residual[unit]! < 0) yield `residual ${s.residual[unit]!}`;
  const pace = s.pace[unit]!;
  if (pace !== 0 && (pace * s.weight[unit]! !== s.maxWeight[queue] || s.residual[unit]! >= s.weight[unit]!))
    yield `pace ${pace} of weight ${s.weight[unit]!}`;
  const { words } = s;
  const own = unit * words;
  if (!pcpuMask.isSame(s.hard.slice(own, own + words), core.hard[unit]!)) yield 'old hard affinity';
  if (!pcpuMask.isSame(s.soft.slice(own, own + words), core.soft[unit]!)) yield 'old soft affinity';
}

function* budgetFaults(
  core: SchedCore,
  s: Credit2State,
  domain: number,
  units: readonly number[],
  areCapsOld: boolean,
): Iterable<string> {
  const isCapped = s.domainCap[domain] !== 0;
  const parked: number[] = [];
  for (let unit = s.firstParked[domain]!; unit !== none && parked.length <= units.length; unit = s.nextParked[unit]!)
    parked.push(unit);
  let handedOutNs = 0;
  for (const unit of units) {
    const budgetNs = s.budgetNs[unit]!;
    if ((budgetNs === Infinity) === isCapped) yield `budget ${budgetNs} of unit ${unit}`;
    handedOutNs += Math.max(budgetNs, 0);
    const isParked = (core.flags[unit]! & pauseFlag.parked) !== 0;
    if (isParked !== parked.includes(unit)) yield `unit ${unit} is parked ${isParked}, among ${parked.join(' ')}`;
  }
  if (!isCapped) return;
  const leftNs = s.domainBudgetNs[domain]!;
  if (leftNs > 0 && parked.length > 0) yield `units are parked with ${leftNs} ns left`;
  // A period's, and what units still hold of the one before.
  const mostNs = s.domainTotalNs[domain]! + units.reduce((sum, unit) => sum + s.quotaNs[unit]!, 0);
  if (areCapsOld && leftNs + handedOutNs > mostNs) yield `${leftNs} and ${handedOutNs} of ${mostNs} ns`;
}
