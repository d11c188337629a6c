/** The part of the suite of every HostDriver about bridges of the host. */
import type { BondUplink, InterfaceFacts } from '@xenolith/xapi';
import { describe, expect, test } from 'vitest';
import type { ConformanceOptions, Suite } from './conformance-suite.ts';

const bridge = 'xapi42';

const named = async (suite: Suite, name: string): Promise<InterfaceFacts | undefined> =>
  (await suite.driver.networks.interfaces()).find((item) => item.name === name);

export function describeNetworks(suite: Suite, { spareCards }: ConformanceOptions): void {
  const [spare, second] = spareCards;
  describe('networks', () => {
    test('a bridge is made once, is told of, carries a guest, and is removed when nobody is on it', async () => {
      const { devices, networks } = suite.driver;
      const before = await networks.interfaces();
      expect(before).toEqual((await suite.driver.connect()).interfaces);
      await networks.createBridge(bridge);
      await networks.createBridge(bridge);
      expect(await named(suite, bridge)).toMatchObject({ kind: 'bridge', isMade: true, ipv4: [] });
      const vif = { index: 0, mac: '02:00:00:00:00:09', bridge };
      const guest = await suite.create(suite.config('pv', { vifs: [vif] }), { paused: true });
      expect((await suite.driver.describe(guest)).vifs).toMatchObject([vif]);
      await networks.removeBridge(bridge);
      expect(await named(suite, bridge)).toBeDefined();
      await devices.detachVif(guest, vif.mac);
      await networks.removeBridge(bridge);
      await networks.removeBridge(bridge);
      expect(await networks.interfaces()).toEqual(before);
    });

    test('what was not made here is neither taken for a bridge nor removed', async () => {
      const { networks } = suite.driver;
      const there = await networks.interfaces();
      const theirs = there.find(({ kind }) => kind === 'bridge')?.name ?? '';
      const card = there.find(({ kind }) => kind === 'physical')?.name ?? '';
      await networks.removeBridge(theirs);
      await networks.createBridge(theirs);
      await networks.removeBridge(theirs);
      await networks.removeBridge(card);
      await expect(networks.createBridge(card)).rejects.toMatchObject({ code: 'exists' });
      for (const name of ['', 'x; reboot', 'a/b', '..', 'longer-than-15-ch']) {
        await expect(networks.createBridge(name)).rejects.toMatchObject({ code: 'bad-config' });
        await expect(networks.removeBridge(name)).rejects.toMatchObject({ code: 'bad-config' });
      }
      expect(await networks.interfaces()).toEqual(there);
    });

    test('a VLAN that cannot be made leaves nothing', async () => {
      const { networks } = suite.driver;
      const there = await networks.interfaces();
      const vlan = { kind: 'vlan', device: 'nosuch0', tag: 7, bridge } as const;
      await expect(networks.createUplink(vlan)).rejects.toMatchObject({ code: 'command-failed' });
      await expect(networks.createUplink({ ...vlan, tag: 4095 })).rejects.toMatchObject({ code: 'bad-config' });
      await networks.removeUplink(vlan);
      expect(await networks.interfaces()).toEqual(there);
    });

    test('a card that the host itself uses is not taken, and its bridge is given no port and no address', async () => {
      const { networks } = suite.driver;
      const there = await networks.interfaces();
      const theirs = there.find(({ kind }) => kind === 'bridge')?.name ?? '';
      const used = there.filter(({ kind, isSpare }) => kind === 'physical' && isSpare !== true);
      expect(used.length).toBeGreaterThan(0);
      for (const { name: device } of used) {
        const card = { kind: 'card', device, bridge } as const;
        await expect(networks.createUplink(card)).rejects.toMatchObject({ code: 'device-busy' });
        await networks.removeUplink(card);
        const bond = bondOf([device, spare ?? 'nosuch0']);
        await expect(networks.createUplink(bond)).rejects.toMatchObject({ code: 'device-busy' });
      }
      const vlan = { kind: 'vlan', device: used[0]?.name ?? '', tag: 7, bridge: theirs } as const;
      await expect(networks.createUplink(vlan)).rejects.toMatchObject({ code: 'exists' });
      await expect(networks.setAddresses(theirs, ['192.0.2.9/24'])).rejects.toMatchObject({ code: 'exists' });
      await expect(networks.setAddresses(bridge, ['192.0.2.9/24'])).rejects.toMatchObject({ code: 'exists' });
      expect(await networks.interfaces()).toEqual(there);
    });

    const testWithSpare = spare === undefined ? undefined : test;
    testWithSpare?.(
      'a spare card is the way out of a bridge, which has the addresses that it is given and goes with its last guest',
      async () => {
        const device = spare ?? '';
        const { networks } = suite.driver;
        const there = await networks.interfaces();
        const card = { kind: 'card', device, bridge } as const;
        await networks.createUplink(card);
        await networks.createUplink(card);
        await expect(networks.createUplink({ ...card, bridge: 'xapi43' })).rejects.toMatchObject({
          code: 'device-busy',
        });
        await networks.setAddresses(bridge, ['198.51.100.9/24', '198.51.100.10/24']);
        await networks.setAddresses(bridge, ['198.51.100.10/24', '2001:db8:9::1/64']);
        expect(await named(suite, bridge)).toMatchObject({ isMade: true, ipv4: ['198.51.100.10/24'] });
        const bad = networks.setAddresses(bridge, ['198.51.100.9/24; reboot']);
        await expect(bad).rejects.toMatchObject({ code: 'bad-config' });
        const vif = { index: 0, mac: '02:00:00:00:00:09', bridge };
        const guest = await suite.create(suite.config('pv', { vifs: [vif] }), { paused: true });
        await expect(networks.removeUplink(card)).rejects.toMatchObject({ code: 'device-busy' });
        await suite.driver.devices.detachVif(guest, vif.mac);
        await networks.removeUplink(card);
        await networks.removeUplink(card);
        expect((await networks.interfaces()).map(({ name }) => name)).toEqual(there.map(({ name }) => name));
      },
    );

    const testWithTwo = second === undefined ? undefined : test;
    testWithTwo?.(
      'a bond of spare cards changes its mode and members under its guests and VLANs, and goes after them',
      async () => {
        const { networks } = suite.driver;
        const names = (await networks.interfaces()).map(({ name }) => name);
        const bond = bondOf(spareCards);
        await networks.createUplink(bond);
        expect(await named(suite, bond.device)).toMatchObject({ kind: 'bond', bridge, mac: bond.mac, isMade: true });
        const vlan = { kind: 'vlan', device: bond.device, tag: 7, bridge: 'xapi43' } as const;
        await networks.createUplink(vlan);
        for (const mode of networks.bondModes) await networks.createUplink({ ...bond, mode });
        await networks.createUplink({ ...bond, members: spareCards.slice(0, 2) });
        await expect(networks.removeUplink(bond)).rejects.toMatchObject({ code: 'device-busy' });
        await networks.removeUplink(vlan);
        await expect(networks.createUplink({ ...bond, bridge: 'xapi43' })).rejects.toMatchObject({
          code: expect.stringMatching(/^(?:exists|device-busy)$/),
        });
        await expect(networks.createUplink({ ...bond, members: spareCards.slice(0, 1) })).rejects.toMatchObject({
          code: 'bad-config',
        });
        await networks.removeUplink(bond);
        await networks.removeUplink(bond);
        expect((await networks.interfaces()).map(({ name }) => name)).toEqual(names);
      },
    );
  });
}

const bondOf = (members: readonly string[]): BondUplink => ({
  kind: 'bond',
  device: 'bond42',
  bridge,
  members,
  mode: 'active-backup',
  mac: '02:00:00:00:00:42',
  hashing: 'tcpudp_ports',
  lacpTime: 'slow',
});
