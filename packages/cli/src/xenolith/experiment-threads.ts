/** Runs of an experiment on several threads: what each comes to hangs on its seed alone, so the result is the same as on one. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { present } from '@xenolith/base';
import {
  experimentResult,
  experiments,
  plannedRuns,
  runExperiment,
  whatIfExperiment,
  type Experiment,
  type ExperimentResult,
  type RunOptions,
  type RunTask,
  type RunValues,
  type WhatIfQuestion,
} from '@xenolith/experiments';

/** What a thread is for. */
export interface WorkerJob {
  readonly name: string;
  /** What the experiment is made of where it is none of those with a name of their own. */
  readonly question: WhatIfQuestion | undefined;
  readonly run: Pick<RunOptions, 'durationNs' | 'topology'>;
}

/** A run that a thread is to do, by its number in the plan. */
export interface WorkerOrder {
  readonly index: number;
  readonly task: RunTask;
}

interface WorkerAnswer {
  readonly index: number;
  readonly values: RunValues;
}

/** Runs that are worth the start of a thread. */
const runsPerThread = 16;

/** Threads to use where nobody says how many: as many as there are processors, if there is enough to do. */
export const threadsFor = (runs: number): number =>
  Math.max(1, Math.min(availableParallelism(), Math.floor(runs / runsPerThread)));

/** An experiment with all of its cases. */
export function knownExperiment(name: string, question?: WhatIfQuestion): Experiment {
  const asked = question && whatIfExperiment(question);
  return present(
    asked?.ok === true ? asked.value : experiments.find((each) => each.name === name),
    `experiment ${name}`,
  );
}

/**
 * Does what {@link runExperiment} does on so many threads.
 * @param question what the experiment was made of, if it is none with a name
 * @throws what a run throws; then all threads end
 */
export async function runOnThreads(
  experiment: Experiment,
  options: RunOptions,
  threads: number,
  question?: WhatIfQuestion,
): Promise<ExperimentResult> {
  const tasks = plannedRuns(experiment, options);
  const count = Math.min(threads, tasks.length);
  if (count <= 1) return runExperiment(experiment, options);
  const { onProgress, durationNs, topology } = options;
  const job: WorkerJob = { name: experiment.name, question, run: { durationNs, ...(topology && { topology }) } };
  const workers = Array.from(
    { length: count },
    () => new Worker(new URL('experiment-worker.ts', import.meta.url), { workerData: job }),
  );
  try {
    const runs: RunValues[] = [];
    let next = 0;
    let done = 0;
    const work = (worker: Worker): Promise<void> =>
      new Promise((resolve, reject) => {
        const order = (): void => {
          const index = next++;
          const task = tasks[index];
          if (task === undefined) {
            resolve();
            return;
          }
          onProgress?.(done, tasks.length, `${task.caseName}: ${task.variantName}`);
          // oxlint-disable-next-line unicorn/require-post-message-target-origin -- to a thread, not a window
          worker.postMessage({ index, task } satisfies WorkerOrder);
        };
        worker.on('error', reject);
        worker.on('exit', (code) => reject(new Error(`a thread ended with ${code}`)));
        worker.on('message', ({ index, values }: WorkerAnswer) => {
          runs[index] = values;
          done++;
          order();
        });
        order();
      });
    await Promise.all(workers.map(work));
    onProgress?.(tasks.length, tasks.length, '');
    return experimentResult(experiment, options, runs);
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
