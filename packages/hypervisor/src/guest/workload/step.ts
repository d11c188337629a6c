/** Programs of simple steps: what guests do on their vCPUs. */
import { assert } from '@xenolith/base';
import type { JobSource } from './jobs.ts';

/**
 * A step of a program. Times are whole nanoseconds; with two of them the length is drawn, evenly, when the step is
 * taken up.
 */
export type Step =
  /** Computes for ever. */
  | readonly ['hog']
  /** Computes for so much of its own running time. */
  | readonly ['run', number]
  | readonly ['run', number, number]
  /** Blocks for so much wall time. */
  | readonly ['block', number]
  | readonly ['block', number, number]
  | readonly ['yield']
  /** Sends an event to a vCPU of a domain. */
  | readonly ['kick', number, number]
  /** Waits for an event, unless one has come since the last wait. */
  | readonly ['wait']
  /** Waits for the next job of a source, by its number; the step to go on at when the phase ends before one comes. */
  | readonly ['job', number, number]
  /** The job is done: its response time is noted. */
  | readonly ['done']
  /** A unit of work is done. */
  | readonly ['mark']
  /** Takes a spinlock of the domain's kernel, by its number, or one of several, drawn evenly. */
  | readonly ['lock', number]
  | readonly ['lock', number, number]
  /** Gives back the lock that it has. */
  | readonly ['unlock']
  /** As `run`, by a handler of interrupts: it counts as overhead of the kernel. */
  | readonly ['serve', number]
  /** Begins a phase of so much wall time. */
  | readonly ['phase', number]
  /** Goes back to a step, by its number, unless the phase is over. */
  | readonly ['again', number];

/** A program as it is kept: each step is {@link stepNumbers} numbers of one array, so that one is read at one place. */
export interface Program {
  /** What to do, an {@link op}, and its two numbers; the last one is not used. */
  readonly steps: Float64Array;
  readonly repeat: boolean;
  readonly sources: readonly JobSource[];
}

/** Numbers of a step in {@link Program.steps}, and where its own are. */
export const stepNumbers = 4;
export const ofStep = { op: 0, from: 1, to: 2 } as const;

export const op = {
  hog: 0,
  run: 1,
  block: 2,
  yield: 3,
  kick: 4,
  wait: 5,
  job: 6,
  done: 7,
  mark: 8,
  phase: 9,
  again: 10,
  lock: 11,
  unlock: 12,
  serve: 13,
} as const;

/** Steps with two numbers that are no range of lengths. */
const hasTwoNumbers = (name: Step[0]): boolean => name === 'kick' || name === 'job';

/** @throws AssertionError for lengths that are no whole numbers, or the wrong way round */
export function compileProgram(steps: readonly Step[], repeat: boolean, sources: readonly JobSource[] = []): Program {
  const numbers = new Float64Array(steps.length * stepNumbers);
  steps.forEach(([name, first = 0, second], index) => {
    const last = hasTwoNumbers(name) ? (second ?? 0) : (second ?? first);
    numbers.set([op[name], first, last], index * stepNumbers);
    assert(Number.isSafeInteger(first) && first >= 0, `a step ${name} of ${first}`);
    if (!hasTwoNumbers(name)) assert(last >= first, `a step ${name} from ${first} to ${last}`);
  });
  return { steps: numbers, repeat, sources };
}

/** Nothing to do: the vCPU blocks at once, for ever. */
export const emptyProgram: Program = compileProgram([], false);
