/** Networks, VLANs and what VIFs may send, over the model. */
import type { Ref } from '@xenolith/base';
import { HostError } from '@xenolith/xapi';
import { beforeEach, describe, expect, test } from 'vitest';
import { ModelPool } from '../testing/model-pool.ts';
import { newInterface } from '../testing/new-objects.ts';

let pool: ModelPool;
let card: Ref<'PIF'>;
let outside: Ref<'network'>;
beforeEach(async () => {
  pool = await ModelPool.open(2);
  const [found] = [...pool.db.all('PIF')].filter(([, { host }]) => host === pool.host(1));
  if (found === undefined) throw new Error('no PIF');
  card = found[0];
  outside = found[1].network;
});

const newNetwork = (name_label: string): Promise<Ref<'network'>> =>
  pool.call('network.create', { name_label, other_config: {} });
const made = (number: number): readonly string[] =>
  pool
    .machine(number)
    .bridges.interfaces()
    .flatMap(({ name, isMade }) => (isMade === true ? [name] : []));
const settle = async (): Promise<void> => {
  await pool.clock.advanceAsync(10_000);
  await pool.settle();
};
/** A VM with an interface on a network, that starts on a host. */
async function newVm(network: string, host = 1): Promise<{ readonly vm: Ref<'VM'>; readonly vif: Ref<'VIF'> }> {
  const vm = await pool.newVm();
  const vif = await pool.call<Ref<'VIF'>>('VIF.create', newInterface(vm, network, '0'));
  await pool.call('VM.start_on', vm, pool.host(host), false, false);
  return { vm, vif };
}

describe('a network without a PIF', () => {
  test('has a bridge on the hosts where VMs are on it, and only while they are', async () => {
    const network = await newNetwork('inside');
    expect(pool.db.get('network', network)).toMatchObject({ bridge: 'xapi0', managed: true });
    const [a, b] = [await newVm(network), await newVm(network)];
    await settle();
    expect([made(1), made(2)]).toEqual([['xapi0'], []]);
    await pool.call('VM.hard_shutdown', a.vm);
    await settle();
    expect(made(1)).toEqual(['xapi0']);
    await pool.call('VIF.unplug', b.vif);
    await settle();
    expect(made(1)).toEqual([]);
    await pool.call('VIF.plug', b.vif);
    await settle();
    expect(made(1)).toEqual(['xapi0']);
    await pool.call('VM.suspend', b.vm);
    await settle();
    expect(made(1)).toEqual([]);
    await pool.call('VM.resume', b.vm, false, false);
    expect(made(1)).toEqual(['xapi0']);
    expect(pool.disagreements()).toEqual([]);
  });

  test('is no network of its own where its bridge is found again', async () => {
    const { vm } = await newVm(await newNetwork('inside'));
    const networks = pool.db.count('network');
    await pool.reopen();
    await settle();
    expect(pool.db.count('network')).toBe(networks);
    await pool.call('VM.hard_shutdown', vm);
    await settle();
    expect(made(1)).toEqual([]);
  });

  test('that cannot be made keeps its VM halted', async () => {
    const network = await newNetwork('inside');
    const vm = await pool.newVm();
    await pool.call('VIF.create', newInterface(vm, network, '0'));
    pool.machine(1).failNext('networks', new HostError('command-failed', 'no bridges in this kernel'));
    pool.machine(2).failNext('networks', new HostError('command-failed', 'no bridges in this kernel'));
    expect(await pool.refusal('VM.start', vm, false, false)).toBe('INTERNAL_ERROR no bridges in this kernel');
    expect(pool.disagreements()).toEqual([]);
    await pool.call('VM.start', vm, false, false);
  });

  test('is refused what cannot be', async () => {
    const network = await newNetwork('inside');
    const { vif } = await newVm(network);
    const foreign = await pool.call('network.create', {
      name_label: 'x',
      other_config: {},
      bridge: 'br9',
      managed: false,
    });
    const table: readonly (readonly [string, readonly (string | boolean | object)[], string])[] = [
      ['network.create', [{ other_config: {}, bridge: 'xapi0' }], 'BRIDGE_NAME_EXISTS xapi0'],
      ['network.create', [{ other_config: {}, bridge: 'a b' }], 'INVALID_VALUE bridge a b'],
      ['network.destroy', [network], `NETWORK_CONTAINS_VIF ${vif}`],
      ['network.destroy', [outside], `NETWORK_CONTAINS_PIF ${pool.db.get('network', outside).PIFs.join(' ')}`],
      ['network.attach', [foreign, pool.host(1)], `HOST_CANNOT_ATTACH_NETWORK ${pool.host(1)} ${foreign}`],
      ['VIF.move', [vif, foreign], `HOST_CANNOT_ATTACH_NETWORK ${pool.host(1)} ${foreign}`],
      ['network.set_default_locking_mode', [network, 'disabled'], `VIF_IN_USE ${network} ${vif}`],
    ];
    for (const [method, args, refusal] of table)
      expect(await pool.refusal(method, ...(args as never[])), method).toBe(refusal);
  });

  test('serves one purpose of two', async () => {
    await pool.call('network.add_purpose', outside, 'nbd');
    await pool.call('network.add_purpose', outside, 'nbd');
    const refusal = 'NETWORK_INCOMPATIBLE_PURPOSES insecure_nbd nbd';
    expect(await pool.refusal('network.add_purpose', outside, 'insecure_nbd')).toBe(refusal);
    await pool.call('network.remove_purpose', outside, 'nbd');
    await pool.call('network.add_purpose', outside, 'insecure_nbd');
    expect(pool.db.get('network', outside).purpose).toEqual(['insecure_nbd']);
  });
});

