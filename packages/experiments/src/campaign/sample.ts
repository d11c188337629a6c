/** The raw data of a campaign: a line of JSON for each run that was made, in the order in which they ended. */
import { err, ok, type Result } from '@xenolith/base';
import type { CommandOutcome } from './figure.ts';
import type { MachineFacts } from './machine-facts.ts';
import type { Step } from './plan.ts';
import type { XenHostFacts } from './xen-host.ts';

/** A run that was made, whether it gave a figure or not. */
export interface Sample {
  readonly format: 'xenolith sample 1';
  readonly source: 'measured';
  /** Id of the step. */
  readonly step: string;
  readonly workload: string;
  readonly configuration: string;
  readonly threads: number;
  readonly run: number;
  readonly isWarmUp: boolean;
  /** Absent for a run that failed: then there is a problem. */
  readonly value?: number;
  readonly unit: string;
  readonly problem?: string;
  /** Wall-clock time of the command, by a monotonic clock. */
  readonly seconds: number;
  readonly exitStatus: number;
  /** ISO 8601, in UTC. */
  readonly startedAt: string;
  readonly endedAt: string;
  readonly place: string;
  /** The machine that ran it; of guests the first. */
  readonly machine: MachineFacts;
  /** The host that it is, or that it ran on. */
  readonly host?: XenHostFacts;
  /** Of guests, the figure is the mean of theirs; there is none when one of them has none. */
  readonly guests?: readonly GuestSample[];
  readonly programs: Readonly<Record<string, string>>;
  /** The system's own word that the configuration was in force. */
  readonly said?: string;
  /** The last of what the command printed. */
  readonly stdout: string;
  readonly stderr: string;
}

/** A guest's part in a run. */
export interface GuestSample {
  readonly name: string;
  readonly value?: number;
  readonly problem?: string;
  readonly said?: string;
  /** By the guest's own clock. */
  readonly seconds: number;
  readonly exitStatus: number;
}

/** What is known of a run beside its step and its outcome. */
export type SampleCircumstances = Pick<Sample, 'unit' | 'startedAt' | 'endedAt' | 'place' | 'machine' | 'programs'> & {
  readonly said: string | undefined;
  readonly host?: XenHostFacts | undefined;
  readonly guests?: readonly GuestSample[] | undefined;
};

/** Characters of output that are kept with a sample. */
const outputKept = 2048;

export function sampleOf(
  { id, workload, configuration, threads, run, isWarmUp }: Step,
  outcome: CommandOutcome,
  figure: Result<number, string>,
  { said, unit, startedAt, endedAt, place, machine, programs, host, guests }: SampleCircumstances,
): Sample {
  return {
    format: 'xenolith sample 1',
    source: 'measured',
    step: id,
    workload: workload.name,
    configuration: configuration.name,
    threads,
    run,
    isWarmUp,
    ...(figure.ok ? { value: figure.value } : { problem: figure.error }),
    unit,
    seconds: outcome.seconds,
    exitStatus: outcome.exitStatus,
    startedAt,
    endedAt,
    place,
    ...(said === undefined ? {} : { said }),
    machine,
    ...(host === undefined ? {} : { host }),
    ...(guests === undefined ? {} : { guests }),
    programs,
    stdout: outcome.stdout.slice(-outputKept),
    stderr: outcome.stderr.slice(-outputKept),
  };
}

export const sampleLine = (sample: Sample): string => `${JSON.stringify(sample)}\n`;

export interface SampleFile {
  readonly samples: readonly Sample[];
  /** Characters of the whole lines. What follows them was being written when the machine or the program stopped: it counts for nothing. */
  readonly wholeLength: number;
}

/** Reads the lines of a file of samples. A whole line that is no sample, or a second figure for a run, is an error with its line's number. */
export function parseSamples(text: string): Result<SampleFile, string> {
  const wholeLength = text.lastIndexOf('\n') + 1;
  const samples: Sample[] = [];
  const done = new Set<string>();
  // What follows the last line's end is not looked at.
  for (const [index, line] of text.slice(0, wholeLength).split('\n').slice(0, -1).entries()) {
    const sample = parseSample(line);
    if (sample === undefined) return err(`line ${index + 1} is no sample`);
    if (done.has(sample.step)) return err(`line ${index + 1} is another sample of ${sample.step}`);
    if (sample.value !== undefined) done.add(sample.step);
    samples.push(sample);
  }
  return ok({ samples, wholeLength });
}

const kinds = {
  step: 'string',
  workload: 'string',
  configuration: 'string',
  threads: 'number',
  run: 'number',
  isWarmUp: 'boolean',
  unit: 'string',
  seconds: 'number',
  exitStatus: 'number',
  startedAt: 'string',
  endedAt: 'string',
  place: 'string',
  stdout: 'string',
  stderr: 'string',
} as const satisfies Partial<Record<keyof Sample, string>>;

function parseSample(line: string): Sample | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!isObject(value) || value['format'] !== 'xenolith sample 1' || value['source'] !== 'measured') return undefined;
  const isWhole =
    Object.entries(kinds).every(([name, kind]) => typeof value[name] === kind) &&
    isObject(value['programs']) &&
    isObject(value['machine']) &&
    isObject(value['machine']['kernel']) &&
    (typeof value['value'] === 'number') !== (typeof value['problem'] === 'string');
  return isWhole ? (value as unknown as Sample) : undefined;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The steps of a plan that no sample has a figure of. */
export function stepsLeft(plan: readonly Step[], samples: readonly Sample[]): readonly Step[] {
  const done = new Set(samples.flatMap(({ step, value }) => (value === undefined ? [] : [step])));
  return plan.filter(({ id }) => !done.has(id));
}
