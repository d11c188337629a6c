/**
 * Networks as bridges of hosts. A network without a PIF is inside of each host: its bridge is made when a VM that is on
 * it starts there, and goes when no VM needs it. One with a tagged PIF is up while that is.
 * XAPI: ocaml/xapi/xapi_network.ml (`attach_internal`, `detach`), xapi_network_attach_helpers.ml, nm.ml.
 */
import type { Ref } from '@xenolith/base';
import type { Database } from '../database/database.ts';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import type { VlanBridge } from '../host-networks.ts';
import { isReserved } from '../storage/reserved.ts';
import type { Xapi } from '../xapi.ts';

/** The interface of a host that is on a network, or undefined. */
export const pifOn = (db: Database, network: Ref<'network'>, host: Ref<'host'>): Ref<'PIF'> | undefined =>
  db.get('network', network).PIFs.find((pif) => db.get('PIF', pif).host === host);

/** Whether a network leads to nowhere outside of a host: we make its bridge where it is needed. */
export const isInternal = (db: Database, network: Ref<'network'>): boolean => {
  const { managed, PIFs } = db.get('network', network);
  return managed && PIFs.length === 0;
};

/** What a tagged interface is on its host. */
export function vlanBridge(db: Database, pif: RecordOf<'PIF'>): VlanBridge {
  return { device: pif.device, tag: pif.VLAN, bridge: db.get('network', pif.network).bridge };
}

/** Whether a VM on a host could be on a network, now or once it is brought up there. */
export function canAttach({ db, hosts }: Xapi, host: Ref<'host'>, network: Ref<'network'>): boolean {
  if (hosts.hasBridge(host, db.get('network', network).bridge) || isInternal(db, network)) return true;
  const pif = pifOn(db, network, host);
  return pif !== undefined && db.get('PIF', pif).VLAN >= 0;
}

/** Sees to it that a network is up on a host. @throws XapiError HOST_CANNOT_ATTACH_NETWORK, and what the host says */
export async function bringUp(xapi: Xapi, host: Ref<'host'>, network: Ref<'network'>): Promise<void> {
  const { db, hosts } = xapi;
  const { bridge } = db.get('network', network);
  if (hosts.hasBridge(host, bridge)) return;
  if (!canAttach(xapi, host, network)) throw new XapiError('HOST_CANNOT_ATTACH_NETWORK', host, network);
  const pif = pifOn(db, network, host);
  if (pif !== undefined) {
    await plugVlan(xapi, pif);
    return;
  }
  await hosts.onNetworks(host, (networks) => networks.createBridge(bridge));
  hosts.noteBridge(host, bridge, 'made');
}

/** {@link bringUp} of every network that a VM is on. */
export async function bringUpFor(xapi: Xapi, vm: Ref<'VM'>, host: Ref<'host'>): Promise<void> {
  const { db } = xapi;
  for (const vif of db.get('VM', vm).VIFs) await bringUp(xapi, host, db.get('VIF', vif).network);
}

/** Makes a tagged interface with its bridge on its host. */
export async function plugVlan({ db, hosts }: Xapi, self: Ref<'PIF'>): Promise<void> {
  const pif = db.get('PIF', self);
  const vlan = vlanBridge(db, pif);
  // Said first: what is up by the records is made again after a crash or a reboot.
  db.update('PIF', self, { currently_attached: true });
  await db.durable();
  await hosts.onNetworks(pif.host, (networks) => networks.createVlan(vlan));
  hosts.noteBridge(pif.host, vlan.bridge, 'there');
}

/** Removes a tagged interface with its bridge from its host. @throws XapiError VIF_IN_USE while a VM is on it */
export async function unplugVlan({ db, hosts }: Xapi, self: Ref<'PIF'>): Promise<void> {
  const pif = db.get('PIF', self);
  const user = userOf(db, pif.network, pif.host);
  if (user !== undefined) throw new XapiError('VIF_IN_USE', pif.network, user);
  const vlan = vlanBridge(db, pif);
  hosts.noteBridge(pif.host, vlan.bridge, 'gone');
  await hosts.onNetworks(pif.host, (networks) => networks.removeVlan(vlan));
  db.update('PIF', self, { currently_attached: false });
}

/** An interface of a VM that is on a network on a host, or may come to be at any moment. */
export function userOf(db: Database, network: Ref<'network'>, host: Ref<'host'>): Ref<'VIF'> | undefined {
  return db.get('network', network).VIFs.find((ref) => {
    const vif = db.get('VIF', ref);
    const vm = db.find('VM', vif.VM);
    if (vm === undefined) return false;
    const isComing = Object.keys(vif.current_operations).length > 0 || isReserved(vif);
    if (vm.scheduled_to_be_resident_on === host) return true;
    return vm.resident_on === host && (vif.currently_attached || isComing);
  });
}

/** Removes bridges that were made on a host and that no VM needs. What cannot be removed now is the next time. */
export function removeUnused({ db, hosts, log }: Xapi, host: Ref<'host'>): void {
  for (const bridge of hosts.madeBridges(host)) {
    const networks = [...db.all('network')].filter(([, record]) => record.bridge === bridge);
    const isNeeded = networks.some(
      ([ref]) => pifOn(db, ref, host) !== undefined || userOf(db, ref, host) !== undefined,
    );
    if (isNeeded) continue;
    // Whoever needs it from now on makes it anew, after this.
    hosts.noteBridge(host, bridge, 'gone');
    hosts
      .onNetworks(host, (driver) => driver.removeBridge(bridge))
      .catch((error: unknown) => log.warn('a bridge could not be removed', { bridge, error: String(error) }));
  }
}

/** Makes the tagged interfaces of a host again that are up by the records, as after its reboot. */
export async function restoreVlans(xapi: Xapi, host: Ref<'host'>): Promise<void> {
  const { db, hosts, log } = xapi;
  for (const ref of db.get('host', host).PIFs) {
    const pif = db.find('PIF', ref);
    if (pif === undefined || pif.VLAN < 0 || !pif.currently_attached) continue;
    if (hosts.hasBridge(host, db.get('network', pif.network).bridge)) continue;
    await plugVlan(xapi, ref).catch((error: unknown) =>
      log.warn('a VLAN could not be made again', { pif: pif.uuid, error: String(error) }),
    );
  }
}
