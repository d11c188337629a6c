/**
 * Calls of the interfaces of hosts, and of VLANs on them. A card that the host itself uses is its own: it is known here, and VLANs
 * are made on it, but its addresses and its state are left to the host. XAPI: ocaml/xapi/xapi_pif.ml, xapi_vlan.ml.
 */
import { nullRef, type Ref } from '@xenolith/base';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import { isOutcomeKnown } from '../host-error.ts';
import { assertIpv4, assertIpv6 } from '../network/addresses.ts';
import { updateInterfaces } from '../network/interface-records.ts';
import { isBonded, pifOn, plugPif, setAddresses, unplugPif } from '../network/pifs.ts';
import type { Xapi } from '../xapi.ts';
import type { CallsOf } from './call.ts';

const tagMax = 4094;

/** @throws XapiError PIF_UNMANAGED for what is the host's own */
function managedPif(xapi: Xapi, self: Ref<'PIF'>): RecordOf<'PIF'> {
  const pif = xapi.db.get('PIF', self);
  if (!pif.managed) throw new XapiError('PIF_UNMANAGED', self);
  return pif;
}

/** Refuses to drop an interface that something is built on. @throws XapiError PIF_ALREADY_BONDED, PIF_VLAN_STILL_EXISTS, PIF_IS_MANAGEMENT_INTERFACE */
function assertFree(xapi: Xapi, self: Ref<'PIF'>): void {
  const { management, VLAN_slave_of } = xapi.db.get('PIF', self);
  if (isBonded(xapi.db, self)) throw new XapiError('PIF_ALREADY_BONDED', self);
  if (management) throw new XapiError('PIF_IS_MANAGEMENT_INTERFACE', self);
  if (VLAN_slave_of.length > 0) throw new XapiError('PIF_VLAN_STILL_EXISTS', self);
}

/** Removes the record of an interface, with its figures. */
export function dropPif({ db }: Xapi, self: Ref<'PIF'>): void {
  const { metrics } = db.get('PIF', self);
  db.destroy('PIF', self);
  db.destroy('PIF_metrics', metrics);
}

/** Makes the records of a VLAN: the tagged interface is not up yet. @throws XapiError why it cannot be */
function createVlan(xapi: Xapi, on: Ref<'PIF'>, tag: number, network: Ref<'network'>): Ref<'VLAN'> {
  const { db } = xapi;
  const parent = db.get('PIF', on);
  const { managed, bridge, PIFs } = db.get('network', network);
  if (!Number.isInteger(tag) || tag < 1 || tag > tagMax) throw new XapiError('VLAN_TAG_INVALID', String(tag));
  if (parent.VLAN >= 0) throw new XapiError('PIF_IS_VLAN', on);
  if (isBonded(db, on)) throw new XapiError('CANNOT_ADD_VLAN_TO_BOND_SLAVE', on);
  if (!managed) throw new XapiError('NETWORK_UNMANAGED', network);
  const onHost = db.get('host', parent.host).PIFs.map((pif) => [pif, db.get('PIF', pif)] as const);
  const same = onHost.find(([, { device, VLAN }]) => device === parent.device && VLAN === tag);
  if (same !== undefined) throw new XapiError('PIF_VLAN_EXISTS', same[0]);
  const connected = pifOn(db, network, parent.host);
  if (connected !== undefined) throw new XapiError('NETWORK_ALREADY_CONNECTED', network, connected);
  const isUntagged = PIFs.some((pif) => db.get('PIF', pif).physical);
  // A bridge that hosts have by themselves is not taken for it.
  if (isUntagged || (PIFs.length === 0 && isThere(xapi, bridge))) {
    throw new XapiError('NETWORK_INCOMPATIBLE_WITH_VLAN_ON_BRIDGE', network);
  }
  const pif = db.create('PIF', {
    host: parent.host,
    device: parent.device,
    network,
    MAC: parent.MAC,
    MTU: parent.MTU,
    VLAN: tag,
    physical: false,
    managed: true,
    currently_attached: false,
    metrics: db.create('PIF_metrics', { carrier: false, device_name: `${parent.device}.${tag}` }),
  });
  const vlan = db.create('VLAN', { tagged_PIF: on, untagged_PIF: pif, tag });
  db.update('PIF', pif, { VLAN_master_of: vlan });
  return vlan;
}

/** Whether a host of the pool has a bridge of that name that was not made here. */
const isThere = ({ db, hosts }: Xapi, bridge: string): boolean =>
  db.refs('host').some((host) => hosts.hasBridge(host, bridge) && !hosts.madeBridges(host).includes(bridge));

