/**
 * Calls of bonds: several spare cards of a host as one interface. Beside what XAPI refuses, a card that VLANs or VMs are on is not
 * taken: they are not moved to the bond, nor away from it. XAPI: ocaml/xapi/xapi_bond.ml.
 */
import { nullRef, type Ref } from '@xenolith/base';
import type { Database } from '../database/database.ts';
import type { RecordOf } from '../datamodel/types.ts';
import { XapiError } from '../errors.ts';
import type { BondMode } from '../host-networks.ts';
import { assertNobodyOn, isBonded, pifOn, plugPif, unplugPif } from '../network/pifs.ts';
import type { Xapi } from '../xapi.ts';
import type { CallsOf } from './call.ts';
import { dropPif } from './pif.ts';
import { checkedMac } from './vif.ts';

type Properties = Readonly<Record<string, string>>;

interface Property {
  readonly otherwise?: string;
  readonly values: RegExp;
}

/** The properties that bonds of a mode have (`requirements_of_mode`). */
const propertiesOf: Readonly<Record<BondMode, Readonly<Record<string, Property>>>> = {
  'balance-slb': {},
  'active-backup': {},
  lacp: {
    hashing_algorithm: { otherwise: 'tcpudp_ports', values: /^(?:src_mac|tcpudp_ports)$/ },
    'lacp-time': { otherwise: 'slow', values: /^(?:fast|slow)$/ },
    'lacp-aggregation-key': { values: /^\d{1,5}$/ },
    'lacp-fallback-ab': { otherwise: 'true', values: /^(?:true|false)$/ },
  },
};

const isProperty = (mode: BondMode, name: string, value: string): boolean =>
  Object.hasOwn(propertiesOf[mode], name) && propertiesOf[mode][name]?.values.test(value) === true;

/** @throws XapiError INVALID_VALUE */
function assertProperty(mode: BondMode, name: string, value: string): void {
  if (!isProperty(mode, name, value)) throw new XapiError('INVALID_VALUE', 'properties', `${name} = ${value}`);
}

/** What a bond of a mode has when it is given these; those that the mode does not have are left out. */
function withDefaults(mode: BondMode, given: Properties): Properties {
  const defaults = Object.entries(propertiesOf[mode]).flatMap(([name, { otherwise }]) =>
    otherwise === undefined ? [] : [[name, otherwise] as const],
  );
  const kept = Object.entries(given).filter(([name, value]) => isProperty(mode, name, value));
  return Object.fromEntries([...defaults, ...kept]);
}

/** @throws XapiError OPENVSWITCH_NOT_ACTIVE for a mode that the bonds of a host do not have: those of Linux lack balance-slb */
function assertMode({ hosts }: Xapi, host: Ref<'host'>, mode: BondMode): void {
  if (!hosts.driverOf(host).networks.bondModes.includes(mode)) throw new XapiError('OPENVSWITCH_NOT_ACTIVE');
}

/** Refuses what cannot be a member, for XAPI's reasons in XAPI's order, then for ours. */
function assertMember(db: Database, self: Ref<'PIF'>): void {
  const pif = db.get('PIF', self);
  if (isBonded(db, self)) throw new XapiError('PIF_ALREADY_BONDED', self);
  if (pif.VLAN >= 0) throw new XapiError('PIF_VLAN_EXISTS', self);
  if (!pif.managed) throw new XapiError('PIF_UNMANAGED', self);
  if (!pif.physical) throw new XapiError('PIF_ALREADY_BONDED', self);
  if (pif.VLAN_slave_of.length > 0) throw new XapiError('PIF_VLAN_STILL_EXISTS', self);
  assertNobodyOn(db, pif);
}

/** The fields of a PIF that go from a card to the bond that it is in, and back. */
const addressFields = (pif: RecordOf<'PIF'>): Partial<RecordOf<'PIF'>> => {
  const { ip_configuration_mode, IP, netmask, gateway, DNS } = pif;
  const { ipv6_configuration_mode, IPv6, ipv6_gateway, primary_address_type } = pif;
  const ipv6 = { ipv6_configuration_mode, IPv6, ipv6_gateway, primary_address_type };
  return { ip_configuration_mode, IP, netmask, gateway, DNS, ...ipv6 };
};
const noAddress: Partial<RecordOf<'PIF'>> = {
  ip_configuration_mode: 'None',
  IP: '',
  netmask: '',
  gateway: '',
  DNS: '',
  ipv6_configuration_mode: 'None',
  IPv6: [],
  ipv6_gateway: '',
  primary_address_type: 'IPv4',
};

