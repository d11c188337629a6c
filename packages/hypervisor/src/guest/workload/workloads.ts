/** What domains do, in the words of those who plan: each becomes a program for a vCPU. */
import { assert } from '@xenolith/base';
import type { JobSource } from './jobs.ts';
import { compileProgram, type Program, type Step } from './step.ts';

/** A length in whole nanoseconds, or two between which it is drawn evenly each time. */
export type Length = number | readonly [number, number];

/** A thing that a vCPU does by itself. */
export type SimpleWorkload =
  /** Computes for ever; `unitNs` of its own running time count as a unit of work (1 ms). */
  | { readonly kind: 'hog'; readonly unitNs?: number }
  | { readonly kind: 'idle' }
  /** Control: each period a job of `workNs`, late when not done within `deadlineNs` of the period's begin (its end). */
  | { readonly kind: 'periodic'; readonly periodNs: number; readonly workNs: Length; readonly deadlineNs?: number }
  /** A user: sleeps, wakes, computes for `workNs`. The response time is from the wake to the end. */
  | { readonly kind: 'interactive'; readonly workNs: Length; readonly sleepNs: Length }
  /**
   * A server: requests come at random whether it keeps up or not, `meanGapNs` apart, in bursts if `onNs` and `offNs` are
   * given; each costs `serviceNs`. The response time has the waiting in the queue in it.
   */
  | {
      readonly kind: 'server';
      readonly serviceNs: Length;
      readonly meanGapNs: number;
      readonly burst?: { readonly onNs: number; readonly offNs: number };
    }
  /**
   * Code of a kernel that takes a lock again and again: computes for `gapNs`, then holds one of the first `locks` locks
   * (1) of its kernel for `holdNs`; after every `perSleep` times (1) it sleeps, if `sleepNs` is given. One of these is a
   * unit of work.
   */
  | {
      readonly kind: 'locking';
      readonly gapNs: Length;
      readonly holdNs: Length;
      readonly locks?: number;
      readonly sleepNs?: Length;
      readonly perSleep?: number;
    }
  /** What was seen somewhere: computing and blocking by turns. A unit of work is one of the entries. */
  | {
      readonly kind: 'trace';
      readonly entries: readonly { readonly runNs: number; readonly blockNs: number }[];
      readonly repeat?: boolean;
    };

/** One thing after the other, each for so much wall time: boot, idle, work. What is begun when the time is over is done. */
export interface PhasedWorkload {
  readonly kind: 'phases';
  readonly phases: readonly { readonly durationNs: number; readonly workload: SimpleWorkload }[];
  readonly repeat?: boolean;
}

export type Workload = SimpleWorkload | PhasedWorkload;

/** Running time that counts as a unit of work of a hog, where it does not say. */
export const hogUnitNs = 1_000_000;

/** Entries of a trace, and phases, that a workload may have. */
const entriesMax = 1_000_000;

/** @throws AssertionError for lengths that are no whole numbers or make no sense, and too many entries */
export function compileWorkload(workload: Workload): Program {
  switch (workload.kind) {
    case 'hog':
      return compileProgram([['hog']], false);
    case 'idle':
      return compileProgram([], false);
    case 'phases':
      return compilePhases(workload);
    default: {
      const sources: JobSource[] = [];
      const repeat = workload.kind === 'trace' ? (workload.repeat ?? false) : true;
      return compileProgram(stepsOf(workload, 0, sources), repeat, sources);
    }
  }
}

function compilePhases({ phases, repeat = false }: PhasedWorkload): Program {
  assert(phases.length <= entriesMax, `${phases.length} phases`);
  const steps: Step[] = [];
  const sources: JobSource[] = [];
  for (const { durationNs, workload } of phases) {
    assert(Number.isSafeInteger(durationNs) && durationNs > 0, `a phase of ${durationNs}`);
    if (workload.kind === 'idle') {
      steps.push(['block', durationNs]);
      continue;
    }
    steps.push(['phase', durationNs]);
    const first = steps.length;
    // The step after the phase: past its own steps and the way back.
    const length = stepsOf(workload, 0, []).length;
    for (const step of stepsOf(workload, first + length + 1, sources)) steps.push(step);
    steps.push(['again', first]);
  }
  return compileProgram(steps, repeat, sources);
}

