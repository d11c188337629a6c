/** Spare cards of hosts, bonds of them, and addresses on them, over the model. */
import { present, type Ref } from '@xenolith/base';
import { HostError, type InterfaceFacts } from '@xenolith/xapi';
import { beforeEach, describe, expect, test } from 'vitest';
import { modelAddress, ModelPool } from '../testing/model-pool.ts';
import { newInterface } from '../testing/new-objects.ts';

let pool: ModelPool;
/** The cards of the first host by their number: the first is the host's own. */
let cards: readonly Ref<'PIF'>[];
beforeEach(async () => {
  pool = await ModelPool.open(2, (number) => `${modelAddress(number)}&nics=4`);
  cards = cardsOf(1);
});

const cardsOf = (number: number): readonly Ref<'PIF'>[] => {
  const { PIFs } = pool.db.get('host', pool.host(number));
  return PIFs.toSorted((a, b) => pif(a).device.localeCompare(pif(b).device));
};
const pif = (ref: Ref<'PIF'>) => pool.db.get('PIF', ref);
const cardOn = (host: number, number: number): Ref<'PIF'> => present(cardsOf(host)[number], `eth${number}`);
const card = (number: number): Ref<'PIF'> => present(cards[number], `eth${number}`);
const newNetwork = (name_label: string): Promise<Ref<'network'>> =>
  pool.call('network.create', { name_label, other_config: {} });
const bridges = (number = 1) => pool.machine(number).bridges;
const made = (number = 1): readonly string[] =>
  bridges(number)
    .interfaces()
    .flatMap(({ name, isMade }) => (isMade === true ? [name] : []));
const settle = async (): Promise<void> => {
  await pool.clock.advanceAsync(10_000);
  await pool.settle();
};
async function newVm(network: string): Promise<{ readonly vm: Ref<'VM'>; readonly vif: Ref<'VIF'> }> {
  const vm = await pool.newVm();
  const vif = await pool.call<Ref<'VIF'>>('VIF.create', newInterface(vm, network, '0'));
  await pool.call('VM.start_on', vm, pool.host(1), false, false);
  return { vm, vif };
}
const newBond = async (members: readonly number[], mode = 'active-backup', properties = {}): Promise<Ref<'Bond'>> =>
  await pool.call('Bond.create', await newNetwork('bonded'), members.map(card), '', mode, properties);
const masterOf = (bond: Ref<'Bond'>): Ref<'PIF'> => pool.db.get('Bond', bond).master;

