import { pauseFlag, runState, type SchedCore } from '../schedule/core.ts';
import * as pcpuMask from '../schedule/pcpu-mask.ts';

/**
 * What is wrong with a core between events, when all decisions that were asked for have been made: every vCPU is in one
 * place, in the run state that its flags say, on a pCPU that it may be on.
 * @returns a line for each fault; none for a sound core
 */
export function coreFaults(core: SchedCore): readonly string[] {
  const faults: string[] = [];
  const runsOn = new Map<number, number>();
  for (const [pcpu, unit] of core.current.entries()) {
    if (runsOn.has(unit)) faults.push(`unit ${unit} runs on pCPUs ${runsOn.get(unit)!} and ${pcpu}`);
    runsOn.set(unit, pcpu);
    if (core.pcpu[unit] !== pcpu) faults.push(`unit ${unit} of pCPU ${core.pcpu[unit]!} runs on ${pcpu}`);
    if (core.poolOf[pcpu] === undefined && unit !== pcpu) faults.push(`unit ${unit} runs on pCPU ${pcpu} of no pool`);
    if (unit < core.pcpuCount && unit !== pcpu) faults.push(`pCPU ${pcpu} runs the idle unit of ${unit}`);
  }
  for (let pcpu = 0; pcpu < core.pcpuCount; pcpu++) {
    const idles = core.current[pcpu] === pcpu;
    if ((core.isRunning[pcpu] === 1) !== idles) faults.push(`the idle unit of pCPU ${pcpu} is elsewhere`);
  }
  for (const [domain, entry] of core.domains.entries()) {
    if (entry === undefined) continue;
    for (const [vcpu, unit] of entry.units.entries()) {
      for (const fault of unitFaults(core, unit, entry.pool.valid, runsOn.get(unit)))
        faults.push(`d${domain}v${vcpu}: ${fault}`);
      if (core.domain[unit] !== domain || core.vcpu[unit] !== vcpu) faults.push(`d${domain}v${vcpu}: not its unit`);
    }
  }
  return faults;
}

function* unitFaults(
  core: SchedCore,
  unit: number,
  valid: pcpuMask.PcpuMask,
  runsOn: number | undefined,
): Iterable<string> {
  const isRunning = runsOn !== undefined;
  const isRunnable = core.isRunnable(unit);
  const flags = core.flags[unit]!;
  if ((core.isRunning[unit] === 1) !== isRunning) yield 'running is not what the pCPUs say';
  if (isRunning && !isRunnable) yield `runs with flags ${flags} and pause count ${core.pauseCount[unit]!}`;
  if ((flags & pauseFlag.migrating) !== 0) yield 'is still on its way to another pCPU';
  let state: number = runState.offline;
  if (isRunning) state = runState.running;
  else if ((flags & pauseFlag.blocked) !== 0) state = runState.blocked;
  else if (isRunnable) state = runState.runnable;
  if (core.state[unit] !== state) yield `is in state ${core.state[unit]!}, not ${state}`;
  const pcpu = core.pcpu[unit]!;
  if (!pcpuMask.has(valid, pcpu)) yield `is assigned to pCPU ${pcpu} outside of its pool`;
  if (!pcpuMask.has(core.hard[unit]!, pcpu)) yield `is assigned to pCPU ${pcpu} against its hard affinity`;
  const { timeNs } = core;
  for (let at = unit * 4; at < unit * 4 + 4; at++)
    if (timeNs[at]! < 0) yield `has been in a state for ${timeNs[at]!} ns`;
}
