/** The experiment of a post of 2012 about NUMA and Xen (specification numa.md, section 5), on the model. */
import { buildTopology, calibratedMemoryCost, type Topology, type Workload } from '@xenolith/hypervisor';
import { untraced, type Experiment, type ExperimentCase, type RunContext, type Variant } from '../experiment.ts';
import { numaWork, type NumaHost, type NumaVm } from './numa-machine.ts';
import { countName, placements, vmCounts, type Placement } from './post-names.ts';
import { postStatements } from './post-statements.ts';

/** 12 GiB on 2 nodes, 2 of them dom0's, under credit. */
const postHost = (topology: Topology, siblingSpeed: number): NumaHost => ({
  topology,
  nodeMib: [6144, 6144],
  dom0Mib: 2048,
  dom0Vcpus: 4,
  cost: { ...calibratedMemoryCost, siblingSpeed },
  scheduler: 'credit',
  // The credit scheduler whose decisions are held against recorded ones.
  xenVersion: '4.23',
});

/** Warehouses compute nearly all the time; what they wait for moves them about, as it moves every real VM. */
export const warehouses: Workload = {
  kind: 'interactive',
  workNs: [30_000_000, 60_000_000],
  sleepNs: [2_000_000, 6_000_000],
};

/** VM#1 is placed; all others are free, with their memory on both nodes. */
function vmsOf({ nodes }: Topology, count: number, placement: Placement): readonly NumaVm[] {
  const [first, second] = nodes.map(({ pcpus }) => pcpus);
  const where: Readonly<Record<Placement, Partial<NumaVm>>> = {
    default: {},
    pinned: { hardAffinity: first! },
    local: { nodeAffinity: [0], hardAffinity: first! },
    remote: { nodeAffinity: [0], hardAffinity: second! },
  };
  return Array.from({ length: count }, (_, index) => ({
    name: `vm${index + 1}`,
    vcpus: 4,
    memoryMib: 1024,
    workload: warehouses,
    ...(index === 0 ? where[placement] : {}),
  }));
}

const above = (more: number, less: number): number => (more / less - 1) * 100;

/** A trace is of VM#1 free. */
function runOf(host: NumaHost, count: number): Variant['run'] {
  return (context: RunContext) => {
    const scores = placements.map((placement, index) => {
      const [score] = numaWork(host, vmsOf(host.topology, count, placement), index === 0 ? context : untraced(context));
      return [placement, score!] as const;
    });
    const of = Object.fromEntries(scores) as Record<Placement, number>;
    return {
      ...of,
      'default above remote': above(of.default, of.remote),
      'pinned above remote': above(of.pinned, of.remote),
      'local above remote': above(of.local, of.remote),
      'local above default': above(of.local, of.default),
    };
  };
}

function postCase(name: string, hostText: string, host: NumaHost): ExperimentCase {
  return {
    name,
    what: `the score of VM#1 of 1 to 8 VMs of 4 vCPUs and 1 GiB on ${hostText}, 2 nodes and 12 GiB, by where VM#1's vCPUs and memory are. The model is calibrated to statements, not to data`,
    measures: [
      { name: 'default', unit: 'threads', what: 'VM#1 free, its memory on both nodes' },
      { name: 'pinned', unit: 'threads', what: 'its vCPUs on node 0, its memory on both nodes' },
      { name: 'local', unit: 'threads', what: 'its vCPUs and its memory on node 0' },
      { name: 'remote', unit: 'threads', what: 'its memory on node 0, its vCPUs on node 1' },
      { name: 'default above remote', unit: '%', what: 'what default gains over remote' },
      { name: 'pinned above remote', unit: '%', what: 'what pinned gains over remote' },
      { name: 'local above remote', unit: '%', what: 'what local gains over remote' },
      { name: 'local above default', unit: '%', what: 'what local gains over default' },
    ],
    variants: vmCounts.map((count) => ({ name: countName(count), x: count, run: runOf(host, count) })),
    expectations: postStatements,
    charts: [
      { kind: 'lines', title: 'score of VM#1 (model)', measures: placements, xLabel: 'VMs that run at a time' },
      {
        kind: 'lines',
        title: 'above all remote (model)',
        measures: ['default above remote', 'pinned above remote', 'local above remote'],
        xLabel: 'VMs that run at a time',
      },
    ],
  };
}

const threads = buildTopology({ nodes: 2, socketsPerNode: 1, coresPerSocket: 4, threadsPerCore: 2 });
const cores = buildTopology({ nodes: 2, socketsPerNode: 1, coresPerSocket: 8, threadsPerCore: 1 });

/** What placement on NUMA nodes is worth. */
export const numa: Experiment = {
  name: 'numa',
  title: 'NUMA: what placement is worth to a VM',
  what: "A model's figures, calibrated to statements, not to data: consistent with a post of 2012 where its statements hold, no reproduction of its plots. The score is work, in threads that nothing slows.",
  source: 'model',
  release: 'credit of Xen 4.23, cost of memory',
  durationNs: 20_000_000_000,
  repetitions: 5,
  cases: [
    postCase('smt', '8 cores with 2 threads', postHost(threads, calibratedMemoryCost.siblingSpeed)),
    { ...postCase('cores', '16 cores', postHost(cores, 1)), isExtra: true },
  ],
};
