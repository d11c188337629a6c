import { buildTopology, Machine, TraceRing, xentraceBytes, type Workload } from '@xenolith/hypervisor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { tracedFigures } from './traced-figures.ts';

const ms = 1_000_000;
const topology = buildTopology({ nodes: 1, socketsPerNode: 1, coresPerSocket: 4, threadsPerCore: 1 });
const workloads: readonly Workload[] = [
  { kind: 'hog' },
  { kind: 'interactive', workNs: [ms, 3 * ms], sleepNs: [ms, 9 * ms] },
  { kind: 'periodic', periodNs: 10 * ms, workNs: 3 * ms },
];

/** The model writes its decisions as xentrace would; of a file of real Xen nobody knows what should come out. */
test('a trace of the model says what the model counted', () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.constantFrom('credit', 'credit2'),
      fc.array(fc.nat(workloads.length - 1), { minLength: 5, maxLength: 9 }),
      (seed, scheduler, kinds) => {
        const trace = new TraceRing(1 << 17);
        const machine = new Machine({ topology, seed, trace });
        machine.addCpupool({ name: 'p', scheduler, pcpus: [0, 1, 2] });
        const names = kinds.map((kind, index) => {
          const name = `d${index}`;
          machine.addDomain({ name, cpupool: 'p', vcpus: [{ workload: workloads[kind]! }] });
          return [index, name] as const;
        });
        machine.run(500 * ms);
        const figures = machine.figures();
        const traced = tracedFigures(xentraceBytes(trace), {
          names: new Map(names),
          pcpus: [0, 1, 2, 3],
          cpuMhz: 1000,
        });
        for (const { name, dispatches, migrations, wakeNs } of figures.domains) {
          const got = traced?.guests[name];
          // A vCPU that was never on a pCPU before counts as come from where it was put first, which no trace tells.
          expect(got?.migrations).toBeLessThanOrEqual(migrations);
          expect(got?.migrations).toBeGreaterThanOrEqual(migrations - 1);
          expect([name, got?.dispatches, got?.wakes]).toEqual([name, dispatches, wakeNs.count]);
          if (wakeNs.count > 0) expect(got?.wakeP50Ns).toBeLessThanOrEqual(wakeNs.p50Ns);
        }
        for (const pcpu of [0, 1, 2]) {
          // The trace ends with its last record.
          const unseenNs = figures.durationNs - (traced?.durationNs ?? 0);
          const busyNs = figures.durationNs - figures.pcpus[pcpu]!.idleNs;
          expect(Math.abs((traced?.pcpus[pcpu]?.busyNs ?? 0) - busyNs)).toBeLessThanOrEqual(unseenNs);
          expect(traced?.pcpus[pcpu]?.switches).toBe(figures.pcpus[pcpu]!.contextSwitches);
        }
        expect(traced?.pcpus[3]).toEqual({ switches: 0, busyNs: 0 });
      },
    ),
    { numRuns: 30 },
  );
});

test('a trace of nothing, or with holes, gives no figures', () => {
  const reading = { names: new Map(), pcpus: [0], cpuMhz: 1000 };
  expect(tracedFigures(new Uint8Array(), reading)).toBeUndefined();
  const ring = new TraceRing(8);
  const machine = new Machine({ topology, seed: 1, trace: ring });
  machine.addCpupool({ name: 'p', scheduler: 'credit', pcpus: [0] });
  for (const name of ['a', 'b']) machine.addDomain({ name, cpupool: 'p', vcpus: [{ workload: { kind: 'hog' } }] });
  machine.run(1000 * ms);
  expect(ring.lost).toBeGreaterThan(0);
  expect(tracedFigures(xentraceBytes(ring), reading)).toBeUndefined();
});
