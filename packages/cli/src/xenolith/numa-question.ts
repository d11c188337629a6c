/** Questions about VMs on a machine of one's own: `xenolith experiment numa --vms …` and `xenolith experiment capacity --vm …`. */
import { gibBytes, mibBytes } from '@xenolith/base';
import type { CapacityPool, CapacityQuestion, VmGroup, WhatIfPolicy, WhatIfQuestion } from '@xenolith/experiments';
import type { Topology } from '@xenolith/hypervisor';
import { InvalidArgumentError, type Command } from 'commander';

/** Options of a question; the others are the experiment's. */
export interface NumaOptions {
  readonly vms?: readonly VmGroup[];
  readonly policy?: string;
  readonly vm?: VmGroup;
  readonly pool: readonly CapacityPool[];
}

export const addNumaOptions = (command: Command): Command =>
  command
    .option(
      '--vms <groups>',
      'numa: instead, what if these VMs were on the machine of --topology? As 8x4:2G,1x16:32G: eight of 4 vCPUs and 2 GiB, one of 16 and 32',
      vmGroups,
    )
    .option('--policy <names>', 'numa: only these placements of the VMs: any, best_effort, strict, xl')
    .option(
      '--vm <size>',
      'capacity: how many more VMs of this size fit on the machine of --topology, after --vms? As 4:2G',
      oneVm,
    )
    .option(
      '--pool <name=pcpus>',
      'capacity: a cpupool, as batch=0-7,16; may be given several times (one of all pCPUs)',
      (text: string, pools: readonly CapacityPool[]) => [...pools, pool(text)],
      [],
    );

export const asksForPlacement = (options: NumaOptions): boolean =>
  options.vms !== undefined || options.policy !== undefined;

export const asksForCapacity = (options: NumaOptions): boolean => options.vm !== undefined || options.pool.length > 0;

const vmsMax = 512;
const vcpusMax = 512;
/** Of a node of a machine that is known by its name only. */
const namedNodeMib = 32 * 1024;

function vmGroups(text: string): readonly VmGroup[] {
  const groups = text.split(',').map((group): VmGroup => {
    const match = /^(?:(\d{1,3})x)?(\d{1,3}):(\d{1,6})([MG])$/i.exec(group);
    const unit = match?.[4]?.toUpperCase() === 'G' ? gibBytes / mibBytes : 1;
    const [count, vcpus, memoryMib] = [match?.[1] ?? 1, match?.[2] ?? 0, match?.[3] ?? 0].map(Number);
    return { count: count!, vcpus: vcpus!, memoryMib: memoryMib! * unit };
  });
  const isSound = groups.every(
    ({ count, vcpus, memoryMib }) => count >= 1 && vcpus >= 1 && vcpus <= vcpusMax && memoryMib >= 1,
  );
  if (!isSound || groups.reduce((sum, { count }) => sum + count, 0) > vmsMax) {
    throw new InvalidArgumentError(`Expected up to ${vmsMax} VMs as COUNTxVCPUS:MEMORY, as 8x4:2G.`);
  }
  return groups;
}

function oneVm(text: string): VmGroup {
  const [group, ...others] = vmGroups(text);
  if (group?.count !== 1 || others.length > 0)
    throw new InvalidArgumentError('Expected one VM as VCPUS:MEMORY, as 4:2G.');
  return group;
}

const pcpusMax = 4095;

function pool(text: string): CapacityPool {
  const match = /^([^=]{1,64})=(\d{1,4}(?:-\d{1,4})?(?:,\d{1,4}(?:-\d{1,4})?)*)$/.exec(text);
  const pcpus = new Set<number>();
  for (const range of match?.[2]?.split(',') ?? []) {
    const [from = 0, to = from] = range.split('-').map(Number);
    for (let pcpu = from; pcpu <= Math.min(to, pcpusMax); pcpu++) pcpus.add(pcpu);
  }
  if (match === null || pcpus.size === 0) throw new InvalidArgumentError('Expected NAME=PCPUS, as batch=0-7,16.');
  return { name: match[1]!, pcpus: [...pcpus].sort((a, b) => a - b) };
}

/** A machine, and what `xl info -n` printed there if it is known by that. */
export interface KnownMachine {
  readonly topology: Topology;
  readonly xlInfo: string | undefined;
}

/** @throws what `usage` makes for a file that has no memory of nodes */
async function freeMibOf(
  { topology, xlInfo }: KnownMachine,
  usage: (message: string) => Error,
): Promise<readonly number[]> {
  if (xlInfo === undefined) return topology.nodes.map(() => namedNodeMib);
  const { freeMibOfXlInfo } = await import('@xenolith/experiments');
  const freeMib = freeMibOfXlInfo(xlInfo);
  if (freeMib.length !== topology.nodes.length) throw usage('xl info -n has no table of the memory of nodes');
  return freeMib;
}

/**
 * The question of a command line about capacity.
 * @throws what `usage` makes for a command line that asks for something that cannot be
 */
export async function capacityQuestion(
  { vm, vms = [], pool: pools }: NumaOptions,
  machine: KnownMachine | undefined,
  usage: (message: string) => Error,
): Promise<CapacityQuestion> {
  if (vm === undefined || machine === undefined) throw usage('a question about capacity needs --vm and --topology');
  const { topology } = machine;
  const all = topology.pcpus.map(({ pcpu }) => pcpu);
  const pcpus = pools.flatMap((each) => each.pcpus);
  const unknown = pcpus.find((pcpu) => pcpu >= all.length);
  if (unknown !== undefined) throw usage(`no pCPU ${unknown}: there are ${all.length}`);
  const named = new Set(pools.map(({ name }) => name));
  if (new Set(pcpus).size < pcpus.length || named.size < pools.length)
    throw usage('two pools have a pCPU or a name in common');
  return {
    topology,
    freeMib: await freeMibOf(machine, usage),
    cpupools: pools.length > 0 ? pools : [{ name: 'Pool-0', pcpus: all }],
    vms,
    vm,
  };
}

/**
 * The question of a command line about placement.
 * @param xlInfo what `xl info -n` of the machine printed, where it is known by that
 * @throws what `usage` makes for a command line that asks for something that cannot be
 */
export async function numaQuestion(
  options: NumaOptions,
  machine: KnownMachine | undefined,
  usage: (message: string) => Error,
): Promise<WhatIfQuestion> {
  const { whatIfPolicies } = await import('@xenolith/experiments');
  if (options.vms === undefined || machine === undefined)
    throw usage('a question about placement needs --vms and --topology');
  const names = options.policy?.split(',') ?? whatIfPolicies;
  const unknown = names.find((name) => !whatIfPolicies.some((each) => each === name));
  if (unknown !== undefined) throw usage(`no policy ${unknown}: there is ${whatIfPolicies.join(', ')}`);
  const { topology } = machine;
  const freeMib = await freeMibOf(machine, usage);
  return { topology, freeMib, vms: options.vms, policies: names as readonly WhatIfPolicy[] };
}
