/** What placement is worth on a machine of one's own: the same VMs, put there by one policy after the other. */
import { assert, err, ok, type Result } from '@xenolith/base';
import {
  calibratedMemoryCost,
  placeAutomatically,
  placeByPolicy,
  placementEffect,
  type NumaOccupant,
  type PlacementDomain,
  type Topology,
} from '@xenolith/hypervisor';
import type { Experiment, Variant } from '../experiment.ts';
import { numaWork, type NumaHost, type NumaVm } from './numa-machine.ts';
import { warehouses } from './numa.ts';

/** Our policies, and `xl`: what libxl does from Xen 4.5 on. */
export const whatIfPolicies = ['any', 'best_effort', 'strict', 'xl'] as const;
export type WhatIfPolicy = (typeof whatIfPolicies)[number];

/** So many VMs of one size. */
export interface VmGroup {
  readonly count: number;
  readonly vcpus: number;
  readonly memoryMib: number;
}

export interface WhatIfQuestion {
  readonly topology: Topology;
  /** What is free on each node. */
  readonly freeMib: readonly number[];
  readonly vms: readonly VmGroup[];
  readonly policies: readonly WhatIfPolicy[];
}

export const whatIfVmsMax = 512;

const kib = 1024;

/** Where one VM is to be; its vCPUs and memory follow. */
type Where = Pick<NumaVm, 'nodeAffinity' | 'softAffinity' | 'hardAffinity'>;

/**
 * Places the VMs of a question one after the other, and their memory on equal parts of their nodes.
 * @returns a reason where one is refused, or its memory is not there
 */
export function placeVms(
  { topology, freeMib, vms }: WhatIfQuestion,
  policy: WhatIfPolicy,
): Result<readonly NumaVm[], string> {
  const every = topology.pcpus.map(({ pcpu }) => pcpu);
  const freeKib = freeMib.map((mib) => mib * kib);
  const occupants: NumaOccupant[] = [];
  const domains: PlacementDomain[] = [];
  const placed: NumaVm[] = [];
  const all = vms.flatMap(({ count, ...vm }) => Array.from({ length: count }, () => vm));
  for (const [index, { vcpus, memoryMib }] of all.entries()) {
    const name = `vm${index + 1}`;
    const cpupool = { name: 'Pool-0', pcpus: every };
    const request = { topology, freeKib, cpupool, occupants, reservations: [], vcpus, memoryKib: memoryMib * kib };
    const automatic = policy === 'xl' ? automaticNodes(topology, freeKib, domains, vcpus, memoryMib) : undefined;
    const placement = placeByPolicy({ ...request, policy: policy === 'xl' ? 'any' : policy });
    if (!placement.ok) return err(`${policy} refuses ${name}: ${placement.error.reason}`);
    const { nodes, reservation, softAffinity, hardAffinity } = placement.value;
    const home = automatic ?? (softAffinity === undefined && hardAffinity === undefined ? [] : nodes);
    const taken = automatic === undefined ? reservation.kibByNode : spread(memoryMib * kib, automatic, freeKib);
    if (taken.reduce((sum, part) => sum + part, 0) < memoryMib * kib) return err(`there is no memory for ${name}`);
    for (const [node, part] of taken.entries()) freeKib[node]! -= part;
    const where: Where =
      automatic === undefined
        ? {
            ...(home.length > 0 && { nodeAffinity: home }),
            ...(softAffinity && { softAffinity }),
            ...(hardAffinity && { hardAffinity }),
          }
        : placementEffect(
            '4.5',
            automatic,
            topology.pcpus.map(({ node }) => node),
          );
    occupants.push({ cpupool: 'Pool-0', vcpus, nodes: home });
    const nodeAffinity = home.length > 0 ? home : topology.nodes.map(({ node }) => node);
    domains.push({ poolPcpus: every, nodeAffinity, vcpus: Array.from({ length: vcpus }, () => every) });
    placed.push({ name, vcpus, memoryMib, workload: warehouses, ...where });
  }
  return ok(placed);
}

