import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runScenario, type Scenario } from '@xenolith/hypervisor';
import { cpuSeconds, median, spread, type Bench } from './bench.ts';
import { busyMachine, eventsPerSecond } from './scheduler-events.ts';

/** Where the recorded experiments are, when they are at hand. */
const large = new URL('../../../shared/hypervisor/kat/large', import.meta.url).pathname;

/**
 * A plain binary heap in typed arrays, ordered by (time, insertion), under the hold model: take the earliest, put it
 * back later. The yardstick of what a discrete-event loop in Node can do at all.
 * @returns holds a second
 */
export function heapHolds(pending: number, holds: number): number {
  const time = new Float64Array(pending);
  const order = new Float64Array(pending);
  let random = 12345;
  const draw = (): number => {
    random ^= random << 13;
    random ^= random >>> 17;
    random ^= random << 5;
    return (random >>> 0) % 1_000_000;
  };
  let insertions = 0;
  const sink = (dueNs: number, from: number): void => {
    const mark = insertions++;
    let place = from;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= pending) break;
      const right = child + 1;
      if (right < pending) {
        const leftNs = time[child]!;
        const rightNs = time[right]!;
        if (rightNs < leftNs || (rightNs === leftNs && order[right]! < order[child]!)) child = right;
      }
      if (dueNs < time[child]! || (dueNs === time[child]! && mark < order[child]!)) break;
      time[place] = time[child]!;
      order[place] = order[child]!;
      place = child;
    }
    time[place] = dueNs;
    order[place] = mark;
  };
  for (let place = pending - 1; place >= 0; place--) sink(draw(), place);
  const seconds = cpuSeconds(() => {
    for (let hold = 0; hold < holds; hold++) sink(time[0]! + draw(), 0);
  });
  return holds / seconds;
}

function scenarios(size: 'tiny' | 'full'): readonly Scenario[] {
  if (size === 'tiny') return [busyMachine(4, 16, 1_000_000)];
  if (!existsSync(large)) return [busyMachine(64, 256, 1_000_000_000)];
  return readdirSync(large).map((file) => JSON.parse(readFileSync(join(large, file), 'utf8')) as Scenario);
}

/** The recorded large experiments against the hold loop, interleaved. */
export const heapHold: Bench = {
  name: 'heap-hold',
  what: 'recorded large experiments: timers and decisions a second, as a share of holds a second of a plain heap with 10,000 pending',
  bar: { text: 'at least 0.5', holds: (ratio) => ratio >= 0.5 },
  run: (size) => {
    const holds = size === 'full' ? 4_000_000 : 1000;
    const rounds = size === 'full' ? 5 : 1;
    const lines: string[] = [];
    const ratios: number[] = [];
    heapHolds(10_000, holds);
    for (const scenario of scenarios(size)) {
      if (size === 'full') runScenario(scenario);
      const own: number[] = [];
      for (let round = 0; round < rounds; round++) {
        const rate = heapHolds(10_000, holds);
        own.push(eventsPerSecond(scenario) / rate);
      }
      lines.push(`${scenario.name}: ${spread(own, 2)} of a hold`);
      ratios.push(median(own));
    }
    return Promise.resolve({ lines, figure: Math.min(...ratios), unit: 'of a hold, the lowest' });
  },
};
