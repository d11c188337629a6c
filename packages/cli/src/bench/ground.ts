/** Where the runs of some configurations are made: a machine, or the guests of a host. */
import { err, type Result } from '@xenolith/base';
import {
  readFigure,
  recipeOf,
  type Campaign,
  type CommandOutcome,
  type GuestSample,
  type GuestShape,
  type KernelFacts,
  type MachineFacts,
  type Step,
  type XenHostFacts,
} from '@xenolith/experiments/campaign';
import type { BenchHost } from './bench-host.ts';
import type { GuestArchive } from './guest-files.ts';
import { runInGuests } from './guest-run.ts';
import type { Place } from './place.ts';
import { openStage, type Stage } from './stage.ts';
import { openWorkspace, shell, type Workspace } from './workspace.ts';

/** What came of a run, and where. */
export interface Attempt {
  readonly outcome: CommandOutcome;
  readonly figure: Result<number, string>;
  readonly said: string | undefined;
  readonly place: string;
  readonly machine: MachineFacts;
  readonly programs: Readonly<Record<string, string>>;
  readonly host?: XenHostFacts | undefined;
  readonly guests?: readonly GuestSample[] | undefined;
}

export interface Ground {
  /** The kernel that runs, where configurations may wait for another one. */
  readonly kernel: KernelFacts | undefined;
  /** Makes a workload ready for these runs of it. @throws BenchError */
  openStage(steps: readonly Step[]): Promise<GroundStage>;
  close(): Promise<void>;
}

export interface GroundStage {
  /** @throws BenchInterrupted; BenchError where the campaign cannot go on */
  run(step: Step): Promise<Attempt>;
  close(): Promise<void>;
}

/** This machine or a host's control domain. Workloads stay ready from run to run. */
export async function machineGround(place: Place, campaign: Campaign, xen: XenHostFacts | undefined): Promise<Ground> {
  const { data, timeLimitSeconds } = campaign;
  const workspace = await openWorkspace(place, data, neededBytes(campaign));
  return {
    kernel: workspace.machine.kernel,
    openStage: async (steps) => {
      const stage = await openStage(workspace, steps, timeLimitSeconds);
      return {
        run: async (step) => ({ ...(await attempt(workspace, stage, step, timeLimitSeconds)), host: xen }),
        close: () => stage.close(),
      };
    },
    close: () => workspace.close(),
  };
}

/** What comes before a run, the question whether its configuration is in force, and the run. */
async function attempt(
  { place, machine }: Workspace,
  stage: Stage,
  { configuration, threads, workload }: Step,
  limit: number,
): Promise<Attempt> {
  const { run: script, before, figure } = recipeOf(workload);
  const at = { place: place.name, machine, programs: stage.programs };
  const environment = { ...(await stage.environmentOf(configuration)), THREADS: String(threads) };
  for (const each of [configuration.before, before]) {
    if (each === undefined) continue;
    const outcome = await place.run(shell(each, environment, stage.data, limit));
    if (outcome.exitStatus !== 0) {
      const problem = `what comes before the run ended with exit status ${outcome.exitStatus}`;
      return { outcome, figure: err(problem), said: undefined, ...at };
    }
  }
  const said = await stage.checked(configuration, environment);
  if (!said.ok) return { outcome: nothingRun, figure: said, said: undefined, ...at };
  const argv = [...configuration.prefix, 'sh', '-c', script];
  const outcome = await place.run({ argv, environment, directory: stage.data, timeLimitSeconds: limit });
  return { outcome, figure: readFigure(figure, outcome), said: said.value, ...at };
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

/** Guests of a host, booted for each run. */
export function guestsGround(
  host: BenchHost,
  shape: GuestShape,
  options: { readonly campaign: Campaign; readonly archive: GuestArchive; readonly signal: AbortSignal },
): Ground {
  const { campaign, archive, signal } = options;
  const { data, timeLimitSeconds } = campaign;
  const run = { host, shape, archive, data, timeLimitSeconds, signal };
  const name = `${shape.vms === 1 ? 'a guest' : `${shape.vms} guests`} of ${host.place.name}`;
  return {
    kernel: undefined,
    openStage: () =>
      Promise.resolve({
        run: async (step) => ({ ...(await runInGuests(run, step)), place: name, host: host.xen }),
        close: () => Promise.resolve(),
      }),
    close: () => Promise.resolve(),
  };
}
