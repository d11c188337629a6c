/**
 * What every {@link HostDriver} must do, as tests. The model runs them under a manual clock, real Xen in the lab
 * under the wall clock: the harness says how time passes.
 */
import { bytes, domId, fromMib, mibBytes, randomUuid, uuid, type DomId } from '@xenolith/base';
import {
  unfinishedSuffix,
  type DomainConfig,
  type DomainIdentity,
  type DomainType,
  type HostErrorCode,
  type ImagePiece,
} from '@xenolith/xapi';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { describeDevices } from './conformance-devices.ts';
import { describeMemory } from './conformance-memory.ts';
import { describeNetworks } from './conformance-networks.ts';
import { describeNuma } from './conformance-numa.ts';
import { describeScheduling } from './conformance-scheduling.ts';
import { Suite, type ConformanceOptions, type ConformancePart, type DriverHarness } from './conformance-suite.ts';

export type { ConformancePart } from './conformance-suite.ts';

/** Declares the suite for one implementation. `makeHarness` is called once; the tests share the host. */
export function describeHostDriver(
  name: string,
  makeHarness: () => Promise<DriverHarness>,
  options: ConformanceOptions,
): void {
  const { timeoutMs: timeout, retry } = options;
  describe(`${name} as a HostDriver`, { timeout, ...(retry === undefined ? {} : { retry }) }, () => {
    const suite = new Suite();
    beforeAll(async () => {
      await suite.begin(await makeHarness());
    }, options.timeoutMs);
    afterEach(() => suite.clean(), options.timeoutMs);
    afterAll(() => suite.end(), options.timeoutMs);

    const has = (part: ConformancePart): boolean => options.parts?.includes(part) ?? true;
    if (has('domains')) describeDomains(suite, options);
    if (has('devices')) describeDevices(suite, options);
    if (has('networks')) describeNetworks(suite, options);
    if (has('memory')) describeMemory(suite, options);
    if (has('scheduling')) describeScheduling(suite, options);
    if (has('NUMA nodes')) describeNuma(suite, options);
  });
}

function describeDomains(suite: Suite, { types, slowTypes = [] }: ConformanceOptions): void {
  describeFacts(suite);
  for (const type of types) {
    describeLifecycle(suite, type);
    if (!slowTypes.includes(type)) describeEnds(suite, type);
  }
  describeRefusals(suite, types[0] ?? 'pv');
  describeNoticing(suite, types[0] ?? 'pv');
  describeFiles(suite);
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
    const made = await suite.create(config, { paused: false });
    expect(suite.driver.sequence()).toBeGreaterThan(before);
    const domain = await suite.seen(config.uuid, 'the new domain');
    expect(domain).toMatchObject({ ...made, paused: false, dying: false });
    expect(domain.shutdown).toBeUndefined();
    expect(Math.abs(domain.memoryBytes - config.memoryTargetBytes)).toBeLessThanOrEqual(4 * mibBytes);

    const details = await suite.driver.describe(made);
    expect(details).toMatchObject({
      type,
      vcpusMax: 2,
      memoryMaxBytes: config.memoryMaxBytes,
      kernel: config.kernel,
      ramdisk: config.ramdisk,
      cmdline: config.cmdline,
    });

    await suite.driver.pause(made);
    await suite.seen(config.uuid, 'the pause', ({ paused }) => paused);
    await suite.driver.unpause(made);
    await suite.seen(config.uuid, 'the end of the pause', ({ paused }) => !paused);
    await suite.driver.destroy(made);
    await suite.gone(config.uuid);
  });

  test(`${type}: a saved domain is gone, and comes back from its file with its uuid`, async () => {
    const config = suite.config(type);
    const path = `${suite.harness.directory}/saved-${config.uuid}`;
    const saved = await suite.create(config, { paused: false });
    await suite.up(saved);
    await suite.driver.save(saved, path);
    await suite.gone(config.uuid);
    expect((await suite.driver.files.stat(path))?.sizeBytes).toBeGreaterThan(0);
    expect(await suite.driver.files.stat(`${path}${unfinishedSuffix}`)).toBeUndefined();

    const domid = await suite.driver.restore(path, { ...config, nameLabel: 'new name' }, { paused: true });
    expect(domid).not.toBe(saved.domid);
    const restored = await suite.seen(config.uuid, 'the restored domain');
    expect(restored).toMatchObject({ domid, paused: true });
    expect(await suite.driver.files.stat(path)).toBeUndefined();
    await suite.driver.unpause(restored);
    await suite.seen(config.uuid, 'the end of the pause', ({ paused }) => !paused);
    await suite.driver.requestShutdown(restored);
    await suite.gone(config.uuid);
  });

  test(`${type}: what cannot be restored is left as it is, and nothing of a domain with it`, async () => {
    const config = suite.config(type);
    const path = `${suite.harness.directory}/no-state-${config.uuid}`;
    await suite.driver.files.createImage(path, fromMib(1));
    await expect(suite.driver.restore(path, config, { paused: false })).rejects.toMatchObject({
      code: 'command-failed',
    });
    await suite.gone(config.uuid);
    expect(await suite.driver.files.stat(path)).toMatchObject({ sizeBytes: fromMib(1) });
    await suite.driver.files.remove(path);
  });
}

