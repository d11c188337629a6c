/**
 * What every {@link HostDriver} must do, as tests. The model runs them under a manual clock, real Xen in the lab
 * under the wall clock: the harness says how time passes.
 */
import { bytes, domId, fromMib, mibBytes, randomUuid, type DomId, type Random, type Uuid } from '@xenolith/base';
import type {
  BootableGuest,
  DomainConfig,
  DomainInfo,
  DomainPicture,
  DomainType,
  HostDriver,
  HostErrorCode,
  HostNews,
} from '@xenolith/xapi';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

/** What an administrator does at the host itself, behind the driver's back. */
export interface ByHand {
  create(config: DomainConfig): Promise<void>;
  pause(domid: DomId): Promise<void>;
  unpause(domid: DomId): Promise<void>;
  destroy(domid: DomId): Promise<void>;
}

/** One host with a driver for it that is not connected yet. */
export interface DriverHarness {
  readonly driver: HostDriver;
  readonly byHand: ByHand;
  /** A directory on the host for disk images and saved domains; empty. */
  readonly directory: string;
  /** The guest to boot, from the host's facts or known beforehand. */
  readonly guest: Pick<BootableGuest, 'kernel' | 'ramdisk' | 'cmdline'>;
  /** What the guest's console says once it is up. */
  readonly upText: string;
  /** What the guest's memory is. */
  readonly memoryMib: number;
  /** A source of uuids. */
  readonly random: Random;
  /**
   * Lets time pass until `condition` gives a value, looking again at each news; fails when it does not come within
   * the harness's own limit.
   */
  until<T>(what: string, condition: () => T | undefined): Promise<T>;
  close(): Promise<void>;
}

/** Which parts a host can be asked for, and how long a test may take by the wall clock. */
export interface ConformanceOptions {
  readonly types: readonly DomainType[];
  /** Those of `types` whose guests are not booted more often than must be: emulated ones are slow. */
  readonly slowTypes?: readonly DomainType[];
  readonly timeoutMs: number;
}

/** Declares the suite for one implementation. `makeHarness` is called once; the tests share the host. */
export function describeHostDriver(
  name: string,
  makeHarness: () => Promise<DriverHarness>,
  options: ConformanceOptions,
): void {
  describe(`${name} as a HostDriver`, { timeout: options.timeoutMs }, () => {
    const suite = new Suite();
    beforeAll(async () => {
      await suite.begin(await makeHarness());
    }, options.timeoutMs);
    afterEach(() => suite.clean(), options.timeoutMs);
    afterAll(() => suite.end(), options.timeoutMs);

    describeFacts(suite);
    for (const type of options.types) {
      describeLifecycle(suite, type);
      if (options.slowTypes?.includes(type) !== true) describeEnds(suite, type);
    }
    describeRefusals(suite, options.types[0] ?? 'pv');
    describeNoticing(suite, options.types[0] ?? 'pv');
    describeFiles(suite);
  });
}

/** The harness of a running suite, and what the driver told so far. */
class Suite {
  #harness: DriverHarness | undefined;
  readonly news: HostNews[] = [];
  latest: DomainPicture | undefined;