describe('a spare card', () => {
  test('is ours, on one network of the pool by its name; the others are not', () => {
    expect(cards.map((ref) => pif(ref).managed)).toEqual([false, true, true, true]);
    expect(pif(card(1))).toMatchObject({ device: 'eth1', currently_attached: false, ip_configuration_mode: 'None' });
    expect(pool.db.get('network', pif(card(1)).network).bridge).toBe('xenbr1');
    expect(pif(cardOn(2, 1)).network).toBe(pif(card(1)).network);
    expect(made()).toEqual([]);
  });

  test('is up while a VM needs it and after a reboot, and down when told to', async () => {
    const { network } = pif(card(1));
    const { vm, vif } = await newVm(network);
    expect([made(), pif(card(1)).currently_attached]).toEqual([['xenbr1'], true]);
    expect(await pool.refusal('PIF.unplug', card(1))).toBe(`VIF_IN_USE ${network} ${vif}`);
    expect(await pool.refusal('PIF.forget', card(1))).toBe(`VIF_IN_USE ${network} ${vif}`);
    pool.machine(1).reset();
    await settle();
    expect([made(), pool.vm(vm).power_state]).toEqual([['xenbr1'], 'Halted']);
    await pool.call('PIF.unplug', card(1));
    expect([made(), pif(card(1)).currently_attached]).toEqual([[], false]);
    await pool.call('PIF.plug', card(1));
    await pool.call('PIF.forget', card(1));
    expect(made()).toEqual([]);
    const again = await pool.call<Ref<'PIF'>>('PIF.introduce', pool.host(1), '', 'eth1', false);
    expect(await pool.refusal('PIF.plug', again)).toBe(`PIF_UNMANAGED ${again}`);
  });

  test('that its host refuses to bring up is down by the records', async () => {
    pool.machine(1).failNext('networks', new HostError('command-failed', 'no such device'));
    expect(await pool.refusal('PIF.plug', card(1))).toBe(`PIF_CONFIGURATION_ERROR ${card(1)} no such device`);
    expect([made(), pif(card(1)).currently_attached]).toEqual([[], false]);
    const vm = await pool.newVm();
    await pool.call('VIF.create', newInterface(vm, pif(card(1)).network, '0'));
    pool.machine(1).failNext('networks', new HostError('command-failed', 'no such device'));
    const refusal = `PIF_CONFIGURATION_ERROR ${card(1)} no such device`;
    expect(await pool.refusal('VM.start_on', vm, pool.host(1), false, false)).toBe(refusal);
    expect(pif(card(1)).currently_attached).toBe(false);
  });

  test('has the addresses that it is given, on its host while it is up', async () => {
    await pool.call('PIF.reconfigure_ip', card(1), 'Static', '198.51.100.9', '255.255.254.0', '198.51.100.1', '');
    await pool.call('PIF.reconfigure_ipv6', card(1), 'Static', '2001:db8::9/64', '', '');
    expect(bridges().addressesOn('xenbr1')).toEqual([]);
    await pool.call('PIF.plug', card(1));
    expect(bridges().addressesOn('xenbr1')).toEqual(['198.51.100.9/23', '2001:db8::9/64']);
    await pool.call('PIF.reconfigure_ip', card(1), 'Static', '198.51.100.10', '255.255.255.255', '', '192.0.2.53');
    expect(pif(card(1))).toMatchObject({ IP: '198.51.100.10', gateway: '', DNS: '192.0.2.53' });
    pool.machine(1).reset();
    await settle();
    expect(bridges().addressesOn('xenbr1')).toEqual(['198.51.100.10/32', '2001:db8::9/64']);
    await pool.call('PIF.reconfigure_ipv6', card(1), 'None', '', '', '');
    pool.machine(1).failNext('networks', new HostError('device-busy', 'the way would be another one'));
    const refusal = `PIF_CONFIGURATION_ERROR ${card(1)} the way would be another one`;
    expect(await pool.refusal('PIF.reconfigure_ip', card(1), 'None', '', '', '', '')).toBe(refusal);
    expect(pif(card(1)).IP).toBe('198.51.100.10');
    await pool.call('PIF.reconfigure_ip', card(1), 'None', '', '', '', '');
    expect([pif(card(1)).IP, bridges().addressesOn('xenbr1')]).toEqual(['', []]);
    await pool.call('PIF.set_primary_address_type', card(1), 'IPv6');
    expect(pif(card(1)).primary_address_type).toBe('IPv6');
  });

  test.each([
    ['Static', '', '255.0.0.0', '', 'INVALID_IP_ADDRESS_SPECIFIED IP'],
    ['Static', '192.0.2.1', '', '', 'INVALID_IP_ADDRESS_SPECIFIED netmask'],
    ['Static', '192.0.2.1', '255.0.255.0', '', 'INVALID_IP_ADDRESS_SPECIFIED netmask'],
    ['Static', '192.0.2.1', '255.0.0.0', 'x', 'INVALID_IP_ADDRESS_SPECIFIED gateway'],
    ['None', '192.0.2', '', '', 'INVALID_IP_ADDRESS_SPECIFIED IP'],
    ['DHCP', '', '', '', 'NOT_IMPLEMENTED PIF.reconfigure_ip: DHCP: addresses are given, not asked for'],
  ])('is not given %s %s %s %s', async (mode, ip, netmask, gateway, refusal) => {
    expect(await pool.refusal('PIF.reconfigure_ip', card(1), mode, ip, netmask, gateway, '')).toBe(refusal);
    expect(pif(card(1)).ip_configuration_mode).toBe('None');
  });

  test.each([
    ['Static', '', ''],
    ['Static', '2001:db8::1', ''],
    ['Static', '2001:db8::1/129', ''],
    ['Static', '192.0.2.1/24', ''],
    ['None', '', '192.0.2.1'],
  ])('is not given IPv6 %s %s %s', async (mode, address, gateway) => {
    const refusal = `INVALID_IP_ADDRESS_SPECIFIED ${gateway === '' ? 'IPv6' : 'gateway'}`;
    expect(await pool.refusal('PIF.reconfigure_ipv6', card(1), mode, address, gateway, '')).toBe(refusal);
  });
});

