/**
 * On which NUMA nodes of its host a VM starts. XAPI: ocaml/xenopsd/lib/topology.ml, softaffinity.ml (which know no distances,
 * and let two starts at once have the same node); the placement itself is hypervisor/numa/place-by-policy.ts.
 */
import { err, nodeId, ok, pcpuId, type Ref, type Result } from '@xenolith/base';
import {
  homeNodes,
  libxlNeedKib,
  nodesNeeded,
  placeByPolicy,
  topologyOf,
  type NumaOccupant,
  type NumaReservation,
  type PolicyPlacementRequest,
} from '@xenolith/hypervisor';
import { XapiError } from '../errors.ts';
import { defaultCpupool, pcpusOf } from '../host/cpupool-records.ts';
import type { DomainConfig, DomainPlacement } from '../host-driver.ts';
import { byNode, nodeMemoryOf } from '../host/node-memory.ts';
import { isOutcomeKnown } from '../host-error.ts';
import type { Xapi } from '../xapi.ts';
import { cpupoolOn } from './cpupool-placement.ts';
import { numaPolicyOf } from './numa-policy.ts';
import { readVcpusParams } from './vcpus-params.ts';

/** Where a VM is to be, and what is promised to it with that. */
interface NumaPlacement {
  readonly placement: DomainPlacement;
  readonly reservation: NumaReservation;
  /** It did not fit where it should have been, and is spread over all nodes. */
  readonly isFallback: boolean;
}

/**
 * Chooses nodes by what the host told last; nothing is reserved yet.
 * @param moreBytes counted as free besides, by node
 * @returns undefined where there is nothing to choose; VM_NUMA_PLACEMENT_REFUSED [VM, host, reason] under `strict`
 * @throws XapiError HOST_OFFLINE
 */
function placedOrRefused(
  xapi: Xapi,
  ref: Ref<'VM'>,
  host: Ref<'host'>,
  config: Pick<DomainConfig, 'type' | 'memoryTargetBytes'>,
  moreBytes: readonly number[] = [],
): Result<NumaPlacement | undefined, XapiError> {
  const { db, hosts } = xapi;
  const facts = hosts.factsOf(host);
  if (facts.nodes.length < 2) return ok(undefined);
  const request = requestFor(xapi, ref, host, config, moreBytes);
  // Xen itself refuses a domain in a cpupool without pCPUs.
  if (request.cpupool.pcpus.length === 0) return ok(undefined);
  const placed = placeByPolicy(request);
  const numberOf = (place: number): number => facts.pcpus[place]?.pcpu ?? place;
  if (!placed.ok) {
    const { name_label } = db.get('host', host);
    return err(new XapiError('VM_NUMA_PLACEMENT_REFUSED', ref, host, `on ${name_label}, ${placed.error.reason}`));
  }
  const { nodes, softAffinity, hardAffinity, reservation, fallback } = placed.value;
  const pcpus = hardAffinity ?? softAffinity ?? request.cpupool.pcpus;
  return ok({
    placement: {
      nodes: nodes.map(nodeId),
      pcpus: pcpus.map((place) => pcpuId(numberOf(place))),
      strict: hardAffinity !== undefined,
    },
    reservation,
    isFallback: fallback !== undefined,
  });
}

/**
 * Makes a VM's domain from `config`, placed. What it takes of the nodes is promised to it from now on, so that nothing that
 * starts meanwhile counts on it too.
 * @throws XapiError VM_NUMA_PLACEMENT_REFUSED under `strict`, HOST_OFFLINE
 */
export async function onNodes<T>(
  xapi: Xapi,
  vm: Ref<'VM'>,
  host: Ref<'host'>,
  config: DomainConfig,
  make: (placed: DomainConfig) => Promise<T>,
): Promise<T> {
  const driver = xapi.hosts.driverOf(host);
  let found = placedOrRefused(xapi, vm, host, config);
  if (!found.ok || found.value?.isFallback === true) {
    // Figures are seconds old, and others may just have ended or given memory. A host that does not answer is told of by what follows.
    await driver.refresh().catch(() => undefined);
    found = placedOrRefused(xapi, vm, host, config);
  }
  if (!found.ok) throw found.error;
  // Nothing may be waited for between the placement and the promise.
  const placed = found.value;
  if (placed === undefined) return await make(config);
  const ledger = xapi.hosts.nodeLedgerOf(host);
  ledger.keepHomesOf(xapi.db.get('host', host).resident_VMs);
  ledger.reserve(
    vm,
    placed.reservation,
    xapi.hosts.nodesFree(host).map((size) => size / 1024),
  );
  try {
    const made = await make({ ...config, placement: placed.placement });
    ledger.taken(vm, driver.sequence());
    return made;
  } catch (error) {
    if (isOutcomeKnown(error)) ledger.drop(vm);
    else ledger.taken(vm, driver.sequence());
    throw error;
  }
}

/**
 * Whether a VM could be placed on a host as its policy insists, if others gave what they can.
 * @throws XapiError VM_NUMA_PLACEMENT_REFUSED
 */
export function assertPlaceable(
  xapi: Xapi,
  ref: Ref<'VM'>,
  host: Ref<'host'>,
  config: Pick<DomainConfig, 'type' | 'memoryTargetBytes'>,
): void {
  if (numaPolicyOf(xapi.db.get('VM', ref), xapi.db.get('host', host)) !== 'strict') return;
  const found = placedOrRefused(xapi, ref, host, config, movableBytes(xapi, host));
  if (!found.ok) throw found.error;
}

