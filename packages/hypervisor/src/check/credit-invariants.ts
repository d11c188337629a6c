import type { SchedCore } from '../schedule/core.ts';
import type { Credit } from '../schedule/credit.ts';
import { creditFlag, priority, type CreditState } from '../schedule/credit/state.ts';
import { pauseFlag } from '../schedule/core.ts';
import * as pcpuMask from '../schedule/pcpu-mask.ts';

/**
 * What is wrong with credit's state between events: queues, counts and lists say the same as the core does, those
 * without credit are behind the others, and sums are sums.
 * @returns a line for each fault
 */
export function creditFaults(core: SchedCore, { state }: Credit): readonly string[] {
  const units = core.domains.flatMap((entry) =>
    entry !== undefined && entry.pool.valid === state.valid ? entry.units : [],
  );
  const queued = new Map<number, number>();
  const faults: string[] = [];
  for (const pcpu of pcpuMask.pcpusOf(state.pcpus)) {
    for (const unit of queueOf(state, pcpu)) queued.set(unit, pcpu);
    faults.push(...[...pcpuFaults(core, state, pcpu)].map((fault) => `pCPU ${pcpu}: ${fault}`));
  }
  for (const unit of units) {
    const fault = unitFault(core, state, unit, queued.get(unit));
    if (fault !== undefined) faults.push(`unit ${unit}: ${fault}`);
  }
  faults.push(...accountFaults(core, state, units));
  return faults;
}

/** The units of a queue from its first on, the idle unit among them. */
export function queueOf({ queueNext, queuePrevious, pcpuCount }: CreditState, pcpu: number): readonly number[] {
  const units: number[] = [];
  for (let node = queueNext[pcpu]!; node !== pcpu; node = queueNext[node]!) {
    if (queuePrevious[queueNext[node]!] !== node || units.length > queueNext.length) return [-1];
    units.push(node - pcpuCount);
  }
  return units;
}

function* pcpuFaults(core: SchedCore, state: CreditState, pcpu: number): Iterable<string> {
  const queue = queueOf(state, pcpu);
  const current = core.current[pcpu]!;
  const isIdle = current === pcpu;
  const others = queue.filter((unit) => unit !== pcpu);
  if (queue.includes(pcpu) === isIdle) yield 'the idle unit waits, or runs, and not one of both';
  if (!isIdle && queue.at(-1) !== pcpu) yield `the idle unit is not the last of ${queue.join(' ')}`;
  if (isIdle && others.length > 0) yield `idles, and ${others.join(' ')} wait`;
  const runnable = others.length + (isIdle ? 0 : 1);
  if (state.runnableCount[pcpu] !== runnable) yield `${state.runnableCount[pcpu]!} can run, not ${runnable}`;
  if (pcpuMask.has(state.crowded, pcpu) !== runnable > 1) yield `is crowded, or not, with ${runnable}`;
  if (pcpuMask.has(state.idlers, pcpu) && !isIdle) yield 'is an idler and busy';
  if (!isIdle && !core.timers.isArmed(state.tickTimer[pcpu]!)) yield 'is busy and has no tick';
  // A unit that yields goes behind one of lower priority, and from 4.23 on is known for it as long as it waits.
  if (state.yieldLasts && state.sortedAt[pcpu] === state.sortEpoch) {
    const ranks = others
      .filter((unit) => (state.flags[unit]! & creditFlag.yield) === 0)
      .map((unit) => (state.priorityOf[unit]! >= priority.under ? 0 : 1));
    if (ranks.some((rank, at) => at > 0 && ranks[at - 1]! > rank))
      yield `is sorted, and not in order: ${queue.join(' ')}`;
  }
}

function unitFault(
  core: SchedCore,
  state: CreditState,
  unit: number,
  queuedOn: number | undefined,
): string | undefined {
  const flags = state.flags[unit]!;
  const runs = core.current[core.pcpu[unit]!] === unit;
  const isQueued = queuedOn !== undefined;
  if (isQueued !== state.queueNext[unit + state.pcpuCount]! >= 0) return 'is in no queue that there is';
  if (isQueued && queuedOn !== core.pcpu[unit]) return `of pCPU ${core.pcpu[unit]!} waits on ${queuedOn}`;
  if (isQueued !== (core.isRunnable(unit) && !runs)) return 'waits and cannot run, or the other way round';
  if (runs && state.yieldLasts && (flags & creditFlag.yield) !== 0) return 'runs and is taken for one that yielded';
  const isParked = (core.flags[unit]! & pauseFlag.parked) !== 0;
  if (isParked !== ((flags & creditFlag.parked) !== 0)) return 'is parked for one and not for the other';
  if (isParked && state.priorityOf[unit] !== priority.over) return `is parked with priority ${state.priorityOf[unit]!}`;
  if (![priority.boost, priority.under, priority.over].some((one) => one === state.priorityOf[unit]))
    return `has priority ${state.priorityOf[unit]!}`;
  if (state.residual[unit]! < 0 || state.residual[unit]! >= 1_000_000) return `owes ${state.residual[unit]!} parts`;
  if (core.softEffective[unit] !== (flags & creditFlag.soft ? 1 : 0)) return 'has soft affinity, or has none';
  return undefined;
}

function* accountFaults(core: SchedCore, state: CreditState, units: readonly number[]): Iterable<string> {
  const active = new Set<number>();
  let weight = 0;
  let domains = 0;
  for (let domain = state.firstDomain; domain >= 0; domain = state.domainNext[domain]!) {
    if (++domains > core.domains.length) yield 'the list of active domains has no end';
    let count = 0;
    for (let unit = state.firstUnit[domain]!; unit >= 0; unit = state.activeNext[unit]!) {
      if (core.domain[unit] !== domain) yield `unit ${unit} is active in domain ${domain}`;
      active.add(unit);
      if (++count > units.length) break;
    }
    if (count === 0 || count !== state.activeCount[domain]) yield `${count} units of domain ${domain} are active`;
    weight += count * state.weightOf[domain]!;
  }
  if (weight !== state.weight) yield `weight ${state.weight}, not ${weight}`;
  for (const unit of units)
    if (active.has(unit) !== (state.isActive[unit] === 1)) yield `unit ${unit} is active, or not`;
  const pcpus = pcpuMask.count(state.pcpus);
  if (state.pcpuTotal !== pcpus) yield `${state.pcpuTotal} pCPUs, not ${pcpus}`;
  if (state.credit !== pcpus * state.parameters.creditsPerSlice) yield `credit ${state.credit} of ${pcpus} pCPUs`;
  if (pcpus > 0 && !pcpuMask.has(state.pcpus, state.master)) yield `the accountant is on pCPU ${state.master}`;
  if (pcpus > 0 && !core.timers.isArmed(state.masterTimer)) yield 'there is no accounting to come';
  const soft = units.filter((unit) => core.softEffective[unit] === 1).length;
  if (state.softTotal !== soft) yield `${state.softTotal} units with soft affinity, not ${soft}`;
}
