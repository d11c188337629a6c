/** What a pool has for more VMs, read over the XenAPI: the question of `xenolith experiment capacity --live`. */
import { mibBytes } from '@xenolith/base';
import type { ClosedHost, LiveCapacityQuestion, LiveCpupool, LiveHost, LiveVm } from '@xenolith/experiments';
import { homeNodes, topologyOf, type NumaOccupant, type NumaPolicy, type Topology } from '@xenolith/hypervisor';
import type { WireStruct } from '@xenolith/wire';
import { ApiError, isStruct, printable, recordsOf, textOf, type Rpc } from '@xenolith/xe';
import type { Texts } from '../xl/layout.ts';
import { tableOf } from '../xl/world.ts';
import { diskRooms, type DiskSize } from './repositories.ts';

/** What is asked of a pool. */
export interface LiveAsk {
  readonly vm: LiveVm;
  /** Of each VM; none where empty. */
  readonly disks: readonly DiskSize[];
  /** The VMs' own; that of the host where absent. */
  readonly policy?: NumaPolicy;
}

type Records = readonly (readonly [string, WireStruct])[];

/** The pool's records that are read once for all hosts. */
interface World {
  readonly rpc: Rpc;
  readonly hosts: Records;
  readonly cpupools: Records;
  readonly cpus: Records;
  readonly vms: Records;
  readonly metricsOf: ReadonlyMap<string, WireStruct>;
}

