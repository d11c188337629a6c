import { setFlagsFromString } from 'node:v8';
import { present } from '@xenolith/base';
import { experiments, plannedRuns, runTask } from '@xenolith/experiments';
import { machineV8Flags } from '@xenolith/hypervisor';
import { cpuSeconds, spread, type Bench } from './bench.ts';

/** All runs of `xenolith experiment numa`, which threads share without a word to each other. */
export const numaExperiment: Bench = {
  name: 'numa-experiment',
  what: 'the 160 runs of `xenolith experiment numa`, as two threads would have them: half of their CPU time',
  bar: { text: 'below 20 s on two cores', holds: (figureS) => figureS < 20 },
  run: (size) => {
    setFlagsFromString(machineV8Flags);
    const all = present(
      experiments.find(({ name }) => name === 'numa'),
      'numa',
    );
    const experiment = { ...all, cases: all.cases.filter(({ isExtra }) => isExtra !== true) };
    const { repetitions } = experiment;
    const tasks = plannedRuns(experiment, { seed: 1, durationNs: 0, repetitions });
    const [asked, durationNs] = size === 'full' ? [tasks, experiment.durationNs] : [tasks.slice(0, 2), 1e7];
    const times = asked.map((task) => cpuSeconds(() => runTask(experiment, task, { durationNs })));
    return Promise.resolve({
      lines: [`${asked.length} times four placements: ${spread(times, 3)} s of CPU time`],
      figure: times.reduce((sum, time) => sum + time, 0) / 2,
      unit: 's',
    });
  },
};
