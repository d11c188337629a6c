/** Making the runs of a campaign that are still to be made. */
import { mkdir } from 'node:fs/promises';
import { resolve as resolvePath } from 'node:path';
import { err, type Result } from '@xenolith/base';
import {
  kernelMismatch,
  planSteps,
  readFigure,
  recipeOf,
  sampleOf,
  stepsLeft,
  type Campaign,
  type CommandOutcome,
  type Sample,
  type Step,
} from '@xenolith/experiments/campaign';
import { BenchError, BenchInterrupted } from './bench-error.ts';
import { keepDefinition, openSamples, type SampleLog } from './campaign-directory.ts';
import type { Place, Service } from './place.ts';
import { openStage, type Stage } from './stage.ts';
import { openWorkspace, shell, type Workspace } from './workspace.ts';

export interface CampaignRun {
  readonly campaign: Campaign;
  readonly directory: string;
  readonly place: Place;
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
}

/** After so many failures in a row the rest would fail too. */
const failuresMax = 3;

/**
 * Makes every run that has no figure yet, in the plan's order; each is on the disk before the next begins.
 * @throws BenchError when it cannot go on, BenchInterrupted
 */
export async function runCampaign(run: CampaignRun): Promise<CampaignOutcome> {
  const { campaign, place } = run;
  refuseWhatIsNotThere(campaign);
  const directory = resolvePath(run.directory);
  await mkdir(directory, { recursive: true });
  const lock = await lockDirectory(place, directory);
  try {
    await keepDefinition(directory, campaign);
    const log = await openSamples(directory);
    try {
      return await makeRuns(run, log);
    } finally {
      await log.close();
    }
  } finally {
    await lock.stop();
  }
}

function refuseWhatIsNotThere({ configurations }: Campaign): void {
  const elsewhere = configurations.filter(({ where }) => where.kind !== 'this machine');
  if (elsewhere.length === 0) return;
  throw new BenchError(
    `campaigns run on this machine only, as yet: not on hosts and not in guests (${elsewhere.map(({ name }) => name).join(', ')})`,
  );
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
  const { campaign, place } = run;
  const plan = planSteps(campaign);
  const left = stepsLeft(plan, log.samples);
  const samples = [...log.samples];
  const waiting = new Map<string, readonly string[]>();
  if (left.length === 0) return { samples, failed: 0, waiting };
  const workspace = await openWorkspace(place, campaign.data, neededBytes(campaign));
  try {
    for (const { name, kernel } of campaign.configurations) {
      const mismatch = kernelMismatch(kernel, workspace.machine.kernel);
      if (mismatch.length > 0) waiting.set(name, mismatch);
    }
    const now = left.filter(({ configuration }) => !waiting.has(configuration.name));
    const counts = { done: plan.length - left.length, total: plan.length, failed: 0, inRow: 0 };
    for (const steps of Map.groupBy(now, ({ workload }) => workload).values()) {
      const stage = await openStage(workspace, steps, campaign.timeLimitSeconds);
      try {
        for (const step of steps) {
          run.progress({ ...counts, what: stepText(step), isEnd: false });
          const sample = await makeRun(run, workspace, stage, step);
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
      } finally {
        await stage.close();
      }
    }
    const open = new Set(left.map(({ configuration }) => configuration.name));
    for (const name of waiting.keys()) if (!open.has(name)) waiting.delete(name);
    return { samples, failed: counts.failed, waiting };
  } finally {
    await workspace.close();
  }
}

async function makeRun(run: CampaignRun, workspace: Workspace, stage: Stage, step: Step): Promise<Sample> {
  const startedAt = run.now();
  const { outcome, figure, said } = await attempt(run, stage, step);
  const { place, machine } = workspace;
  return sampleOf(step, outcome, figure, {
    said,
    unit: recipeOf(step.workload).figure.unit,
    startedAt,
    endedAt: run.now(),
    place: place.name,
    machine,
    programs: stage.programs,
  });
}

interface Attempt {
  readonly outcome: CommandOutcome;
  readonly figure: Result<number, string>;
  readonly said: string | undefined;
}

/** What comes before a run, the question whether its configuration is in force, and the run. */
async function attempt({ campaign, place }: CampaignRun, stage: Stage, step: Step): Promise<Attempt> {
  const { configuration, threads, workload } = step;
  const { run: script, before, figure } = recipeOf(workload);
  const environment = { ...(await stage.environmentOf(configuration)), THREADS: String(threads) };
  const limit = campaign.timeLimitSeconds;
  for (const each of [configuration.before, before]) {
    if (each === undefined) continue;
    const outcome = await place.run(shell(each, environment, stage.data, limit));
    if (outcome.exitStatus !== 0) {
      const problem = `what comes before the run ended with exit status ${outcome.exitStatus}`;
      return { outcome, figure: err(problem), said: undefined };
    }
  }
  const said = await stage.checked(configuration, environment);
  if (!said.ok) return { outcome: nothingRun, figure: said, said: undefined };
  const argv = [...configuration.prefix, 'sh', '-c', script];
  const outcome = await place.run({ argv, environment, directory: stage.data, timeLimitSeconds: limit });
  return { outcome, figure: readFigure(figure, outcome), said: said.value };
}

const nothingRun: CommandOutcome = { exitStatus: 0, seconds: 0, isTimedOut: false, stdout: '', stderr: '' };

/** Room that the largest workload takes, as each has the data directory for itself, and what the definition asks for. */
function neededBytes({ workloads, configurations, data }: Campaign): number {
  const each = workloads.map((workload) => {
    const { shared, own } = recipeOf(workload).bytes;
    return shared + own * configurations.length;
  });
  return Math.max(...each) + data.freeBytes;
}

const stepText = ({ workload, threads, configuration, run, isWarmUp }: Step): string =>
  `${workload.name}, ${threads} ${threads === 1 ? 'thread' : 'threads'}, ${configuration.name}, ${isWarmUp ? 'warm-up' : 'run'} ${run}`;

const outcomeText = ({ value, unit, problem }: Sample): string =>
  value === undefined ? `failed: ${problem}` : `${value} ${unit}`;

function failureText({ step, problem, stderr, stdout }: Sample): string {
  const said = (stderr.trim() || stdout.trim()).split('\n').slice(-5).join('\n');
  return `${step}: ${problem}${said === '' ? '' : `\n${said}`}`;
}
