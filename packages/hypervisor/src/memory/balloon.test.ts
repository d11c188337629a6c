import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  BalloonDriver,
  balloonRetry3,
  balloonRetry6,
  balloonRetryClassic,
  balloonRetryOf,
  classicTargetMib,
  cooperative,
  followTarget,
  minimumTargetMib,
  slow,
  type BalloonPort,
} from './balloon.ts';

const willing: BalloonPort = { populate: (pages) => pages, spare: (pages) => pages };

describe('the balloon driver', () => {
  test('at start its target is what there is', () => {
    const driver = new BalloonDriver({ currentPages: 1000, roomPages: 5 });
    expect(driver.work(willing)).toEqual({ state: 'done', changedPages: 0, costUs: 0, waitMs: 0 });
  });

  test('grows and shrinks by at most 512 pages a call, and pays for scrubbing what it gives', () => {
    const driver = new BalloonDriver({ currentPages: 1000, roomPages: 2000 });
    driver.setTarget(1600);
    expect(driver.work(willing)).toEqual({ state: 'more', changedPages: 512, costUs: 4 + 256, waitMs: 0 });
    expect(driver.work(willing)).toMatchObject({ state: 'done', changedPages: 88 });
    expect([driver.currentPages, driver.roomPages]).toEqual([1600, 1400]);
    driver.setTarget(1500);
    expect(driver.work(willing)).toMatchObject({ state: 'done', changedPages: -100, costUs: 84 });
    expect(driver.roomPages).toBe(1500);
  });

  test('grows no further than the room that its kernel made', () => {
    const driver = new BalloonDriver({ currentPages: 1000, roomPages: 97 });
    driver.setTarget(4000);
    expect(driver.work(willing)).toMatchObject({ state: 'done', changedPages: 97 });
    expect(driver.work(willing)).toMatchObject({ state: 'done', changedPages: 0 });
    expect([driver.currentPages, driver.targetPages]).toEqual([1097, 4000]);
  });

  test.each([
    [
      'without max',
      5_242_783,
      [1_843_200, 2_560_000, 1_572_864, 4_096_000],
      [21_225_084, 20_508_284, 21_495_420, 18_972_284],
    ],
    ['with max', 0, [1_843_200, 1_572_864], [253_952, 524_288]],
  ])('dom0 on real Xen, %s: low_kb after each target_kb', (_, roomPages, targetsKib, roomsKib) => {
    const driver = new BalloonDriver({ currentPages: 524_288, roomPages, retry: balloonRetry6 });
    const rooms = targetsKib.map((kib) => {
      driver.setTarget(kib / 4);
      while (driver.work(willing).state === 'more');
      expect(driver.currentPages * 4).toBe(kib);
      return driver.roomPages * 4;
    });
    expect(rooms).toEqual(roomsKib);
  });

  test('with max it does not grow beyond what it had at boot, whatever it is told', () => {
    const driver = new BalloonDriver({ currentPages: 524_288, roomPages: 0, retry: balloonRetry6 });
    driver.setTarget(1_024_000);
    expect(driver.work(willing).state).toBe('done');
    expect([driver.currentPages * 4, driver.targetPages * 4]).toEqual([2_097_152, 4_096_000]);
  });

  test('waits twice as long each time Xen has nothing, up to 32 s, for ever', () => {
    const driver = new BalloonDriver({ currentPages: 10, roomPages: 10 });
    driver.setTarget(20);
    const poor = { ...willing, populate: () => 0 };
    expect(Array.from({ length: 8 }, () => driver.work(poor).waitMs)).toEqual(
      [1, 2, 4, 8, 16, 32, 32, 32].map((seconds) => seconds * 1000),
    );
    expect(driver.work(willing)).toMatchObject({ state: 'done', changedPages: 10 });
    driver.setTarget(10);
    expect(driver.work({ ...willing, spare: () => 3 })).toMatchObject({
      state: 'again',
      changedPages: -3,
      waitMs: 1000,
    });
  });

  test('Linux 6.1 gives up after four tries until the target changes', () => {
    const driver = new BalloonDriver({ currentPages: 10, roomPages: 10, retry: balloonRetry6 });
    driver.setTarget(20);
    const poor = { ...willing, populate: () => 0 };
    const states = Array.from({ length: 6 }, () => driver.work(poor).state);
    expect(states).toEqual(['again', 'again', 'again', 'again', 'cancelled', 'cancelled']);
    expect(driver.work(willing).state).toBe('cancelled');
    driver.setTarget(19);
    expect(driver.work(willing)).toMatchObject({ state: 'done', changedPages: 9 });
  });

  test('part of what was asked for is no failure', () => {
    const driver = new BalloonDriver({ currentPages: 0, roomPages: 100 });
    driver.setTarget(100);
    expect(driver.work({ ...willing, populate: () => 40 })).toMatchObject({ state: 'more', changedPages: 40 });
  });

  test('releases', () => {
    const of = (major: number, minor: number): object => balloonRetryOf({ major, minor, patch: 18 });
    expect([of(2, 6), of(3, 2), of(6, 1)]).toEqual([balloonRetryClassic, balloonRetry3, balloonRetry6]);
  });

  test('whatever Xen and the kernel can do, pages are neither made nor lost, and it ends at its target', () => {
    const share = fc.integer({ min: 0, max: 512 });
    fc.assert(
      fc.property(
        fc.nat(5000),
        fc.nat(5000),
        fc.nat(9000),
        fc.array(share, { maxLength: 20 }),
        (has, room, to, can) => {
          const driver = new BalloonDriver({ currentPages: has, roomPages: room });
          driver.setTarget(to);
          for (const most of can) {
            const limit = (pages: number): number => Math.min(pages, most);
            const batch = driver.work({ populate: limit, spare: limit });
            expect(Math.abs(batch.changedPages)).toBeLessThanOrEqual(512);
            expect(driver.currentPages + driver.roomPages).toBe(has + room);
          }
          for (let batch = 0; batch < 20; batch++) driver.work(willing);
          expect(driver.currentPages).toBe(Math.min(to, has + room));
        },
      ),
    );
  });
});