/** The first of bond0, bond1, … that no interface of a host has by its records. */
function freeName({ db }: Xapi, host: Ref<'host'>, there: readonly string[]): string {
  const taken = new Set([...db.get('host', host).PIFs.map((pif) => db.get('PIF', pif).device), ...there]);
  let index = 0;
  while (taken.has(`bond${index}`)) index++;
  return `bond${index}`;
}

interface NewBond {
  readonly network: Ref<'network'>;
  readonly members: readonly Ref<'PIF'>[];
  readonly MAC: string;
  readonly mode: BondMode;
  readonly properties: Properties;
}

/** Refuses a bond that cannot be, and says which card is the one that it has its address of. @throws XapiError why not */
function assertBond(xapi: Xapi, { network, members, MAC, mode, properties }: NewBond): Ref<'PIF'> {
  const { db } = xapi;
  if (!db.get('network', network).managed) throw new XapiError('NETWORK_UNMANAGED', network);
  const [first] = members;
  if (first === undefined) throw new XapiError('PIF_BOND_NEEDS_MORE_MEMBERS');
  const { host } = db.get('PIF', first);
  const connected = pifOn(db, network, host);
  if (connected !== undefined) throw new XapiError('NETWORK_ALREADY_CONNECTED', network, connected);
  if (MAC !== '') checkedMac(MAC);
  for (const [name, value] of Object.entries(properties)) assertProperty(mode, name, value);
  for (const member of members) assertMember(db, member);
  const pifs = members.map((member) => db.get('PIF', member));
  if (pifs.some((pif) => pif.host !== host)) throw new XapiError('PIF_CANNOT_BOND_CROSS_HOST');
  if (members.length < 2) throw new XapiError('PIF_BOND_NEEDS_MORE_MEMBERS');
  const isAddressed = (pif: Ref<'PIF'>): boolean => {
    const { ip_configuration_mode, ipv6_configuration_mode } = db.get('PIF', pif);
    return ip_configuration_mode !== 'None' || ipv6_configuration_mode !== 'None';
  };
  if (members.filter(isAddressed).length > 1) throw new XapiError('PIF_BOND_MORE_THAN_ONE_IP');
  // VMs on it elsewhere stay; a bridge of the host's own is not taken, nor one that cards have untagged.
  const { bridge, PIFs } = db.get('network', network);
  const isTheirs = xapi.hosts.hasBridge(host, bridge) && !xapi.hosts.madeBridges(host).includes(bridge);
  if (isTheirs || PIFs.some((pif) => db.get('PIF', pif).VLAN >= 0)) {
    throw new XapiError('NETWORK_INCOMPATIBLE_WITH_BOND', network);
  }
  assertMode(xapi, host, mode);
  return members.find(isAddressed) ?? first;
}

async function createBond(xapi: Xapi, given: NewBond): Promise<Ref<'Bond'>> {
  const { db, hosts } = xapi;
  const members = [...new Set(given.members)];
  assertBond(xapi, { ...given, members });
  const { host } = db.get('PIF', members[0] ?? nullRef<'PIF'>());
  const there = await hosts.onNetworks(host, (networks) => networks.interfaces());
  const wereUp = members.filter((member) => db.find('PIF', member)?.currently_attached === true);
  for (const member of wereUp) await unplugPif(xapi, member);
  // Others may have come and gone meanwhile.
  const primary = assertBond(xapi, { ...given, members });
  const device = freeName(
    xapi,
    host,
    there.map(({ name }) => name),
  );
  const bond = recordBond(xapi, { ...given, members }, { host, device, primary });
  const { master } = db.get('Bond', bond);
  try {
    await plugPif(xapi, master);
  } catch (error) {
    // What cannot be taken back now stays as it is said, and is made whole when its host is there again.
    if (db.has('Bond', bond)) await destroyBond(xapi, bond).catch(() => undefined);
    if (!db.has('Bond', bond)) await plugAll(xapi, wereUp);
    throw error;
  }
  return bond;
}