async function destroyVlan(xapi: Xapi, vlan: Ref<'VLAN'>): Promise<void> {
  const { db } = xapi;
  const { untagged_PIF } = db.get('VLAN', vlan);
  if (db.get('PIF', untagged_PIF).currently_attached) await unplugPif(xapi, untagged_PIF);
  if (!db.has('VLAN', vlan)) return;
  db.destroy('VLAN', vlan);
  dropPif(xapi, untagged_PIF);
}

/** @throws XapiError PIF_IS_PHYSICAL for what is no VLAN */
function vlanOf(xapi: Xapi, self: Ref<'PIF'>): Ref<'VLAN'> {
  const { VLAN_master_of, VLAN } = xapi.db.get('PIF', self);
  if (VLAN < 0) throw new XapiError('PIF_IS_PHYSICAL', self);
  return VLAN_master_of;
}

export const pifCalls = {
  scan: async ({ xapi }, { host }) => {
    xapi.db.get('host', host);
    updateInterfaces(xapi, host, await xapi.hosts.onNetworks(host, (networks) => networks.interfaces()));
  },
  introduce: async ({ xapi }, { host, MAC, device, managed }) => {
    const { db, hosts } = xapi;
    const mac = MAC.toLowerCase();
    if (!/^(?:[0-9a-f]{2}(?::[0-9a-f]{2}){5})?$/.test(mac)) throw new XapiError('MAC_INVALID', MAC);
    db.get('host', host);
    const there = await hosts.onNetworks(host, (networks) => networks.interfaces());
    const physical = there.filter(({ kind }) => kind === 'physical');
    const found = physical.find((item) => (mac === '' || item.mac === mac) && (device === '' || item.name === device));
    if (found === undefined) {
      throw new XapiError('COULD_NOT_FIND_NETWORK_INTERFACE_WITH_SPECIFIED_DEVICE_NAME_AND_MAC_ADDRESS', device, MAC);
    }
    const known = db.get('host', host).PIFs.map((pif) => db.get('PIF', pif));
    if (known.some((pif) => pif.VLAN < 0 && pif.device === found.name)) {
      throw new XapiError('DUPLICATE_PIF_DEVICE_NAME', found.name);
    }
    updateInterfaces(
      xapi,
      host,
      there.filter((item) => item.kind === 'bridge' || item === found),
    );
    const made = db.get('host', host).PIFs.find((pif) => {
      const { VLAN, device: name } = db.get('PIF', pif);
      return VLAN < 0 && name === found.name;
    });
    if (made !== undefined && !managed) db.update('PIF', made, { managed });
    return made ?? nullRef<'PIF'>();
  },
  forget: async ({ xapi }, { self }) => {
    const { physical, managed, currently_attached } = xapi.db.get('PIF', self);
    if (!physical) throw new XapiError('PIF_IS_NOT_PHYSICAL', self);
    assertFree(xapi, self);
    if (managed && currently_attached) await unplugPif(xapi, self);
    if (xapi.db.has('PIF', self)) dropPif(xapi, self);
  },
  plug: async ({ xapi }, { self }) => {
    if (!managedPif(xapi, self).currently_attached) await plugPif(xapi, self);
  },
  unplug: async ({ xapi }, { self }) => {
    const { disallow_unplug, currently_attached, management } = managedPif(xapi, self);
    if (management && currently_attached) throw new XapiError('PIF_IS_MANAGEMENT_INTERFACE', self);
    if (disallow_unplug) throw new XapiError('PIF_DOES_NOT_ALLOW_UNPLUG', self);
    if (currently_attached) await unplugPif(xapi, self);
  },
  set_disallow_unplug: ({ xapi }, { self, value }) => xapi.db.update('PIF', self, { disallow_unplug: value }),
  reconfigure_ip: async ({ xapi }, { self, mode, IP, netmask, gateway, DNS }) => {
    managedPif(xapi, self);
    assertIpv4(mode, { IP, netmask, gateway });
    if (mode === 'DHCP') refuseMode('PIF.reconfigure_ip', mode);
    const fixed = mode === 'None' ? { IP: '', netmask: '', gateway: '' } : { IP, netmask, gateway };
    await configure(xapi, self, { ip_configuration_mode: mode, ...fixed, ...(DNS === '' ? {} : { DNS }) });
  },
  reconfigure_ipv6: async ({ xapi }, { self, mode, IPv6, gateway, DNS }) => {
    managedPif(xapi, self);
    assertIpv6(mode, { IPv6, gateway });
    if (mode === 'DHCP' || mode === 'Autoconf') refuseMode('PIF.reconfigure_ipv6', mode);
    const fixed = mode === 'None' ? { IPv6: [], ipv6_gateway: '' } : { IPv6: [IPv6], ipv6_gateway: gateway };
    await configure(xapi, self, { ipv6_configuration_mode: mode, ...fixed, ...(DNS === '' ? {} : { DNS }) });
  },
  set_primary_address_type: ({ xapi }, { self, primary_address_type }) => {
    if (managedPif(xapi, self).management) throw new XapiError('PIF_IS_MANAGEMENT_INTERFACE', self);
    xapi.db.update('PIF', self, { primary_address_type });
  },
  create_VLAN: ({ xapi }, { device, network, host, VLAN }) => {
    const { db } = xapi;
    const parent = db.get('host', host).PIFs.find((pif) => {
      const record = db.get('PIF', pif);
      return record.device === device && record.VLAN < 0;
    });
    if (parent === undefined) throw new XapiError('PIF_DEVICE_NOT_FOUND');
    return db.get('VLAN', createVlan(xapi, parent, VLAN, network)).untagged_PIF;
  },
  destroy: ({ xapi }, { self }) => destroyVlan(xapi, vlanOf(xapi, self)),
} as const satisfies CallsOf<'PIF'>;

