/** The records of the interfaces of a host, as it says that they are. XAPI: ocaml/xapi/xapi_pif.ml (`scan`, `introduce_internal`). */
import type { Ref } from '@xenolith/base';
import type { Database } from '../database/database.ts';
import type { InterfaceFacts } from '../host-driver.ts';
import type { Xapi } from '../xapi.ts';
import { netmaskOf } from './addresses.ts';

/**
 * A PIF for each physical interface and a network for each bridge; a bridge of one name is one network of the pool. A spare card
 * is ours to configure, any other is the host's own. Carriers and the links of bonds are as they are now.
 */
export function updateInterfaces(xapi: Xapi, host: Ref<'host'>, interfaces: readonly InterfaceFacts[]): void {
  const { db } = xapi;
  for (const bridge of interfaces.filter((item) => item.kind === 'bridge' && item.isMade !== true))
    networkOfBridge(db, bridge.name);
  const known = new Set(db.get('host', host).PIFs.map((pif) => db.get('PIF', pif).device));
  const management = known.size > 0 ? undefined : managementOf(db, host, interfaces);
  for (const item of interfaces) {
    if (item.kind !== 'physical' || known.has(item.name)) continue;
    const [address = '', prefix] = addressesOn(item, interfaces)[0]?.split('/') ?? [];
    const isSpare = item.isSpare === true;
    db.create('PIF', {
      host,
      device: item.name,
      network: networkOfBridge(
        db,
        isSpare ? spareBridge(item.name, interfaces) : (item.bridge ?? `xenbr-${item.name}`),
      ),
      MAC: item.mac ?? '',
      MTU: item.mtu ?? 1500,
      VLAN: -1,
      physical: true,
      managed: isSpare,
      currently_attached: !isSpare,
      management: item === management,
      ip_configuration_mode: address === '' ? 'None' : 'Static',
      IP: address,
      netmask: netmaskOf(Number(prefix ?? 0)),
      metrics: db.create('PIF_metrics', { carrier: item.carrier ?? false, device_name: item.name }),
    });
  }
  updateLinks(db, host, interfaces);
}

/** An interface has its addresses itself, or its bridge has them. */
function addressesOn(item: InterfaceFacts, interfaces: readonly InterfaceFacts[]): readonly string[] {
  const bridge = interfaces.find(({ kind, name }) => kind === 'bridge' && name === item.bridge);
  return [...item.ipv4, ...(bridge?.isMade === true ? [] : (bridge?.ipv4 ?? []))];
}

/** The interface that has the address that we know a host by, or the first that has any. */
function managementOf(
  db: Database,
  host: Ref<'host'>,
  interfaces: readonly InterfaceFacts[],
): InterfaceFacts | undefined {
  const { address } = db.get('host', host);
  const reachable = interfaces.filter((item) => item.kind === 'physical' && addressesOn(item, interfaces).length > 0);
  return (
    reachable.find((item) => addressesOn(item, interfaces).some((own) => own.split('/')[0] === address)) ?? reachable[0]
  );
}

/** XAPI's name for the bridge of a card, unless the host has a bridge of its own by that name. */
function spareBridge(device: string, interfaces: readonly InterfaceFacts[]): string {
  const name = device.startsWith('eth') ? `xenbr${device.slice(3)}` : `br${device}`;
  return interfaces.some((item) => item.name === name && item.isMade !== true) ? `xenbr-${device}` : name;
}

/** Whether there is a link, of cards and of what is upon them. */
function updateLinks(db: Database, host: Ref<'host'>, interfaces: readonly InterfaceFacts[]): void {
  const links = new Map(interfaces.map(({ name, carrier }) => [name, carrier === true]));
  for (const ref of db.get('host', host).PIFs) {
    const { device, metrics, physical, bond_master_of, currently_attached } = db.get('PIF', ref);
    const carrier = links.get(device) === true && (physical || currently_attached);
    if (db.find('PIF_metrics', metrics)?.carrier === !carrier) db.update('PIF_metrics', metrics, { carrier });
    for (const bond of bond_master_of) {
      const { slaves, links_up } = db.get('Bond', bond);
      const up = slaves.filter((slave) => links.get(db.get('PIF', slave).device) === true).length;
      const now = currently_attached ? up : 0;
      if (now !== links_up) db.update('Bond', bond, { links_up: now });
    }
  }
}

function networkOfBridge(db: Database, bridge: string): Ref<'network'> {
  for (const [ref, network] of db.all('network')) if (network.bridge === bridge) return ref;
  return db.create('network', {
    name_label: `Pool-wide network on ${bridge}`,
    bridge,
    MTU: 1500,
    managed: true,
  });
}
