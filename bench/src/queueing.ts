import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from '@xenolith/base';
import { runScenario, type Scenario } from '@xenolith/hypervisor';
import { cpuSeconds, median, spread, type Bench } from './bench.ts';
import { busyMachine } from './scheduler-events.ts';
import { servicesOf, type StationShape } from './station.ts';

const shape: StationShape = { servers: 64, customers: 256, serviceUs: 100, thinkUs: 500 };
const { servers, customers, serviceUs, thinkUs } = shape;
const peers = new URL('../peers/', import.meta.url).pathname;

/** The same as vCPUs that block and run on pCPUs, under credit2, whose migrations and time slices no queue has. */
function stationOfPcpus(untilUs: number): Scenario {
  const base = busyMachine(servers, customers, untilUs * 1000);
  return {
    ...base,
    domains: Array.from({ length: customers }, (_, customer) => ({
      weight: 256,
      cap: 0,
      vcpus: [
        {
          start_ns: (customer + 1) * 1000,
          program: [
            ['block', thinkUs * 1000],
            ['run', serviceUs * 1000],
          ] as const,
          repeat: true,
        },
      ],
    })),
  };
}

/** Services a second on the engine. */
function onEngine(untilUs: number): number {
  let done = 0;
  const seconds = cpuSeconds(() => {
    done = servicesOf(shape, untilUs);
  });
  return done / seconds;
}

/** Services a second of the scheduler model. */
function underCredit2(untilUs: number): number {
  let servedNs = 0;
  const seconds = cpuSeconds(() => {
    servedNs = runScenario(stationOfPcpus(untilUs)).vcpus.reduce((sum, vcpu) => sum + vcpu[1]!, 0);
  });
  return servedNs / (serviceUs * 1000) / seconds;
}

/**
 * Services a second of a peer that prints `done seconds`, or undefined when it is not installed.
 * @throws AssertionError when it does not come to as many services as the engine: the models are not the same then
 */
function peer(command: string, args: readonly string[], untilUs: number): number | undefined {
  const numbers = [servers, customers, serviceUs, thinkUs, untilUs].map(String);
  const { status, stdout } = spawnSync(command, [...args, ...numbers], { encoding: 'utf8' });
  const [done = NaN, seconds = NaN] = status === 0 ? stdout.trim().split(' ').map(Number) : [];
  if (!Number.isFinite(done / seconds)) return undefined;
  // One begins a microsecond later, and one counts what is done at the very end.
  const ours = servicesOf(shape, untilUs);
  assert(Math.abs(done - ours) <= customers, `${command} came to ${done} services, the engine to ${ours}`);
  return done / seconds;
}

/** SimGrid's station, compiled where there is a compiler and the library. */
function compileSimgrid(directory: string): string | undefined {
  const program = join(directory, 'station');
  const args = ['-O2', '-o', program, join(peers, 'queueing-simgrid.cpp'), '-lsimgrid'];
  return spawnSync('g++', args).status === 0 && existsSync(program) ? program : undefined;
}

/** One queueing model on the engine, under SimPy and under SimGrid, in one run; and as a machine under credit2. */
export const queueing: Bench = {
  name: 'queueing',
  what: `${customers} customers and ${servers} servers: services a second on the engine against SimPy and SimGrid (apt-get install python3-simpy libsimgrid-dev g++)`,
  bar: { text: 'at least 30 times SimPy, and more than SimGrid', holds: (ratio) => ratio >= 30 },
  run: (size) => {
    const [untilUs, rounds] = size === 'full' ? [200_000, 5] : [3000, 1];
    const directory = mkdtempSync(join(tmpdir(), 'xenolith-bench-'));
    try {
      const simgrid = size === 'full' ? compileSimgrid(directory) : undefined;
      const rates: Record<'engine' | 'credit2' | 'SimPy' | 'SimGrid', number[]> = {
        engine: [],
        credit2: [],
        SimPy: [],
        SimGrid: [],
      };
      onEngine(untilUs);
      underCredit2(untilUs);
      for (let round = 0; round < rounds; round++) {
        rates.engine.push(onEngine(untilUs * 20));
        rates.credit2.push(underCredit2(untilUs * 5));
        if (size === 'tiny') continue;
        const simpy = peer('/usr/bin/python3', [join(peers, 'queueing-simpy.py')], untilUs);
        if (simpy !== undefined) rates.SimPy.push(simpy);
        const grid = simgrid === undefined ? undefined : peer(simgrid, [], untilUs);
        if (grid !== undefined) rates.SimGrid.push(grid);
      }
      const lines = Object.entries(rates).map(([name, samples]) =>
        samples.length === 0 ? `${name}: not installed` : `${name} ${spread(samples, 0)} services/s`,
      );
      const toSimpy = median(rates.engine) / median(rates.SimPy);
      const toSimgrid = median(rates.engine) / median(rates.SimGrid);
      lines.push(`the engine: ${toSimpy.toFixed(1)} times SimPy, ${toSimgrid.toFixed(1)} times SimGrid`);
      const machine = median(rates.credit2);
      lines.push(
        `the whole scheduler: ${(machine / median(rates.SimPy)).toFixed(1)} times SimPy, ${(machine / median(rates.SimGrid)).toFixed(1)} times SimGrid`,
      );
      // Without the peers there is nothing to compare with, and no bar is met.
      if (size === 'tiny') return Promise.resolve({ lines, figure: median(rates.engine), unit: 'services/s' });
      return Promise.resolve({ lines, figure: toSimgrid > 1 ? toSimpy : 0, unit: 'times SimPy' });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
};
