/** The part of the suite of every HostDriver about the memory of running domains. */
import { bytes, domId, fromMib, kibBytes, mibBytes, randomUuid, uuid } from '@xenolith/base';
import {
  leastTargetBytes,
  type DomainIdentity,
  type DomainMemory,
  type DomainType,
  type HostErrorCode,
} from '@xenolith/xapi';
import { describe, expect, test } from 'vitest';
import type { ConformanceOptions, Suite } from './conformance-suite.ts';

const domain0: DomainIdentity = { domid: domId(0), uuid: uuid('00000000-0000-0000-0000-000000000000') };
/** A guest may be off its target by a page. */
const inaccuracyBytes = 4 * kibBytes;

export function describeMemory(suite: Suite, options: ConformanceOptions): void {
  describe('memory', () => {
    for (const type of options.types) if (options.slowTypes?.includes(type) !== true) describeBalloon(suite, type);
    describeMemoryRefusals(suite, options.types[0] ?? 'pv');
  });
}

const stateOf = async (suite: Suite, { uuid: id }: DomainIdentity): Promise<DomainMemory> => {
  const state = (await suite.driver.memory.states()).domains.find((each) => each.uuid === id);
  if (state === undefined) throw new Error(`no state of ${id}`);
  return state;
};

/** Asks again and again until the state is as wanted, and gives it. */
async function stateWhen(
  suite: Suite,
  domain: DomainIdentity,
  what: string,
  condition: (state: DomainMemory) => boolean,
): Promise<DomainMemory> {
  let latest: DomainMemory | undefined;
  let isAsking = false;
  const ask = async (): Promise<void> => {
    isAsking = true;
    latest = await stateOf(suite, domain).catch(() => undefined);
    isAsking = false;
  };
  return await suite.harness.until(what, () => {
    if (!isAsking) void ask();
    return latest !== undefined && condition(latest) ? latest : undefined;
  });
}

function describeBalloon(suite: Suite, type: DomainType): void {
  test(`${type}: a guest that is up balloons down and up, to within 4 KiB, and its memory is free meanwhile`, async () => {
    const { memoryMib } = suite.harness;
    const config = suite.config(type, {
      memoryMaxBytes: fromMib(2 * memoryMib),
      memoryTargetBytes: fromMib(1.5 * memoryMib),
    });
    const guest = await suite.create(config, { paused: false });
    await suite.up(guest);
    const first = await stateWhen(suite, guest, 'its balloon driver', ({ hasBalloonDriver }) => hasBalloonDriver);
    expect(first).toMatchObject({
      ...guest,
      targetBytes: config.memoryTargetBytes,
      maximumBytes: config.memoryMaxBytes,
    });
    // What a guest has beyond its target from the start stays with it.
    const offset = first.actualBytes - first.targetBytes;
    expect(Math.abs(offset)).toBeLessThan(4 * mibBytes);
    const { freeBytes: freeFirst } = await suite.driver.memory.states();
    for (const mib of [memoryMib, 1.25 * memoryMib, 2 * memoryMib, 0.875 * memoryMib]) {
      const target = fromMib(mib);
      const before = suite.driver.sequence();
      await suite.driver.memory.setTarget(guest, target);
      expect(suite.driver.sequence()).toBeGreaterThan(before);
      const there = await stateWhen(
        suite,
        guest,
        `${mib} MiB`,
        ({ actualBytes }) => Math.abs(actualBytes - offset - target) <= inaccuracyBytes,
      );
      expect(there.targetBytes).toBe(target);
      const { freeBytes } = await suite.driver.memory.states();
      // Real hosts say what is free in whole MiB.
      expect(Math.abs(freeBytes - freeFirst - (config.memoryTargetBytes - target))).toBeLessThanOrEqual(2 * mibBytes);
    }
    await suite.seen(guest.uuid, 'the picture with less', ({ memoryBytes }) => memoryBytes < fromMib(memoryMib));
  });
}

function describeMemoryRefusals(suite: Suite, type: DomainType): void {
  const refused = async (code: HostErrorCode, work: Promise<unknown>): Promise<void> => {
    await expect(work).rejects.toMatchObject({ name: 'HostError', code });
  };

  test('every domain is told of, Domain-0 too, and one that has not booted has no balloon driver', async () => {
    const made = await suite.create(suite.config(type), { paused: true });
    const { domains, freeBytes } = await suite.driver.memory.states();
    expect(new Set(domains.map(({ domid }) => domid))).toEqual(new Set([domId(0), made.domid]));
    expect(freeBytes).toBeGreaterThan(0);
    for (const { actualBytes } of domains) expect(actualBytes).toBeGreaterThan(0);
    expect(domains.find(({ domid }) => domid === made.domid)).toMatchObject({ ...made, hasBalloonDriver: false });
  });

  test('a target that cannot be is refused, and nothing is changed', async () => {
    const { memory } = suite.driver;
    const config = suite.config(type);
    const guest = await suite.create(config, { paused: true });
    const other = await suite.create(suite.config(type), { paused: true });
    const before = await memory.states();
    await refused('bad-config', memory.setTarget(guest, bytes(config.memoryMaxBytes + kibBytes)));
    await refused('bad-config', memory.setTarget(guest, bytes(0)));
    await refused('bad-config', memory.setTarget(guest, bytes(leastTargetBytes - kibBytes)));
    await refused('command-failed', memory.setTarget(domain0, fromMib(512)));
    const stranger = { domid: other.domid, uuid: randomUuid(suite.harness.random) };
    await refused('no-such-domain', memory.setTarget(stranger, fromMib(64)));
    expect((await memory.states()).domains).toEqual(before.domains);
    await suite.driver.destroy(other);
    await refused('no-such-domain', memory.setTarget(other, fromMib(64)));
  });
}