/** Nobody asks for an address, and routers of the guests' networks are not believed. @throws XapiError NOT_IMPLEMENTED */
function refuseMode(method: string, mode: string): never {
  throw new XapiError('NOT_IMPLEMENTED', `${method}: ${mode}: addresses are given, not asked for`);
}

/**
 * Gives an interface its addresses, on its host too when it is up. The record is as before when that cannot be.
 * @throws XapiError PIF_ALREADY_BONDED, PIF_CONFIGURATION_ERROR
 */
async function configure(xapi: Xapi, self: Ref<'PIF'>, fields: Partial<RecordOf<'PIF'>>): Promise<void> {
  const { db } = xapi;
  const before = db.get('PIF', self);
  if (isBonded(db, self)) throw new XapiError('PIF_ALREADY_BONDED', self);
  db.update('PIF', self, fields);
  if (!before.currently_attached) return;
  // Said first, as of what is up: the host has it after its next boot too.
  await db.durable();
  try {
    await setAddresses(xapi, self);
  } catch (error) {
    const old = Object.fromEntries(Object.keys(fields).map((name) => [name, before[name as keyof RecordOf<'PIF'>]]));
    if (isOutcomeKnown(error) && db.has('PIF', self)) db.update('PIF', self, old);
    throw error;
  }
}

export const vlanCalls = {
  create: ({ xapi }, { tagged_PIF, tag, network }) => createVlan(xapi, tagged_PIF, tag, network),
  destroy: ({ xapi }, { self }) => destroyVlan(xapi, self),
} as const satisfies CallsOf<'VLAN'>;

/** Makes a VLAN on several hosts and brings it up: on all of them, or on none. */
async function createEverywhere(
  xapi: Xapi,
  parents: readonly Ref<'PIF'>[],
  network: Ref<'network'>,
  tag: number,
): Promise<Ref<'PIF'>[]> {
  const { db } = xapi;
  const made: Ref<'VLAN'>[] = [];
  try {
    for (const parent of parents) made.push(createVlan(xapi, parent, tag, network));
    for (const vlan of made) {
      const { untagged_PIF } = db.get('VLAN', vlan);
      // A host that does not answer makes it when it does, or when a VM needs it there.
      if (xapi.hosts.isLive(db.get('PIF', untagged_PIF).host)) await plugPif(xapi, untagged_PIF);
    }
  } catch (error) {
    for (const vlan of made) await destroyVlan(xapi, vlan).catch(() => undefined);
    throw error;
  }
  return made.map((vlan) => db.get('VLAN', vlan).untagged_PIF);
}

/** Every host's interface of that name. */
const devicesCalled = ({ db }: Xapi, name: string): readonly Ref<'PIF'>[] =>
  [...db.all('PIF')].filter(([, { device, VLAN }]) => device === name && VLAN < 0).map(([ref]) => ref);

export const poolVlanCalls = {
  create_VLAN: ({ xapi }, { device, network, VLAN }) => {
    const parents = devicesCalled(xapi, device);
    if (parents.length === 0) throw new XapiError('PIF_DEVICE_NOT_FOUND');
    return createEverywhere(xapi, parents, network, VLAN);
  },
  create_VLAN_from_PIF: ({ xapi }, { pif, network, VLAN }) => {
    const { device, VLAN: tag } = xapi.db.get('PIF', pif);
    if (tag >= 0) throw new XapiError('PIF_IS_VLAN', pif);
    return createEverywhere(xapi, devicesCalled(xapi, device), network, VLAN);
  },
} as const satisfies CallsOf<'pool'>;

/** Which interface a host is managed by. */
export const hostPifCalls = {
  get_management_interface: ({ xapi }, { host }) => {
    const { db } = xapi;
    const found = db.get('host', host).PIFs.find((pif) => db.get('PIF', pif).management);
    if (found === undefined) throw new XapiError('HOST_HAS_NO_MANAGEMENT_IP');
    return found;
  },
} as const satisfies CallsOf<'host'>;
