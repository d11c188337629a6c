/** The part of the suite of every HostDriver about devices of running domains. */
import { domId, fromMib, randomUuid, uuid } from '@xenolith/base';
import type { DomainDetails, DomainDisk, DomainIdentity, DomainType, DomainVif, HostErrorCode } from '@xenolith/xapi';
import { describe, expect, test } from 'vitest';
import type { ConformanceOptions, Suite } from './conformance-suite.ts';

const domain0: DomainIdentity = { domid: domId(0), uuid: uuid('00000000-0000-0000-0000-000000000000') };
const keep = { force: false } as const;

export function describeDevices(suite: Suite, options: ConformanceOptions): void {
  describe('devices', () => {
    for (const type of options.types) if (options.slowTypes?.includes(type) !== true) describeHotPlug(suite, type);
    describeDeviceRefusals(suite, options.types[0] ?? 'pv');
  });
}

const refused = async (code: HostErrorCode, work: Promise<unknown>): Promise<void> => {
  await expect(work).rejects.toMatchObject({ name: 'HostError', code });
};

/** An image of a MiB as a disk of a guest. */
async function newDisk(suite: Suite, device: string): Promise<DomainDisk> {
  const path = `${suite.harness.directory}/a "disk", ${device}.raw`;
  await suite.driver.files.createImage(path, fromMib(1));
  return { device, path, format: 'raw', readOnly: false };
}

async function newVif(suite: Suite, index: number): Promise<DomainVif> {
  const { interfaces } = await suite.driver.connect();
  const bridge = interfaces.find(({ kind }) => kind === 'bridge')?.name ?? '';
  return { index, mac: `02:00:00:00:00:0${index}`, bridge, mtu: 1500 };
}

const namesOf = ({ disks, vifs }: DomainDetails): readonly string[] => [
  ...disks.map(({ device }) => device),
  ...vifs.map(({ mac }) => mac),
];

function describeHotPlug(suite: Suite, type: DomainType): void {
  test(`${type}: a guest that runs is given disks and interfaces, and they are taken from it`, async () => {
    const { driver } = suite;
    const { devices } = driver;
    const guest = await suite.create(suite.config(type), { paused: false });
    await suite.up(guest);
    const [first, second] = [await newDisk(suite, 'xvdb'), await newDisk(suite, 'xvdc')];
    const vif = await newVif(suite, 3);
    const before = driver.sequence();
    await devices.attachDisk(guest, first);
    await devices.attachDisk(guest, { ...second, readOnly: true, cdrom: true });
    await devices.attachVif(guest, vif);
    expect(driver.sequence()).toBeGreaterThan(before);
    const { disks, vifs } = await driver.describe(guest);
    expect(disks).toMatchObject([first, { ...second, readOnly: true, cdrom: true }]);
    expect(vifs).toMatchObject([{ index: 3, mac: vif.mac, bridge: vif.bridge }]);

    await refused('exists', devices.attachDisk(guest, { ...second, device: 'xvdb' }));
    await refused('exists', devices.attachVif(guest, { ...vif, index: 4 }));
    await devices.detachDisk(guest, 'xvdb', keep);
    await devices.detachDisk(guest, 'xvdb', keep);
    await devices.detachVif(guest, vif.mac);
    await devices.detachVif(guest, vif.mac);
    expect(namesOf(await driver.describe(guest))).toEqual(['xvdc']);
    await devices.attachDisk(guest, first);
    await devices.detachDisk(guest, 'xvdc', { force: true });
    expect(namesOf(await driver.describe(guest))).toEqual(['xvdb']);
    for (const { path } of [first, second]) await driver.files.remove(path);
  });

  test(`${type}: a guest that does not answer keeps its disk unless it is forced`, async () => {
    const { devices, files } = suite.driver;
    const guest = await suite.create(suite.config(type), { paused: false });
    await suite.up(guest);
    const disk = await newDisk(suite, 'xvdb');
    await devices.attachDisk(guest, disk);
    await suite.driver.pause(guest);
    await refused('device-busy', devices.detachDisk(guest, 'xvdb', keep));
    expect(namesOf(await suite.driver.describe(guest))).toEqual(['xvdb']);
    await devices.detachDisk(guest, 'xvdb', { force: true });
    expect(namesOf(await suite.driver.describe(guest))).toEqual([]);
    await files.remove(disk.path);
  });
}

function describeDeviceRefusals(suite: Suite, type: DomainType): void {
  test('what is not on the host cannot be attached, and nothing of it is left', async () => {
    const { devices } = suite.driver;
    const guest = await suite.create(suite.config(type), { paused: true });
    const vif = await newVif(suite, 0);
    const disk: DomainDisk = {
      device: 'xvdb',
      path: `${suite.harness.directory}/none`,
      format: 'raw',
      readOnly: false,
    };
    await refused('command-failed', devices.attachDisk(guest, disk));
    await refused('command-failed', devices.attachVif(guest, { ...vif, bridge: 'no-such' }));
    expect(namesOf(await suite.driver.describe(guest))).toEqual([]);
  });

  test('devices of a domain that is gone, or whose number is another’s, and of Domain-0, are not touched', async () => {
    const { devices } = suite.driver;
    const disk = await newDisk(suite, 'xvdb');
    const vif = await newVif(suite, 0);
    const guest = await suite.create(suite.config(type, { disks: [disk], vifs: [vif] }), { paused: true });
    const every = (domain: DomainIdentity): readonly Promise<void>[] => [
      devices.attachDisk(domain, { ...disk, device: 'xvdc' }),
      devices.detachDisk(domain, 'xvdb', { force: true }),
      devices.attachVif(domain, { ...vif, index: 1, mac: '02:00:00:00:00:01' }),
      devices.detachVif(domain, vif.mac),
    ];
    const stranger = { domid: guest.domid, uuid: randomUuid(suite.harness.random) };
    await Promise.all(every(stranger).map((work) => refused('no-such-domain', work)));
    await Promise.all(every(domain0).map((work) => refused('command-failed', work)));
    expect(namesOf(await suite.driver.describe(guest))).toEqual(['xvdb', vif.mac]);
    await suite.driver.destroy(guest);
    await Promise.all(every(guest).map((work) => refused('no-such-domain', work)));
    await suite.driver.files.remove(disk.path);
  });
}
