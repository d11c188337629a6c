/**
 * Networks as bridges of hosts. A network without a PIF is inside of each host: its bridge is made when a VM that is on
 * it starts there, and goes when no VM needs it. One with a managed PIF is up while that is.
 * XAPI: ocaml/xapi/xapi_network.ml (`attach_internal`, `detach`), xapi_network_attach_helpers.ml, nm.ml.
 */
import type { Ref } from '@xenolith/base';
import type { Database } from '../database/database.ts';
import { XapiError } from '../errors.ts';
import type { Xapi } from '../xapi.ts';
import { isBonded, pifOn, plugPif, userOf } from './pifs.ts';

/** Whether a network leads to nowhere outside of a host: we make its bridge where it is needed. */
export const isInternal = (db: Database, network: Ref<'network'>): boolean => {
  const { managed, PIFs } = db.get('network', network);
  return managed && PIFs.length === 0;
};

/** Whether a VM on a host could be on a network, now or once it is brought up there. */
export function canAttach({ db, hosts }: Xapi, host: Ref<'host'>, network: Ref<'network'>): boolean {
  if (hosts.hasBridge(host, db.get('network', network).bridge) || isInternal(db, network)) return true;
  const pif = pifOn(db, network, host);
  return pif !== undefined && db.get('PIF', pif).managed && !isBonded(db, pif);
}

/** Sees to it that a network is up on a host. @throws XapiError HOST_CANNOT_ATTACH_NETWORK, and what the host says */
export async function bringUp(xapi: Xapi, host: Ref<'host'>, network: Ref<'network'>): Promise<void> {
  const { db, hosts } = xapi;
  const { bridge } = db.get('network', network);
  if (hosts.hasBridge(host, bridge)) return;
  if (!canAttach(xapi, host, network)) throw new XapiError('HOST_CANNOT_ATTACH_NETWORK', host, network);
  const pif = pifOn(db, network, host);
  if (pif !== undefined) {
    await plugPif(xapi, pif);
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