/** What the VMs of a host could give of each node: where they have more than their least. */
function movableBytes(xapi: Xapi, host: Ref<'host'>): readonly number[] {
  const { db } = xapi;
  const sums: number[] = [];
  for (const ref of db.get('host', host).resident_VMs) {
    const { memory_dynamic_min } = db.get('VM', ref);
    const bytesByNode = heldBytes(xapi, ref, host);
    const total = bytesByNode.reduce((sum, size) => sum + size, 0);
    const share = total === 0 ? 0 : Math.max(0, 1 - memory_dynamic_min / total);
    for (const [node, size] of bytesByNode.entries()) sums[node] = (sums[node] ?? 0) + size * share;
  }
  return sums;
}

function requestFor(
  xapi: Xapi,
  ref: Ref<'VM'>,
  host: Ref<'host'>,
  { type, memoryTargetBytes }: Pick<DomainConfig, 'type' | 'memoryTargetBytes'>,
  moreBytes: readonly number[],
): PolicyPlacementRequest {
  const { db, hosts } = xapi;
  const vm = db.get('VM', ref);
  const facts = hosts.factsOf(host);
  const ledger = hosts.nodeLedgerOf(host);
  const pool = cpupoolOn(xapi, ref, host);
  const placeOf = new Map<number, number>(facts.pcpus.map(({ pcpu }, place) => [pcpu, place]));
  const there = pool === undefined ? facts.pcpus.map(({ pcpu }) => pcpu) : pcpusOf(xapi, pool);
  const { mask } = readVcpusParams(vm.VCPUs_params);
  const allowed = there.filter((pcpu) => mask?.includes(pcpu) ?? true);
  const pcpus = (allowed.length > 0 ? allowed : there).flatMap((pcpu) => placeOf.get(pcpu) ?? []);
  const policy = numaPolicyOf(vm, db.get('host', host));
  const staticMaxKib = Math.ceil(vm.memory_static_max / 1024);
  const memory = {
    type,
    vcpus: vm.VCPUs_max,
    targetKib: Math.ceil(memoryTargetBytes / 1024),
    maximumKib: staticMaxKib,
  };
  const memoryKib = libxlNeedKib(memory);
  const free = hosts.nodesFree(host);
  const own = heldBytes(xapi, ref, host);
  const freeKib = ledger.unpromisedKib(free.map((size) => Math.floor(size / 1024)));
  const topology = topologyOf({
    node: facts.pcpus.map(({ node }) => node),
    socket: facts.pcpus.map(({ socket }) => socket),
    core: facts.pcpus.map(({ core }) => core),
    distances: byNode(facts.nodes, ({ distances }) => distances, []),
  });
  const wanted = { topology, cpupool: { name: pool ?? '', pcpus }, vcpus: vm.VCPUs_max, memoryKib };
  const nodesMax = policy === 'strict' ? nodesNeeded({ ...wanted, freeKib: emptyKib(xapi, host) }) : undefined;
  return {
    ...wanted,
    freeKib: freeKib.map((kib, node) => kib + Math.floor(((own[node] ?? 0) + (moreBytes[node] ?? 0)) / 1024)),
    occupants: occupantsOf(xapi, ref, host),
    reservations: ledger.starting.map((each) => ({ ...each, kibByNode: [] })),
    policy,
    ...(nodesMax === undefined ? {} : { nodesMax }),
  };
}

/** What a VM that runs on a host has of its nodes: as it was seen, or, as long as it was not, as it was placed. */
function heldBytes(xapi: Xapi, ref: Ref<'VM'>, host: Ref<'host'>): readonly number[] {
  const vm = xapi.db.get('VM', ref);
  const metrics = xapi.db.find('VM_metrics', vm.metrics);
  if (vm.resident_on !== host || metrics === undefined || vm.is_control_domain) return [];
  const known = nodeMemoryOf(metrics);
  const home = xapi.hosts.nodeLedgerOf(host).homeOf(ref);
  if (known.length > 0 || home === undefined) return known;
  const { nodes } = xapi.hosts.factsOf(host);
  const homes = home.length > 0 ? home : nodes.map(({ node }) => Number(node));
  const bytes = metrics.memory_actual === 0 ? vm.memory_target : metrics.memory_actual;
  return byNode(nodes, ({ node }) => (homes.includes(node) ? bytes / homes.length : 0), 0);
}

/** What would be free of a host's nodes, in KiB, without its VMs: not what a node spans, as there are holes in it, Xen and dom0. */
function emptyKib(xapi: Xapi, host: Ref<'host'>): readonly number[] {
  const { db, hosts } = xapi;
  const held = db.get('host', host).resident_VMs.map((ref) => heldBytes(xapi, ref, host));
  return hosts
    .nodesFree(host)
    .map((free, node) => held.reduce((sum, memory) => sum + (memory[node] ?? 0), free) / 1024);
}

/** The VMs that run on a host, except the one that is placed and those whose start is still in the ledger. */
function occupantsOf(xapi: Xapi, except: Ref<'VM'>, host: Ref<'host'>): readonly NumaOccupant[] {
  const { db, hosts } = xapi;
  const ledger = hosts.nodeLedgerOf(host);
  return db.get('host', host).resident_VMs.flatMap((ref) => {
    if (ref === except || ledger.isReserved(ref)) return [];
    const vm = db.get('VM', ref);
    const metrics = db.find('VM_metrics', vm.metrics);
    const known = metrics === undefined ? [] : nodeMemoryOf(metrics);
    const seen = metrics?.numa_optimised === true ? homeNodes(known) : [];
    const nodes = known.length > 0 ? seen : (ledger.homeOf(ref) ?? []);
    const pool = db.has('cpupool', vm.cpupool) ? vm.cpupool : (defaultCpupool(xapi, host) ?? '');
    return [{ cpupool: pool, vcpus: metrics?.VCPUs_number ?? vm.VCPUs_at_startup, nodes }];
  });
}