/** The steps of one round; `exit` is where a wait for a job goes when its phase is over. */
function stepsOf(
  workload: Exclude<SimpleWorkload, { kind: 'idle' }>,
  exit: number,
  sources: JobSource[],
): readonly Step[] {
  switch (workload.kind) {
    case 'hog': {
      const { unitNs = hogUnitNs } = workload;
      assert(unitNs >= 1, `a unit of work of ${unitNs}`);
      return [['run', unitNs], ['mark']];
    }
    case 'locking':
      return lockingSteps(workload);
    case 'trace': {
      const { entries } = workload;
      assert(entries.length <= entriesMax, `a trace of ${entries.length} entries`);
      return entries.flatMap(({ runNs, blockNs }): Step[] => [['run', runNs], ['mark'], ['block', blockNs]]);
    }
    default:
      sources.push(sourceOf(workload));
      return [['job', sources.length - 1, exit], run(workNsOf(workload)), ['done']];
  }
}

function lockingSteps(workload: Extract<SimpleWorkload, { kind: 'locking' }>): readonly Step[] {
  const { gapNs, holdNs, locks = 1, sleepNs, perSleep = 1 } = workload;
  assert(Number.isSafeInteger(locks) && locks >= 1, `${locks} locks`);
  assert(Number.isSafeInteger(perSleep) && perSleep >= 1 && perSleep <= entriesMax, `${perSleep} times a sleep`);
  const once: readonly Step[] = [run(gapNs), ['lock', 0, locks - 1], run(holdNs), ['unlock'], ['mark']];
  if (sleepNs === undefined) return once;
  return [...Array.from({ length: perSleep }, () => once).flat(), ['block', ...rangeOf(sleepNs)]];
}

type WithJobs = Extract<SimpleWorkload, { kind: 'periodic' | 'interactive' | 'server' }>;

const workNsOf = (workload: WithJobs): Length => (workload.kind === 'server' ? workload.serviceNs : workload.workNs);

function run(length: Length): Step {
  const [from, to] = rangeOf(length);
  return ['run', from, to];
}

function rangeOf(length: Length): readonly [number, number] {
  const [from, to] = typeof length === 'number' ? [length, length] : length;
  assert(
    Number.isSafeInteger(from) && Number.isSafeInteger(to) && from >= 0 && to >= from,
    `a length of ${from}…${to}`,
  );
  return [from, to];
}

function sourceOf(workload: WithJobs): JobSource {
  switch (workload.kind) {
    case 'periodic': {
      const { periodNs, deadlineNs = periodNs } = workload;
      assert(Number.isSafeInteger(periodNs) && periodNs > 0, `a period of ${periodNs}`);
      assert(Number.isSafeInteger(deadlineNs) && deadlineNs > 0, `a deadline of ${deadlineNs}`);
      return { kind: 'periodic', periodNs, deadlineNs };
    }
    case 'interactive': {
      const [fromNs, toNs] = rangeOf(workload.sleepNs);
      return { kind: 'thinking', fromNs, toNs };
    }
    default: {
      const { meanGapNs, burst } = workload;
      assert(Number.isFinite(meanGapNs) && meanGapNs > 0, `requests every ${meanGapNs}`);
      if (burst === undefined) return { kind: 'poisson', meanGapNs };
      assert(Number.isSafeInteger(burst.onNs) && burst.onNs > 0, `bursts of ${burst.onNs}`);
      assert(Number.isSafeInteger(burst.offNs) && burst.offNs >= 0, `${burst.offNs} between bursts`);
      return { kind: 'bursts', meanGapNs, ...burst };
    }
  }
}