describe('the management interface', () => {
  const bridge = { name: 'xenbr0', kind: 'bridge', ipv4: ['192.0.2.9/25'] } as const;
  const cardsOfHost: readonly InterfaceFacts[] = [
    { name: 'eth0', kind: 'physical', ipv4: [] },
    { name: 'eth1', kind: 'physical', ipv4: [], bridge: 'xenbr0' },
    { name: 'eth2', kind: 'physical', ipv4: ['198.51.100.9/24'] },
  ];

  test.each([
    ['192.0.2.200', 'eth1'],
    ['198.51.100.9', 'eth2'],
  ])('of a host at %s is %s, also where its bridge has the address', async (address, device) => {
    const host = pool.host(1);
    expect(await pool.refusal('host.get_management_interface', host)).toBe('HOST_HAS_NO_MANAGEMENT_IP');
    for (const each of cards) await pool.call('PIF.forget', each);
    const interfaces = (): Promise<readonly InterfaceFacts[]> => Promise.resolve([bridge, ...cardsOfHost]);
    pool.wrapDriver = (driver) => ({ ...driver, networks: { ...driver.networks, interfaces } });
    await pool.reopen();
    for (const each of cardsOf(1)) await pool.call('PIF.forget', each);
    await pool.call('host.set_address', host, address);
    await pool.call('PIF.scan', host);
    const management = await pool.call<Ref<'PIF'>>('host.get_management_interface', host);
    expect(pif(management).device).toBe(device);
    expect(cardsOf(1).map((ref) => [pif(ref).IP, pif(ref).netmask, pif(ref).management])).toEqual([
      ['', '', false],
      ['192.0.2.9', '255.255.255.128', device === 'eth1'],
      ['198.51.100.9', '255.255.255.0', device === 'eth2'],
    ]);
    expect(await pool.refusal('PIF.forget', management)).toBe(`PIF_IS_MANAGEMENT_INTERFACE ${management}`);
  });
});