function recordBond(
  { db }: Xapi,
  { network, members, MAC, mode, properties }: NewBond,
  { host, device, primary }: { readonly host: Ref<'host'>; readonly device: string; readonly primary: Ref<'PIF'> },
): Ref<'Bond'> {
  const { MAC: ownMac, MTU, ...lead } = db.get('PIF', primary);
  const master = db.create('PIF', {
    host,
    device,
    network,
    MAC: MAC === '' ? ownMac : checkedMac(MAC),
    MTU,
    VLAN: -1,
    physical: false,
    managed: true,
    currently_attached: false,
    ...addressFields({ ...lead, MAC: ownMac, MTU }),
    disallow_unplug: members.some((member) => db.get('PIF', member).disallow_unplug),
    metrics: db.create('PIF_metrics', { carrier: false, device_name: device }),
  });
  const bond = db.create('Bond', {
    master,
    primary_slave: primary,
    mode,
    properties: withDefaults(mode, properties),
    auto_update_mac: MAC === '',
  });
  for (const member of members) db.update('PIF', member, { bond_slave_of: bond, disallow_unplug: false, ...noAddress });
  return bond;
}

/** Takes a bond apart; its cards are up when it was. @throws XapiError PIF_VLAN_STILL_EXISTS, VIF_IN_USE, and what the host says */
async function destroyBond(xapi: Xapi, self: Ref<'Bond'>): Promise<void> {
  const { db } = xapi;
  const { master } = db.get('Bond', self);
  const { currently_attached: wasUp, VLAN_slave_of } = db.get('PIF', master);
  if (VLAN_slave_of.length > 0) throw new XapiError('PIF_VLAN_STILL_EXISTS', master);
  if (wasUp) await unplugPif(xapi, master);
  if (!db.has('Bond', self)) return;
  const { slaves, primary_slave } = db.get('Bond', self);
  const pif = db.get('PIF', master);
  for (const slave of slaves) db.update('PIF', slave, { bond_slave_of: nullRef() });
  db.update('PIF', primary_slave, { ...addressFields(pif), disallow_unplug: pif.disallow_unplug });
  db.destroy('Bond', self);
  dropPif(xapi, master);
  if (wasUp) await plugAll(xapi, slaves);
}

async function plugAll(xapi: Xapi, cards: readonly Ref<'PIF'>[]): Promise<void> {
  for (const card of cards) {
    await plugPif(xapi, card).catch((error: unknown) =>
      xapi.log.warn('a card of a bond could not be brought up', { pif: card, error: String(error) }),
    );
  }
}

/** Has the host have a bond as the records say now. The record is as before when the host refuses. */
async function change(xapi: Xapi, self: Ref<'Bond'>, fields: Partial<RecordOf<'Bond'>>): Promise<void> {
  const { db } = xapi;
  const { mode, properties, master } = db.get('Bond', self);
  db.update('Bond', self, fields);
  if (!db.get('PIF', master).currently_attached) return;
  try {
    await plugPif(xapi, master);
  } catch (error) {
    if (db.has('Bond', self)) db.update('Bond', self, { mode, properties });
    throw error;
  }
}

export const bondCalls = {
  create: ({ xapi }, args) => createBond(xapi, args),
  destroy: ({ xapi }, { self }) => destroyBond(xapi, self),
  set_mode: async ({ xapi }, { self, value }) => {
    const { master, properties } = xapi.db.get('Bond', self);
    assertMode(xapi, xapi.db.get('PIF', master).host, value);
    await change(xapi, self, { mode: value, properties: withDefaults(value, properties) });
  },
  set_property: async ({ xapi }, { self, name, value }) => {
    const { mode, properties } = xapi.db.get('Bond', self);
    assertProperty(mode, name, value);
    await change(xapi, self, { properties: { ...properties, [name]: value } });
  },
} as const satisfies CallsOf<'Bond'>;
