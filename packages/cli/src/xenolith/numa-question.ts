/** Questions about VMs on a machine of one's own: `xenolith experiment numa --vms …` and `xenolith experiment capacity --vm …`. */
import { gibBytes, mibBytes } from '@xenolith/base';
import type { CapacityPool, CapacityQuestion, VmGroup, WhatIfPolicy, WhatIfQuestion } from '@xenolith/experiments';
import type { OverheadDomainType, Topology } from '@xenolith/hypervisor';
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { LiveAsk } from '../numa/live-capacity.ts';
import type { DiskSize } from '../numa/repositories.ts';

/** Options of a question; the others are the experiment's. */
export interface NumaOptions {
  readonly vms?: readonly VmGroup[];
  readonly policy?: string;
  readonly vm?: VmGroup;
  readonly pool: readonly CapacityPool[];
  readonly live?: true;
  readonly disk: readonly DiskSize[];
  readonly domainType?: OverheadDomainType;
}

export const addNumaOptions = (command: Command): Command =>
  command
    .option(
      '--vms <groups>',
      'numa: instead, what if these VMs were on the machine of --topology? As 8x4:2G,1x16:32G: eight of 4 vCPUs and 2 GiB, one of 16 and 32',
      vmGroups,
    )
    .option(
      '--policy <names>',
      'numa: only these placements of the VMs: any, best_effort, strict, xl; capacity --live: one of the first three',
    )
    .option(
      '--vm <size>',
      'capacity: how many more VMs of this size fit on the machine of --topology, after --vms, or --live? As 4:2G',
      oneVm,
    )
    .option(
      '--pool <name=pcpus>',
      'capacity: a cpupool, as batch=0-7,16; may be given several times (one of all pCPUs)',
      (text: string, pools: readonly CapacityPool[]) => [...pools, pool(text)],
      [],
    )
    .option('--live', 'capacity: in the pool at XENOLITH_URL, as it is now')
    .option(
      '--disk <size@repository>',
      'capacity --live: a disk of each VM, as 20G or 20G@NAME; may be given several times',
      (text: string, disks: readonly DiskSize[]) => [...disks, disk(text)],
      [],
    )
    .addOption(
      new Option('--domain-type <type>', 'capacity --live: what the VMs are (pvh, the dearest in memory)').choices([
        'pv',
        'pvh',
        'hvm',
      ]),
    );

export const asksForPlacement = (options: NumaOptions): boolean =>
  options.vms !== undefined || options.policy !== undefined;

export const asksForCapacity = (options: NumaOptions): boolean =>
  options.vm !== undefined || options.pool.length > 0 || asksForLive(options);

/** Options that only a pool that is there has an answer for. */
export const asksForLive = ({ live, disk: disks, domainType }: NumaOptions): boolean =>
  live === true || disks.length > 0 || domainType !== undefined;

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

const tib = 1024;

function disk(text: string): DiskSize {
  const match = /^(\d{1,6})([MGT])(?:@(.+))?$/is.exec(text);
  const [, size = '0', unit = 'M', repository] = match ?? [];
  const bytes = Number(size) * { M: mibBytes, G: gibBytes, T: tib * gibBytes }[unit.toUpperCase() as 'M' | 'G' | 'T'];
  if (bytes < mibBytes) throw new InvalidArgumentError('Expected SIZE or SIZE@REPOSITORY, as 20G.');
  return { bytes, ...(repository === undefined ? {} : { repository }) };
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

const livePolicies = ['any', 'best_effort', 'strict'] as const;

/**
 * What a command line asks of a pool that is there.
 * @throws what `usage` makes for a command line that asks for something that cannot be
 */
export function liveAsk(options: NumaOptions, usage: (message: string) => Error): LiveAsk {
  const { live, vm, vms, pool: pools, policy: name, disk: disks, domainType: type = 'pvh' } = options;
  if (live !== true) throw usage('--disk and --domain-type are of --live');
  if (vm === undefined) throw usage('a question about capacity needs --vm');
  if (vms !== undefined || pools.length > 0) throw usage('a pool has VMs and cpupools of its own: no --vms, no --pool');
  const policy = livePolicies.find((each) => each === name);
  if (name !== undefined && policy === undefined)
    throw usage(`no policy ${name} here: there is ${livePolicies.join(', ')}`);
  const { vcpus, memoryMib } = vm;
  return { vm: { vcpus, memoryMib, type }, disks, ...(policy && { policy }) };
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