describe('an interface of a VM', () => {
  test('moves to another network, halted or running', async () => {
    const [first, second] = [await newNetwork('first'), await newNetwork('second')];
    const { vm, vif } = await newVm(first);
    await pool.call('VIF.move', vif, second);
    await settle();
    expect([made(1), pool.db.get('VIF', vif).network]).toEqual([['xapi1'], second]);
    expect(pool.disagreements()).toEqual([]);
    await pool.call('VM.hard_shutdown', vm);
    await pool.call('VIF.move', vif, first);
    await pool.call('VM.start', vm, false, false);
    expect(pool.db.get('network', first).VIFs).toEqual([vif]);
  });

  test.each<readonly [string, string | readonly string[], string]>([
    ['set_ipv4_allowed', ['192.0.2.1', '192.0.2.1', '10.0.0.255'], 'no refusal'],
    ['add_ipv4_allowed', '192.0.2.256', 'INVALID_IP_ADDRESS_SPECIFIED ipv4_allowed'],
    ['add_ipv4_allowed', '1.2.3', 'INVALID_IP_ADDRESS_SPECIFIED ipv4_allowed'],
    ['set_ipv6_allowed', ['2001:db8::1', '::', '1:2:3:4:5:6:7:8', '::ffff:192.0.2.1'], 'no refusal'],
    ['add_ipv6_allowed', '1:2:3:4:5:6:7:8:9', 'INVALID_IP_ADDRESS_SPECIFIED ipv6_allowed'],
    ['add_ipv6_allowed', '1::2::3', 'INVALID_IP_ADDRESS_SPECIFIED ipv6_allowed'],
    ['add_ipv6_allowed', '192.0.2.1', 'INVALID_IP_ADDRESS_SPECIFIED ipv6_allowed'],
  ])('%s %s: %s', async (method, value, outcome) => {
    const { vif } = await newVm(outside);
    expect(await pool.refusal(`VIF.${method}`, vif, value as string)).toBe(outcome);
  });

  test('is locked to addresses, which come and go', async () => {
    const { vif } = await newVm(outside);
    await pool.call('VIF.set_locking_mode', vif, 'locked');
    await pool.call('VIF.add_ipv4_allowed', vif, '192.0.2.1');
    await pool.call('VIF.add_ipv4_allowed', vif, '192.0.2.1');
    await pool.call('VIF.add_ipv4_allowed', vif, '192.0.2.2');
    await pool.call('VIF.remove_ipv4_allowed', vif, '192.0.2.1');
    expect(pool.db.get('VIF', vif)).toMatchObject({ locking_mode: 'locked', ipv4_allowed: ['192.0.2.2'] });
  });

  test('is not said to be locked where its host would let everything pass', async () => {
    const { vif } = await newVm(outside);
    pool.wrapDriver = (driver) => ({ ...driver, networks: { ...driver.networks, locksVifs: false } });
    await pool.reopen();
    expect(await pool.refusal('VIF.set_locking_mode', vif, 'locked')).toMatch(/^NOT_IMPLEMENTED VIF.set_locking_mode/);
    expect(await pool.refusal('VIF.set_locking_mode', vif, 'unlocked')).toBe('no refusal');
    expect(await pool.refusal('network.set_default_locking_mode', outside, 'disabled')).toMatch(/^NOT_IMPLEMENTED /);
  });
});

