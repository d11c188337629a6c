/** What the model says of an arrangement. */
import { buildTopology, Machine, type DomainFigures, type TopologyShape, type Workload } from '@xenolith/hypervisor';
import { SeededRandom } from '@xenolith/base';
import { pcpusOf, type ArrangedGuest, type ArrangedWork, type Arrangement, type RunFigures } from './arrangement.ts';

/** Debian's Xen of the lab. */
const xenVersion = '4.17';
const nsPerMs = 1_000_000;

/** Guests are up and running before they are measured, on the model as on real Xen. */
const warmUpNs = 3_000_000_000;
/** Guests begin one after the other within this time, drawn by the seed: no run is like the other. */
const startWithinNs = 1_000_000_000;

/** The shell of a waker, from its wake to its next sleep. */
const wakerWorkNs: readonly [number, number] = [50_000, 150_000];

/** Runs an arrangement once on the model. `durationNs` is measured after a warm-up; the seed draws when guests begin. */
export function modelAnswer(
  arrangement: Arrangement,
  { shape, seed, durationNs }: { readonly shape: TopologyShape; readonly seed: number; readonly durationNs: number },
): RunFigures {
  const random = new SeededRandom(seed);
  const machine = new Machine({ topology: buildTopology(shape), seed, xenVersion });
  for (const { name, scheduler, pcpus, parameters = {} } of arrangement.cpupools) {
    machine.addCpupool({ name, scheduler, pcpus, options: parameters });
  }
  for (const guest of arrangement.guests) addGuest(machine, guest, random);
  machine.run(warmUpNs);
  machine.measure();
  machine.run(durationNs);
  const { domains, pcpus } = machine.figures();
  const byName = <T>(of: (domain: DomainFigures) => T): Readonly<Record<string, T>> =>
    Object.fromEntries(domains.map((domain) => [domain.name, of(domain)]));
  return {
    cpuNs: byName(({ runNs }) => runNs),
    traced: {
      durationNs,
      guests: byName(({ dispatches, migrations, wakeNs }) => ({
        dispatches,
        migrations,
        wakes: wakeNs.count,
        wakeP50Ns: wakeNs.count === 0 ? 0 : wakeNs.p50Ns,
        wakeP95Ns: wakeNs.count === 0 ? 0 : wakeNs.p95Ns,
      })),
      pcpus: Object.fromEntries(
        pcpusOf(arrangement).map((pcpu) => {
          const { contextSwitches, idleNs } = pcpus[pcpu]!;
          return [pcpu, { switches: contextSwitches, busyNs: durationNs - idleNs }];
        }),
      ),
    },
  };
}

function addGuest(machine: Machine, guest: ArrangedGuest, random: SeededRandom): void {
  const { name, cpupool, work, vcpus = 1, weight, cap, hardAffinity } = guest;
  machine.addDomain({
    name,
    cpupool,
    vcpus: Array.from({ length: vcpus }, () => ({
      workload: workloadOf(work),
      startNs: 1 + (random.nextUint32() % startWithinNs),
      ...(hardAffinity === undefined ? {} : { hardAffinity }),
    })),
    parameters: { ...(weight === undefined ? {} : { weight }), ...(cap === undefined ? {} : { cap }) },
  });
}

function workloadOf(work: ArrangedWork): Workload {
  if (work.kind !== 'waker') return work;
  const sleepNs = Math.round(work.sleepMs * nsPerMs);
  return { kind: 'interactive', workNs: wakerWorkNs, sleepNs };
}
