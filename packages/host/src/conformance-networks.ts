/** The part of the suite of every HostDriver about bridges of the host. */
import type { InterfaceFacts } from '@xenolith/xapi';
import { describe, expect, test } from 'vitest';
import type { Suite } from './conformance-suite.ts';

const bridge = 'xapi42';

const named = async (suite: Suite, name: string): Promise<InterfaceFacts | undefined> =>
  (await suite.driver.networks.interfaces()).find((item) => item.name === name);

export function describeNetworks(suite: Suite): void {
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
      const vlan = { device: 'nosuch0', tag: 7, bridge };
      await expect(networks.createVlan(vlan)).rejects.toMatchObject({ code: 'command-failed' });
      await expect(networks.createVlan({ ...vlan, tag: 4095 })).rejects.toMatchObject({ code: 'bad-config' });
      await networks.removeVlan(vlan);
      expect(await networks.interfaces()).toEqual(there);
    });
  });
}
