/** The xl driver against real Xen: the same conformance suite as the model's, and what only a real host can do. */
import { openHost } from '@xenolith/host';
import { cutNetwork, killHost, restoreNetwork, type LabHost } from '@xenolith/lab';
import { systemClock } from '@xenolith/server';
import type { HostDriver, HostNews } from '@xenolith/xapi';
import { describe, expect, test } from 'vitest';
import { labNeeds, requires } from '../requires.ts';
import { addressOf, describeRealXen, until } from './xl-harness.ts';

const needs = requires(labNeeds);

/** The issue's own limit for a host that stops answering. */
const deadLimitMs = 10_000;

/** A driver, connected, and all that it told. */
async function connected(host: LabHost): Promise<{ readonly driver: HostDriver; readonly news: HostNews[] }> {
  const driver = openHost(addressOf(host), { clock: systemClock });
  const news: HostNews[] = [];
  driver.onNews((each) => news.push(each));
  await driver.connect();
  return { driver, news };
}

describe.skipIf(needs.skip)('real Xen', () => {
  const theHost = describeRealXen(['domains', 'devices', 'networks']);

  test('a host whose network is cut is dead within ten seconds, and alive again with a picture', async () => {
    const { driver, news } = await connected(theHost());
    try {
      await until('the first picture', () => news.find(({ kind }) => kind === 'domains'));
      await cutNetwork(theHost());
      await until('its death', () => news.find(({ kind }) => kind === 'dead'), deadLimitMs);
      await expect(driver.refresh()).rejects.toMatchObject({ code: 'unreachable' });
      const told = news.length;
      await restoreNetwork(theHost());
      await until('its return', () => news.slice(told).find(({ kind }) => kind === 'alive'));
      await until('a picture', () => news.slice(told).find(({ kind }) => kind === 'domains'));
    } finally {
      await driver.close();
    }
  });

  test('a host whose machine dies is dead within ten seconds', async () => {
    const { driver, news } = await connected(theHost());
    try {
      await killHost(theHost());
      await until('its death', () => news.find(({ kind }) => kind === 'dead'), deadLimitMs);
      await expect(driver.refresh()).rejects.toMatchObject({ code: 'unreachable' });
    } finally {
      await driver.close();
    }
  });
});
