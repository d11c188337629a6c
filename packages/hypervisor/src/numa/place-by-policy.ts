/**
 * Where a VM that we start ourselves is to be on NUMA nodes. libxl's search (place-automatically.ts) takes all pCPUs and all
 * distances for the same, and two starts at once for the same node; this one does not.
 */
import { err, ok, type Result } from '@xenolith/base';
import type { Topology } from '../topology/topology.ts';
import { ascending } from './node-affinity.ts';
import { nodeSets } from './node-sets.ts';

/**
 * `any`: memory is striped over all nodes of the pool, and nothing is pinned. `best_effort`: on as few nodes as it fits on,
 * which its vCPUs prefer; as `any` where it fits on none. `strict`: the vCPUs must stay there, and it is refused where it fits
 * on none.
 */
export type NumaPolicy = 'any' | 'best_effort' | 'strict';

/** vCPUs that are there already. */
export interface NumaOccupant {
  readonly cpupool: string;
  readonly vcpus: number;
  /** Where they are at home; everywhere in their pool where empty. */
  readonly nodes: readonly number[];
}

/** What a start that is under way will take. It is to be dropped when the domain's memory is no longer free. */
export interface NumaReservation extends NumaOccupant {
  /** Index is the node's number. */
  readonly kibByNode: readonly number[];
}

export interface PolicyPlacementRequest {
  readonly topology: Topology;
  /** Index is the node's number. */
  readonly freeKib: readonly number[];
  readonly cpupool: { readonly name: string; readonly pcpus: readonly number[] };
  /** Of all cpupools. */
  readonly occupants: readonly NumaOccupant[];
  readonly reservations: readonly NumaReservation[];
  readonly policy: NumaPolicy;
  /** The most vCPUs that it will have. */
  readonly vcpus: number;
  /** Memory that building it needs. */
  readonly memoryKib: number;
  /** It is not to be on more nodes than these; on any number where absent. */
  readonly nodesMax?: number;
}

/** Why a VM fits on no nodes of a pool: of what there is too little. */
export interface NumaRefusal {
  readonly lack: 'memory' | 'pcpus' | 'nodes';
  readonly needed: number;
  readonly available: number;
  /** For people. */
  readonly reason: string;
}

export interface PolicyPlacement {
  /** Where the memory is to be, ascending: node affinity. */
  readonly nodes: readonly number[];
  /** pCPUs of the pool there; absent where nothing is to be set. */
  readonly softAffinity?: readonly number[];
  readonly hardAffinity?: readonly number[];
  /** Why `best_effort` came to no more than `any`. */
  readonly fallback?: NumaRefusal;
  /** To be handed to every placement until the memory is taken. */
  readonly reservation: NumaReservation;
}

/** Beyond this many nodes not every set of them is looked at, but those that lie around each node. */
const exhaustiveNodesMax = 16;

/** Memory is given out in extents of 2 MiB: a node with less has none. */
const extentKib = 2048;

/** A node as the request sees it. */
interface Room {
  readonly node: number;
  /** pCPUs of the pool, and how many cores they are on. */
  readonly threads: number;
  readonly cores: number;
  readonly freeKib: number;
  /** vCPUs of the pool that are at home there, in parts where they have several homes. */
  load: number;
}

/**
 * Places one VM. Of the sets of nodes that have enough memory and pCPUs the smallest are taken, and of these, in this order,
 * the one where fewest vCPUs share a core, and then a thread; whose nodes are nearest to each other; with the least load for its
 * cores; with the most free memory; with the lowest numbers.
 * @returns the refusal of `strict`
 */
export function placeByPolicy(request: PolicyPlacementRequest): Result<PolicyPlacement, NumaRefusal> {
  const rooms = roomsOf(request);
  const everywhere = (): PolicyPlacement => {
    const nodes = rooms.map(({ node }) => node);
    return { nodes, reservation: { ...reservationOf(request, rooms), nodes: [] } };
  };
  if (request.policy === 'any') return ok(everywhere());
  const found = bestSet(request, rooms);
  if (!found.ok) return request.policy === 'strict' ? found : ok({ ...everywhere(), fallback: found.error });
  const nodes = found.value.map(({ node }) => node);
  const pcpus = ascending(request.cpupool.pcpus.filter((pcpu) => nodes.includes(request.topology.pcpus[pcpu]!.node)));
  const reservation = reservationOf(request, found.value);
  return ok({ nodes, [request.policy === 'strict' ? 'hardAffinity' : 'softAffinity']: pcpus, reservation });
}

/** What {@link nodesNeeded} wants to know of a VM; `freeKib` is what would be free if there were no other. */
export type NodesNeededRequest = Pick<
  PolicyPlacementRequest,
  'topology' | 'freeKib' | 'cpupool' | 'vcpus' | 'memoryKib'
>;

/** How many nodes a VM needs with no other in its way; undefined where it fits on none, however many. */
export function nodesNeeded(alone: NodesNeededRequest): number | undefined {
  const request: PolicyPlacementRequest = { ...alone, occupants: [], reservations: [], policy: 'strict' };
  const found = bestSet(request, roomsOf(request));
  return found.ok ? found.value.length : undefined;
}

