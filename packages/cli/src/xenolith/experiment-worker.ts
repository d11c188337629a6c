/** A thread that does runs of experiments: told which one by its number in the plan, it answers with the values. */
import { parentPort, workerData } from 'node:worker_threads';
import { runTask } from '@xenolith/experiments';
import { knownExperiment, type WorkerJob, type WorkerOrder } from './experiment-threads.ts';

const { name, question, run } = workerData as WorkerJob;
const experiment = knownExperiment(name, question);

parentPort?.on('message', ({ index, task }: WorkerOrder) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- to a thread, not a window
  parentPort?.postMessage({ index, values: runTask(experiment, task, run) });
});