/** @throws UsageError for a repository that the pool has not; what calls throw */
export async function readLiveCapacity(rpc: Rpc, { vm, disks, policy }: LiveAsk): Promise<LiveCapacityQuestion> {
  const [hosts, hostMetrics, cpupools, cpus, vms, vmMetrics] = await Promise.all(
    (['host', 'host_metrics', 'cpupool', 'host_cpu', 'VM', 'VM_metrics'] as const).map((name) => recordsOf(rpc, name)),
  );
  const roomOn = disks.length === 0 ? undefined : await diskRooms(rpc, disks);
  const metricsOf = new Map([...hostMetrics!, ...vmMetrics!]);
  const world: World = { rpc, hosts: hosts!, cpupools: cpupools!, cpus: cpus!, vms: vms!, metricsOf };
  const read = hosts!.map(async ([ref, record]): Promise<LiveHost | ClosedHost> => {
    const name = nameOf(world, record);
    if (metricsOf.get(textOf(record['metrics']))?.['live'] !== true) return { name, refusal: silent };
    if (record['enabled'] !== true) return { name, refusal: 'it is disabled' };
    const room = roomOn?.(ref);
    if (typeof room === 'string') return { name, refusal: room };
    try {
      const host = await readHost(world, ref, record);
      return { name, ...host, ...(policy && { policy }), ...(room && { disks: room }) };
    } catch (error) {
      if (error instanceof ApiError && /^(?:HOST_OFFLINE|CANNOT_CONTACT_HOST)$/.test(error.code))
        return { name, refusal: silent };
      throw error;
    }
  });
  const all = await Promise.all(read);
  return { vm, hosts: all.sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

const silent = 'it does not answer';

/** Its name, with the uuid where others have the same. */
function nameOf({ hosts }: World, { name_label, uuid }: WireStruct): string {
  const isUnique = hosts.filter(([, other]) => other['name_label'] === name_label).length === 1;
  return printable(isUnique ? textOf(name_label) : `${textOf(name_label)} (${textOf(uuid)})`);
}

type HostFigures = Omit<LiveHost, 'name' | 'disks'>;

async function readHost(world: World, ref: string, record: WireStruct): Promise<HostFigures> {
  const { rpc } = world;
  const [free, cpuRows, nodeRows] = await Promise.all([
    rpc.call('host.compute_free_memory', ref),
    tableOf({ rpc, ref }, 'host.get_CPU_topology'),
    tableOf({ rpc, ref }, 'host.get_NUMA_nodes'),
  ]);
  const topology = topologyIn(cpuRows, nodeRows);
  const freeOn = new Map(nodeRows.map(({ node, memory_free_bytes }) => [Number(node), Number(memory_free_bytes)]));
  const cpupools = cpupoolsOf(world, ref, cpuRows);
  const guests = await guestsOn(world, ref, topology.nodes.length);
  const own = textOf(record['numa_affinity_policy']);
  return {
    topology,
    policy: own === 'any' || own === 'strict' ? own : 'best_effort',
    roomBytes: Number(free),
    freeMib: topology.nodes.map(({ node }) => (freeOn.get(node) ?? 0) / mibBytes),
    heldMib: topology.nodes.map(
      ({ node }) => guests.reduce((sum, guest) => sum + (guest.bytes[node] ?? 0), 0) / mibBytes,
    ),
    occupants: guests.map((guest) => occupantOf(world, guest, cpupools, topology)),
    cpupools,
  };
}

/** pCPUs are numbered by their rows: those that are offline have none. */
function topologyIn(cpus: readonly Texts[], nodes: readonly Texts[]): Topology {
  const distances: number[][] = [];
  for (const { node, distances: row = '' } of nodes) distances[Number(node)] = row.split(',').map(Number);
  const column = (name: string): readonly number[] => cpus.map((row) => Number(row[name]));
  return topologyOf({ node: column('node'), socket: column('socket'), core: column('core'), distances });
}

/** The host's cpupools, the first one first; one of all pCPUs where none was seen yet. */
function cpupoolsOf({ cpupools, cpus }: World, host: string, rows: readonly Texts[]): readonly LiveCpupool[] {
  const own = cpupools.filter(([, pool]) => pool['host'] === host);
  if (own.length === 0) return [{ name: 'Pool-0', isDefault: true, pcpus: [...rows.keys()] }];
  const poolOf = new Map(
    cpus.flatMap(([, cpu]) => (cpu['host'] === host ? [[textOf(cpu['number']), cpu['cpupool']]] : [])),
  );
  return own
    .map(([ref, pool]) => ({
      name: printable(textOf(pool['name_label'])),
      isDefault: pool['is_default'] === true,
      pcpus: [...rows.entries()].flatMap(([place, { cpu = '' }]) => (poolOf.get(cpu) === ref ? [place] : [])),
    }))
    .sort((a, b) => Number(b.isDefault) - Number(a.isDefault));
}

interface Guest {
  readonly record: WireStruct;
  readonly metrics: WireStruct;
  /** By node; empty where the host does not tell. */
  readonly bytes: readonly number[];
}

/** The VMs that run on a host, with what each has where; the host is asked for that where it was not seen yet. */
async function guestsOn({ rpc, vms, metricsOf }: World, host: string, nodes: number): Promise<readonly Guest[]> {
  const here = vms.filter(([, vm]) => vm['resident_on'] === host && vm['is_control_domain'] !== true);
  const guests = here.map(([, record]): Guest => {
    const metrics = metricsOf.get(textOf(record['metrics'])) ?? {};
    const known = metrics['numa_node_memory'];
    const bytes: number[] = [];
    for (const [node, size] of Object.entries(isStruct(known) ? known : {})) bytes[Number(node)] = Number(size);
    return { record, metrics, bytes };
  });
  if (nodes < 2 || guests.every(({ bytes }) => bytes.length > 0)) return guests;
  const told = new Map(
    (await tableOf({ rpc, ref: host }, 'host.get_NUMA_memory')).map(({ uuid, bytes_by_node = '' }) => [
      uuid,
      bytes_by_node.split(',').map(Number),
    ]),
  );
  return guests.map((guest) => ({ ...guest, bytes: told.get(textOf(guest.record['uuid'])) ?? guest.bytes }));
}

/** As the pool has it when it places another one: a VM with some on every node is at home nowhere. */
function occupantOf(
  { cpupools }: World,
  { record, metrics, bytes }: Guest,
  own: readonly LiveCpupool[],
  { nodes }: Topology,
): NumaOccupant {
  const [, pool] = cpupools.find(([ref]) => ref === record['cpupool']) ?? [];
  const homes = homeNodes(bytes);
  return {
    cpupool: pool === undefined ? (own[0]?.name ?? '') : printable(textOf(pool['name_label'])),
    vcpus: Number(metrics['VCPUs_number'] ?? record['VCPUs_at_startup']),
    nodes: homes.length < nodes.length ? homes : [],
  };
}
