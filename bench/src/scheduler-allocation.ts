import { type HeapProfiler, Session } from 'node:inspector/promises';
import { runScenario, type Scenario } from '@xenolith/hypervisor';
import type { Bench, Size } from './bench.ts';
import { busyMachine } from './scheduler-events.ts';

/** One in so many bytes is looked at: the figure of a run is good to some hundredths of a byte an event. */
const samplingIntervalBytes = 1024;
const schedulers = ['credit', 'credit2', 'rtds', 'null'] as const;
const bytesPerEventMax = 1;

/** 64 pCPUs and four times as many vCPUs; `null` lets one vCPU have a pCPU. */
const machineOf = (scheduler: (typeof schedulers)[number], durationNs: number): Scenario => ({
  ...busyMachine(64, scheduler === 'null' ? 64 : 256, durationNs),
  scheduler,
  params: {},
});

/** Bytes that a run allocates, for each timer and decision of it, those that are soon free again among them. */
async function bytesPerEvent(scenario: Scenario): Promise<{ readonly bytes: number; readonly events: number }> {
  const session = new Session();
  session.connect();
  try {
    await session.post('HeapProfiler.startSampling', {
      samplingInterval: samplingIntervalBytes,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    });
    const { events, decisions } = runScenario(scenario);
    const { profile } = await session.post('HeapProfiler.stopSampling');
    return { bytes: bytesOf(profile.head), events: events + decisions };
  } finally {
    session.disconnect();
  }
}

const bytesOf = ({ selfSize, children }: HeapProfiler.SamplingHeapProfileNode): number =>
  children.reduce((sum, child) => sum + bytesOf(child), selfSize);

async function measure(size: Size): Promise<{ readonly lines: readonly string[]; readonly most: number }> {
  const durationNs = size === 'full' ? 10_000_000_000 : 1_000_000;
  const lines: string[] = [];
  let most = 0;
  for (const scheduler of schedulers) {
    const scenario = machineOf(scheduler, durationNs);
    // What is not compiled yet allocates.
    if (size === 'full') for (let run = 0; run < 3; run++) runScenario(machineOf(scheduler, durationNs / 5));
    const { bytes, events } = await bytesPerEvent(scenario);
    most = Math.max(most, bytes / events);
    lines.push(
      `${scheduler}: ${(bytes / events).toFixed(3)} bytes an event (${(bytes / 1024).toFixed(0)} KiB in ${(events / 1e6).toFixed(1)} M events, setting up included)`,
    );
  }
  return { lines, most };
}

/** Whether events allocate: by the heap profiler's samples, those of what was collected since included. */
export const schedulerAllocation: Bench = {
  name: 'scheduler-allocation',
  what: 'bytes allocated for each timer and decision on 64 pCPUs with 256 vCPUs (null: 64), by a sampling heap profile',
  bar: { text: `at most ${bytesPerEventMax} byte an event`, holds: (bytes) => bytes <= bytesPerEventMax },
  run: async (size) => {
    const { lines, most } = await measure(size);
    return { lines, figure: most, unit: 'bytes an event, the most' };
  },
};
