import { runScenario, type Scenario } from '@xenolith/hypervisor';
import { cpuSeconds, median, spread, type Bench } from './bench.ts';

/** A machine of so many pCPUs, 16 to a node, and as many busy vCPUs, in domains of four; half of them sleep and wake. */
export function busyMachine(pcpus: number, vcpus: number, durationNs: number): Scenario {
  const places = Array.from({ length: pcpus }, (_, pcpu) => pcpu);
  const node = places.map((pcpu) => pcpu >> 4);
  return {
    format: 1,
    name: `busy-${pcpus}-${vcpus}`,
    note: '',
    release: '4.23-dev',
    scheduler: 'credit2',
    params: { ratelimit_us: 1000 },
    topology: {
      nodes: Math.max(...node) + 1,
      node,
      socket: node,
      core: places.map((pcpu) => pcpu & 15),
    },
    domains: Array.from({ length: vcpus / 4 }, (_, domain) => ({
      weight: 256,
      cap: 0,
      vcpus: Array.from({ length: 4 }, (__, vcpu) =>
        domain % 2 === 0
          ? {
              seed: domain * 4 + vcpu + 1,
              program: [
                ['run', 50_000, 150_000],
                ['block', 100_000, 500_000],
              ] as const,
              repeat: true,
            }
          : {
              seed: domain * 4 + vcpu + 1,
              program: [
                ['run', 1_000_000, 5_000_000],
                ['block', 100_000],
              ] as const,
              repeat: true,
            },
      ),
    })),
    duration_ns: durationNs,
    result: {
      decisions: 0,
      decisions_sha256: '',
      switches: 0,
      switches_sha256: '',
      checkpoints: [],
      vcpus: [],
      pcpus: [],
    },
  };
}

/** Timers that came due and decisions, in a second of a CPU, of one run. */
export function eventsPerSecond(scenario: Scenario): number {
  let done = 0;
  const seconds = cpuSeconds(() => {
    const { events, decisions } = runScenario(scenario);
    done = events + decisions;
  });
  return done / seconds;
}

/** The rate of the scheduler model on a large machine. */
export const schedulerEvents: Bench = {
  name: 'scheduler-events',
  what: 'credit2 on 64 pCPUs with 256 vCPUs, timers and decisions a second of one core',
  bar: { text: 'at least 5 M events/s', holds: (rate) => rate >= 5 },
  run: (size) => {
    const [durationNs, rounds] = size === 'full' ? [1_000_000_000, 7] : [1_000_000, 1];
    const lines: string[] = [];
    const scenario = busyMachine(64, 256, durationNs);
    if (size === 'full') eventsPerSecond(scenario);
    const rates = Array.from({ length: rounds }, () => eventsPerSecond(scenario) / 1e6);
    lines.push(`64 pCPUs, 256 vCPUs: ${spread(rates, 2)} M events/s`);
    return Promise.resolve({ lines, figure: median(rates), unit: 'M events/s' });
  },
};
