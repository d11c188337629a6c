/**
 * Interfaces of hosts that are configured from here: spare network cards, bonds of them, and VLANs. What is up by the
 * records is made again when its host comes back. XAPI: ocaml/xapi/nm.ml (`bring_pif_up`, `bring_pif_down`).
 */
import type { Ref } from '@xenolith/base';
import type { Database } from '../database/database.ts';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import { isOutcomeKnown } from '../host-error.ts';
import type { BondUplink, Uplink } from '../host-networks.ts';
import { isReserved } from '../storage/reserved.ts';
import type { Xapi } from '../xapi.ts';
import { addressesOf } from './addresses.ts';
import { updateInterfaces } from './interface-records.ts';

/** The interface of a host that is on a network, or undefined. */
export const pifOn = (db: Database, network: Ref<'network'>, host: Ref<'host'>): Ref<'PIF'> | undefined =>
  db.get('network', network).PIFs.find((pif) => db.get('PIF', pif).host === host);

/** Whether an interface is a member of a bond: it has no bridge of its own then. */
export const isBonded = (db: Database, pif: Ref<'PIF'>): boolean => db.has('Bond', db.get('PIF', pif).bond_slave_of);

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

/** What an interface is on its host. */
export function uplinkOf(db: Database, pif: RecordOf<'PIF'>): Uplink {
  const { device, VLAN: tag, bond_master_of } = pif;
  const { bridge } = db.get('network', pif.network);
  if (tag >= 0) return { kind: 'vlan', bridge, device, tag };
  const [bond] = bond_master_of;
  return bond === undefined ? { kind: 'card', bridge, device } : bondUplink(db, pif, db.get('Bond', bond), bridge);
}

function bondUplink(
  db: Database,
  { device, MAC }: RecordOf<'PIF'>,
  bond: RecordOf<'Bond'>,
  bridge: string,
): BondUplink {
  const { mode, primary_slave, properties } = bond;
  const members = [primary_slave, ...bond.slaves.filter((slave) => slave !== primary_slave)];
  return {
    kind: 'bond',
    bridge,
    device,
    members: members.map((member) => db.get('PIF', member).device),
    mode,
    mac: MAC,
    hashing: properties['hashing_algorithm'] === 'src_mac' ? 'src_mac' : 'tcpudp_ports',
    lacpTime: properties['lacp-time'] === 'fast' ? 'fast' : 'slow',
  };
}

/**
 * Brings an interface up, with its bridge and its addresses; one that is up is made to be as the records say. A VLAN
 * brings up the bond that it is on. A refusal by the host leaves the record as it was.
 * @throws XapiError CANNOT_PLUG_BOND_SLAVE, PIF_CONFIGURATION_ERROR with what the host says
 */
export async function plugPif(xapi: Xapi, self: Ref<'PIF'>): Promise<void> {
  const { db, hosts } = xapi;
  const { host, currently_attached: wasUp, VLAN_master_of } = db.get('PIF', self);
  if (isBonded(db, self)) throw new XapiError('CANNOT_PLUG_BOND_SLAVE', self);
  const carrier = db.find('VLAN', VLAN_master_of)?.tagged_PIF;
  if (carrier !== undefined) {
    if (isBonded(db, carrier)) throw new XapiError('CANNOT_PLUG_BOND_SLAVE', carrier);
    const { bond_master_of, currently_attached } = db.get('PIF', carrier);
    if (bond_master_of.length > 0 && !currently_attached) await plugPif(xapi, carrier);
  }
  // Said first: what is up by the records is made again after a crash or a reboot.
  db.update('PIF', self, { currently_attached: true });
  await db.durable();
  try {
    const uplink = uplinkOf(db, db.get('PIF', self));
    await hosts.onNetworks(host, (networks) => networks.createUplink(uplink));
    hosts.noteBridge(host, uplink.bridge, 'there');
  } catch (error) {
    if (!wasUp && isOutcomeKnown(error) && db.has('PIF', self)) db.update('PIF', self, { currently_attached: false });
    throw refusalOf(self, error);
  }
  if (addressesOf(db.get('PIF', self)).length > 0) await setAddresses(xapi, self);
  await seeLinks(xapi, host);
}

