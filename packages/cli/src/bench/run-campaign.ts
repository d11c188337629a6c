/** Making the runs of a campaign that are still to be made. */
import { mkdir } from 'node:fs/promises';
import { resolve as resolvePath } from 'node:path';
import {
  kernelMismatch,
  planSteps,
  recipeOf,
  sampleOf,
  stepsLeft,
  type Campaign,
  type CampaignHost,
  type Configuration,
  type GuestFile,
  type Sample,
  type Step,
} from '@xenolith/experiments/campaign';
import { BenchError, BenchInterrupted, withEnd } from './bench-error.ts';
import type { BenchHost } from './bench-host.ts';
import { keepDefinition, openSamples, type SampleLog } from './campaign-directory.ts';
import { guestsGround, machineGround, type Ground, type GroundStage } from './ground.ts';
import { guestArchive, type GuestArchive } from './guest-files.ts';
import type { Place, Service } from './place.ts';

export interface CampaignRun {
  readonly campaign: Campaign;
  readonly directory: string;
  /** What is relative in the definition is so to it. */
  readonly definitionDirectory: string;
  /** This machine. */
  readonly place: Place;
  readonly openHost: (host: CampaignHost, directory: string, signal: AbortSignal) => Promise<BenchHost>;
  /** Ends whatever runs. */
  readonly signal: AbortSignal;
  /** How many runs of each cell are made at most this time. */
  readonly rounds: number;
  /** Now, in ISO 8601. */
  readonly now: () => string;
  readonly progress: (progress: Progress) => void;
}

export interface Progress {
  readonly done: number;
  readonly total: number;
  /** The run that is made now, or what came of it. */
  readonly what: string;
  readonly isEnd: boolean;
}

/** What came of it. */
export interface CampaignOutcome {
  readonly samples: readonly Sample[];
  /** Runs of this time that gave no figure. */
  readonly failed: number;
  /** Runs whose configuration wants another kernel, or another command line of it, than the one that runs: by configuration, why. */
  readonly waiting: ReadonlyMap<string, readonly string[]>;
  /** Runs that are still to be made. */
  readonly left: number;
}

/** After so many failures in a row the rest would fail too. */
const failuresMax = 3;

/**
 * Makes every run that has no figure yet, in the plan's order; each is on the disk before the next begins.
 * @throws BenchError when it cannot go on, BenchInterrupted
 */
export async function runCampaign(run: CampaignRun): Promise<CampaignOutcome> {
  const { campaign, place } = run;
  const directory = resolvePath(run.directory);
  await mkdir(directory, { recursive: true });
  const lock = await lockDirectory(place, directory);
  const work = async (): Promise<CampaignOutcome> => {
    await keepDefinition(directory, campaign);
    const log = await openSamples(directory);
    return withEnd(
      () => makeRuns(run, log),
      () => log.close(),
    );
  };
  return withEnd(work, () => lock.stop());
}

/** One program at a time works on a directory: flock(2), which ends with its holder. The one before may have been killed just now. */
async function lockDirectory(place: Place, directory: string): Promise<Service> {
  const held = ['sh', '-c', 'echo ready; read -r _'];
  const argv = ['flock', '--exclusive', '--timeout', '5', `${directory}/lock`, ...held];
  try {
    return await place.start({ argv, environment: {}, directory, timeLimitSeconds: 60 });
  } catch (error) {
    if (!(error instanceof BenchError) || error instanceof BenchInterrupted) throw error;
    throw new BenchError(`${directory} is being worked on by another program (${error.message})`, { cause: error });
  }
}

async function makeRuns(run: CampaignRun, log: SampleLog): Promise<CampaignOutcome> {
  const plan = planSteps(run.campaign);
  const left = stepsLeft(plan, log.samples);
  if (left.length === 0) return { samples: log.samples, failed: 0, waiting: new Map(), left: 0 };
  const grounds = openGrounds(run);
  return withEnd(
    () => makeRunsOn(grounds, run, log, { plan, left }),
    () => grounds.close(),
  );
}

async function makeRunsOn(
  grounds: Grounds,
  run: CampaignRun,
  log: SampleLog,
  { plan, left }: { readonly plan: readonly Step[]; readonly left: readonly Step[] },
): Promise<CampaignOutcome> {
  const samples = [...log.samples];
  const waiting = new Map<string, readonly string[]>();
  for (const configuration of new Set(left.map((step) => step.configuration))) {
    const { kernel } = await grounds.of(configuration);
    const mismatch = kernel === undefined ? [] : kernelMismatch(configuration.kernel, kernel);
    if (mismatch.length > 0) waiting.set(configuration.name, mismatch);
  }
  const now = ofRounds(
    left.filter(({ configuration }) => !waiting.has(configuration.name)),
    run.rounds,
  );
  const counts = { done: plan.length - left.length, total: plan.length, failed: 0, inRow: 0 };
  for (const steps of Map.groupBy(now, ({ workload }) => workload).values()) {
    const stages = openStages(grounds, steps);
    const work = async (): Promise<void> => {
      for (const step of steps) {
        run.progress({ ...counts, what: stepText(step), isEnd: false });
        const sample = await makeRun(run, await stages.of(step), step);
        await log.append(sample);
        samples.push(sample);
        counts.done += sample.problem === undefined ? 1 : 0;
        counts.failed += sample.problem === undefined ? 0 : 1;
        counts.inRow = sample.problem === undefined ? 0 : counts.inRow + 1;
        run.progress({ ...counts, what: `${stepText(step)}: ${outcomeText(sample)}`, isEnd: true });
        if (counts.inRow >= failuresMax) {
          throw new BenchError(`${failuresMax} runs failed one after the other, the last: ${failureText(sample)}`);
        }
      }
    };
    await withEnd(work, () => stages.close());
  }
  return { samples, failed: counts.failed, waiting, left: stepsLeft(plan, samples).length };
}

