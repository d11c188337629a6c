/** Experiments on the scheduler model: a machine that is described, run, and read off. */
import { SeededRandom } from '@xenolith/base';
import {
  buildTopology,
  Machine,
  type CpupoolSpec,
  type DomainFigures,
  type DomainRunSpec,
  type MachineFigures,
  type SchedulerOptions,
  type TopologyShape,
  type XenVersion,
} from '@xenolith/hypervisor';
import type { RunContext } from './experiment.ts';

/** What is built for a run. */
export interface MachinePlan {
  /** The machine, unless another one is asked for: then the first pCPUs of that one, and no others, are used. */
  readonly shape: TopologyShape;
  readonly xenVersion?: XenVersion;
  readonly cpupools: readonly CpupoolSpec[];
  readonly domains: readonly DomainRunSpec[];
}

/** How long a machine runs before it is measured: starts and first balancing are over. */
export const warmUpNs = 1_000_000_000;

/** VMs start one by one within this time, drawn by the seed: no run is like the other. */
export const startWithinNs = 100_000_000;

/** A run of a plan: warm-up, measuring, and the values that are read off. */
export function schedulingRun(
  { shape, xenVersion, cpupools, domains }: MachinePlan,
  read: (figures: MachineFigures) => Readonly<Record<string, number>>,
): (context: RunContext) => Readonly<Record<string, number>> {
  return ({ seed, durationNs, topology = buildTopology(shape), trace, onMachine }) => {
    const random = new SeededRandom(seed);
    const machine = new Machine({
      topology,
      seed,
      ...(xenVersion === undefined ? {} : { xenVersion }),
      ...(trace === undefined ? {} : { trace }),
    });
    onMachine?.(machine);
    for (const cpupool of cpupools) machine.addCpupool(cpupool);
    for (const domain of domains) {
      const startNs = random.nextUint32() % startWithinNs;
      machine.addDomain({ ...domain, vcpus: domain.vcpus.map((vcpu) => ({ startNs, ...vcpu })) });
    }
    machine.run(warmUpNs);
    machine.measure();
    machine.run(durationNs);
    return read(machine.figures());
  };
}

/** Domains whose names begin with a word. */
export const named = ({ domains }: MachineFigures, prefix: string): readonly DomainFigures[] =>
  domains.filter(({ name }) => name.startsWith(prefix));

/** Sum of a figure over some domains. */
export const total = (domains: readonly DomainFigures[], of: (domain: DomainFigures) => number): number =>
  domains.reduce((sum, domain) => sum + of(domain), 0);

/** Mean of a figure over some domains. */
export const average = (domains: readonly DomainFigures[], of: (domain: DomainFigures) => number): number =>
  total(domains, of) / domains.length;

/** Numbers of pCPUs from one to another, both included. */
export const pcpuRange = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** A cpupool of the range of pCPUs. */
export const cpupool = (
  name: string,
  scheduler: CpupoolSpec['scheduler'],
  pcpus: readonly number[],
  options: SchedulerOptions = {},
): CpupoolSpec => ({ name, scheduler, pcpus, options });

/** So many VMs of one vCPU each that do the same, with numbers behind the name. */
export const vms = (
  count: number,
  name: string,
  pool: string,
  vcpu: DomainRunSpec['vcpus'][number],
  parameters?: DomainRunSpec['parameters'],
): readonly DomainRunSpec[] =>
  Array.from({ length: count }, (_, index) => ({
    name: `${name}${index + 1}`,
    cpupool: pool,
    vcpus: [vcpu],
    ...(parameters === undefined ? {} : { parameters }),
  }));

/** Two nodes of four cores: the machine of the lab. */
export const labShape: TopologyShape = { nodes: 2, socketsPerNode: 1, coresPerSocket: 4, threadsPerCore: 1 };