describe('the least of classic kernels', () => {
  test.each([
    [64, 40],
    [127, 71],
    [128, 72],
    [511, 167],
    [512, 168],
    [2047, 359],
    [2048, 360],
    [16_384, 808],
  ])('of %d MiB is %d MiB', (maximumMib, least) => {
    expect(minimumTargetMib(maximumMib)).toBe(least);
  });

  test('raises a target, but not above what there is', () => {
    expect(classicTargetMib(100, 1024, 2048)).toBe(360);
    expect(classicTargetMib(100, 200, 2048)).toBe(200);
    expect(classicTargetMib(500, 1024, 2048)).toBe(500);
  });
});

describe('guests', () => {
  test.each([
    ['cooperative', cooperative, 1000, 2000, 2000],
    ['slow, down', slow, 100_000, 0, 100_000 - 16_384],
    ['stuck', { kind: 'stuck' }, 1000, 500, 1000],
    ['stuck at 800', { kind: 'stuck', atKib: 800 }, 1000, 500, 800],
    ['stuck below 800, growing', { kind: 'stuck', atKib: 800 }, 500, 600, 600],
    ['stuck below 800, shrinking', { kind: 'stuck', atKib: 800 }, 500, 400, 500],
    ['no driver', { kind: 'no-driver' }, 1000, 500, 1000],
  ] as const)('%s', (_, behaviour, actualKib, targetKib, after) => {
    expect(followTarget(behaviour, actualKib, targetKib, 1e9, 1000)).toBe(after);
  });

  test('none has more than it may, and none loses memory for that', () => {
    expect(followTarget(cooperative, 1000, 2000, 1500, 1000)).toBe(1500);
    expect(followTarget(cooperative, 1000, 2000, 500, 1000)).toBe(1000);
  });
});