function automaticNodes(
  { pcpus }: Topology,
  freeKib: readonly number[],
  domains: readonly PlacementDomain[],
  vcpus: number,
  memoryMib: number,
): readonly number[] | undefined {
  const placement = placeAutomatically('4.5', {
    freeBytes: freeKib.map((free) => free * 1024),
    pcpuNode: pcpus.map(({ node }) => node),
    poolPcpus: pcpus.map(({ pcpu }) => pcpu),
    domains,
    vcpus,
    memoryKib: memoryMib * kib,
  });
  return placement.isPlaced ? placement.candidate.nodes : undefined;
}

/** Equal parts from the nodes; what one has not, the others give. */
function spread(memoryKib: number, nodes: readonly number[], freeKib: readonly number[]): readonly number[] {
  const taken = freeKib.map(() => 0);
  let left = memoryKib;
  for (const [index, node] of nodes.toSorted((a, b) => freeKib[a]! - freeKib[b]!).entries()) {
    taken[node] = Math.min(freeKib[node]!, Math.ceil(left / (nodes.length - index)));
    left -= taken[node];
  }
  return taken;
}

/** pCPUs of a node of the host that the cost of memory is calibrated for. */
const calibratedNodePcpus = 8;

/** A host whose memory is as wide as that of the calibrated one, pCPU by pCPU. */
function hostOf({ topology, freeMib }: WhatIfQuestion): NumaHost {
  const perNode = topology.pcpus.length / topology.nodes.length / calibratedNodePcpus;
  const { controllerCapacity, linkCapacity } = calibratedMemoryCost;
  return {
    topology,
    nodeMib: freeMib,
    dom0Mib: 0,
    dom0Vcpus: 4,
    cost: {
      ...calibratedMemoryCost,
      controllerCapacity: controllerCapacity * perNode,
      linkCapacity: linkCapacity * perNode,
    },
    scheduler: 'credit2',
    xenVersion: '4.23',
  };
}

/** The question as an experiment. @returns a reason where no policy has a place for the VMs */
export function whatIfExperiment(question: WhatIfQuestion): Result<Experiment, string> {
  const host = hostOf(question);
  const refusals: string[] = [];
  const variants = question.policies.flatMap((policy): Variant[] => {
    const vms = placeVms(question, policy);
    if (!vms.ok) {
      refusals.push(vms.error);
      return [];
    }
    return [{ name: policy, run: (context) => figuresOf(numaWork(host, vms.value, context), vms.value) }];
  });
  if (variants.length === 0) return err(refusals.join('; '));
  const sizes = question.vms.map(({ count, vcpus, memoryMib }) => `${count} of ${vcpus} vCPUs and ${memoryMib} MiB`);
  return ok({
    name: 'numa',
    title: 'NUMA: what placement is worth here',
    what: `A model's figures, calibrated to statements about another host, not to data. Work is in threads that nothing slows.${refusals.map((each) => ` ${each}.`).join('')}`,
    source: 'model',
    release: 'credit2 of Xen 4.23, cost of memory',
    durationNs: 5_000_000_000,
    repetitions: 5,
    cases: [
      {
        name: 'what-if',
        what: `VMs that compute: ${sizes.join(', ')}, on ${question.topology.nodes.length} nodes with ${question.topology.pcpus.length} pCPUs, by policy`,
        measures: [
          { name: 'all', unit: 'threads', what: 'work of all VMs together' },
          { name: 'mean vCPU', unit: 'threads', what: 'work of a vCPU' },
          { name: 'slowest', unit: 'threads', what: 'work of a vCPU of the VM that has least' },
        ],
        variants,
        expectations: [],
        charts: [
          { kind: 'bars', title: 'work of all VMs (model)', measures: ['all'] },
          { kind: 'bars', title: 'work of a vCPU (model)', measures: ['mean vCPU', 'slowest'] },
        ],
      },
    ],
  });
}

function figuresOf(work: readonly number[], vms: readonly NumaVm[]): Readonly<Record<string, number>> {
  assert(work.length === vms.length, 'the work of each VM');
  const all = work.reduce((sum, each) => sum + each, 0);
  const vcpus = vms.reduce((sum, vm) => sum + vm.vcpus, 0);
  return { all, 'mean vCPU': all / vcpus, slowest: Math.min(...work.map((each, index) => each / vms[index]!.vcpus)) };
}
