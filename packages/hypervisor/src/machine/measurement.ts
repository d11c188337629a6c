import { Histogram, type HistogramState } from '../guest/workload/histogram.ts';
import { lockCounters } from '../guest/lock/locker.ts';
import type { Programs } from '../guest/workload/program.ts';
import { runState, type SchedCore } from '../schedule/core.ts';
import { latencyFigures, type PcpuFigures, type RunFigures } from './figures.ts';
import type { MemoryLoad } from './memory-load.ts';

const runStates = [runState.running, runState.runnable, runState.blocked, runState.offline] as const;

/** Of a vCPU that is new: as many counts as are kept of each. */
const nothingYet: readonly number[] = Array.from({ length: 9 + lockCounters.length }, () => 0);

/** Counts of a vCPU that are not those of the core or its program. */
interface UnitCounts {
  /** How much work is a unit where the program does not count them itself; 0 otherwise. */
  readonly unitNs: number;
  readonly wakeNs: Histogram;
  /** Everything that only grows, as it was when the measuring began. */
  begin: readonly number[];
}

/** A {@link Measurement} at one moment. */
export interface MeasurementState {
  readonly beginNs: number;
  readonly pcpus: readonly (readonly number[])[];
  readonly units: readonly (
    | { readonly unitNs: number; readonly wakeNs: HistogramState; readonly begin: readonly number[] }
    | undefined
  )[];
}

/** What vCPUs and pCPUs have done since the measuring began. */
export class Measurement {
  readonly #core: SchedCore;
  readonly #programs: Programs;
  readonly #memory: MemoryLoad | undefined;
  #units: (UnitCounts | undefined)[] = [];
  #beginNs = 0;
  #beginOfPcpus: (readonly number[])[] = [];

  constructor(core: SchedCore, programs: Programs, memory: MemoryLoad | undefined) {
    this.#core = core;
    this.#programs = programs;
    this.#memory = memory;
    this.begin();
  }

  /** A vCPU is new; `unitNs` of its work are a unit of it, 0 where its program counts them. */
  addUnit(unit: number, unitNs: number): void {
    this.#units[unit] = { unitNs, wakeNs: new Histogram(), begin: nothingYet };
  }

  removeUnit(unit: number): void {
    this.#units[unit] = undefined;
  }

  /** A decision, before the switch to it: what ran is still the current one. */
  decided(nowNs: number, pcpu: number, unit: number): void {
    if (unit === this.#core.current[pcpu]) return;
    const wokenNs = this.#core.wokenNs[unit]!;
    if (wokenNs >= 0) this.#units[unit]!.wakeNs.add(nowNs - wokenNs);
  }

  /** Figures are of what comes from now on. */
  begin(): void {
    this.#beginNs = this.#core.now;
    this.#beginOfPcpus = Array.from({ length: this.#core.pcpuCount }, (_, pcpu) => this.#countsOfPcpu(pcpu));
    for (const [unit, counts] of this.#units.entries()) {
      if (counts === undefined) continue;
      counts.begin = this.#countsOf(unit, counts);
      counts.wakeNs.clear();
      this.#programs.jobs.responseNs[unit]?.clear();
    }
  }

  get durationNs(): number {
    return this.#core.now - this.#beginNs;
  }

  /** Figures of some vCPUs together. */
  runFigures(units: readonly number[]): RunFigures {
    const sums = [...nothingYet];
    const wakeNs = new Histogram();
    const responseNs = new Histogram();
    for (const unit of units) {
      const counts = this.#units[unit]!;
      for (const [index, count] of this.#countsOf(unit, counts).entries()) sums[index]! += count - counts.begin[index]!;
      wakeNs.addAll(counts.wakeNs);
      const response = this.#programs.jobs.responseNs[unit];
      if (response !== undefined) responseNs.addAll(response);
    }
    return {
      runNs: sums[0]!,
      runnableNs: sums[1]!,
      blockedNs: sums[2]!,
      offlineNs: sums[3]!,
      dispatches: sums[4]!,
      migrations: sums[5]!,
      completed: sums[6]!,
      missed: sums[7]!,
      workNs: sums[8]!,
      locks: {
        spinNs: sums[9]!,
        overheadNs: sums[10]!,
        acquisitions: sums[11]!,
        overtakings: sums[12]!,
        sleeps: sums[13]!,
        kicks: sums[14]!,
        yields: sums[15]!,
        interrupts: sums[16]!,
      },
      wakeNs: latencyFigures(wakeNs),
      responseNs: latencyFigures(responseNs),
    };
  }

  pcpuFigures(): readonly PcpuFigures[] {
    const { durationNs } = this;
    return this.#beginOfPcpus.map((begin, pcpu) => {
      const [idleNs, contextSwitches, decisions] = this.#countsOfPcpu(pcpu).map(
        (count, index) => count - begin[index]!,
      );
      return {
        pcpu,
        idleNs: idleNs!,
        utilisation: durationNs === 0 ? 0 : 1 - idleNs! / durationNs,
        contextSwitches: contextSwitches!,
        decisions: decisions!,
      };
    });
  }

  capture(): MeasurementState {
    return {
      beginNs: this.#beginNs,
      pcpus: [...this.#beginOfPcpus],
      units: Array.from(this.#units, (counts) => counts && { ...counts, wakeNs: counts.wakeNs.capture() }),
    };
  }

  restore({ beginNs, pcpus, units }: MeasurementState): void {
    this.#beginNs = beginNs;
    this.#beginOfPcpus = [...pcpus];
    this.#units = units.map((counts) => counts && { ...counts, wakeNs: Histogram.restored(counts.wakeNs) });
  }

  /** Everything of a vCPU that only grows. */
  #countsOf(unit: number, { unitNs }: UnitCounts): readonly number[] {
    const core = this.#core;
    const { jobs, locks } = this.#programs;
    const times = runStates.map((state) => core.timeIn(unit, state));
    const workNs = this.#memory?.workNs(unit) ?? times[0]!;
    const completed = unitNs > 0 ? Math.floor(workNs / unitNs) : jobs.completed[unit]!;
    const missed = jobs.missed[unit]! + jobs.overdue(unit, core.now);
    const ofLocks = lockCounters.map((name) => locks.countOf(unit, name));
    return [...times, core.dispatches[unit]!, core.migrations[unit]!, completed, missed, workNs, ...ofLocks];
  }

  #countsOfPcpu(pcpu: number): readonly number[] {
    const core = this.#core;
    return [core.timeIn(pcpu, runState.running), core.switchesOf[pcpu]!, core.decisionsOf[pcpu]!];
  }
}