/** The nodes that the pool has pCPUs on, with what is free there when all starts under way are done. */
function roomsOf({ topology, freeKib, cpupool, occupants, reservations }: PolicyPlacementRequest): readonly Room[] {
  const pool = ascending(cpupool.pcpus).map((pcpu) => topology.pcpus[pcpu]!);
  const rooms = ascending(pool.map(({ node }) => node)).map((node): Room => {
    const own = pool.filter((pcpu) => pcpu.node === node);
    const taken = reservations.reduce((sum, { kibByNode }) => sum + (kibByNode[node] ?? 0), 0);
    return {
      node,
      threads: own.length,
      cores: new Set(own.map(({ socket, core }) => socket * 0x10000 + core)).size,
      freeKib: Math.max(0, (freeKib[node] ?? 0) - taken),
      load: 0,
    };
  });
  for (const { cpupool: name, vcpus, nodes } of [...occupants, ...reservations]) {
    if (name !== cpupool.name) continue;
    const own = rooms.filter(({ node }) => nodes.includes(node));
    const homes = own.length > 0 ? own : rooms;
    const threads = sumOf(homes, (room) => room.threads);
    for (const room of homes) room.load += (vcpus * room.threads) / threads;
  }
  return rooms;
}

function bestSet(request: PolicyPlacementRequest, rooms: readonly Room[]): Result<readonly Room[], NumaRefusal> {
  const { vcpus, memoryKib, nodesMax = rooms.length } = request;
  const suitable = rooms.filter(({ freeKib }) => freeKib >= Math.min(extentKib, memoryKib));
  const sizeMax = Math.min(nodesMax, suitable.length);
  for (let size = 1; size <= sizeMax; size++) {
    let best: Judged | undefined;
    for (const set of setsOf(request, suitable, size)) {
      if (!isRoomFor(request, set)) continue;
      const judged = judge(request, set);
      if (best === undefined || isBetter(judged, best)) best = judged;
    }
    if (best !== undefined) return ok(best.set);
  }
  const [freeKib, threads] = [sumOf(suitable, (room) => room.freeKib), sumOf(suitable, (room) => room.threads)];
  if (freeKib < memoryKib) return err(refusal('memory', memoryKib, freeKib));
  if (threads < vcpus) return err(refusal('pcpus', vcpus, threads));
  const needed = [...suitable.keys()].find((index) =>
    [...setsOf(request, suitable, index + 1)].some((set) => isRoomFor(request, set)),
  );
  return err(refusal('nodes', (needed ?? suitable.length - 1) + 1, nodesMax));
}

const isRoomFor = ({ vcpus, memoryKib }: PolicyPlacementRequest, set: readonly Room[]): boolean =>
  sumOf(set, ({ freeKib }) => freeKib) >= memoryKib && sumOf(set, ({ threads }) => threads) >= vcpus;

/** Sets of so many nodes, ascending: all there are; of very many nodes, those next to each one. */
function* setsOf(
  { topology }: PolicyPlacementRequest,
  rooms: readonly Room[],
  size: number,
): Generator<readonly Room[], void> {
  if (rooms.length <= exhaustiveNodesMax) {
    for (const set of nodeSets([...rooms.keys()], size)) yield set.map((index) => rooms[index]!);
    return;
  }
  for (const { node } of rooms) {
    const { distances } = topology.nodes[node]!;
    const nearest = rooms.toSorted((a, b) => distances[a.node]! - distances[b.node]! || a.node - b.node);
    yield nearest.slice(0, size).sort((a, b) => a.node - b.node);
  }
}

/** A set of nodes with what it is compared by: at the first that differs, less is better. */
interface Judged {
  readonly set: readonly Room[];
  readonly figures: readonly number[];
}

function judge({ topology, vcpus }: PolicyPlacementRequest, set: readonly Room[]): Judged {
  const load = sumOf(set, (room) => room.load) + vcpus;
  const cores = sumOf(set, (room) => room.cores);
  const threads = sumOf(set, (room) => room.threads);
  let farthest = 0;
  let distances = 0;
  for (const { node } of set) {
    for (const { node: other } of set) {
      const distance = topology.nodes[node]!.distances[other]!;
      farthest = Math.max(farthest, distance);
      distances += distance;
    }
  }
  // A core for each vCPU; a thread for each; then by how many share one.
  const crowding = load <= cores ? 0 : Math.ceil(load / threads);
  return { set, figures: [crowding, farthest, distances, load / cores, -sumOf(set, ({ freeKib }) => freeKib)] };
}

function isBetter(candidate: Judged, best: Judged): boolean {
  const at = candidate.figures.findIndex((figure, index) => figure !== best.figures[index]);
  return at >= 0 && candidate.figures[at]! < best.figures[at]!;
}

/** Memory comes in equal parts from the nodes; what one has not, the others give. */
function reservationOf(
  { cpupool, vcpus, memoryKib, freeKib }: PolicyPlacementRequest,
  rooms: readonly Room[],
): NumaReservation {
  const kibByNode = freeKib.map(() => 0);
  let left = memoryKib;
  const poorestFirst = rooms.toSorted((a, b) => a.freeKib - b.freeKib);
  for (const [index, { node, freeKib: free }] of poorestFirst.entries()) {
    const part = Math.min(free, Math.ceil(left / (poorestFirst.length - index)));
    kibByNode[node] = part;
    left -= part;
  }
  return { cpupool: cpupool.name, vcpus, nodes: rooms.map(({ node }) => node), kibByNode };
}

function refusal(lack: NumaRefusal['lack'], needed: number, available: number): NumaRefusal {
  const reasons = {
    memory: `the nodes of the cpupool have ${available} KiB free, and ${needed} are needed`,
    pcpus: `the nodes of the cpupool that have memory have ${available} pCPUs, and there are ${needed} vCPUs`,
    nodes: `${needed} nodes are needed, and ${available} allowed`,
  };
  return { lack, needed, available, reason: reasons[lack] };
}

const sumOf = (rooms: readonly Room[], of: (room: Room) => number): number =>
  rooms.reduce((sum, room) => sum + of(room), 0);
