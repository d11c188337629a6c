/** Which host a VM starts on. XAPI: ocaml/xapi/xapi_vm_helpers.ml (`choose_host_for_vm`, `assert_can_boot_here`). */
import type { Ref } from '@xenolith/base';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import { roomOn } from '../host/memory-account.ts';
import { canAttach } from '../network/bridges.ts';
import { pbdOf } from '../storage/vdi-path.ts';
import type { Xapi } from '../xapi.ts';
import { cpupoolOn, hostOfCpupool } from './cpupool-placement.ts';
import { domainTypeOf } from './domain-config.ts';
import { assertPlaceable } from './numa-placement.ts';
import { assertMemoryThere, startRange } from './start-memory.ts';

/** Where a VM's disks and interfaces are to be, when they are not to stay where they are. */
export interface Moves {
  readonly disks: ReadonlyMap<Ref<'VDI'>, Ref<'SR'>>;
  readonly networks: ReadonlyMap<Ref<'VIF'>, Ref<'network'>>;
}

export const noMoves: Moves = { disks: new Map(), networks: new Map() };

/**
 * Whether a host answers and reaches a VM's repositories and networks.
 * @throws XapiError HOST_OFFLINE, VM_REQUIRES_SR, VM_REQUIRES_NETWORK
 */
export function assertReaches(xapi: Xapi, ref: Ref<'VM'>, host: Ref<'host'>, moves = noMoves): void {
  const { db } = xapi;
  const vm = db.get('VM', ref);
  db.get('host', host);
  if (!xapi.hosts.isLive(host)) throw new XapiError('HOST_OFFLINE', host);
  for (const vbd of vm.VBDs.map((item) => db.get('VBD', item))) {
    if (vbd.empty || !db.has('VDI', vbd.VDI)) continue;
    const SR = moves.disks.get(vbd.VDI) ?? db.get('VDI', vbd.VDI).SR;
    if (pbdOf(db, SR, host)?.currently_attached !== true) throw new XapiError('VM_REQUIRES_SR', ref, SR);
  }
  for (const vif of vm.VIFs) {
    const network = moves.networks.get(vif) ?? db.get('VIF', vif).network;
    if (!canAttach(xapi, host, network)) throw new XapiError('VM_REQUIRES_NETWORK', ref, network);
  }
}

/**
 * Whether a VM can start on a host: it answers and is enabled, reaches the VM's repositories and networks, and has its cpupool and
 * the memory for its dynamic minimum, with the balloons of its VMs as small as they may get and what is promised to VMs
 * that start there now left out.
 * @throws XapiError the first reason why not
 */
export function assertCanBootHere(xapi: Xapi, ref: Ref<'VM'>, host: Ref<'host'>, moves = noMoves): void {
  const vm = xapi.db.get('VM', ref);
  const record = xapi.db.get('host', host);
  if (!xapi.hosts.isLive(host)) throw new XapiError('HOST_OFFLINE', host);
  if (!record.enabled) throw new XapiError('HOST_DISABLED', host);
  assertReaches(xapi, ref, host, moves);
  cpupoolOn(xapi, ref, host);
  assertPlaceable(xapi, ref, host, { type: domainTypeOf(vm), memoryTargetBytes: startRange(xapi, ref).minBytes });
  assertMemoryThere(xapi, ref, host, startRange(xapi, ref).minBytes);
}

/** The hosts where a VM could start now. */
export function possibleHosts(xapi: Xapi, ref: Ref<'VM'>): readonly Ref<'host'>[] {
  return xapi.db.refs('host').filter((host) => {
    try {
      assertCanBootHere(xapi, ref, host);
      return true;
    } catch (error) {
      if (error instanceof XapiError) return false;
      throw error;
    }
  });
}

/**
 * Of hosts those that have fewest of the VMs that this one is to be apart from: those of its group, when that says
 * `anti_affinity`. XAPI: ocaml/xapi/xapi_vm_helpers.ml (`host_to_vm_count_map`, `rank_hosts_by_placement`).
 */
function apartFromGroup({ db }: Xapi, vm: RecordOf<'VM'>, hosts: readonly Ref<'host'>[]): readonly Ref<'host'>[] {
  const group = vm.groups
    .map((each) => db.get('VM_group', each))
    .find(({ placement }) => placement === 'anti_affinity');
  if (group === undefined) return hosts;
  const others = group.VMs.map((each) => db.get('VM', each)).filter(({ uuid }) => uuid !== vm.uuid);
  const countOn = (host: Ref<'host'>): number =>
    others.filter((other) => other.resident_on === host || other.scheduled_to_be_resident_on === host).length;
  const least = Math.min(...hosts.map(countOn));
  return hosts.filter((host) => countOn(host) === least);
}

/**
 * The host to start on: of those that keep it apart from its group the VM's affinity when it can, else that of its cpupool,
 * else the one with most room now.
 */
export function chooseHost(xapi: Xapi, ref: Ref<'VM'>): Ref<'host'> {
  const vm = xapi.db.get('VM', ref);
  const { affinity } = vm;
  const hosts = apartFromGroup(xapi, vm, possibleHosts(xapi, ref));
  if (hosts.includes(affinity)) return affinity;
  const home = hostOfCpupool(xapi, vm);
  if (home !== undefined && hosts.includes(home)) return home;
  const [best] = hosts.toSorted((a, b) => roomOn(xapi, b, 'none', ref) - roomOn(xapi, a, 'none', ref));
  if (best !== undefined) return best;
  // With one host its own reason says more than that there is none.
  const [only, ...others] = xapi.db.refs('host');
  if (only !== undefined && others.length === 0) assertCanBootHere(xapi, ref, only);
  throw new XapiError('NO_HOSTS_AVAILABLE');
}
