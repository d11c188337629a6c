import type { SchedCore } from '../schedule/core.ts';
import { runsExtra, sedfStatus } from '../schedule/sedf/sedf-units.ts';
import type { Sedf } from '../schedule/sedf/sedf.ts';
import type { UnitLists } from '../schedule/unit-lists.ts';

/**
 * What is wrong with SEDF's state between events.
 * @param areParametersOld whether no domain's parameters were changed while it ran: a change leaves units in the places
 *   that their old period and deadline gave them, as upstream does
 * @returns a line for each fault
 */
export function sedfFaults(core: SchedCore, sedf: Sedf, areParametersOld: boolean): readonly string[] {
  const faults: string[] = [];
  const { units, queues } = sedf;
  const beginNs = (unit: number): number => units.deadlineNs[unit]! - units.periodNs[unit]!;
  for (let pcpu = 0; pcpu < core.pcpuCount; pcpu++) {
    const ready = queues.periods.unitsOf(pcpu * 2);
    const waiting = queues.periods.unitsOf(pcpu * 2 + 1);
    const owed = queues.penalty.unitsOf(pcpu);
    const extra = queues.util.unitsOf(pcpu);
    for (const unit of [...ready, ...waiting, ...owed, ...extra])
      if (core.pcpu[unit] !== pcpu) faults.push(`unit ${unit} of pCPU ${core.pcpu[unit]!} is queued on ${pcpu}`);
    if (areParametersOld) {
      faults.push(
        ...unsorted('ready', ready, (unit) => units.deadlineNs[unit]!),
        ...unsorted('waiting', waiting, beginNs),
      );
      const late = waiting.find((unit) => beginNs(unit) < core.now - 1);
      if (late !== undefined) faults.push(`the period of unit ${late} began at ${beginNs(late)}, and it waits`);
    }
    faults.push(
      ...unsorted('owed', owed, (unit) => units.penaltyScore[unit]!),
      ...unsorted('extra', extra, (unit) => units.utilScore[unit]!),
    );
    const current = core.current[pcpu]!;
    const isRealTime = !core.isIdle(current) && (units.status[current]! & runsExtra) === 0;
    if (isRealTime && areParametersOld && current !== ready[0])
      faults.push(`unit ${current} runs on pCPU ${pcpu}, not ${ready[0] ?? 'nobody'}, whose deadline is the first`);
  }
  for (const entry of core.domains) {
    if (entry?.pool.scheduler !== sedf) continue;
    for (const unit of entry.units) faults.push(...unitFaults(core, sedf, unit));
  }
  return faults;
}

function* unsorted(what: string, units: readonly number[], key: (unit: number) => number): Iterable<string> {
  for (const [index, unit] of units.entries())
    if (index > 0 && key(units[index - 1]!) > key(unit)) yield `${what} out of order: ${units.map(key).join(' ')}`;
}

function* unitFaults(core: SchedCore, { units, queues }: Sedf, unit: number): Iterable<string> {
  const status = units.status[unit]!;
  const isAwake = (status & sedfStatus.asleep) === 0;
  const on = (lists: UnitLists): boolean => lists.isOn(unit);
  if (on(queues.periods) !== isAwake) yield `unit ${unit}: status ${status}, and the wrong place`;
  if (isAwake && !core.isRunnable(unit)) yield `unit ${unit} is awake and cannot run`;
  if (on(queues.util) && !isAwake) yield `unit ${unit} sleeps on the utilisation queue`;
  if (on(queues.penalty) && (!isAwake || (status & sedfStatus.wantsPenalty) === 0))
    yield `unit ${unit} of status ${status} is on the penalty queue`;
  if (isAwake && (status & sedfStatus.extraAware) !== 0 && !on(queues.util))
    yield `unit ${unit} is not on the utilisation queue`;
  if ((status & runsExtra) === runsExtra) yield `unit ${unit} runs from two queues`;
  if ((status & runsExtra) !== 0 && core.current[core.pcpu[unit]!] !== unit)
    yield `unit ${unit} of status ${status} does not run`;
}
