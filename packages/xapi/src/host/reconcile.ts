/**
 * From a picture of a host's domains to what the records must say. Pure: what is known goes in, decisions come out.
 * XAPI does the same in ocaml/xapi/xapi_xenops.ml from xenopsd's events; here a whole picture is enough.
 */
import { nullRef, type DomId, type Ref, type Uuid } from '@xenolith/base';
import type { RecordOf } from '../datamodel/types.ts';
import type { DomainInfo } from '../host-driver.ts';

/** A VM as the decision sees it. */
export interface KnownVm {
  readonly ref: Ref<'VM'>;
  readonly vm: Pick<
    RecordOf<'VM'>,
    'uuid' | 'power_state' | 'domid' | 'resident_on' | 'is_control_domain' | 'suspend_VDI'
  >;
  /** The picture is not older than what we did to this VM ourselves, and we are not at it now. */
  readonly settled: boolean;
  /** It runs on another host by the records, and its domain is there by that host's last picture. */
  readonly elsewhere: boolean;
}

export type Decision =
  /** The VM runs here as this domain. */
  | { readonly kind: 'running'; readonly vm: Ref<'VM'>; readonly domid: DomId; readonly paused: boolean }
  /** Its domain is gone from here. */
  | { readonly kind: 'gone'; readonly vm: Ref<'VM'> }
  /** A second domain of a VM that runs on another host: the first stays the VM's as long as it is there. */
  | { readonly kind: 'twice'; readonly vm: Ref<'VM'> }
  /** The VM runs here, and has an image of an earlier or coming suspend. */
  | { readonly kind: 'image'; readonly vm: Ref<'VM'>; readonly paused: boolean }
  /** A domain that no record knows. */
  | { readonly kind: 'found'; readonly domain: DomainInfo }
  /** Figures of a running VM. */
  | { readonly kind: 'figures'; readonly vm: Ref<'VM'>; readonly domain: DomainInfo };

/** The domain that stands for a uuid: during a reboot the old one is still dying while the new one is there. */
export function domainsByUuid(domains: readonly DomainInfo[]): ReadonlyMap<Uuid, DomainInfo> {
  const best = new Map<Uuid, DomainInfo>();
  for (const domain of domains) {
    if (domain.dying) continue;
    const other = best.get(domain.uuid);
    const better =
      other === undefined ||
      (other.shutdown !== undefined && domain.shutdown === undefined) ||
      ((other.shutdown === undefined) === (domain.shutdown === undefined) && domain.domid > other.domid);
    if (better) best.set(domain.uuid, domain);
  }
  return best;
}

/**
 * Decides what a picture means.
 * @param known the VMs that have a domain here by the records, and every VM whose uuid is in the picture
 */
export function reconcile(
  host: Ref<'host'>,
  domains: readonly DomainInfo[],
  known: readonly KnownVm[],
): readonly Decision[] {
  const decisions: Decision[] = [];
  const present = domainsByUuid(domains);
  const seen = new Set<string>();
  for (const { ref, vm, settled, elsewhere } of known) {
    seen.add(vm.uuid);
    const domain = vm.is_control_domain ? domains.find(({ domid }) => domid === 0) : present.get(vm.uuid as Uuid);
    if (!settled) continue;
    const here = vm.resident_on === host && (vm.power_state === 'Running' || vm.power_state === 'Paused');
    if (domain === undefined) {
      if (here && !vm.is_control_domain) decisions.push({ kind: 'gone', vm: ref });
      continue;
    }
    if (vm.is_control_domain) {
      if (vm.resident_on === host) decisions.push({ kind: 'figures', vm: ref, domain });
      continue;
    }
    // A domain that has shut down waits for its toolstack: the next picture says what became of it.
    if (domain.shutdown !== undefined) continue;
    if (elsewhere) {
      decisions.push({ kind: 'twice', vm: ref });
      continue;
    }
    const paused = vm.power_state === 'Paused';
    if (!here || vm.domid !== domain.domid || paused !== domain.paused) {
      decisions.push({ kind: 'running', vm: ref, domid: domain.domid, paused: domain.paused });
    }
    if (vm.suspend_VDI !== nullRef()) decisions.push({ kind: 'image', vm: ref, paused: domain.paused });
    decisions.push({ kind: 'figures', vm: ref, domain });
  }
  for (const [uuid, domain] of present) {
    if (domain.domid !== 0 && !seen.has(uuid) && domain.shutdown === undefined)
      decisions.push({ kind: 'found', domain });
  }
  return decisions;
}