/** The steps of so many rounds: the next runs of each workload with each number of threads in each configuration. */
function ofRounds(steps: readonly Step[], rounds: number): readonly Step[] {
  const counts = new Map<string, number>();
  return steps.filter(({ workload, threads, configuration }) => {
    const cell = [workload.name, threads, configuration.name].join('/');
    const count = (counts.get(cell) ?? 0) + 1;
    counts.set(cell, count);
    return count <= rounds;
  });
}

/** Things that are opened when they are first asked for, and closed together, the last first. */
function openedOnce<K, T extends { close(): Promise<void> }>(
  open: (key: K) => Promise<T>,
  nameOf: (key: K) => string,
): { of(key: K): Promise<T>; close(): Promise<void> } {
  const opened = new Map<string, T>();
  return {
    of: async (key) => {
      const name = nameOf(key);
      const known = opened.get(name);
      if (known !== undefined) return known;
      const thing = await open(key);
      opened.set(name, thing);
      return thing;
    },
    close: async () => {
      const failures: unknown[] = [];
      // What one of them cannot close does not keep the others open.
      for (const thing of [...opened.values()].toReversed()) await thing.close().catch((error) => failures.push(error));
      if (failures.length > 0) throw failures[0];
    },
  };
}

interface Grounds {
  of(configuration: Configuration): Promise<Ground>;
  close(): Promise<void>;
}

function openGrounds(run: CampaignRun): Grounds {
  const { campaign, definitionDirectory, place, signal } = run;
  const hosts = openedOnce(
    (host: CampaignHost) => run.openHost(host, resolvePath(run.directory), signal),
    (host) => JSON.stringify(host),
  );
  const archives = new Map<string, Promise<GuestArchive>>();
  const archiveOf = (files: readonly GuestFile[]): Promise<GuestArchive> => {
    const key = JSON.stringify(files);
    const archive = archives.get(key) ?? guestArchive(place, files, definitionDirectory);
    archives.set(key, archive);
    return archive;
  };
  const grounds = openedOnce(
    async ({ where }: Configuration) => {
      if (where.kind === 'this machine') return machineGround(place, campaign, undefined);
      const host = await hosts.of(where.host);
      if (where.kind === 'host') return machineGround(host.place, campaign, host.xen);
      return guestsGround(host, where, { campaign, archive: await archiveOf(where.files), signal });
    },
    ({ where }) => JSON.stringify(where),
  );
  return {
    of: (configuration) => grounds.of(configuration),
    close: () =>
      withEnd(
        () => grounds.close(),
        () => hosts.close(),
      ),
  };
}

/** A workload made ready on each ground that its steps are on. */
function openStages(
  grounds: Grounds,
  steps: readonly Step[],
): { of(step: Step): Promise<GroundStage>; close(): Promise<void> } {
  const nameOf = ({ configuration }: Step): string => JSON.stringify(configuration.where);
  return openedOnce(async (step: Step) => {
    const ground = await grounds.of(step.configuration);
    return ground.openStage(steps.filter((each) => nameOf(each) === nameOf(step)));
  }, nameOf);
}

async function makeRun(run: CampaignRun, stage: GroundStage, step: Step): Promise<Sample> {
  const startedAt = run.now();
  const { outcome, figure, ...circumstances } = await stage.run(step);
  const { unit } = recipeOf(step.workload).figure;
  return sampleOf(step, outcome, figure, { ...circumstances, unit, startedAt, endedAt: run.now() });
}

const stepText = ({ workload, threads, configuration, run, isWarmUp }: Step): string =>
  `${workload.name}, ${threads} ${threads === 1 ? 'thread' : 'threads'}, ${configuration.name}, ${isWarmUp ? 'warm-up' : 'run'} ${run}`;

const outcomeText = ({ value, unit, problem }: Sample): string =>
  value === undefined ? `failed: ${problem}` : `${value} ${unit}`;

function failureText({ step, problem, stderr, stdout }: Sample): string {
  const said = (stderr.trim() || stdout.trim()).split('\n').slice(-5).join('\n');
  return `${step}: ${problem}${said === '' ? '' : `\n${said}`}`;
}