describe('a VLAN', () => {
  test('is made on every host of the pool, carries VMs, is there again after a reboot, and goes', async () => {
    const network = await newNetwork('tagged');
    const pifs = await pool.call<readonly Ref<'PIF'>[]>('pool.create_VLAN_from_PIF', card, network, 7);
    expect(pifs).toHaveLength(2);
    const pif = pifs.map((ref) => pool.db.get('PIF', ref)).find(({ host }) => host === pool.host(1));
    expect(pif).toMatchObject({ device: 'eth0', VLAN: 7, physical: false, managed: true, currently_attached: true });
    expect(pool.db.get('VLAN', pif!.VLAN_master_of)).toMatchObject({ tagged_PIF: card, tag: 7 });
    expect([made(1), made(2)]).toEqual([['xapi0'], ['xapi0']]);
    const { vm, vif } = await newVm(network);
    const ref = pifs.find((each) => pool.db.get('PIF', each).host === pool.host(1))!;
    expect(await pool.refusal('PIF.unplug', ref)).toBe(`VIF_IN_USE ${network} ${vif}`);
    expect(await pool.refusal('VLAN.destroy', pif!.VLAN_master_of)).toBe(`VIF_IN_USE ${network} ${vif}`);
    pool.machine(1).reset();
    await settle();
    expect(made(1)).toEqual(['xapi0']);
    expect(pool.vm(vm).power_state).toBe('Halted');
    await pool.call('PIF.unplug', ref);
    expect(made(1)).toEqual([]);
    await pool.call('VM.start_on', vm, pool.host(1), false, false);
    expect([made(1), pool.db.get('PIF', ref).currently_attached]).toEqual([['xapi0'], true]);
    await pool.call('VM.hard_shutdown', vm);
    for (const each of pifs) await pool.call('PIF.destroy', each);
    expect([made(1), made(2), pool.db.count('VLAN'), pool.db.count('PIF')]).toEqual([[], [], 0, 2]);
  });

  test('is refused where it cannot be, and hardware is left to its host', async () => {
    const [network, other] = [await newNetwork('tagged'), await newNetwork('other')];
    const vlan = await pool.call('VLAN.create', card, 7, network);
    const tagged = pool.db.get('VLAN', vlan as Ref<'VLAN'>).untagged_PIF;
    const table: readonly (readonly [string, readonly (string | number | boolean)[], string])[] = [
      ['VLAN.create', [card, 4095, other], 'VLAN_TAG_INVALID 4095'],
      ['VLAN.create', [card, 0, other], 'VLAN_TAG_INVALID 0'],
      ['VLAN.create', [card, 7, other], `PIF_VLAN_EXISTS ${tagged}`],
      ['VLAN.create', [tagged, 8, other], `PIF_IS_VLAN ${tagged}`],
      ['VLAN.create', [card, 8, network], `NETWORK_ALREADY_CONNECTED ${network} ${tagged}`],
      ['VLAN.create', [card, 8, outside], `NETWORK_ALREADY_CONNECTED ${outside} ${card}`],
      ['pool.create_VLAN', ['eth9', other, 8], 'PIF_DEVICE_NOT_FOUND'],
      ['pool.create_VLAN', ['eth0', network, 8], `NETWORK_ALREADY_CONNECTED ${network} ${tagged}`],
      ['pool.create_VLAN_from_PIF', [tagged, other, 8], `PIF_IS_VLAN ${tagged}`],
      ['PIF.destroy', [card], `PIF_IS_PHYSICAL ${card}`],
      ['PIF.forget', [card], `PIF_VLAN_STILL_EXISTS ${card}`],
      ['PIF.forget', [tagged], `PIF_IS_NOT_PHYSICAL ${tagged}`],
      ['PIF.plug', [card], `PIF_UNMANAGED ${card}`],
      ['PIF.unplug', [card], `PIF_UNMANAGED ${card}`],
      ['PIF.reconfigure_ip', [card, 'DHCP', '', '', '', ''], `PIF_UNMANAGED ${card}`],
      ['PIF.introduce', [pool.host(1), '', 'eth0', true], 'DUPLICATE_PIF_DEVICE_NAME eth0'],
      ['PIF.introduce', [pool.host(1), 'zz', 'eth0', true], 'MAC_INVALID zz'],
      [
        'PIF.introduce',
        [pool.host(1), '', 'eth7', true],
        'COULD_NOT_FIND_NETWORK_INTERFACE_WITH_SPECIFIED_DEVICE_NAME_AND_MAC_ADDRESS eth7 ',
      ],
    ];
    for (const [method, args, refusal] of table)
      expect(await pool.refusal(method, ...args), `${method} ${args.join(' ')}`).toBe(refusal);
    await pool.call('PIF.plug', tagged);
    await pool.call('PIF.set_disallow_unplug', tagged, true);
    expect(await pool.refusal('PIF.unplug', tagged)).toBe(`PIF_DOES_NOT_ALLOW_UNPLUG ${tagged}`);
    await pool.call('VLAN.destroy', vlan);
    await pool.call('PIF.forget', card);
    await pool.call('PIF.scan', pool.host(1));
    const again = pool.db.get('host', pool.host(1)).PIFs;
    expect(again.map((pif) => pool.db.get('PIF', pif).device)).toEqual(['eth0']);
    await pool.call('PIF.forget', again[0]!);
    await pool.call('PIF.introduce', pool.host(1), '', 'eth0', true);
    expect(pool.db.get('host', pool.host(1)).PIFs).toHaveLength(1);
  });

  test('that a host cannot make is on no host', async () => {
    const network = await newNetwork('tagged');
    pool.machine(2).failNext('networks', new HostError('command-failed', 'Unknown device type'));
    const refusal = /^PIF_CONFIGURATION_ERROR \S+ Unknown device type$/;
    expect(await pool.refusal('pool.create_VLAN', 'eth0', network, 7)).toMatch(refusal);
    expect([pool.db.count('VLAN'), pool.db.count('PIF'), made(1), made(2)]).toEqual([0, 2, [], []]);
  });
});