/** Has the host have the addresses of an interface that is up. @throws XapiError PIF_CONFIGURATION_ERROR */
export async function setAddresses({ db, hosts }: Xapi, self: Ref<'PIF'>): Promise<void> {
  const pif = db.get('PIF', self);
  const { bridge } = db.get('network', pif.network);
  try {
    await hosts.onNetworks(pif.host, (networks) => networks.setAddresses(bridge, addressesOf(pif)));
  } catch (error) {
    throw refusalOf(self, error);
  }
}

/** What a host says of an interface, under XAPI's code for that. */
const refusalOf = (self: Ref<'PIF'>, error: unknown): unknown =>
  error instanceof XapiError && error.code === 'INTERNAL_ERROR'
    ? new XapiError('PIF_CONFIGURATION_ERROR', self, ...error.params)
    : error;

/** Looks at what links a host has now. That it cannot be looked at undoes nothing. */
async function seeLinks(xapi: Xapi, host: Ref<'host'>): Promise<void> {
  try {
    const there = await xapi.hosts.onNetworks(host, (networks) => networks.interfaces());
    updateInterfaces(xapi, host, there);
  } catch (error) {
    xapi.log.warn('the links of a host were not looked at', { host, error: String(error) });
  }
}

/**
 * Takes an interface down, with its bridge.
 * @throws XapiError VIF_IN_USE while a VM is on it, PIF_VLAN_STILL_EXISTS while VLANs on a bond are up, PIF_CONFIGURATION_ERROR with what the host says
 */
export async function unplugPif(xapi: Xapi, self: Ref<'PIF'>): Promise<void> {
  const { db, hosts } = xapi;
  const pif = db.get('PIF', self);
  assertNobodyOn(db, pif);
  const isUp = (vlan: Ref<'VLAN'>): boolean => db.get('PIF', db.get('VLAN', vlan).untagged_PIF).currently_attached;
  if (pif.bond_master_of.length > 0 && pif.VLAN_slave_of.some(isUp)) throw new XapiError('PIF_VLAN_STILL_EXISTS', self);
  const uplink = uplinkOf(db, pif);
  hosts.noteBridge(pif.host, uplink.bridge, 'gone');
  try {
    await hosts.onNetworks(pif.host, (networks) => networks.removeUplink(uplink));
  } catch (error) {
    if (isOutcomeKnown(error)) hosts.noteBridge(pif.host, uplink.bridge, 'there');
    throw refusalOf(self, error);
  }
  if (db.has('PIF', self)) db.update('PIF', self, { currently_attached: false });
  await seeLinks(xapi, pif.host);
}

/** @throws XapiError VIF_IN_USE while a VM is on the network of an interface, on its host */
export function assertNobodyOn(db: Database, { network, host }: RecordOf<'PIF'>): void {
  const user = userOf(db, network, host);
  if (user !== undefined) throw new XapiError('VIF_IN_USE', network, user);
}

/** Makes the interfaces of a host again that are up by the records, as after its reboot: VLANs after what they are on. */
export async function restorePifs(xapi: Xapi, host: Ref<'host'>): Promise<void> {
  const { db, hosts, log } = xapi;
  const vlanOrder = (pif: Ref<'PIF'>): number => Math.sign(db.get('PIF', pif).VLAN);
  for (const ref of db.get('host', host).PIFs.toSorted((a, b) => vlanOrder(a) - vlanOrder(b))) {
    const pif = db.find('PIF', ref);
    if (pif === undefined || !pif.managed || !pif.currently_attached || isBonded(db, ref)) continue;
    const isThere = hosts.hasBridge(host, db.get('network', pif.network).bridge);
    if (isThere && addressesOf(pif).length === 0) continue;
    await (isThere ? setAddresses(xapi, ref) : plugPif(xapi, ref)).catch((error: unknown) =>
      log.warn('an interface could not be made again', { pif: pif.uuid, error: String(error) }),
    );
  }
}