describe('a bond', () => {
  test('is one interface of several cards, with the address of the first, and its cards are free again without it', async () => {
    await pool.call('PIF.plug', card(2));
    const bond = await newBond([1, 2, 2]);
    const master = masterOf(bond);
    expect(pool.db.get('Bond', bond)).toMatchObject({
      slaves: [card(1), card(2)],
      primary_slave: card(1),
      mode: 'active-backup',
      properties: {},
      links_up: 2,
    });
    expect(pif(master)).toMatchObject({
      device: 'bond0',
      physical: false,
      managed: true,
      currently_attached: true,
      MAC: pif(card(1)).MAC,
      bond_master_of: [bond],
    });
    expect(cards.map((ref) => pif(ref).bond_slave_of === bond)).toEqual([false, true, true, false]);
    expect(pif(card(2)).currently_attached).toBe(false);
    expect(bridges().uplinkOf('xapi0')).toMatchObject({ kind: 'bond', members: ['eth1', 'eth2'] });
    const { vm, vif } = await newVm(pif(master).network);
    expect(await pool.refusal('Bond.destroy', bond)).toBe(`VIF_IN_USE ${pif(master).network} ${vif}`);
    pool.machine(1).reset();
    await settle();
    expect(made()).toEqual(['bond0', 'xapi0']);
    await pool.call('VM.start_on', vm, pool.host(1), false, false);
    await pool.call('VM.hard_shutdown', vm);
    await pool.call('Bond.destroy', bond);
    expect([pool.db.has('PIF', master), pool.db.count('Bond'), pool.db.count('PIF_metrics')]).toEqual([false, 0, 8]);
    expect(cards.slice(1).map((ref) => [pif(ref).bond_slave_of, pif(ref).currently_attached])).toEqual([
      ['OpaqueRef:NULL', true],
      ['OpaqueRef:NULL', true],
      ['OpaqueRef:NULL', false],
    ]);
    expect(made()).toEqual(['xenbr1', 'xenbr2']);
  });

  test('carries VLANs, which bring it up and keep it', async () => {
    const bond = await newBond([1, 2]);
    const master = masterOf(bond);
    const vlan = await pool.call<Ref<'VLAN'>>('VLAN.create', master, 7, await newNetwork('tagged'));
    const { untagged_PIF } = pool.db.get('VLAN', vlan);
    await pool.call('PIF.unplug', master);
    await pool.call('PIF.plug', untagged_PIF);
    expect([pif(master).currently_attached, bridges().uplinkOf('xapi1')]).toEqual([
      true,
      { kind: 'vlan', device: 'bond0', tag: 7, bridge: 'xapi1' },
    ]);
    expect(await pool.refusal('PIF.unplug', master)).toBe(`PIF_VLAN_STILL_EXISTS ${master}`);
    expect(await pool.refusal('Bond.destroy', bond)).toBe(`PIF_VLAN_STILL_EXISTS ${master}`);
    pool.machine(1).reset();
    await settle();
    expect(made()).toEqual(['bond0', 'xapi0', 'xapi1']);
    await pool.call('VLAN.destroy', vlan);
    await pool.call('Bond.destroy', bond);
    expect(pool.db.count('Bond')).toBe(0);
  });

  test('takes the address of a member, and gives it back', async () => {
    await pool.call('PIF.reconfigure_ip', card(2), 'Static', '198.51.100.9', '255.255.255.0', '', '');
    const bond = await newBond([1, 2]);
    expect(pool.db.get('Bond', bond).primary_slave).toBe(card(2));
    expect([pif(masterOf(bond)).IP, pif(card(2)).IP]).toEqual(['198.51.100.9', '']);
    expect(bridges().addressesOn('xapi0')).toEqual(['198.51.100.9/24']);
    await pool.call('Bond.destroy', bond);
    expect([pif(card(2)).IP, bridges().addressesOn('xenbr2')]).toEqual(['198.51.100.9', ['198.51.100.9/24']]);
  });

  test('has a mode and its properties, and as many links as cables', async () => {
    const bond = await newBond([1, 2, 3], 'lacp', { 'lacp-time': 'fast' });
    const fields = () => pool.db.get('Bond', bond);
    const defaults = { hashing_algorithm: 'tcpudp_ports', 'lacp-time': 'slow', 'lacp-fallback-ab': 'true' };
    expect(fields().properties).toEqual({ ...defaults, 'lacp-time': 'fast' });
    await pool.call('Bond.set_property', bond, 'hashing_algorithm', 'src_mac');
    expect(bridges().uplinkOf('xapi0')).toMatchObject({ mode: 'lacp', hashing: 'src_mac', lacpTime: 'fast' });
    const refusal = 'INVALID_VALUE properties lacp-time = never';
    expect(await pool.refusal('Bond.set_property', bond, 'lacp-time', 'never')).toBe(refusal);
    await pool.call('Bond.set_mode', bond, 'balance-slb');
    expect([fields().properties, bridges().uplinkOf('xapi0')]).toMatchObject([{}, { mode: 'balance-slb' }]);
    expect(fields().properties).toEqual({});
    pool.machine(1).failNext('networks', new HostError('command-failed', 'Device or resource busy'));
    expect(await pool.refusal('Bond.set_mode', bond, 'lacp')).toBe(
      `PIF_CONFIGURATION_ERROR ${masterOf(bond)} Device or resource busy`,
    );
    expect([fields().mode, fields().properties]).toEqual(['balance-slb', {}]);
    bridges().setLink('eth2', false);
    await pool.call('PIF.scan', pool.host(1));
    expect(fields().links_up).toBe(2);
    await pool.call('PIF.unplug', masterOf(bond));
    expect(fields().links_up).toBe(0);
    expect(pool.db.get('PIF_metrics', pif(card(2)).metrics).carrier).toBe(false);
  });

  test('is refused where it cannot be, and nothing is changed', async () => {
    const [network, other] = [await newNetwork('bonded'), await newNetwork('tagged')];
    const bond = await pool.call<Ref<'Bond'>>('Bond.create', network, [card(1), card(2)], '02:00:00:00:00:07', 'lacp');
    const [elsewhere, elsewhere2] = [cardOn(2, 1), cardOn(2, 2)];
    const onCard = await pool.call<Ref<'VLAN'>>('VLAN.create', card(3), 7, other);
    const tagged = pool.db.get('VLAN', onCard).untagged_PIF;
    const free = await newNetwork('free');
    const foreign = await pool.call('network.create', { other_config: {}, bridge: 'br9', managed: false });
    const create = (on: unknown, members: readonly string[], mac = '', mode = 'lacp', properties = {}) =>
      ['Bond.create', [on, members, mac, mode, properties]] as const;
    const master = masterOf(bond);
    const table: readonly (readonly [readonly [string, readonly unknown[]], string])[] = [
      [create(free, []), 'PIF_BOND_NEEDS_MORE_MEMBERS'],
      [create(free, [elsewhere, elsewhere]), 'PIF_BOND_NEEDS_MORE_MEMBERS'],
      [create(free, [card(1), card(3)]), `PIF_ALREADY_BONDED ${card(1)}`],
      [create(free, [master, card(3)]), `PIF_ALREADY_BONDED ${master}`],
      [create(free, [card(0), card(3)]), `PIF_UNMANAGED ${card(0)}`],
      [create(free, [tagged, card(3)]), `PIF_VLAN_EXISTS ${tagged}`],
      [create(free, [card(3), elsewhere]), `PIF_VLAN_STILL_EXISTS ${card(3)}`],
      [create(network, [elsewhere, elsewhere2], 'zz'), 'MAC_INVALID zz'],
      [create(free, [elsewhere, elsewhere2], '', 'lacp', { speed: '9' }), 'INVALID_VALUE properties speed = 9'],
      [create(free, [elsewhere, elsewhere2], '', 'quick'), 'INVALID_VALUE mode quick'],
      [create(other, [elsewhere, elsewhere2]), `NETWORK_INCOMPATIBLE_WITH_BOND ${other}`],
      [create(foreign, [elsewhere, elsewhere2]), `NETWORK_UNMANAGED ${foreign}`],
      [
        create(pif(elsewhere).network, [elsewhere, elsewhere2]),
        `NETWORK_ALREADY_CONNECTED ${pif(elsewhere).network} ${elsewhere}`,
      ],
      [['PIF.plug', [card(1)]], `CANNOT_PLUG_BOND_SLAVE ${card(1)}`],
      [['PIF.forget', [card(1)]], `PIF_ALREADY_BONDED ${card(1)}`],
      [['PIF.forget', [master]], `PIF_IS_NOT_PHYSICAL ${master}`],
      [['PIF.destroy', [master]], `PIF_IS_PHYSICAL ${master}`],
      [['PIF.reconfigure_ip', [card(1), 'None', '', '', '', '']], `PIF_ALREADY_BONDED ${card(1)}`],
      [['VLAN.create', [card(1), 8, free]], `CANNOT_ADD_VLAN_TO_BOND_SLAVE ${card(1)}`],
      [['network.attach', [pif(card(1)).network, pool.host(1)]], `HOST_CANNOT_ATTACH_NETWORK ${pool.host(1)} `],
    ];
    const before = [pool.db.count('PIF'), pool.db.count('Bond')];
    for (const [[method, args], refusal] of table)
      expect(await pool.refusal(method, ...(args as never[])), `${method} ${args.join(' ')}`).toContain(refusal);
    expect([pool.db.count('PIF'), pool.db.count('Bond')]).toEqual(before);
    await pool.call('VLAN.destroy', onCard);
    expect(await pool.refusal('Bond.create', free, [card(3), elsewhere], '', 'lacp', {})).toBe(
      'PIF_CANNOT_BOND_CROSS_HOST',
    );
    for (const each of [elsewhere, elsewhere2])
      await pool.call('PIF.reconfigure_ip', each, 'Static', '198.51.100.9', '255.255.255.0', '', '');
    const twice = await pool.refusal('Bond.create', free, [elsewhere, elsewhere2], '', 'lacp', {});
    expect(twice).toBe('PIF_BOND_MORE_THAN_ONE_IP');
  });

  test('that its host cannot make is not there, and its cards are as they were', async () => {
    await pool.call('PIF.plug', card(1));
    const network = await newNetwork('bonded');
    let changes = 0;
    pool.wrapDriver = (driver) => ({
      ...driver,
      networks: {
        ...driver.networks,
        createUplink: (uplink) =>
          uplink.kind === 'bond' && changes++ === 0
            ? Promise.reject(new HostError('command-failed', 'Unknown device type'))
            : driver.networks.createUplink(uplink),
      },
    });
    await pool.reopen();
    const refusal = await pool.refusal('Bond.create', network, [card(1), card(2)], '', 'lacp', {});
    expect(refusal).toMatch(/^PIF_CONFIGURATION_ERROR \S+ Unknown device type$/);
    expect([pool.db.count('Bond'), pif(card(1)).currently_attached, made()]).toEqual([0, true, ['xenbr1']]);
  });

  test('of a mode that Linux lacks is refused where bonds are those of Linux', async () => {
    pool.wrapDriver = (driver) => ({ ...driver, networks: { ...driver.networks, bondModes: ['active-backup'] } });
    await pool.reopen();
    const network = await newNetwork('bonded');
    const refusal = await pool.refusal('Bond.create', network, [card(1), card(2)], '');
    expect(refusal).toBe('OPENVSWITCH_NOT_ACTIVE');
    const bond = await pool.call('Bond.create', network, [card(1), card(2)], '', 'active-backup');
    expect(await pool.refusal('Bond.set_mode', bond, 'balance-slb')).toBe('OPENVSWITCH_NOT_ACTIVE');
  });

  test('goes with its host', async () => {
    await newBond([1, 2]);
    await pool.call('host.forget', pool.host(1));
    expect([pool.db.count('Bond'), pool.db.count('PIF')]).toEqual([0, 4]);
  });
});
