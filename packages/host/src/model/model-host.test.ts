import { bytes, domId, fromMib, gibBytes, ManualClock, randomUuid, SeededRandom, type DomId } from '@xenolith/base';
import { guestTimesMs } from '@xenolith/hypervisor';
import { HostError, type DomainConfig, type HostNews } from '@xenolith/xapi';
import { expect, test } from 'vitest';
import { guestFiles } from '../bootable-guests.ts';
import { defaultModelShape } from '../host-address.ts';
import { ModelDriver } from './model-driver.ts';
import { modelDiskBytes } from './model-files.ts';
import { ModelHost } from './model-host.ts';

const random = new SeededRandom(3);

const config = (changes: Partial<DomainConfig> = {}): DomainConfig => ({
  uuid: randomUuid(random),
  nameLabel: 'web',
  type: 'pv',
  ...guestFiles,
  vcpusMax: 1,
  vcpusAtStartup: 1,
  memoryMaxBytes: fromMib(128),
  memoryTargetBytes: fromMib(128),
  disks: [],
  vifs: [],
  onPoweroff: 'destroy',
  onReboot: 'restart',
  onCrash: 'restart',
  ...changes,
});

const settle = async (): Promise<void> => {
  for (let round = 0; round < 10; round++) await Promise.resolve();
};

async function begin(): Promise<{
  readonly clock: ManualClock;
  readonly host: ModelHost;
  readonly driver: ModelDriver;
  readonly news: HostNews[];
}> {
  const clock = new ManualClock();
  const host = new ModelHost(defaultModelShape, 1, clock);
  const driver = new ModelDriver(host);
  const news: HostNews[] = [];
  driver.onNews((item) => news.push(item));
  await driver.connect();
  await settle();
  return { clock, host, driver, news };
}

const domids = async (driver: ModelDriver): Promise<readonly DomId[]> =>
  (await driver.refresh()).domains.map(({ domid }) => domid);

test('a host that is cut off is dead, refuses everything, and comes back with its domains', async () => {
  const { host, driver, news } = await begin();
  const domid = await driver.create(config(), { paused: false });
  await settle();
  news.length = 0;
  host.setReachable(false);
  expect(news).toEqual([{ kind: 'dead', reason: expect.any(String) }]);
  await expect(driver.create(config(), { paused: false })).rejects.toMatchObject({ code: 'unreachable' });
  await expect(driver.files.stat('/x')).rejects.toMatchObject({ code: 'unreachable' });
  await expect(driver.refresh()).rejects.toMatchObject({ code: 'unreachable' });
  host.setReachable(true);
  expect(news.map(({ kind }) => kind)).toEqual(['dead', 'alive', 'domains']);
  expect(await domids(driver)).toEqual([0, domid]);
});

test('a host that is reset has lost its domains and kept its files', async () => {
  const { host, driver } = await begin();
  await driver.create(config(), { paused: false });
  await driver.files.createImage('/srv/image', bytes(gibBytes));
  host.reset();
  expect(await domids(driver)).toEqual([0]);
  expect(await driver.files.stat('/srv/image')).toMatchObject({ sizeBytes: gibBytes });
});

test('a crashed domain is restarted by its toolstack, under a new domid', async () => {
  const { host, driver } = await begin();
  const made = config();
  const domid = await driver.create(made, { paused: false });
  host.crash(domid);
  const { domains } = await driver.refresh();
  expect(domains.map((domain) => [domain.domid, domain.uuid])).toEqual([
    [0, '00000000-0000-0000-0000-000000000000'],
    [domid + 1, made.uuid],
  ]);
});

test('rename-restart leaves the dead domain under another name and uuid', async () => {
  const { clock, driver } = await begin();
  const made = config({ onReboot: 'rename-restart' });
  const domid = await driver.create(made, { paused: false });
  await driver.requestReboot({ domid, uuid: made.uuid });
  await clock.advanceAsync(guestTimesMs.boot + guestTimesMs.answer);
  const { domains } = await driver.refresh();
  expect(domains.find((domain) => domain.domid === domid)).toMatchObject({ shutdown: 'reboot', name: `web-${domid}` });
  expect(domains.find((domain) => domain.uuid === made.uuid)).toMatchObject({ domid: domid + 1, name: 'web' });
});

test('what the records say was there is there again: domains by their domids, files by their sizes', async () => {
  const { driver } = await begin();
  const first = config();
  const second = config();
  driver.remember({
    domains: [
      { ...second, domid: domId(9), paused: true, strict: false },
      { ...first, domid: domId(4), paused: false, strict: false },
    ],
    cpupools: [],
    files: [{ path: '/srv/saved', sizeBytes: bytes(7) }],
  });
  const { domains } = await driver.refresh();
  expect(domains.map(({ domid, uuid, paused }) => [domid, uuid, paused]).slice(1)).toEqual([
    [4, first.uuid, false],
    [9, second.uuid, true],
  ]);
  expect(await driver.files.stat('/srv/saved')).toMatchObject({ sizeBytes: 7 });
  const third = config();
  expect(await driver.restore('/srv/saved', third, { paused: false })).toBe(10);
});

test('an ordered failure hits once', async () => {
  const { host, driver } = await begin();
  host.failNext('create', new HostError('command-failed', 'the builder is on strike'));
  const before = driver.sequence();
  await expect(driver.create(config(), { paused: false })).rejects.toThrow('the builder is on strike');
  expect(driver.sequence()).toBe(before);
  await driver.create(config(), { paused: false });
});

test('an image is no saved domain', async () => {
  const { driver } = await begin();
  await driver.files.createImage('/srv/image', bytes(gibBytes));
  await expect(driver.restore('/srv/image', config(), { paused: false })).rejects.toMatchObject({
    code: 'command-failed',
  });
});

test('a domain that does not fit on the disk runs on when its saving fails', async () => {
  const sizeBytes = bytes(2 * modelDiskBytes);
  const shape = { ...defaultModelShape, memoryBytes: bytes(2 * sizeBytes) };
  const driver = new ModelDriver(new ModelHost(shape, 1, new ManualClock()));
  await driver.connect();
  const big = config({ memoryMaxBytes: sizeBytes, memoryTargetBytes: sizeBytes });
  const domid = await driver.create(big, { paused: false });
  await expect(driver.save({ domid, uuid: big.uuid }, '/srv/saved')).rejects.toMatchObject({ code: 'no-space' });
  expect(await domids(driver)).toEqual([0, domid]);
  expect(await driver.files.stat('/srv/saved')).toBeUndefined();
});

test('a closed driver tells nothing more', async () => {
  const { host, driver, news } = await begin();
  await driver.close();
  news.length = 0;
  host.create(config(), { paused: false });
  await settle();
  expect(news).toEqual([]);
});