  get harness(): DriverHarness {
    if (this.#harness === undefined) throw new Error('the suite has not begun');
    return this.#harness;
  }

  get driver(): HostDriver {
    return this.harness.driver;
  }

  async begin(harness: DriverHarness): Promise<void> {
    this.#harness = harness;
    harness.driver.onNews((news) => {
      this.news.push(news);
      if (news.kind === 'domains') this.latest = news.picture;
    });
    await harness.driver.connect();
    await harness.until('the first picture', () => this.latest);
  }

  /** Destroys what a test left. */
  async clean(): Promise<void> {
    for (const { domid } of (await this.driver.refresh()).domains) {
      if (domid === domId(0)) continue;
      // It may end by itself between the look and the blow.
      await this.driver.destroy(domid).catch(() => undefined);
    }
  }

  async end(): Promise<void> {
    await this.driver.close();
    await this.harness.close();
  }

  config(type: DomainType, changes: Partial<DomainConfig> = {}): DomainConfig {
    const { guest, memoryMib, random } = this.harness;
    return {
      uuid: randomUuid(random),
      nameLabel: 'conformance',
      type,
      kernel: guest.kernel,
      ramdisk: guest.ramdisk,
      cmdline: guest.cmdline,
      vcpusMax: 1,
      vcpusAtStartup: 1,
      memoryMaxBytes: fromMib(memoryMib),
      memoryTargetBytes: fromMib(memoryMib),
      disks: [],
      vifs: [],
      onPoweroff: 'destroy',
      onReboot: 'restart',
      onCrash: 'destroy',
      ...changes,
    };
  }

  /** Waits until a picture that began after the last operation shows the domain as `condition` wants it. */
  seen(uuid: Uuid, what: string, condition: (domain: DomainInfo) => boolean = () => true): Promise<DomainInfo> {
    const after = this.driver.sequence();
    return this.harness.until(what, () => {
      if (this.latest === undefined || this.latest.sequence < after) return undefined;
      return this.latest.domains.find((domain) => domain.uuid === uuid && condition(domain));
    });
  }

  /** Waits until a picture that began after the last operation is without the domain. */
  async gone(uuid: Uuid): Promise<void> {
    const after = this.driver.sequence();
    await this.harness.until('the domain to be gone', () => {
      if (this.latest === undefined || this.latest.sequence < after) return undefined;
      return this.latest.domains.every((domain) => domain.uuid !== uuid) ? true : undefined;
    });
  }

  /** Waits until the guest's console has said that it is up. */
  async up(domid: DomId): Promise<string> {
    const console = await this.driver.openConsole(domid);
    let text = '';
    const decoder = new TextDecoder();
    const output = console.onData((data) => {
      text += decoder.decode(data, { stream: true });
    });
    try {
      return await this.harness.until('the guest to be up', () =>
        text.includes(this.harness.upText) ? text : undefined,
      );
    } finally {
      output.dispose();
      console.close();
    }
  }
}

function describeFacts(suite: Suite): void {
  test('facts: the numbers fit together, and alive comes before the first picture', async () => {
    const facts = await suite.driver.connect();
    expect(facts.pcpus.map(({ pcpu }) => pcpu)).toEqual([...facts.pcpus.keys()]);
    expect(facts.nodes.map(({ node }) => node)).toEqual([...facts.nodes.keys()]);
    for (const { node } of facts.pcpus) expect(facts.nodes[node]).toBeDefined();
    for (const { distances } of facts.nodes) expect(distances).toHaveLength(facts.nodes.length);
    expect(facts.memoryFreeBytes).toBeGreaterThan(0);
    expect(facts.memoryTotalBytes).toBeGreaterThan(facts.memoryFreeBytes);
    expect(facts.hostname).not.toBe('');
    expect(facts.interfaces.some(({ kind }) => kind === 'bridge')).toBe(true);
    expect(suite.news.slice(0, 2).map(({ kind }) => kind)).toEqual(['alive', 'domains']);
  });

  test('Domain-0 is in the picture, under the uuid of zeros', async () => {
    const picture = await suite.driver.refresh();
    expect(picture.domains.find(({ domid }) => domid === domId(0))).toMatchObject({
      uuid: '00000000-0000-0000-0000-000000000000',
      paused: false,
      dying: false,
    });
  });
}

function describeLifecycle(suite: Suite, type: DomainType): void {
  test(`${type}: create, describe, pause, unpause, destroy`, async () => {
    const config = suite.config(type, { vcpusMax: 2, vcpusAtStartup: 1 });
    const before = suite.driver.sequence();
    const domid = await suite.driver.create(config, { paused: false });
    expect(suite.driver.sequence()).toBeGreaterThan(before);
    const domain = await suite.seen(config.uuid, 'the new domain');
    expect(domain).toMatchObject({ domid, paused: false, dying: false });
    expect(domain.shutdown).toBeUndefined();
    expect(Math.abs(domain.memoryBytes - config.memoryTargetBytes)).toBeLessThanOrEqual(4 * mibBytes);

    const details = await suite.driver.describe(domid);
    expect(details).toMatchObject({
      type,
      vcpusMax: 2,
      memoryMaxBytes: config.memoryMaxBytes,
      kernel: config.kernel,
      ramdisk: config.ramdisk,
      cmdline: config.cmdline,
    });

    await suite.driver.pause(domid);
    await suite.seen(config.uuid, 'the pause', ({ paused }) => paused);
    await suite.driver.unpause(domid);
    await suite.seen(config.uuid, 'the end of the pause', ({ paused }) => !paused);
    await suite.driver.destroy(domid);
    await suite.gone(config.uuid);
  });

  test(`${type}: a saved domain is gone, and comes back from its file with its uuid`, async () => {
    const config = suite.config(type);
    const path = `${suite.harness.directory}/saved-${config.uuid}`;
    const domid = await suite.driver.create(config, { paused: false });
    await suite.up(domid);
    await suite.driver.save(domid, path);
    await suite.gone(config.uuid);
    expect((await suite.driver.files.stat(path))?.sizeBytes).toBeGreaterThan(0);

    const restored = await suite.driver.restore(path, { ...config, nameLabel: 'new name' }, { paused: true });
    expect(restored).not.toBe(domid);
    expect(await suite.seen(config.uuid, 'the restored domain')).toMatchObject({ domid: restored, paused: true });
    await suite.driver.unpause(restored);
    await suite.seen(config.uuid, 'the end of the pause', ({ paused }) => !paused);
    expect(await suite.driver.files.stat(path)).toBeDefined();
    await suite.driver.requestShutdown(restored);
    await suite.gone(config.uuid);
    await suite.driver.files.remove(path);
  });
}

/** What becomes of a guest that ends. */
function describeEnds(suite: Suite, type: DomainType): void {
  test(`${type}: boots with a console, reboots on request under a new domid, powers off on request`, async () => {
    const config = suite.config(type);
    const domid = await suite.driver.create(config, { paused: false });
    await suite.up(domid);
    // What was printed before is there for who opens the console later.
    await suite.up(domid);
    await suite.driver.requestReboot(domid);
    const again = await suite.seen(config.uuid, 'the rebooted domain', (domain) => domain.domid !== domid);
    await suite.up(again.domid);
    await suite.driver.requestShutdown(again.domid);
    await suite.gone(config.uuid);
  });

  test(`${type}: a domain whose end is to be preserved stays, with the reason`, async () => {
    const config = suite.config(type, { onPoweroff: 'preserve' });
    const domid = await suite.driver.create(config, { paused: false });
    await suite.up(domid);
    await suite.driver.requestShutdown(domid);
    await suite.seen(config.uuid, 'the poweroff', ({ shutdown }) => shutdown === 'poweroff');
    await suite.driver.destroy(domid);
    await suite.gone(config.uuid);
  });
}

function describeRefusals(suite: Suite, type: DomainType): void {
  const refused = async (code: HostErrorCode, work: Promise<unknown>): Promise<void> => {
    await expect(work).rejects.toMatchObject({ name: 'HostError', code });
  };

  test('a domain whose kernel is not there is refused, and nothing of it is left', async () => {
    const config = suite.config(type, { kernel: `${suite.harness.directory}/no such kernel` });
    await refused('command-failed', suite.driver.create(config, { paused: false }));
    await suite.gone(config.uuid);
  });

  test('a domain that needs more memory than there is is refused, and nothing of it is left', async () => {
    const { memoryTotalBytes } = await suite.driver.connect();
    const config = suite.config(type, { memoryMaxBytes: memoryTotalBytes, memoryTargetBytes: memoryTotalBytes });
    await refused('not-enough-memory', suite.driver.create(config, { paused: false }));
    await suite.gone(config.uuid);
  });

  test('a second domain of the same uuid is refused, the first runs on', async () => {
    const config = suite.config(type);
    const domid = await suite.driver.create(config, { paused: true });
    await refused('exists', suite.driver.create({ ...config, nameLabel: 'second' }, { paused: true }));
    expect(await suite.seen(config.uuid, 'the first domain')).toMatchObject({ domid });
  });

  test('every operation on a domain that is gone is refused as no-such-domain', async () => {
    const config = suite.config(type);
    const domid = await suite.driver.create(config, { paused: true });
    await suite.driver.destroy(domid);
    const { driver, harness } = suite;
    await Promise.all(
      [
        driver.pause(domid),
        driver.unpause(domid),
        driver.requestShutdown(domid),
        driver.requestReboot(domid),
        driver.destroy(domid),
        driver.save(domid, `${harness.directory}/saved`),
        driver.describe(domid),
        driver.openConsole(domid),
      ].map((work) => refused('no-such-domain', work)),
    );
    expect(await driver.files.stat(`${harness.directory}/saved`)).toBeUndefined();
  });

  test('Domain-0 is not to be touched', async () => {
    await refused('command-failed', suite.driver.destroy(domId(0)));
    await refused('command-failed', suite.driver.pause(domId(0)));
    await refused('command-failed', suite.driver.requestShutdown(domId(0)));
  });

  test('odd names are only names', async () => {
    const names = [
      `'"; touch /tmp/xenolith-was-here; echo $(reboot) \`reboot\``,
      'x"\nmemory = 4096\n# \\',
      '',
      '0',
      'Domain-0',
      'Käse 🧀 \u0001',
      'x'.repeat(5000),
      '--help',
    ];
    const made: { readonly config: DomainConfig; readonly domid: DomId }[] = [];
    for (const nameLabel of names) {
      const config = suite.config(type, { nameLabel });
      made.push({ config, domid: await suite.driver.create(config, { paused: true }) });
    }
    for (const { config, domid } of made) {
      const domain = await suite.seen(
        config.uuid,
        `the domain called ${JSON.stringify(config.nameLabel.slice(0, 80))}`,
      );
      expect(domain.domid).toBe(domid);
      expect(Math.abs(domain.memoryBytes - config.memoryTargetBytes)).toBeLessThanOrEqual(4 * mibBytes);
    }
  });

  test('two domains may have the same name label', async () => {
    const first = suite.config(type);
    const second = suite.config(type);
    await suite.driver.create(first, { paused: true });
    await suite.driver.create(second, { paused: true });
    await suite.seen(first.uuid, 'the first domain');
    await suite.seen(second.uuid, 'the second domain');
  });
}

function describeNoticing(suite: Suite, type: DomainType): void {
  test('what is done by hand is noticed: create, pause, unpause, destroy', async () => {
    const config = suite.config(type, { nameLabel: 'by-hand' });
    const { byHand } = suite.harness;
    const before = suite.driver.sequence();
    await byHand.create(config);
    const { domid } = await suite.seen(config.uuid, 'the domain made by hand', ({ paused }) => !paused);
    expect(await suite.driver.describe(domid)).toMatchObject({ type, kernel: config.kernel });
    await byHand.pause(domid);
    await suite.seen(config.uuid, 'the pause by hand', ({ paused }) => paused);
    await byHand.unpause(domid);
    await suite.seen(config.uuid, 'the end of the pause by hand', ({ paused }) => !paused);
    await byHand.destroy(domid);
    await suite.gone(config.uuid);
    expect(suite.driver.sequence()).toBe(before);
  });

  test('free memory goes down with a domain and comes back', async () => {
    const figures = async (): Promise<number> => {
      const from = suite.news.length;
      await suite.driver.refresh();
      return await suite.harness.until('figures', () => {
        const last = suite.news.slice(from).findLast((news) => news.kind === 'figures');
        return last?.kind === 'figures' ? last.figures.memoryFreeBytes : undefined;
      });
    };
    const config = suite.config(type);
    const domid = await suite.driver.create(config, { paused: true });
    const during = await figures();
    await suite.driver.destroy(domid);
    await suite.gone(config.uuid);
    expect(await figures()).toBeGreaterThanOrEqual(during + config.memoryTargetBytes / 2);
  });
}

function describeFiles(suite: Suite): void {
  const missing = 'no-such-image';

  test('images: made once, sparse, copied whole, grown and never shrunk, removed', async () => {
    const { files } = suite.driver;
    const image = `${suite.harness.directory}/it's an "image".raw`;
    const copy = `${suite.harness.directory}/copy.raw`;
    await files.createImage(image, fromMib(64));
    await expect(files.createImage(image, fromMib(1))).rejects.toMatchObject({ code: 'exists' });
    const made = await files.stat(image);
    expect(made?.sizeBytes).toBe(fromMib(64));
    expect(made?.usedBytes).toBeLessThan(fromMib(1));
    await files.copyImage(image, copy);
    expect(await files.stat(copy)).toMatchObject({ sizeBytes: fromMib(64) });
    await files.resizeImage(copy, fromMib(65));
    expect(await files.stat(copy)).toMatchObject({ sizeBytes: fromMib(65) });
    await expect(files.resizeImage(copy, bytes(1))).rejects.toMatchObject({ code: 'bad-config' });
    expect(await files.stat(copy)).toMatchObject({ sizeBytes: fromMib(65) });
    await files.remove(image);
    await files.remove(copy);
    await files.remove(copy);
    expect(await files.stat(image)).toBeUndefined();
  });

  test('images that are not there cannot be copied or grown', async () => {
    const { files } = suite.driver;
    const path = `${suite.harness.directory}/${missing}`;
    await expect(files.copyImage(path, `${path}.copy`)).rejects.toMatchObject({ code: 'command-failed' });
    await expect(files.resizeImage(path, fromMib(1))).rejects.toMatchObject({ code: 'command-failed' });
    expect(await files.stat(path)).toBeUndefined();
    expect(await files.stat(`${path}.copy`)).toBeUndefined();
  });

  test('a path that is not absolute is refused', async () => {
    await expect(suite.driver.files.createImage('etc/passwd', fromMib(1))).rejects.toMatchObject({
      code: 'bad-config',
    });
    await expect(suite.driver.files.remove('-rf')).rejects.toMatchObject({ code: 'bad-config' });
  });

  test('space is told of the file system, and a missing directory is made', async () => {
    const space = await suite.driver.files.space(`${suite.harness.directory}/a new one/inside`);
    expect(space.totalBytes).toBeGreaterThan(0);
    expect(space.freeBytes).toBeLessThanOrEqual(space.totalBytes);
    await suite.driver.files.createImage(`${suite.harness.directory}/a new one/inside/image`, fromMib(1));
    await suite.driver.files.remove(`${suite.harness.directory}/a new one/inside/image`);
  });
}