/** What becomes of a guest that ends. */
function describeEnds(suite: Suite, type: DomainType): void {
  test(`${type}: boots with a console, reboots on request under a new domid, powers off on request`, async () => {
    const config = suite.config(type);
    const first = await suite.create(config, { paused: false });
    await suite.up(first);
    // What was printed before is there for who opens the console later.
    await suite.up(first);
    await suite.driver.requestReboot(first);
    const again = await suite.seen(config.uuid, 'the rebooted domain', ({ domid }) => domid !== first.domid);
    await suite.up(again);
    await suite.driver.requestShutdown(again);
    await suite.gone(config.uuid);
  });

  test(`${type}: a domain whose end is to be preserved stays, with the reason`, async () => {
    const config = suite.config(type, { onPoweroff: 'preserve' });
    const made = await suite.create(config, { paused: false });
    await suite.up(made);
    await suite.driver.requestShutdown(made);
    await suite.seen(config.uuid, 'the poweroff', ({ shutdown }) => shutdown === 'poweroff');
    await suite.driver.destroy(made);
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

  const everyOperationRefused = async (domain: DomainIdentity): Promise<void> => {
    const { driver, harness } = suite;
    await Promise.all(
      [
        driver.pause(domain),
        driver.unpause(domain),
        driver.requestShutdown(domain),
        driver.requestReboot(domain),
        driver.sendSysrq(domain, 'h'),
        driver.sendTrigger(domain, 'nmi'),
        driver.destroy(domain),
        driver.save(domain, `${harness.directory}/saved`),
        driver.describe(domain),
        driver.openConsole(domain),
      ].map((work) => refused('no-such-domain', work)),
    );
    for (const file of ['saved', `saved${unfinishedSuffix}`])
      expect(await driver.files.stat(`${harness.directory}/${file}`)).toBeUndefined();
  };

  test('every operation on a domain that is gone is refused as no-such-domain', async () => {
    const made = await suite.create(suite.config(type), { paused: true });
    await suite.driver.destroy(made);
    await everyOperationRefused(made);
  });

  test('a domain whose number is now that of another is gone, and the other is not touched', async () => {
    const config = suite.config(type);
    const { domid } = await suite.create(config, { paused: true });
    await everyOperationRefused({ domid, uuid: randomUuid(suite.harness.random) });
    expect(await suite.seen(config.uuid, 'the domain')).toMatchObject({ domid, paused: true });
  });

  test('Domain-0 is not to be touched', async () => {
    const domain0 = { domid: domId(0), uuid: uuid('00000000-0000-0000-0000-000000000000') };
    await refused('command-failed', suite.driver.destroy(domain0));
    await refused('command-failed', suite.driver.pause(domain0));
    await refused('command-failed', suite.driver.requestShutdown(domain0));
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
    const made = await suite.seen(config.uuid, 'the domain made by hand', ({ paused }) => !paused);
    const { domid } = made;
    expect(await suite.driver.describe(made)).toMatchObject({ type, kernel: config.kernel });
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
    const made = await suite.create(config, { paused: true });
    const during = await figures();
    await suite.driver.destroy(made);
    await suite.gone(config.uuid);
    expect(await figures()).toBeGreaterThanOrEqual(during + config.memoryTargetBytes / 2);
  });
}

async function* piecesOf(...pieces: readonly ImagePiece[]): AsyncGenerator<ImagePiece> {
  await Promise.resolve();
  yield* pieces;
}

async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
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

  test('an image becomes what another one is, and is as large as it was told', async () => {
    const { files } = suite.driver;
    const [from, to] = [`${suite.harness.directory}/new.raw`, `${suite.harness.directory}/old.raw`];
    await files.createImage(from, fromMib(1));
    await expect(files.replaceImage(from, to, fromMib(2))).rejects.toMatchObject({ code: 'command-failed' });
    expect(await files.stat(to)).toBeUndefined();
    await files.createImage(to, fromMib(3));
    await files.replaceImage(from, to, fromMib(2));
    expect(await files.stat(to)).toMatchObject({ sizeBytes: fromMib(2) });
    expect(await files.stat(from)).toMatchObject({ sizeBytes: fromMib(1) });
    await files.remove(from);
    await expect(files.replaceImage(from, to, fromMib(2))).rejects.toMatchObject({ code: 'command-failed' });
    expect(await files.stat(to)).toMatchObject({ sizeBytes: fromMib(2) });
    await files.remove(to);
  });

  test('images that are not there cannot be copied or grown', async () => {
    const { files } = suite.driver;
    const path = `${suite.harness.directory}/${missing}`;
    await expect(files.copyImage(path, `${path}.copy`)).rejects.toMatchObject({ code: 'command-failed' });
    await expect(files.resizeImage(path, fromMib(1))).rejects.toMatchObject({ code: 'command-failed' });
    expect(await files.stat(path)).toBeUndefined();
    expect(await files.stat(`${path}.copy`)).toBeUndefined();
  });

  test('images: written in pieces and read back, what no piece covers stays, zeros take no room', async () => {
    const { files } = suite.driver;
    const path = `${suite.harness.directory}/to "fill'.raw`;
    await files.createImage(path, fromMib(3));
    const text = (word: string, count: number): Uint8Array => Buffer.from(word.repeat(count));
    await files.writeImage(
      path,
      piecesOf(
        { offset: 4096, data: text('first\n', 200_000) },
        { offset: fromMib(2), data: text('d 0 5\n', 50_000) },
        { offset: fromMib(2) + 65_536, zeroBytes: 65_536 },
      ),
    );
    await files.writeImage(path, piecesOf({ offset: 4096, data: text('other\n', 1) }));
    const wanted = Buffer.alloc(fromMib(3));
    wanted.set(text('first\n', 200_000), 4096);
    wanted.set(text('d 0 5\n', 50_000), fromMib(2));
    wanted.fill(0, fromMib(2) + 65_536, fromMib(2) + 131_072);
    wanted.set(text('other\n', 1), 4096);
    expect((await bytesOf(files.readImage(path))).equals(wanted)).toBe(true);
    const before = await files.stat(path);
    await files.writeImage(path, piecesOf({ offset: 0, zeroBytes: fromMib(3) }));
    expect((await bytesOf(files.readImage(path))).equals(Buffer.alloc(fromMib(3)))).toBe(true);
    const after = await files.stat(path);
    expect(after?.sizeBytes).toBe(fromMib(3));
    expect(after?.usedBytes).toBeLessThan(before?.usedBytes ?? 0);
    await files.remove(path);
  });

  test('images: a writer or a reader that gives up leaves nobody at it; one that is not there is neither read nor written', async () => {
    const { files } = suite.driver;
    const path = `${suite.harness.directory}/given-up.raw`;
    await files.createImage(path, fromMib(8));
    const failing = async function* (): AsyncGenerator<ImagePiece> {
      yield { offset: 0, data: Buffer.alloc(65_536, 1) };
      await Promise.resolve();
      throw new Error('the client left');
    };
    await expect(files.writeImage(path, failing())).rejects.toThrow('the client left');
    for await (const part of files.readImage(path)) if (part.length > 0) break;
    expect((await bytesOf(files.readImage(path))).length).toBe(fromMib(8));
    await files.remove(path);
    await expect(bytesOf(files.readImage(path))).rejects.toMatchObject({ code: 'command-failed' });
    const one = piecesOf({ offset: 0, data: Buffer.alloc(1) });
    await expect(files.writeImage(path, one)).rejects.toMatchObject({ code: 'command-failed' });
    expect(await files.stat(path)).toBeUndefined();
  });

  test('a directory is listed with the sizes of its files, not of those below it', async () => {
    const { files } = suite.driver;
    const directory = `${suite.harness.directory}/to "list'`;
    expect(await files.list(directory)).toEqual([]);
    await files.space(`${directory}/below`);
    expect(await files.list(directory)).toEqual([]);
    const paths = [`${directory}/one`, `${directory}/-two, with a name`, `${directory}/below/three`];
    for (const [index, path] of paths.entries()) await files.createImage(path, fromMib(index + 1));
    const listed = (await files.list(directory)).toSorted((a, b) => a.sizeBytes - b.sizeBytes);
    expect(listed.map(({ name, sizeBytes }) => [name, sizeBytes])).toEqual([
      ['one', fromMib(1)],
      ['-two, with a name', fromMib(2)],
    ]);
    for (const { name, usedBytes, sizeBytes } of listed) {
      expect(await files.stat(`${directory}/${name}`)).toEqual({ sizeBytes, usedBytes });
    }
    for (const path of paths) await files.remove(path);
    expect(await files.list(directory)).toEqual([]);
    await expect(files.list('etc')).rejects.toMatchObject({ code: 'bad-config' });
  });

  test('a path that is not absolute is refused', async () => {
    await expect(suite.driver.files.createImage('etc/passwd', fromMib(1))).rejects.toMatchObject({
      code: 'bad-config',
    });
    await expect(suite.driver.files.remove('-rf')).rejects.toMatchObject({ code: 'bad-config' });
  });

  test('the time of the host, by its own zone, is written as XenAPI writes moments', async () => {
    expect(await suite.driver.system.localTime()).toMatch(/^\d{8}T\d\d:\d\d:\d\d$/);
  });

  test("Xen's own messages can be read", async () => {
    expect(await suite.driver.system.dmesg(false)).toContain('(XEN)');
  });

  test('a plugin that is not there is told from one that fails', async () => {
    const { system } = suite.driver;
    expect(await system.has('plugins', 'none-of-this-name')).toBe(false);
    const program = { directory: 'plugins', name: 'none-of-this-name', args: ["it's"], timeLimitMs: 1000 } as const;
    expect(await system.run(program)).toBeUndefined();
  });

  test('executables of a directory are listed by name and run with their arguments; others are none', async () => {
    const { system } = suite.driver;
    const { programs } = suite.harness;
    const directory = 'host-post-declare-dead';
    expect(await system.list(directory)).toEqual([]);
    const script = '#!/bin/sh\nprintf "%s|" "$0" "$@"\necho "why not" >&2\nexit 3\n';
    const files: readonly (readonly [string, number])[] = [
      ['20-later', 0o755],
      ['10-first', 0o755],
      ['Zero', 0o755],
      ['30-no-program', 0o644],
      ["it's; touch was-here", 0o755],
      ['two\nlines', 0o755],
      ['.hidden', 0o755],
      ['50-directory/inside', 0o755],
    ];
    try {
      for (const [name, mode] of files) await programs.install(`${directory}/${name}`, script, mode);
      expect(await system.list(directory)).toEqual(['10-first', '20-later', 'Zero']);
      const args = ['-hostuuid', "it's", '$HOME', ''];
      const end = await system.run({ directory, name: '10-first', args, timeLimitMs: 10_000 });
      expect(end).toMatchObject({ exitCode: 3, timedOut: false, stderr: 'why not\n' });
      expect(end?.stdout).toMatch(/\/host-post-declare-dead\/10-first\|-hostuuid\|it's\|\$HOME\|\|$/);
    } finally {
      await programs.remove(directory);
    }
    expect(await system.list(directory)).toEqual([]);
  });

  test('space is told of the file system, and a missing directory is made', async () => {
    const space = await suite.driver.files.space(`${suite.harness.directory}/a new one/inside`);
    expect(space.totalBytes).toBeGreaterThan(0);
    expect(space.freeBytes).toBeLessThanOrEqual(space.totalBytes);
    await suite.driver.files.createImage(`${suite.harness.directory}/a new one/inside/image`, fromMib(1));
    await suite.driver.files.remove(`${suite.harness.directory}/a new one/inside/image`);
  });
}
