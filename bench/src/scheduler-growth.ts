import { writeFileSync } from 'node:fs';
import { chartDocument, lineChart, type Series } from '@xenolith/experiments';
import { median, spread, type Bench } from './bench.ts';
import { busyMachine, eventsPerSecond } from './scheduler-events.ts';

const plot = new URL('../../docs/reference/scheduler-speed.svg', import.meta.url);
const schedulers = ['credit', 'credit2', 'rtds'] as const;
const pcpuAxis = [1, 2, 4, 8, 16, 32, 64, 128] as const;
const vcpuAxis = [64, 128, 256, 512, 1024] as const;
interface Point {
  readonly pcpus: number;
  readonly vcpus: number;
}

/** M events/s at each point, of each scheduler by turns; runs of so much simulated time times vCPUs. */
function ratesOf(points: readonly Point[], vcpuNs: number, rounds: number, lines: string[]): readonly Series[] {
  return schedulers.map((scheduler) => ({
    name: scheduler,
    values: points.map(({ pcpus, vcpus }) => {
      const scenario = { ...busyMachine(pcpus, vcpus, Math.floor(vcpuNs / vcpus)), scheduler, params: {} };
      eventsPerSecond(scenario);
      const samples = Array.from({ length: rounds }, () => eventsPerSecond(scenario) / 1e6);
      lines.push(`${scheduler}, ${pcpus} pCPUs, ${vcpus} vCPUs: ${spread(samples, 2)} M events/s`);
      return { value: median(samples), halfWidth: (Math.max(...samples) - Math.min(...samples)) / 2 };
    }),
  }));
}

/** How the rate falls as the machine grows; with a plot of it in the documentation. */
export const schedulerGrowth: Bench = {
  name: 'scheduler-growth',
  what: 'timers and decisions a second by pCPUs (four vCPUs each) and by vCPUs (on 64 pCPUs); writes docs/reference/scheduler-speed.svg',
  bar: { text: 'credit2 on 128 pCPUs at least a third as fast as on 1', holds: (ratio) => ratio >= 1 / 3 },
  run: (size) => {
    const isFull = size === 'full';
    const [vcpuNs, rounds] = isFull ? [100e9, 5] : [1e7, 1];
    const lines: string[] = [];
    const byPcpus = (isFull ? pcpuAxis : ([1, 2] as const)).map((pcpus) => ({ pcpus, vcpus: pcpus * 4 }));
    const byVcpus = (isFull ? vcpuAxis : ([8, 16] as const)).map((vcpus) => ({ pcpus: isFull ? 64 : 4, vcpus }));
    const pcpuRates = ratesOf(byPcpus, vcpuNs, rounds, lines);
    const vcpuRates = ratesOf(byVcpus, vcpuNs, rounds, lines);
    if (isFull) {
      const charts = [
        lineChart('By pCPUs, with 4 vCPUs each', 'M events/s', 'pCPUs', pcpuAxis, pcpuRates),
        lineChart('By vCPUs, on 64 pCPUs', 'M events/s', 'vCPUs', vcpuAxis, vcpuRates),
      ];
      const source = `npm run bench -- scheduler-growth; Node ${process.versions.node}; medians of ${rounds}, bars from least to most`;
      writeFileSync(plot, chartDocument('Timers and decisions of the scheduler model a second', source, charts));
    }
    const credit2 = pcpuRates[1]!.values;
    return Promise.resolve({ lines, figure: credit2.at(-1)!.value / credit2[0]!.value, unit: 'of the rate on 1 pCPU' });
  },
};
