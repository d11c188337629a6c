import { ManualClock, ns } from '@xenolith/base';
import { expect, test } from 'vitest';
import { CpuUse } from './cpu-use.ts';

const times = (...all: readonly number[]) => all.map((time) => ns(time * 1e6));

test('shares are of the time since the times before, by key; none while nothing is known', () => {
  const clock = new ManualClock();
  const use = new CpuUse<string>(clock);
  expect(use.since('a', times(100, 0))).toBeUndefined();
  expect(use.since('a', times(100, 0))).toBeUndefined();
  clock.advance(1000);
  expect(use.since('b', times(5))).toBeUndefined();
  expect(use.since('a', times(350, 1000))).toEqual([0.25, 1]);
  clock.advance(500);
  expect(use.since('a', times(350, 1001))).toEqual([0, 0.002]);
});

test('shares are of the host’s own time where it tells it', () => {
  const clock = new ManualClock();
  const use = new CpuUse<string>(clock);
  const [begin, later, again] = times(1000, 11_000, 500);
  use.since('a', times(100), begin);
  clock.advance(1000);
  expect(use.since('a', times(2600), later)).toEqual([0.25]);
  clock.advance(1000);
  expect(use.since('a', times(2600), later)).toBeUndefined();
  expect(use.since('a', times(2700), again)).toBeUndefined();
});

test('times that began anew, as after a reboot, say nothing', () => {
  const clock = new ManualClock();
  const use = new CpuUse<string>(clock);
  use.since('a', times(900));
  clock.advance(1000);
  expect(use.since('a', times(10))).toBeUndefined();
  clock.advance(1000);
  expect(use.since('a', times(510))).toEqual([0.5]);
});
